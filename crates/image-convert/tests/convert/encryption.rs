//! Encrypted blobs.

use blob_io::{MemoryOutput, ObjectRole};
use bytes::Bytes;
use frame_codec::Compression;
use image_model::{BlobIndex, XtsKey};
use image_read::{OpenImage, VerifyOptions, open_source, verify_image};
use lazyoci_image_convert::{ConvertError, RafsOptions, Streaming, to_rafs};
use proptest::collection::vec;
use proptest::prelude::*;
use rafs_format::Version;
use rafs_format::flags::Compat;
use verify::Profile;

use crate::round_trip::{attributes, kind, tar};
use crate::support::{Tar, digest_of_tar, noise, plain_options};

fn key(seed: u8) -> XtsKey {
    let key = std::array::from_fn(|n| seed.wrapping_add(n as u8));
    XtsKey::new(key, [seed; 16]).unwrap()
}

fn compressions() -> Vec<Compression> {
    let mut all = vec![Compression::None];
    if cfg!(feature = "lz4") {
        all.push(Compression::Lz4Block);
    }
    if cfg!(feature = "zstd") {
        all.push(Compression::Zstd { level: 3 });
    }
    all
}

fn options() -> RafsOptions {
    plain_options().chunk_size(1 << 16).key(Some(key(1)))
}

fn make(tar: &[u8], options: &RafsOptions) -> Result<MemoryOutput, ConvertError> {
    let mut output = MemoryOutput::default();
    to_rafs(Streaming::new(tar), &mut output, options, &mut ())?;
    Ok(output)
}

fn object(output: &MemoryOutput, role: ObjectRole) -> Bytes {
    output.object(role).unwrap().bytes.clone()
}

fn open(output: &MemoryOutput) -> OpenImage {
    let bootstrap = std::sync::Arc::new(object(output, ObjectRole::Bootstrap));
    open_source(bootstrap, None, output.clone(), &Default::default()).unwrap()
}

fn found(image: &OpenImage) -> Vec<String> {
    let (mut found, options) = (Vec::new(), VerifyOptions::default().threads(1));
    let tell = &mut |finding: image_read::Finding| found.push(finding.to_string());
    verify_image(image, &options, &mut (), tell).unwrap();
    found
}

fn tree(image: &OpenImage) -> String {
    let digest = image.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

/// Files of all lengths around those that are padded.
fn files() -> Vec<u8> {
    let mut tar = Tar::new();
    for len in (0..40).chain([2_047, 2_048, 65_535, 65_536, 65_537, 200_000]) {
        tar = tar.file(&format!("noise-{len}"), &noise(len as u64, len));
        tar = tar.file(
            &format!("text-{len}"),
            &b"many times ".repeat(len / 11 + 1)[..len],
        );
    }
    tar.finish()
}

#[test]
fn files_of_any_length_come_back() {
    let tar = files();
    for compression in compressions() {
        for (batch_size, toc) in [(0, false), (4096, false), (1 << 16, true)] {
            let options = options().batch_size(batch_size).toc(toc);
            let output = make(&tar, &options.compression(compression)).unwrap();
            let opened = open(&output);
            let what = format!("{compression} {batch_size}");
            assert_eq!(found(&opened), [""; 0], "{what}");
            assert_eq!(tree(&opened), digest_of_tar(&tar), "{what}");
            let meta = opened.blob_meta(BlobIndex(0)).unwrap().unwrap();
            assert!((0..meta.chunk_count()).all(|index| meta.chunk(index).unwrap().encrypted));
            for number in 0..meta.context_count() {
                let (batch, _) = meta.batch(number).unwrap().unwrap();
                assert!(batch.len > 18 && batch.stored_len <= batch.len, "{batch:?}");
            }
        }
    }
}

/// Nothing but sections without content is in the blob as it is.
#[test]
fn no_content_is_in_clear() {
    let secret = b"a secret of some length, which is not to be seen by anybody";
    let tar = Tar::new().file("secret", secret).finish();
    for batch_size in [0, 4096] {
        let blob = |seed| {
            let options = options().batch_size(batch_size).key(Some(key(seed)));
            object(&make(&tar, &options).unwrap(), ObjectRole::Blob)
        };
        let (blob, other) = (blob(1), blob(2));
        assert!(
            !blob
                .windows(8)
                .any(|bytes| secret.windows(8).any(|part| part == bytes))
        );
        // The header of the chunk information begins and ends with its magic.
        assert!(
            !blob
                .windows(4)
                .any(|bytes| bytes == [0x0b, 0xb1, 0x0b, 0xb1])
        );
        assert_ne!(blob, other);
    }
}

/// The key is what the bootstrap says it is.
#[test]
fn another_key_reads_nothing() {
    let output = make(&files(), &options()).unwrap();
    let mut bootstrap = object(&output, ObjectRole::Bootstrap).to_vec();
    let at = bootstrap
        .windows(32)
        .position(|bytes| bytes == key(1).key());
    bootstrap[at.unwrap()] ^= 1;
    let source = std::sync::Arc::new(Bytes::from(bootstrap));
    let opened = open_source(source, None, output.clone(), &Default::default()).unwrap();
    assert!(opened.read("/noise-20", 20).is_err());
    assert!(opened.blob_meta(BlobIndex(0)).is_err());
    assert!(!found(&opened).is_empty());
}

#[test]
fn what_nydus_would_misread_is_refused() {
    let tar = Tar::new().file("odd", b"0123456789abcdef\x78\x90").finish();
    let error = make(&tar, &options()).unwrap_err();
    assert!(matches!(error, ConvertError::LooksPadded), "{error}");
    // It can follow another one in a batch.
    let tar = Tar::new()
        .file("first", &noise(1, 100))
        .file("odd", b"0123456789abcdef\x78\x90")
        .finish();
    let output = make(&tar, &options().batch_size(4096)).unwrap();
    assert_eq!(tree(&open(&output)), digest_of_tar(&tar));
}

#[test]
fn some_images_cannot_be_encrypted() {
    let refused = |options: RafsOptions| {
        let error = make(&files(), &options).unwrap_err();
        std::error::Error::source(&error).unwrap().to_string()
    };
    assert_eq!(
        refused(options().version(Version::V5)),
        "a blob with no chunk information cannot have encryption"
    );
    assert_eq!(
        refused(options().compat(Compat::V2_2)),
        "a blob with the bytes of release 2.2 cannot have encryption"
    );
    assert_eq!(
        refused(options().aligned(true)),
        "a blob with aligned data cannot have encryption"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back(
        nodes in vec((any::<prop::sample::Index>(), attributes(), kind()), 0..40),
        batch in prop::sample::select(vec![0u32, 4096, 32_768]),
        compression in prop::sample::select(compressions()),
        seed in any::<u8>(),
    ) {
        let tar = tar(nodes);
        let options = options()
            .key(Some(key(seed)))
            .batch_size(batch)
            .compression(compression)
            .lossy(true);
        // Some trees are no trees: a file below a file, a link to what became a directory.
        let Ok(output) = make(&tar, &options) else {
            return Ok(());
        };
        let opened = open(&output);
        prop_assert_eq!(tree(&opened), digest_of_tar(&tar));
        prop_assert_eq!(found(&opened), Vec::<String>::new());
    }
}

/// The bootstrap has the key in clear: it is not put into the blob, and not shown.
#[test]
fn the_key_is_kept_apart_and_not_shown() {
    let tar = Tar::new().file("file", b"content").finish();
    let error = make(&tar, &options().inline_meta(true)).unwrap_err();
    assert!(matches!(error, ConvertError::InlinedKey), "{error:?}");
    let image = open(&make(&tar, &options()).unwrap());
    let entry = &image.bootstrap().unwrap().blob_entries()[0];
    assert_eq!(entry.xts_key(), Some(key(1)));
    let shown = format!("{entry:?}");
    let hidden = format!("{:?}", key(1).key());
    assert!(!shown.contains(&hidden[1..20]), "{shown}");
}
