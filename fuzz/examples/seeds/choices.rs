//! Seeds that are short texts and choices.

use lazyoci::frame_codec::{Compression, Encoder};

use super::{Result, Seeds};

pub(super) fn take_texts(seeds: &mut Seeds) {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let descriptor = format!(
        r#"{{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "{digest}", "size": 7,
 "annotations": {{"containerd.io/snapshot/stargz/toc.digest": "{digest}",
 "containerd.io/snapshot/nydus-blob": "true"}}, "urls": ["http://x"]}}"#
    );
    let chunked = format!(
        r#"{{"version": 1, "entries": [
 {{"name": "d/", "type": "dir", "mode": 493, "modtime": "2020-09-13T12:26:40Z"}},
 {{"name": "d/f", "type": "reg", "size": 10, "offset": 120, "digest": "{digest}", "chunkSize": 6,
  "chunkDigest": "{digest}", "xattrs": {{"user.k": "dmFsdWU="}}}},
 {{"name": "d/f", "type": "chunk", "offset": 300, "chunkOffset": 6, "chunkSize": 4, "chunkDigest": "{digest}"}},
 {{"name": "d/g", "type": "reg", "size": 3, "offset": 500, "innerOffset": 512, "digest": "{digest}",
  "chunkDigest": "{digest}"}},
 {{"name": "h", "type": "hardlink", "linkName": "d/f"}},
 {{"name": "l", "type": "symlink", "linkName": "d/f", "uid": 1000, "userName": "u"}},
 {{"name": "c", "type": "char", "devMajor": 1, "devMinor": 3}},
 {{"name": ".no.prefetch.landmark", "type": "reg", "size": 1, "offset": 700, "digest": "{digest}",
  "chunkDigest": "{digest}"}}]}}"#
    );
    for (target, name, text) in [
        ("descriptor", "digest", digest.as_str()),
        ("descriptor", "descriptor", &descriptor),
        ("descriptor", "compression", "zstd:19"),
        ("descriptor", "path", "/usr/./share/../lib//x"),
        ("estargz", "toc", &chunked),
    ] {
        seeds.insert((target, name.into()), text.into());
    }
}

/// The dictionary file of the tests of chunk-dedup.
pub(super) fn take_dictionary(seeds: &mut Seeds) -> Result<()> {
    let hex = include_str!("../../../crates/chunk-dedup/tests/chunk_dedup/version-2.hex");
    let digits: Vec<char> = hex.split_whitespace().flat_map(str::chars).collect();
    let mut bytes = vec![0];
    for pair in digits.chunks(2) {
        bytes.push(u8::from_str_radix(&pair.iter().collect::<String>(), 16)?);
    }
    seeds.insert(("dictionary_file", "version-2".into()), bytes);
    Ok(())
}

/// Bytes for the targets that read them as choices; the same ones every time.
pub(super) fn take_choices(seeds: &mut Seeds) {
    let mut state = 1u64;
    for (number, len) in [0, 16, 64, 256, 512, 1024, 2048].into_iter().enumerate() {
        for variant in 0..4u8 {
            let mut bytes: Vec<u8> = (0..len)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            if let Some(first) = bytes.first_mut() {
                *first = variant;
            }
            for target in [
                "chunk_lookup",
                "dictionary_file",
                "diff_work",
                "erofs_round_trip",
                "estargz_round_trip",
                "frame_decode",
                "lossy",
                "merge",
                "read_boundaries",
                "read_work",
                "tar_round_trip",
                "v5_round_trip",
                "v6_round_trip",
            ] {
                seeds.insert(
                    (target, format!("choices-{number}-{variant}")),
                    bytes.clone(),
                );
            }
        }
    }
    for (choice, compression) in [
        (0, Compression::Lz4Block),
        (1, Compression::Zstd { level: 3 }),
        (2, Compression::Gzip { level: 6 }),
    ] {
        let plain = b"lazy pulling ".repeat(20);
        let mut seed = vec![choice];
        seed.extend((plain.len() as u16).to_le_bytes());
        seed.push(3);
        let mut encoder = Encoder::new(compression).expect("the level exists");
        encoder
            .encode_frame(&plain, &mut seed)
            .expect("it is short");
        seeds.insert(("frame_decode", compression.to_string()), seed);
    }
}
