//! What opening refuses, and what accesses do.

use image_model::{Blame as _, BlobIndex, ExtentSource, Fault, Image, Ino, Limits, Name};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::v5::Bootstrap;
use std::ops::ControlFlow;

use crate::common::{A4, INODES, check, open, patched};

fn field(field: &'static str, found: u64, rule: &'static str) -> DecodeError {
    DecodeError::Field {
        structure: "superblock",
        offset: 0,
        field,
        found,
        rule,
    }
}

#[test]
fn superblocks_that_nydus_refuses() {
    let multiple = "a multiple of 8";
    for (offset, patch, expected) in [
        (
            0,
            &b"x"[..],
            field("magic", 0x5241_4678, "0x52414653 and 0x500 for RAFS v5"),
        ),
        (
            4,
            b"\x01",
            field("version", 0x501, "0x52414653 and 0x500 for RAFS v5"),
        ),
        (8, b"\x01", field("sb_size", 0x2001, "8192")),
        (
            12,
            b"\x01",
            field("block_size", 0x10_0001, "a power of two, 4096 to 16 MiB"),
        ),
        (
            24,
            b"\x08",
            field("inodes_count", 8, "at most inode_table_entries"),
        ),
        (32, b"\x01", field("inode_table_offset", 0x2001, multiple)),
        (48, b"\x21", field("blob_table_offset", 0x2021, multiple)),
        (56, b"\0", field("inode_table_entries", 0, "1 to 2^29 - 1")),
        (64, b"\x49", field("blob_table_size", 0x49, multiple)),
        (
            72,
            b"\x6c",
            field("extended_blob_table_offset", 0x206c, multiple),
        ),
    ] {
        assert_eq!(
            open(&patched(A4, &[(offset, patch)])).unwrap_err(),
            expected
        );
    }
    let error = open(&patched(A4, &[(17, b"\x04")])).unwrap_err();
    assert!(matches!(error, DecodeError::Flags { .. }), "{error}");
    let error = open(&patched(A4, &[(48, b"\x18")])).unwrap_err();
    let expected = DecodeError::Overlap {
        first: "inode table",
        second: "blob table",
        offset: 0x2018,
    };
    assert_eq!(error, expected);
    let error = open(&A4[..A4.len() - 4]).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::Field {
                field: "length",
                ..
            }
        ),
        "{error}"
    );
    let few = Limits::default().max_inodes(6);
    let error = Bootstrap::open(A4.into(), &few).unwrap_err();
    assert!(
        matches!(error, DecodeError::Limit { what: "names", .. }),
        "{error}"
    );
}

/// The first builders wrote no extended blob table: how long a blob is, is not known then.
#[test]
fn without_an_extended_blob_table() {
    let bytes = patched(A4, &[(68, b"\0")]);
    let bootstrap = open(&bytes).unwrap();
    let blob = &bootstrap.blobs()[0];
    assert_eq!((blob.stored_len, blob.chunk_count), (None, None));
    let z = bootstrap.lookup(Ino(1), Name::new(*b"z").unwrap().as_ref());
    let mut lens = Vec::new();
    let extents = bootstrap.extents(z.unwrap().unwrap(), 0..u64::MAX, &mut |extent| {
        lens.push(extent.len);
        ControlFlow::Continue(())
    });
    assert_eq!((extents.is_ok(), lens), (true, vec![10_000]));
    assert!(bootstrap.to_chunked().is_ok());
}

/// Each record is a frame of its own, for which no other is looked at; what they share is one for all.
#[test]
fn frames_are_shared() {
    let golden = include_bytes!("../goldens/odd-v5-zstd-sha256-4k.boot");
    let bootstrap = open(golden).unwrap();
    let mut frames = Vec::new();
    for number in 1..=bootstrap.superblock().inode_table_entries {
        let inode = bootstrap.numbered(number).unwrap();
        if inode.chunk_count() == 0 || inode.ino != u64::from(number) {
            continue;
        }
        bootstrap
            .extents(Ino(inode.ino), 0..u64::MAX, &mut |extent| {
                if let ExtentSource::Chunk { frame, .. } = extent.source {
                    frames.push(frame);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    assert!(frames.is_sorted_by(|one, next| one < next));
    let mut shared = Vec::new();
    for &frame in &frames {
        let first = bootstrap.shared_frame(frame);
        assert!(first <= frame);
        assert_eq!(bootstrap.shared_frame(first), first);
        let [one, other] = [first, frame].map(|id| bootstrap.frame(id).unwrap());
        assert_eq!(one, other);
        shared.push(first);
    }
    shared.sort_unstable();
    shared.dedup();
    let places = shared.iter().map(|&id| bootstrap.frame(id).unwrap());
    let mut places: Vec<_> = places.map(|frame| (frame.blob, frame.offset)).collect();
    places.sort_unstable();
    places.dedup();
    let counts = (frames.len(), shared.len(), places.len());
    assert_eq!(counts, (98, 65, 65));
    assert!(places.iter().all(|place| place.0 == BlobIndex(0)));
}

/// A record that contradicts the first one of its chunk has a frame of its own.
#[test]
fn a_record_that_differs_is_not_shared() {
    // `d/h` and `f` are one inode; `z` claims to be chunk 0 as well.
    let z = INODES[4] + 136;
    let bytes = patched(A4, &[(z + 72, b"\0")]);
    let bootstrap = open(&bytes).unwrap();
    let frame = |ino| {
        let mut found = None;
        bootstrap
            .extents(Ino(ino), 0..1, &mut |extent| {
                if let ExtentSource::Chunk { frame, .. } = extent.source {
                    let own = bootstrap.frame(frame).unwrap();
                    let shared = bootstrap.shared_frame(frame);
                    assert_eq!(bootstrap.frame(shared).unwrap(), own);
                    found = Some(own.len);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        found
    };
    assert_eq!((frame(4), frame(5)), (Some(5), Some(10_000)));
    assert_eq!(check(&bytes).len(), 1);
}

/// Two directories cannot share children: each child knows its parent.
#[test]
fn a_directory_takes_no_foreign_children() {
    // The root has the children of `d` too.
    let bytes = patched(A4, &[(INODES[0] + 92, b"\x06\0\0\0\x02")]);
    let bootstrap = open(&bytes).unwrap();
    let error = bootstrap
        .read_directory(Ino(1), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(error.to_string().contains("inode 1"), "{error}");
    assert!(bootstrap.to_chunked().is_err());
    assert!(!check(&bytes).is_empty());
}

/// No builder leaves out the chunks of holes, though there is a flag for that: it is named.
#[test]
fn holes_without_chunks_are_refused_by_name() {
    let z = INODES[4];
    let bytes = patched(A4, &[(z + 80, b"\x08"), (z + 96, b"\0")]);
    let bootstrap = open(&bytes).unwrap();
    let error = bootstrap
        .extents(Ino(5), 0..1, &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Unsupported);
    let error = bootstrap.to_chunked().unwrap_err();
    let feature = "files that lack the chunks of holes";
    let expected = DecodeError::Unsupported {
        structure: "inode",
        offset: z as u64,
        feature,
    };
    assert_eq!(error, expected);
    // With all of its chunks the flag means nothing.
    let bytes = patched(A4, &[(z + 80, b"\x08")]);
    assert_eq!(check(&bytes), [""; 0]);

    // Neither does one write chunks that are holes.
    let bytes = patched(A4, &[(z + 136 + 36, b"\x02")]);
    let error = open(&bytes).unwrap().to_chunked().unwrap_err();
    assert!(
        error.to_string().contains("chunks that are holes"),
        "{error}"
    );
    assert_eq!(check(&bytes).len(), 1);
}

/// nydus-image takes `--encrypt` for version 5, which has no place for the key: what it encrypts is lost, and is refused by
/// name. The other files are there.
#[test]
fn encrypted_chunks_are_refused_by_name() {
    let z = INODES[4];
    let bytes = patched(A4, &[(z + 136 + 36, b"\x04")]);
    let bootstrap = open(&bytes).unwrap();
    let expected = DecodeError::Unsupported {
        structure: "chunk record",
        offset: z as u64 + 136,
        feature: "encrypted chunks",
    };
    assert_eq!(bootstrap.to_chunked().unwrap_err(), expected);
    let mut found = Vec::new();
    for ino in [4, 5] {
        let extents = bootstrap.extents(Ino(ino), 0..1, &mut |extent| {
            found.push(extent.len);
            ControlFlow::Continue(())
        });
        let refused = extents.map_err(|error| error.fault());
        let answer = [Ok(()), Err(Fault::Unsupported)][ino as usize - 4];
        assert_eq!(refused, answer);
    }
    assert_eq!(found, [5]);
    assert_eq!(check(&bytes).len(), 1);
}

/// Builders from a tar give what is no device a number of all ones.
#[test]
fn only_devices_have_numbers() {
    let bytes = patched(A4, &[(INODES[4] + 104, b"\xff\xff\xff\xff")]);
    let bootstrap = open(&bytes).unwrap();
    let device = bootstrap.attributes(Ino(5)).unwrap().device;
    assert_eq!((device.major, device.minor), (0, 0));
    assert_eq!(check(&bytes), [""; 0]);
}
