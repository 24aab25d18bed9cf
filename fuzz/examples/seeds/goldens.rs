//! Seeds of the goldens of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lazyoci::erofs_format::Superblock;
use lazyoci::frame_codec::{Compression, Decoder, Encoder};
use lazyoci::model::Limits;
use lazyoci::rafs_format::blob::{BlobMeta, ChunkExtra, CiHeader, Contexts, chunk_info_v2};
use lazyoci::rafs_format::flags::{BlobFeatures, Compressor};
use lazyoci::rafs_format::v5;
use lazyoci::rafs_format::v6::{BlobEntry, Bootstrap};
use lazyoci::rafs_format::v7::Footer;
use lazyoci::read::read_toc;
use lazyoci::tar_stream::LayerStream;
use lazyoci_fuzz::targets::estargz_agrees;
use serde_json::Value;

use super::{MAX_LEN, Result, Seeds};

/// Every file in a folder called `goldens`.
pub(super) fn goldens(root: &Path) -> Result<Vec<PathBuf>> {
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
pub(super) fn take_golden(path: &Path, root: &Path, seeds: &mut Seeds) -> Result<()> {
    let bytes = fs::read(path)?;
    let name = path.strip_prefix(root)?.to_string_lossy().replace('/', "_");
    if name.ends_with(".tar-split") {
        let toc = fs::read(path.with_extension("toc.json"))?;
        let seed = [&bytes[..], &[0], &toc].concat();
        seeds.insert(("tar_split", name.clone()), seed);
        seeds.insert(("containers_toc", name), toc);
        return Ok(());
    }
    if bytes.len() > MAX_LEN || str::from_utf8(&bytes).is_ok() {
        return Ok(());
    }
    let (mut others, mut plain) = (Vec::new(), Vec::new());
    let mut add = |target, bytes: &[u8]| {
        seeds.insert((target, name.clone()), bytes.to_vec());
    };
    add("open_image", &bytes);
    add("convert_image", &[&[1, 0, 0, 0], &bytes[..]].concat());
    // With the digest of the file, and a bit of it to change.
    add("verify_image", &[&[8, 77, 1, 0], &bytes[..]].concat());
    // With the owners of the image, and without what cannot be unpacked.
    add("unpack", &[&[12], &bytes[..]].concat());
    let superblock = bytes.get(Superblock::OFFSET as usize..).unwrap_or_default();
    if superblock.starts_with(&Superblock::MAGIC.to_le_bytes()) {
        add("erofs", &bytes);
    }
    if Footer::is_in(&bytes) {
        add("v7", &bytes);
    }
    if v5::Bootstrap::is_bootstrap(&bytes) {
        add("v5_bootstrap", &bytes);
    }
    if Bootstrap::is_bootstrap(&bytes) {
        add("v6_bootstrap", &bytes);
        let blobs = Bootstrap::open(bytes.clone().into(), &Default::default())?;
        for entry in blobs.blob_entries() {
            for blob in blobs_of(path, entry) {
                let blob = fs::read(blob)?;
                if let Some(meta) = entry.meta_id() {
                    let meta = fs::read(path.with_file_name("blobs").join(meta.as_str()))?;
                    add("zran", &[&entry.to_bytes(0)[..], &meta, &blob].concat());
                    plain = plain_zran(entry, &meta, &blob)?;
                    continue;
                }
                let blocks = u16::try_from(bytes.len() / 4096)?.to_le_bytes();
                // A TOC, and the bootstrap in the blob.
                let image = [&[2, 48], &blocks[..], &bytes, &blob].concat();
                if image.len() <= MAX_LEN {
                    add("convert_image", &image);
                    let choices = [8, 7, 200, blocks[0]];
                    add("verify_image", &[&choices, &bytes[..], &blob].concat());
                }
                let bytes = [&entry.to_bytes(0)[..], &blob].concat();
                if entry.features.contains(BlobFeatures::BATCH) {
                    add("zran", &with_batches(entry, &blob)?);
                }
                if bytes.len() <= MAX_LEN {
                    add("rafs_blob", &bytes);
                    others.extend(version_2(entry, &blob)?);
                }
            }
        }
    } else if bytes.starts_with(&[0x1f, 0x8b]) || bytes.get(257..262) == Some(b"ustar") {
        add("layer_tar", &bytes);
        add("estargz", &bytes);
        add("footers", &bytes);
    } else if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        add("layer_tar", &bytes);
        add("footers", &bytes);
    } else {
        // The blob of some bootstrap, whose entry is not at hand.
        let entry = [0; BlobEntry::LEN];
        add("rafs_blob", &[&entry[..], &bytes].concat());
        add("sections", &bytes);
    }
    if !plain.is_empty() {
        seeds.insert(("zran", format!("{name}-plain")), plain);
    }
    for (number, bytes) in others.into_iter().enumerate() {
        seeds.insert(("rafs_blob", format!("{name}-v2-{number}")), bytes);
    }
    Ok(())
}

/// TOC and tar of a blob, with gzip members cut where the TOC says that one begins; once with the offsets
/// that they have when nothing is compressed, and once with the numbers of members as offsets.
pub(super) fn take_estargz(golden: &Path, root: &Path, seeds: &mut Seeds) -> Result<()> {
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
    // Entries of other modes are of this version already.
    let modes = [BlobFeatures::BATCH, BlobFeatures::ENCRYPTED];
    if modes.iter().any(|&mode| entry.features.contains(mode)) {
        return Ok(None);
    }
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

/// The chunk information of `blob`, and then its chunk data.
fn with_batches(entry: &BlobEntry, blob: &[u8]) -> Result<Vec<u8>> {
    let range = BlobMeta::range(entry, &Limits::default())?;
    let meta = &blob[usize::try_from(range.start)?..usize::try_from(range.end)?];
    let data = &blob[..usize::try_from(entry.data_len())?];
    Ok([&entry.to_bytes(0)[..], meta, data].concat())
}

/// What describes the layer `blob`, not compressed.
fn plain_zran(entry: &BlobEntry, meta: &[u8], blob: &[u8]) -> Result<Vec<u8>> {
    let (stored, header) = meta
        .split_last_chunk::<{ CiHeader::LEN }>()
        .ok_or("no header")?;
    let mut plain = vec![0; usize::try_from(entry.ci_uncompressed_size)?];
    Decoder::new().decode(entry.ci_compressor.into(), stored, &mut plain)?;
    let mut entry = entry.clone();
    entry.ci_compressor = Compressor::None;
    entry.ci_compressed_size = entry.ci_uncompressed_size;
    let header = CiHeader {
        compressor: entry.ci_compressor,
        stored_len: entry.ci_compressed_size,
        ..CiHeader::from_bytes(header)?
    };
    let meta = [&plain[..], &header.to_bytes()].concat();
    Ok([&entry.to_bytes(0)[..], &meta, blob].concat())
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
