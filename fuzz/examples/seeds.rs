//! Makes the seeds of every target out of the goldens of this repository and of tars made here.
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds [CORPUS]
//! ```
//!
//! They go to `fuzz/corpus/TARGET/seed-NAME`, or below CORPUS. Each is run through its target first, so
//! this is a test as well.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use lazyoci::blob_io::{MemoryOutput, ObjectRole};
use lazyoci::convert::{RafsOptions, Streaming, to_rafs};
use lazyoci::frame_codec::{Compression, Decoder, Encoder};
use lazyoci::model::metadata::Xattr;
use lazyoci::model::{Device, ImagePath, Limits, Metadata, Node, Timestamp, Xattrs};
use lazyoci::rafs_format::blob::{BlobMeta, ChunkExtra, CiHeader, Contexts, chunk_info_v2};
use lazyoci::rafs_format::flags::{BlobFeatures, Compressor};
use lazyoci::rafs_format::v5;
use lazyoci::rafs_format::v6::{BlobEntry, Bootstrap};
use lazyoci::read::read_toc;
use lazyoci::tar_stream::{LayerStream, TarWriter};
use lazyoci_fuzz::targets::{TARGETS, estargz_agrees};
use serde_json::Value;

/// Longest seed in bytes: longer ones are slow and teach nothing.
const MAX_LEN: usize = 96 << 10;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Seeds by target and name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

fn main() -> Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = std::env::args_os()
        .nth(1)
        .map_or_else(|| fuzz.join("corpus"), PathBuf::from);
    let mut seeds = Seeds::new();
    let root = fuzz.parent().ok_or("the package lies in the repository")?;
    for golden in goldens(root)? {
        take_golden(&golden, root, &mut seeds)?;
        if golden
            .extension()
            .is_some_and(|extension| extension == "esgz")
        {
            take_estargz(&golden, root, &mut seeds)?;
        }
    }
    for (name, tar) in tars()? {
        take_tar(&name, &tar, &mut seeds)?;
    }
    take_many_chunks(&mut seeds)?;
    take_traps(&mut seeds)?;
    take_texts(&mut seeds);
    take_choices(&mut seeds);
    take_pairs(&mut seeds)?;
    for target in TARGETS {
        let mut count = 0;
        let folder = corpus.join(target.name);
        fs::create_dir_all(&folder)?;
        for ((_, name), bytes) in seeds.iter().filter(|((of, _), _)| *of == target.name) {
            (target.run)(bytes);
            fs::write(folder.join(format!("seed-{name}")), bytes)?;
            count += 1;
        }
        println!("{}: {count} seeds", target.name);
        if count == 0 {
            return Err(format!("{} has no seeds", target.name).into());
        }
    }
    Ok(())
}

/// Every file in a folder called `goldens`.
fn goldens(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.join("interop/goldens")];
    for entry in fs::read_dir(root.join("crates"))? {
        pending.push(entry?.path().join("tests/goldens"));
    }
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What a golden is is told by its content; texts and scripts are nothing.
fn take_golden(path: &Path, root: &Path, seeds: &mut Seeds) -> Result<()> {
    let bytes = fs::read(path)?;
    let name = path.strip_prefix(root)?.to_string_lossy().replace('/', "_");
    if bytes.len() > MAX_LEN || str::from_utf8(&bytes).is_ok() {
        return Ok(());
    }
    let mut others = Vec::new();
    let mut add = |target, bytes: &[u8]| {
        seeds.insert((target, name.clone()), bytes.to_vec());
    };
    add("open_image", &bytes);
    add("convert_image", &[&[1, 0, 0, 0], &bytes[..]].concat());
    // With the digest of the file, and a bit of it to change.
    add("verify_image", &[&[8, 77, 1, 0], &bytes[..]].concat());
    // With the owners of the image, and without what cannot be unpacked.
    add("unpack", &[&[12], &bytes[..]].concat());
    if v5::Bootstrap::is_bootstrap(&bytes) {
        add("v5_bootstrap", &bytes);
    }
    if Bootstrap::is_bootstrap(&bytes) {
        add("v6_bootstrap", &bytes);
        let blobs = Bootstrap::open(bytes.clone().into(), &Default::default())?;
        for entry in blobs.blob_entries() {
            for blob in blobs_of(path, entry) {
                let blob = fs::read(blob)?;
                let blocks = u16::try_from(bytes.len() / 4096)?.to_le_bytes();
                // A TOC, and the bootstrap in the blob.
                let image = [&[2, 48], &blocks[..], &bytes, &blob].concat();
                if image.len() <= MAX_LEN {
                    add("convert_image", &image);
                    let choices = [8, 7, 200, blocks[0]];
                    add("verify_image", &[&choices, &bytes[..], &blob].concat());
                }
                let bytes = [&entry.to_bytes(0)[..], &blob].concat();
                if bytes.len() <= MAX_LEN {
                    add("rafs_blob", &bytes);
                    others.extend(version_2(entry, &blob)?);
                }
            }
        }
    } else if bytes.starts_with(&[0x1f, 0x8b]) || bytes.get(257..262) == Some(b"ustar") {
        add("layer_tar", &bytes);
        add("estargz", &bytes);
    } else {
        // The blob of some bootstrap, whose entry is not at hand.
        let entry = [0; BlobEntry::LEN];
        add("rafs_blob", &[&entry[..], &bytes].concat());
        add("sections", &bytes);
    }
    for (number, bytes) in others.into_iter().enumerate() {
        seeds.insert(("rafs_blob", format!("{name}-v2-{number}")), bytes);
    }
    Ok(())
}

/// TOC and tar of a blob, with gzip members cut where the TOC says that one begins; once with the offsets
/// that they have when nothing is compressed, and once with the numbers of members as offsets.
fn take_estargz(golden: &Path, root: &Path, seeds: &mut Seeds) -> Result<()> {
    let blob = fs::read(golden)?;
    let opened = read_toc(&blob.as_slice(), &Limits::default())?;
    let mut toc: Value = serde_json::from_slice(&opened.json)?;
    let entries = toc["entries"].as_array_mut().ok_or("a TOC has entries")?;
    let offsets = entries.iter().filter_map(|entry| entry["offset"].as_u64());
    let offsets: BTreeSet<u64> = offsets.chain([0, opened.toc_offset]).collect();
    let offsets: Vec<u64> = offsets.into_iter().collect();
    let mut encoder = Encoder::new(Compression::Gzip { level: 0 })?;
    let (mut stored, mut moved) = (Vec::new(), BTreeMap::new());
    let (mut tar, mut cuts) = (Vec::new(), Vec::new());
    for range in offsets.windows(2) {
        moved.insert(range[0], stored.len());
        let members = &blob[usize::try_from(range[0])?..usize::try_from(range[1])?];
        let start = tar.len();
        LayerStream::open(members, &Default::default())?.read_to_end(&mut tar)?;
        encoder.encode_frame(&tar[start..], &mut stored)?;
        cuts.push(u16::try_from(tar.len() - start)?);
    }
    let agrees = !golden.ends_with("bytes.esgz");
    let name = golden
        .strip_prefix(root)?
        .to_string_lossy()
        .replace('/', "_");
    for (flags, suffix) in [(0u8, "stored"), (2, "numbered")] {
        let mut toc = toc.clone();
        for entry in toc["entries"].as_array_mut().into_iter().flatten() {
            let Some(offset) = entry["offset"].as_u64() else {
                continue;
            };
            entry["offset"] = match flags {
                0 => moved[&offset].into(),
                _ => offsets.partition_point(|&before| before < offset).into(),
            };
        }
        let mut seed = vec![flags, u8::try_from(cuts.len())?];
        seed.extend(cuts.iter().flat_map(|len| len.to_le_bytes()));
        seed.extend(serde_json::to_vec(&toc)?);
        seed.push(0);
        seed.extend(&tar);
        if estargz_agrees(&seed) != agrees {
            return Err(format!("{name}, {suffix}: TOC and tar agree: {}", !agrees).into());
        }
        seeds.insert(("estargz_compare", format!("{name}-{suffix}")), seed);
    }
    Ok(())
}

/// The blob with chunk information of version 2, which nydus writes for batches and encryption only, and
/// its entry: some chunks with a checksum, some without. None of blobs whose chunk information is not read.
fn version_2(entry: &BlobEntry, blob: &[u8]) -> Result<Option<Vec<u8>>> {
    let limits = Limits::default();
    let Ok(range) = BlobMeta::range(entry, &limits) else {
        return Ok(None);
    };
    let stored = blob[usize::try_from(range.start)?..usize::try_from(range.end)?].to_vec();
    let meta = BlobMeta::decode(entry, &stored.into(), &mut Decoder::new(), &limits)?;
    let mut ci = Vec::new();
    for index in 0..meta.chunk_count() {
        let mut chunk = meta.chunk(index)?;
        if index % 2 == 1 {
            chunk.extra = ChunkExtra::Crc32c(index);
        }
        ci.extend(chunk_info_v2::encode(&chunk)?);
    }
    let mut entry = entry.clone();
    let bits = entry.features.bits() | BlobFeatures::CHUNK_INFO_V2.bits();
    entry.features = BlobFeatures::from_raw(bits)?;
    entry.ci_compressor = Compressor::None;
    entry.ci_compressed_size = ci.len() as u64;
    entry.ci_uncompressed_size = ci.len() as u64;
    let header = CiHeader {
        features: bits,
        compressor: entry.ci_compressor,
        entries: entry.chunk_count,
        offset: entry.ci_offset,
        stored_len: entry.ci_compressed_size,
        len: entry.ci_uncompressed_size,
        contexts: Contexts::default(),
    };
    let data = &blob[..usize::try_from(entry.ci_offset)?];
    let again = [data, &ci, &header.to_bytes()].concat();
    entry.compressed_size = again.len() as u64;
    let stored = again[data.len()..].to_vec();
    BlobMeta::decode(&entry, &stored.into(), &mut Decoder::new(), &limits)?.check()?;
    Ok(Some([&entry.to_bytes(0)[..], &again].concat()))
}

/// Where the blob of a bootstrap may lie.
fn blobs_of(bootstrap: &Path, entry: &BlobEntry) -> Vec<PathBuf> {
    let beside = bootstrap.with_file_name("blobs").join(entry.id.as_str());
    let same_name = bootstrap.with_extension("blob");
    [beside, same_name]
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

fn path(text: &str) -> Result<ImagePath> {
    Ok(ImagePath::clean(text.as_bytes())?)
}

/// Small tars: one with every kind of member, one with what needs PAX records, one with whiteouts.
fn tars() -> Result<Vec<(String, Vec<u8>)>> {
    let plain = Metadata {
        mode: 0o644,
        mtime: Timestamp::from_seconds(1_600_000_000),
        ..Metadata::default()
    };
    let kinds: [(&str, Node<()>); 7] = [
        ("d", Node::empty_directory()),
        (
            "d/f",
            Node::File {
                size: 700,
                content: (),
            },
        ),
        (
            "d/e",
            Node::File {
                size: 0,
                content: (),
            },
        ),
        ("d/l", Node::Symlink((*b"../d/f").into())),
        ("c", Node::CharDevice(Device { major: 1, minor: 3 })),
        (
            "b",
            Node::BlockDevice(Device {
                major: 8,
                minor: 300_000,
            }),
        ),
        ("p", Node::Fifo),
    ];
    let mut all = TarWriter::new(Vec::new());
    for (name, node) in kinds {
        all.append(&path(name)?, &plain, &node)?;
        if let Node::File { size, .. } = node {
            all.write_all(&vec![b'x'; usize::try_from(size)?])?;
        }
    }
    all.append_link(&path("h")?, &plain, &path("d/f")?)?;

    let odd = Metadata {
        mode: 0o4755,
        uid: 3_000_000,
        gid: 4_000_000_000,
        mtime: Timestamp {
            seconds: -1,
            nanoseconds: 500_000_000,
        },
        xattrs: Xattrs::new([Xattr {
            name: (*b"user.key").into(),
            value: (*b"a\0b\n").into(),
        }])?,
    };
    let mut pax = TarWriter::new(Vec::new());
    let long = "long/".repeat(60);
    pax.append(
        &path(&long)?,
        &odd,
        &Node::File {
            size: 3,
            content: (),
        },
    )?;
    pax.write_all(b"abc")?;
    let target = Node::<()>::Symlink(long.as_bytes().into());
    pax.append(&path("link")?, &odd, &target)?;

    let mut whiteouts = TarWriter::new(Vec::new());
    for name in ["etc/.wh.passwd", "var/.wh..wh..opq", "var/new"] {
        whiteouts.append(
            &path(name)?,
            &plain,
            &Node::File {
                size: 0,
                content: (),
            },
        )?;
    }
    Ok(vec![
        ("kinds".into(), all.finish()?),
        ("pax".into(), pax.finish()?),
        ("whiteouts".into(), whiteouts.finish()?),
        ("gnu-sparse".into(), gnu_sparse()),
    ])
}

/// A GNU sparse member with two regions of data, and one with a long name.
fn gnu_sparse() -> Vec<u8> {
    let mut tar = vec![0; 512 * 8];
    let mut header = |at: usize, name: &[u8], kind: u8, size: u32| {
        let block = &mut tar[at..at + 512];
        block[..name.len()].copy_from_slice(name);
        for (place, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0")] {
            block[place..place + 8].copy_from_slice(text.as_bytes());
        }
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"14000000000\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar  \0");
    };
    header(0, b"sparse", b'S', 1024);
    header(512 * 3, b"././@LongLink", b'L', 200);
    header(512 * 5, b"short", b'0', 0);
    for (at, number) in [
        (386, 0),
        (398, 512),
        (410, 4096),
        (422, 512),
        (434, 8192),
        (446, 0),
        (483, 8192),
    ] {
        tar[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
    }
    tar[512..1536].fill(b's');
    tar[512 * 4..512 * 4 + 199].fill(b'n');
    for at in [0, 512 * 3, 512 * 5] {
        let block = &mut tar[at..at + 512];
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    tar
}

fn take_tar(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    let mut compressed = vec![("tar", tar.to_vec())];
    for (suffix, compression) in [
        ("tar.gz", Compression::Gzip { level: 6 }),
        ("tar.zst", Compression::Zstd { level: 3 }),
    ] {
        let mut layer = Vec::new();
        Encoder::new(compression)?.encode_frame(tar, &mut layer)?;
        compressed.push((suffix, layer));
    }
    for (suffix, layer) in compressed {
        let name = format!("{name}.{suffix}");
        for target in ["layer_tar", "open_image", "convert_layer"] {
            seeds.insert((target, name.clone()), layer.clone());
        }
        seeds.insert(("unpack", name.clone()), [&[4], &layer[..]].concat());
        let plain = [&[0, 8, 0, 0], &layer[..]].concat();
        seeds.insert(("convert_image", name.clone()), plain);
        let verified = [&[6, 0, 0, 0], &layer[..]].concat();
        seeds.insert(("verify_image", name.clone()), verified);
        // Lengths of pieces, and the choice of a layer.
        let choices = [1, 3, 2, 0, 0, 1, 0, 0, 2, 2];
        let pieced = [&choices[..], &layer].concat();
        seeds.insert(("read_boundaries", name.clone()), pieced);
        seeds.insert(("layer_stream", name), streamed(&layer));
    }
    take_members(name, tar, seeds)?;
    seeds.insert(("tar_round_trip", name.into()), tar.to_vec());
    take_rafs(name, tar, seeds)
}

/// Choices of the target `layer_stream`, and a layer.
fn streamed(layer: &[u8]) -> Vec<u8> {
    let choices = [0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 9, 1, 9, 1, 9, 1, 9];
    [&choices[..], layer].concat()
}

/// Layers of several members and frames, with what may lie between them and behind.
fn take_members(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    let middle = tar.len() / 2 + 100;
    for (kind, compression) in [
        ("gz", Compression::Gzip { level: 6 }),
        ("zst", Compression::Zstd { level: 3 }),
    ] {
        let mut encoder = Encoder::new(compression)?;
        let mut layer = Vec::new();
        for part in [&tar[..middle], b"", &tar[middle..]] {
            encoder.encode_frame(part, &mut layer)?;
            if kind == "zst" {
                layer.extend([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
            }
        }
        let name = format!("{name}-members.{kind}");
        seeds.insert(("layer_stream", name.clone()), streamed(&layer));
        layer.extend([0; 40]);
        let name = format!("{name}-trailing");
        seeds.insert(("layer_stream", name), streamed(&layer));
    }
    Ok(())
}

/// RAFS images of a tar, by themselves and with everything in the blob.
fn take_rafs(name: &str, tar: &[u8], seeds: &mut Seeds) -> Result<()> {
    for (number, whole) in [false, true].into_iter().enumerate() {
        let options = RafsOptions::default()
            .chunk_size(4096)
            .toc(whole)
            .inline_meta(whole)
            .lossy(true);
        let mut output = MemoryOutput::default();
        to_rafs(Streaming::new(tar), &mut output, &options, &mut ())?;
        let object = |role| output.object(role).map_or(&[][..], |object| &object.bytes);
        let (bootstrap, blob) = (object(ObjectRole::Bootstrap), object(ObjectRole::Blob));
        let blocks = u8::try_from(bootstrap.len() / 4096)?;
        let image = [&[8, 7, 200, blocks], bootstrap, blob].concat();
        seeds.insert(("verify_image", format!("{name}-{number}.boot")), image);
        if !blob.is_empty() {
            seeds.insert(("sections", format!("{name}-{number}")), blob.to_vec());
            let alone = [&[16, 0, 0, 0], blob].concat();
            seeds.insert(("verify_image", format!("{name}-{number}.blob")), alone);
        }
    }
    Ok(())
}

/// Bootstraps of a file with more chunks than small limits allow: one file of that many, and one with
/// half of them but two names.
fn take_many_chunks(seeds: &mut Seeds) -> Result<()> {
    let chunks = u64::from(Limits::small().max_chunks) + 1;
    for (name, chunks, names) in [
        ("chunks", chunks, 1),
        ("chunks-of-two-names", chunks / 2 + 1, 2),
    ] {
        let size = chunks * 4096;
        let mut tar = TarWriter::new(Vec::new());
        let file = Node::File { size, content: () };
        tar.append(&path("f")?, &Metadata::default(), &file)?;
        tar.write_all(&vec![0; usize::try_from(size)?])?;
        for number in 1..names {
            let name = path(&format!("g{number}"))?;
            tar.append_link(&name, &Metadata::default(), &path("f")?)?;
        }
        seeds.insert(("v6_bootstrap", name.into()), bootstrap_of(&tar.finish()?)?);
    }
    Ok(())
}

/// Each bootstrap over the one before it, which often is of the same kind, and over itself.
fn take_pairs(seeds: &mut Seeds) -> Result<()> {
    let mut pairs = Seeds::new();
    let bootstraps = seeds
        .iter()
        .filter(|((target, _), _)| ["v5_bootstrap", "v6_bootstrap"].contains(target));
    let mut before: &[u8] = &[];
    for (number, ((_, name), upper)) in (0u8..=255).cycle().zip(bootstraps) {
        for (kind, lower) in [("same", &upper[..]), ("two", before)] {
            let len = u32::try_from(lower.len())?.to_le_bytes();
            // Whiteouts by turns, all that may be prefetched; a parent, no dictionary, a name for blobs.
            let choices = [1, number % 3, 3, number & 1, 0, 1];
            let seed = [&choices, &len[..], lower, upper].concat();
            if seed.len() <= MAX_LEN {
                pairs.insert(("merge", format!("{name}-{kind}")), seed);
            }
        }
        before = upper;
    }
    seeds.extend(pairs);
    Ok(())
}

fn bootstrap_of(tar: &[u8]) -> Result<Vec<u8>> {
    let options = RafsOptions::default().chunk_size(4096);
    let mut output = MemoryOutput::default();
    to_rafs(Streaming::new(tar), &mut output, &options, &mut ())?;
    let bootstrap = output.object(ObjectRole::Bootstrap);
    Ok(bootstrap.ok_or("an image has a bootstrap")?.bytes.to_vec())
}

/// Images that lead out of the directory into which they are unpacked, as far as they can: by links, by
/// two entries of one name, by names that are none, by members below a link.
fn take_traps(seeds: &mut Seeds) -> Result<()> {
    let plain = Metadata {
        mode: 0o755,
        ..Metadata::default()
    };
    let file = Node::File {
        size: 0,
        content: (),
    };
    for (name, target) in [("relative", "../guard"), ("absolute", "/guard")] {
        let link = Node::<()>::Symlink(target.as_bytes().into());
        let mut tar = TarWriter::new(Vec::new());
        tar.append(&path("link-a")?, &plain, &link)?;
        tar.append(&path("link-b")?, &plain, &Node::<()>::empty_directory())?;
        tar.append(&path("link-b/f")?, &plain, &file)?;
        tar.append_link(&path("link-c")?, &plain, &path("link-a")?)?;
        let tar = tar.finish()?;
        let bootstrap = bootstrap_of(&tar)?;
        let below = replaced(&tar, b"link-b", b"link-a");
        seeds.insert(
            ("unpack", format!("trap-{name}-below.tar")),
            [&[5], &below[..]].concat(),
        );
        for (number, other) in [b"link-b", b"link-a", b"../x/y", b"/guard", b"..\0\0\0\0"]
            .iter()
            .enumerate()
        {
            let bytes = replaced(&bootstrap, b"link-b", other);
            let seed = [&[4], &bytes[..]].concat();
            seeds.insert(("unpack", format!("trap-{name}-{number}.boot")), seed);
        }
    }
    let nobody = Metadata {
        uid: u32::MAX,
        gid: u32::MAX,
        mode: 0o6755,
        ..Metadata::default()
    };
    let mut tar = TarWriter::new(Vec::new());
    tar.append(&path("f")?, &nobody, &file)?;
    seeds.insert(
        ("unpack", "nobody.tar".into()),
        [&[4], &tar.finish()?[..]].concat(),
    );
    Ok(())
}

/// `bytes` with every `old` replaced; the checksums of tar headers are left for the target to make right.
fn replaced(bytes: &[u8], old: &[u8; 6], new: &[u8; 6]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(old.len()) {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
    bytes
}

fn take_texts(seeds: &mut Seeds) {
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

/// Bytes for the targets that read them as choices; the same ones every time.
fn take_choices(seeds: &mut Seeds) {
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
