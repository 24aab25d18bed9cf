//! Images over plain tars, made by nydus-builder.

use std::ops::ControlFlow;

use image_model::{Blame, BlobIndex, ExtentSource, Fault, FrameId, Image, Ino};
use lazyoci_rafs_format::flags::BlobFeatures;
use lazyoci_rafs_format::merge::{Merge, MergeOptions};
use lazyoci_rafs_format::v6::{Bootstrap, Layout, LayoutInput, LayoutOptions};
use lazyoci_rafs_format::{DecodeError, OwnedBootstrap};

use crate::common::{field, name, open, patched};

const GOLDENS: [&[u8]; 2] = [
    include_bytes!("../goldens/a4-v6-tarfs.boot"),
    include_bytes!("../goldens/a4-v6-tarfs-4k.boot"),
];
const SUPERBLOCK: usize = 1024;
const EXT: usize = 1152;
const BLOB: usize = 4096;
const TAR_LEN: u64 = 20_480;

/// The inode called `path` in the root.
fn ino(bootstrap: &Bootstrap, path: &'static str) -> Ino {
    let found = bootstrap.lookup(bootstrap.root(), name(path.as_bytes()).as_ref());
    found.unwrap().unwrap()
}

/// Where the content of a file is.
fn extents(bootstrap: &Bootstrap, path: &'static str) -> Result<Vec<(u64, u64, u64)>, DecodeError> {
    let mut found = Vec::new();
    let visited = bootstrap.extents(ino(bootstrap, path), 0..u64::MAX, &mut |extent| {
        let ExtentSource::Plain {
            blob: BlobIndex(0),
            offset,
        } = extent.source
        else {
            panic!("{extent:?}")
        };
        found.push((extent.file_offset, extent.len, offset));
        ControlFlow::Continue(())
    });
    match visited {
        Ok(()) => Ok(found),
        Err(error) => Err(crate::damage::cause(&error)),
    }
}

/// Where the addresses of the chunks of a file begin.
fn addresses(bootstrap: &Bootstrap, path: &'static str) -> usize {
    let inode = bootstrap.inode(ino(bootstrap, path)).unwrap();
    usize::try_from(inode.chunk_addresses()).unwrap()
}

fn findings(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let bootstrap = open(bytes).unwrap();
    bootstrap.check(&mut |finding| found.push(finding.to_string()));
    found
}

#[test]
fn content_is_plain_in_the_tar() {
    for (golden, parts) in GOLDENS.into_iter().zip([1, 3]) {
        let bootstrap = open(golden).unwrap();
        assert!(bootstrap.is_tarfs());
        assert_eq!(bootstrap.superblock().block_size.bytes(), 512);
        let [entry] = bootstrap.blob_entries() else {
            panic!("one tar");
        };
        let features = BlobFeatures::TARFS | BlobFeatures::CAP_TAR_TOC;
        assert_eq!(entry.features, features);
        assert_eq!(entry.compressed_size, TAR_LEN);
        assert_eq!(entry.uncompressed_size, TAR_LEN);
        assert_eq!(extents(&bootstrap, "f"), Ok(vec![(0, 5, 1024)]));
        assert_eq!(extents(&bootstrap, "e"), Ok(Vec::new()));
        let z = extents(&bootstrap, "z").unwrap();
        assert_eq!(z.len(), parts);
        let mut at = 0;
        for (file_offset, len, offset) in z {
            assert_eq!((file_offset, offset), (at, 3584 + at));
            at += len;
        }
        assert_eq!(at, 10_000);
        // One record for the tar, which says nothing.
        assert_eq!(bootstrap.chunk_record_count(), 1);
        assert_eq!(bootstrap.frame_bound(), 0);
        assert!(bootstrap.frame(FrameId(0)).is_err());
        assert_eq!(findings(golden), [""; 0]);
    }
}

fn again(bootstrap: &Bootstrap, options: &LayoutOptions) -> Vec<u8> {
    let OwnedBootstrap { image, places } = bootstrap.to_chunked().unwrap();
    let input = LayoutInput {
        image: &image,
        places: &places,
        entries: bootstrap.blob_entries(),
    };
    let mut bytes = Vec::new();
    let layout = Layout::plan(input, options).unwrap();
    layout.write_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn decoded_and_encoded_again_they_are_the_same_bytes() {
    for golden in GOLDENS {
        let bootstrap = open(golden).unwrap();
        assert!(again(&bootstrap, &bootstrap.layout_options()) == golden);
    }
}

#[test]
fn one_is_merged_to_itself() {
    let bootstrap = lazyoci_rafs_format::Bootstrap::from(open(GOLDENS[1]).unwrap());
    let mut merge = Merge::new(MergeOptions::default());
    merge.push(&bootstrap, None).unwrap();
    merge.push(&bootstrap, None).unwrap();
    let merged = merge.finish().to_bytes().unwrap();
    assert_eq!(findings(&merged), [""; 0]);
    assert_eq!(
        extents(&open(&merged).unwrap(), "z"),
        extents(&open(GOLDENS[1]).unwrap(), "z")
    );
}

/// What contradicts the mode is refused, as by nydus.
#[test]
fn the_mode_is_that_of_the_superblock_and_of_blobs() {
    let golden = GOLDENS[0];
    let refused = |patches: &[(usize, &[u8])]| open(&patched(golden, patches)).unwrap_err();
    let rule = "with TARFS if the superblock has TARFS_MODE, and only then";
    let not_tarfs = field("blob table entry", BLOB, "features", 0x4000_0040, rule);
    assert_eq!(refused(&[(EXT + 1, &[0])]), not_tarfs);
    let aligned = field("blob table entry", BLOB, "features", 0x4000_0001, rule);
    assert_eq!(refused(&[(BLOB + 84, &[1]), (BLOB + 72, &[0])]), aligned);
    let rule = "9 in tarfs mode";
    let blocks = field("superblock", SUPERBLOCK, "blkszbits", 12, rule);
    assert_eq!(
        refused(&[(SUPERBLOCK + 12, &[12]), (SUPERBLOCK + 40, &[2])]),
        blocks
    );
}

/// A tar is neither in batches nor in zran mode: its metadata can be read, its content is refused.
#[test]
fn no_other_mode_is_beside_it() {
    let v2: (usize, &[u8]) = (BLOB + 128, &[48]);
    for features in [0xc4, 0x4c] {
        let bytes = patched(GOLDENS[1], &[(BLOB + 84, &[features]), v2]);
        let bootstrap = open(&bytes).unwrap();
        let feature = "tarfs mode together with another";
        let expected = DecodeError::Unsupported {
            structure: "chunk address",
            offset: addresses(&bootstrap, "z") as u64,
            feature,
        };
        assert_eq!(extents(&bootstrap, "z").unwrap_err(), expected);
        let about = format!("needs {feature}, which is not supported");
        let found = findings(&bytes);
        assert!(
            found.iter().any(|found| found.contains(&about)),
            "{found:?}"
        );
    }
}

/// Addresses that leave the tar, or no tar.
#[test]
fn hostile_addresses() {
    let golden = GOLDENS[1];
    let address = addresses(&open(golden).unwrap(), "z") + 8;
    let refused = |patches: &[(usize, &[u8])]| {
        let bytes = patched(golden, patches);
        let error = extents(&open(&bytes).unwrap(), "z").unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt);
        let found = findings(&bytes);
        assert!(
            found
                .iter()
                .any(|found| found.ends_with(&error.to_string())),
            "{found:?} without {error}"
        );
        error
    };
    let wrong = |name, found, rule| field("chunk address", address, name, found, rule);
    let device = "the position of a blob, plus 1";
    assert_eq!(refused(&[(address + 2, &[0])]), wrong("device", 0, device));
    assert_eq!(refused(&[(address + 2, &[2])]), wrong("device", 2, device));
    let index = "less than the blob's number of chunks";
    assert_eq!(refused(&[(address, &[4])]), wrong("index", 4, index));
    let beyond = "one that ends inside the blob's data";
    for sector in [TAR_LEN / 512 - 7, TAR_LEN / 512, u64::from(u32::MAX)] {
        let bytes = u32::try_from(sector).unwrap().to_le_bytes();
        let expected = wrong("compressed_offset", sector * 512, beyond);
        assert_eq!(refused(&[(address + 4, &bytes)]), expected);
    }
    // The last chunk that fits.
    let last = u32::try_from(TAR_LEN / 512 - 8).unwrap().to_le_bytes();
    let bytes = patched(golden, &[(address + 4, &last)]);
    assert!(extents(&open(&bytes).unwrap(), "z").is_ok());
}

/// Chunks that begin in one another can be read, but no builder makes them.
#[test]
fn chunks_that_overlap_are_found() {
    let golden = GOLDENS[1];
    let bootstrap = open(golden).unwrap();
    let z = addresses(&bootstrap, "z");
    for (sector, before) in [(8, z), (2, addresses(&bootstrap, "f"))] {
        let bytes = patched(golden, &[(z + 8 + 4, &[sector])]);
        let found = findings(&bytes);
        let expected = format!("overlaps the one whose address is at byte {before}");
        assert!(
            found.iter().any(|found| found.contains(&expected)),
            "{found:?} without {expected}"
        );
    }
}
