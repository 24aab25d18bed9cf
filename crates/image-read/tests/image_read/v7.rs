//! Images of RAFS v7, which Nydus 3 beta writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use image_model::{Blame as _, BlobIndex, Digest, DigestAlgorithm, Fault, Image as _, Limits};
use lazyoci_image_read::{
    Format, NoBlobs, OpenError, OpenImage, OpenOptions, VerifyOptions, open, open_source,
};
use rafs_format::v7::{Footer, V7Error};
use tempfile::TempDir;
use verify::Profile;

/// The trees behind the goldens, by `interop/walker.py`: with extended attributes, and without.
const TREE: &str = "tree1:c9238aed7a8d6fe40ee60c2010c5f370db28f3b76b80c0cc7c32e5c17d3bf339";
const PLAIN_TREE: &str = "tree1:c1a0058f7b590189f8f98c4403383c4b060829d5bfab82f08ef6946346266338";

const BLOBS: [(&str, &str); 4] = [
    ("none", TREE),
    ("zstd", TREE),
    ("lz4", TREE),
    ("raw", PLAIN_TREE),
];

fn golden(name: &str) -> PathBuf {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/v7");
    goldens.join(name)
}

fn digest(image: &OpenImage) -> String {
    let digest = image.tree_digest(Profile::Default, &mut ());
    digest.unwrap().to_string()
}

fn findings(image: &OpenImage) -> Vec<String> {
    let mut found = Vec::new();
    let options = VerifyOptions::default();
    let summary = image.verify(&options, &mut (), &mut |finding| {
        found.push(finding.to_string());
    });
    assert_eq!(summary.unwrap().findings, found.len() as u64);
    found
}

/// The bootstrap `name`, and beside it the blob of which it is, as a converter writes them.
fn beside(name: &str, blob: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let blobs = directory.path().join("blobs");
    fs::create_dir(&blobs).unwrap();
    fs::copy(golden(name), directory.path().join("image.boot")).unwrap();
    let blob = fs::read(golden(blob)).unwrap();
    fs::write(blobs.join(verify::sha256(&blob).hex()), blob).unwrap();
    directory
}

#[test]
fn every_blob_holds_the_tree_of_its_source() {
    for (name, tree) in BLOBS {
        let path = golden(&format!("{name}.blob"));
        let image = open(&path, &OpenOptions::default()).unwrap();
        assert_eq!(image.format(), Format::RafsV7Blob);
        assert_eq!(digest(&image), tree, "{name}");
        assert_eq!(findings(&image), Vec::<String>::new(), "{name}");
        assert_eq!(image.read(b"/d/h", 10).unwrap(), b"hello", "{name}");
        let hole = [b"front", &[0; 20_000][..], b"back"].concat();
        assert_eq!(image.read(b"hole", 1 << 20).unwrap(), hole, "{name}");
    }
}

/// Addresses in the blob, and in one space with the bootstrap.
#[test]
fn bootstraps_beside_their_blobs() {
    for (name, blob, tree) in [
        ("zstd.boot", "zstd.blob", TREE),
        ("zstd.flat.boot", "zstd.blob", TREE),
        ("raw.boot", "raw.blob", PLAIN_TREE),
    ] {
        let directory = beside(name, blob);
        let image = open(directory.path(), &OpenOptions::default()).unwrap();
        assert_eq!(image.format(), Format::Erofs);
        assert!(image.v7().is_some());
        assert_eq!(digest(&image), tree, "{name}");
        assert_eq!(findings(&image), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_blob_that_is_missing() {
    let directory = beside("zstd.boot", "zstd.blob");
    fs::remove_dir_all(directory.path().join("blobs")).unwrap();
    let image = open(directory.path(), &OpenOptions::default()).unwrap();
    let found = findings(&image);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("i/o: blob `"), "{found:?}");
}

/// What is called by the digest of a blob, but is none, is never taken for a device as it is.
#[test]
fn a_file_that_is_no_blob() {
    let directory = beside("zstd.boot", "zstd.blob");
    let blobs = fs::read_dir(directory.path().join("blobs")).unwrap();
    let blob = blobs.map(|entry| entry.unwrap().path()).next().unwrap();
    fs::write(&blob, [0; 1 << 16]).unwrap();
    let error = open(directory.path(), &OpenOptions::default()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    assert!(
        matches!(error, OpenError::V7(V7Error::Field { field: "magic", .. })),
        "{error:?}"
    );
}

#[test]
fn a_blob_without_a_bootstrap() {
    let mut blob = fs::read(golden("zstd.blob")).unwrap();
    let start = blob.len() - 4096;
    let footer = &mut blob[start..];
    // No bytes of a bootstrap, which nothing is a checksum of.
    footer[12..16].fill(0);
    footer[16..24].fill(0);
    footer[48..64].fill(0);
    let crc = verify::crc32c(footer);
    footer[16..20].copy_from_slice(&crc.to_le_bytes());
    let source = Arc::new(Bytes::from(blob));
    let error = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap_err();
    assert!(
        matches!(error, OpenError::V7(V7Error::NoBootstrap)),
        "{error:?}"
    );
}

/// The digest of the metadata is that of the bootstrap, decoded.
#[test]
fn the_expected_digest_of_a_bootstrap() {
    let path = golden("zstd.blob");
    let image = open(&path, &OpenOptions::default()).unwrap();
    let found = image
        .metadata_digest(DigestAlgorithm::Sha256)
        .unwrap()
        .unwrap();
    let bootstrap = image.v7().unwrap().bootstrap().unwrap();
    assert_eq!(found, verify::sha256(bootstrap));
    let options = OpenOptions::default().metadata_digest(found);
    assert_eq!(digest(&open(&path, &options).unwrap()), TREE);
    let wrong = Digest::new(DigestAlgorithm::Sha256, [0; 32]);
    let error = open(&path, &OpenOptions::default().metadata_digest(wrong)).unwrap_err();
    assert!(matches!(error, OpenError::Metadata(_)), "{error:?}");
}

/// What the format adds to the root is no attribute of the files.
#[test]
fn markers_of_the_root_are_left_out() {
    let image = open(golden("raw.blob"), &OpenOptions::default()).unwrap();
    let root = image.image().root();
    let stored = image.erofs().unwrap().xattrs(root).unwrap();
    assert_eq!(stored.value(b"trusted.nydus.no_xattr"), Some(&b"1"[..]));
    assert!(image.image().xattrs(root).unwrap().is_empty());
    let image = open(golden("zstd.blob"), &OpenOptions::default()).unwrap();
    let ino = image
        .resolve(b"d/xattrs", lazyoci_image_read::Follow::All)
        .unwrap();
    assert_eq!(image.image().xattrs(ino).unwrap().len(), 3);
}

/// A small file costs its group, and no other.
#[test]
fn content_is_fetched_by_groups() {
    let image = open(golden("zstd.blob"), &OpenOptions::default()).unwrap();
    let before = image.stats();
    assert_eq!(image.read(b"f", 10).unwrap(), b"hello");
    let read = image.stats();
    let groups = image.v7().unwrap().blob(BlobIndex(1)).unwrap();
    let groups = groups.groups.as_ref().unwrap();
    let longest = (0..groups.group_count())
        .map(|index| groups.group(index).unwrap().stored)
        .map(|stored| stored.end - stored.start)
        .max();
    assert_eq!(read.requests - before.requests, 1);
    assert!(read.bytes - before.bytes <= longest.unwrap());
}

#[test]
fn the_dump_of_a_blob() {
    let image = open(golden("zstd.blob"), &OpenOptions::default()).unwrap();
    let mut dump = String::new();
    image.v7().unwrap().dump(&mut dump).unwrap();
    assert_eq!(dump, fs::read_to_string(golden("zstd.dump.txt")).unwrap());
}

/// The data of a raw device are the device, wherever they begin.
#[test]
fn a_raw_device_behind_other_bytes() {
    let sound = fs::read(golden("raw.blob")).unwrap();
    let mut blob = [&[0xa5; 4096][..], &sound].concat();
    let footer = sound.len();
    for field in [24, 40, 64] {
        let at = footer + field;
        let offset = u64::from_le_bytes(*blob[at..].first_chunk().unwrap()) + 4096;
        blob[at..at + 8].copy_from_slice(&offset.to_le_bytes());
    }
    seal(&mut blob[footer..]);
    let source = Arc::new(Bytes::from(blob));
    let image = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    assert_eq!(digest(&image), PLAIN_TREE);
}

/// A second device of the same name holds as much again.
#[test]
fn what_all_blobs_hold_is_bounded_together() {
    let directory = beside("zstd.boot", "zstd.blob");
    let image = open(directory.path(), &OpenOptions::default()).unwrap();
    let groups = image.v7().unwrap().blob(BlobIndex(1)).unwrap();
    let count = groups.groups.as_ref().unwrap().chunk_count();
    let bounded = |chunks| {
        let limits = Limits::default().max_chunks(chunks);
        open(directory.path(), &OpenOptions::default().limits(limits))
    };
    let path = directory.path().join("image.boot");
    let mut bootstrap = fs::read(&path).unwrap();
    // The number of devices, and a slot behind the first one, for blocks after those of that.
    bootstrap[1024 + 86] = 2;
    bootstrap.copy_within(1152..1280, 1280);
    bootstrap[1280 + 69] = 0xff;
    bootstrap[1028..1032].fill(0);
    let checksum = !verify::crc32c(&bootstrap[1024..4096]);
    bootstrap[1028..1032].copy_from_slice(&checksum.to_le_bytes());
    assert!(bounded(2 * count - 1).is_ok(), "one device");
    fs::write(path, bootstrap).unwrap();
    assert!(bounded(2 * count).is_ok());
    let error = bounded(2 * count - 1).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit, "{error:?}");
}

/// The last 64 KiB hold everything of a small blob.
#[test]
fn requests_of_opening() {
    let path = golden("none.blob");
    let image = open(&path, &OpenOptions::default()).unwrap();
    assert_eq!(image.metadata_stats().requests, 2);
    let options = OpenOptions::default().format(Format::RafsV7Blob);
    let image = open(&path, &options).unwrap();
    assert_eq!(image.metadata_stats().requests, 1);
}

/// Writes the CRC-32C of `bytes` into those at 16.
fn seal(bytes: &mut [u8]) {
    bytes[16..20].fill(0);
    let crc = verify::crc32c(bytes);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
}

/// Nothing panics or hangs, whatever byte of the footer or the blob metadata is wrong, with the right checksums.
#[test]
fn damaged_blobs_with_the_right_checksums_are_answered() {
    let sound = fs::read(golden("zstd.blob")).unwrap();
    let end = sound.len() - Footer::LEN;
    let footer = Footer::read(sound.last_chunk().unwrap(), sound.len() as u64).unwrap();
    let metadata = footer.metadata.start as usize..end;
    let options = OpenOptions::default().limits(Limits::small());
    let mut opened = 0;
    for at in (metadata.start..metadata.start + 600).chain(end..end + 80) {
        for mask in [0x01, 0x80, 0xff] {
            let mut blob = sound.clone();
            blob[at] ^= mask;
            seal(&mut blob[metadata.clone()]);
            seal(&mut blob[end..]);
            let Ok(image) = open_source(Arc::new(Bytes::from(blob)), None, NoBlobs, &options)
            else {
                continue;
            };
            let verify = VerifyOptions::default().threads(1);
            let summary = image.verify(&verify, &mut (), &mut |finding| drop(finding.to_string()));
            opened += u64::from(summary.unwrap().format == Some(Format::RafsV7Blob));
        }
    }
    assert!(opened > 0);
}
