//! Opening: every check of headers and tables, one corruption each.

use bytes::Bytes;
use image_model::chunk::BlobIdError;
use image_model::{Blame, BlobId, DigestAlgorithm, Fault, Ino, InodeId, Limits, Node, Tree};
use rafs_format::DecodeError;
use rafs_format::flags::FlagsError;
use rafs_format::v6::{BlobEntry, Bootstrap, Options};

use crate::common::{
    A4, ID, Store, a4, a4_options, encode, metadata, name, open, options, patched,
};

const SUPERBLOCK: usize = 1024;
const EXT: usize = 1152;
const DEVICE: usize = 1408;
const BLOB: usize = 4096;

fn field(
    structure: &'static str,
    offset: usize,
    field: &'static str,
    found: u64,
    rule: &'static str,
) -> DecodeError {
    DecodeError::Field {
        structure,
        offset: offset as u64,
        field,
        found,
        rule,
    }
}

#[track_caller]
fn refuses(patches: &[(usize, &[u8])], expected: &DecodeError) {
    let error = open(&patched(A4, patches)).unwrap_err();
    assert_eq!(&error, expected);
}

#[test]
fn superblock_fields() {
    let cases: [(usize, &[u8], &str, u64, &str); 14] = [
        (0, b"\x00", "magic", 0xe0f5_e100, "0xe0f5e1e2"),
        (4, b"\x01", "checksum", 1, "0"),
        (
            11,
            b"\x00",
            "feature_compat",
            0,
            "marked as RAFS v6 (0x40000000)",
        ),
        (12, b"\x0a", "blkszbits", 10, "9 or 12"),
        (13, b"\x01", "sb_extslots", 1, "0"),
        (14, b"\x00", "root_nid", 0, "not 0"),
        (16, b"\x00", "inos", 0, "not 0"),
        (
            35,
            b"\xff",
            "build_time_nsec",
            0xff00_0000,
            "less than a second",
        ),
        (41, b"\x10", "meta_blkaddr", 0x1002, "inside the bootstrap"),
        (
            80,
            b"\x0d",
            "feature_incompat",
            0xd,
            "0xc (chunked files, device table)",
        ),
        (84, b"\x01", "u", 1, "0"),
        (
            86,
            b"\x02",
            "extra_devices",
            2,
            "the number of entries in the blob table",
        ),
        (86, b"\xff", "extra_devices", 255, "at most 254"),
        (88, b"\x0c", "devt_slotoff", 12, "11"),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("superblock", SUPERBLOCK, name, found, rule);
        refuses(&[(SUPERBLOCK + offset, bytes)], &expected);
        assert_eq!(expected.fault(), Fault::Corrupt);
    }
    let expected = DecodeError::Unsupported {
        structure: "superblock",
        offset: 1024,
        feature: "shared extended attributes",
    };
    refuses(&[(SUPERBLOCK + 44, b"\x01")], &expected);
    assert_eq!(expected.fault(), Fault::Unsupported);
}

#[test]
fn blocks_without_devices() {
    let (image, entries) = Store::new(DigestAlgorithm::Sha256, 4096).image(Tree::new(metadata(0)));
    let bytes = encode(&image, &entries, &a4_options()).unwrap();
    assert_eq!(bytes.len(), 8192);
    assert!(open(&patched(&bytes, &[(SUPERBLOCK + 37, b"\x10")])).is_ok());
    let error = open(&patched(&bytes, &[(SUPERBLOCK + 36, b"\x01")])).unwrap_err();
    let rule = "0 or 4096 without devices";
    assert_eq!(error, field("superblock", SUPERBLOCK, "blocks", 1, rule));
}

#[test]
fn extended_superblock_fields() {
    let cases: [(usize, &[u8], &str, u64, &str); 9] = [
        (
            8,
            b"\x08",
            "blob_table_offset",
            4104,
            "a multiple of 4096, not 0",
        ),
        (
            9,
            b"\x00",
            "blob_table_offset",
            0,
            "a multiple of 4096, not 0",
        ),
        (16, b"\x08", "blob_table_size", 264, "a multiple of 256"),
        (
            20,
            b"\x01",
            "chunk_size",
            0x10_0001,
            "a power of two, 4096 to 16 MiB",
        ),
        (
            22,
            b"\x00\x02",
            "chunk_size",
            1 << 25,
            "a power of two, 4096 to 16 MiB",
        ),
        (
            24,
            b"\x08",
            "chunk_table_offset",
            16_392,
            "a multiple of 4096",
        ),
        (32, b"\xa1", "chunk_table_size", 161, "a multiple of 80"),
        (40, b"\x04", "prefetch_table_offset", 4, "a multiple of 8"),
        (48, b"\x05", "prefetch_table_size", 5, "a multiple of 4"),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("extended superblock", EXT, name, found, rule);
        refuses(&[(EXT + offset, bytes)], &expected);
    }
}

#[test]
fn flags() {
    let error = |structure, offset, source| DecodeError::Flags {
        structure,
        offset,
        source,
    };
    let ext = |source| error("extended superblock", 1152, source);
    let flags = 0x1b;
    refuses(
        &[(EXT, b"\x1b")],
        &ext(FlagsError::NotOneCompressor { flags }),
    );
    let flags = 0x1d;
    refuses(
        &[(EXT, b"\x1d")],
        &ext(FlagsError::NotOneDigester { flags }),
    );
    let unknown = 0x400;
    refuses(
        &[(EXT + 1, b"\x04")],
        &ext(FlagsError::UnknownSuperFlags { unknown }),
    );
    let blob = |source| error("blob table entry", 4096, source);
    refuses(
        &[(BLOB + 76, b"\x09")],
        &blob(FlagsError::UnknownCompressor { id: 9 }),
    );
    refuses(
        &[(BLOB + 80, b"\x02")],
        &blob(FlagsError::UnknownDigester { id: 2 }),
    );
    refuses(
        &[(BLOB + 108, b"\x09")],
        &blob(FlagsError::UnknownCompressor { id: 9 }),
    );
    refuses(
        &[(BLOB + 216, b"\x09")],
        &blob(FlagsError::UnknownCipher { id: 9 }),
    );
    let unknown = 0x1000;
    refuses(
        &[(BLOB + 85, b"\x10")],
        &blob(FlagsError::UnknownBlobFeatures { unknown }),
    );
}

#[test]
fn tables_that_leave_the_file_or_overlap() {
    let truncated = |what, offset, len| DecodeError::Truncated {
        what,
        offset,
        len,
        available: 20_480,
    };
    refuses(
        &[(EXT + 8, b"\x00\x50")],
        &truncated("blob table", 20_480, 256),
    );
    refuses(
        &[(EXT + 24, b"\x00\x50")],
        &truncated("chunk table", 20_480, 160),
    );
    let prefetch: &[u8] = &[0xf8, 0x4f, 0, 0, 0, 0, 0, 0, 12];
    refuses(
        &[(EXT + 40, prefetch)],
        &truncated("prefetch table", 20_472, 12),
    );
    let huge: &[u8] = &[0, 0x40, 0, 0, 0, 0, 0, 0x80];
    refuses(
        &[(EXT + 24, huge)],
        &truncated("chunk table", 0x8000_0000_0000_4000, 160),
    );

    let overlap = |first, second, offset| DecodeError::Overlap {
        first,
        second,
        offset,
    };
    refuses(
        &[(EXT + 24, b"\x00\x10")],
        &overlap("chunk table", "blob table", 4096),
    );
    let prefetch: &[u8] = &[0xf8, 0x10, 0, 0, 0, 0, 0, 0, 4];
    refuses(
        &[(EXT + 40, prefetch)],
        &overlap("blob table", "prefetch table", 0x10f8),
    );
    let prefetch: &[u8] = &[8, 0, 0, 0, 0, 0, 0, 0, 4];
    refuses(
        &[(EXT + 40, prefetch)],
        &overlap("device table", "prefetch table", 8),
    );
}

/// As nydus does it: half a prefetch table is none.
#[test]
fn halves_of_a_prefetch_table_are_accepted() {
    for patch in [(EXT + 40, [0x80, 0x13]), (EXT + 48, [4, 0])] {
        let bootstrap = open(&patched(A4, &[(patch.0, &patch.1)])).unwrap();
        assert_eq!(bootstrap.prefetch().count(), 0);
    }
}

#[test]
fn lengths() {
    let rule = "a multiple of 4096";
    let expected = field("bootstrap", 0, "length", 20_479, rule);
    assert_eq!(open(&A4[..20_479]).unwrap_err(), expected);
    let truncated = |what, offset, len, available| DecodeError::Truncated {
        what,
        offset,
        len,
        available,
    };
    let error = open(&A4[..1100]).unwrap_err();
    assert_eq!(error, truncated("superblock", 1024, 128, 1100));
    assert_eq!(
        open(&[]).unwrap_err(),
        truncated("superblock", 1024, 128, 0)
    );
    let error = open(&A4[..4096]).unwrap_err();
    assert_eq!(
        error,
        field(
            "superblock",
            1024,
            "meta_blkaddr",
            2,
            "inside the bootstrap"
        )
    );
    let error = open(&A4[..16_384]).unwrap_err();
    assert_eq!(error, truncated("chunk table", 16_384, 160, 16_384));
}

#[test]
fn device_slots() {
    let expected = field("device slot", DEVICE, "blocks", 0, "not 0");
    refuses(&[(DEVICE + 64, b"\x00")], &expected);
}

#[test]
fn blob_table_entries() {
    let at_most_plain = "at most ci_uncompressed_size";
    let cases: [(usize, &[u8], &str, u64, &str); 12] = [
        (63, b"\x00x", "blob_index", 0x78, "the entry's position"),
        (64, b"\x01", "blob_index", 1, "the entry's position"),
        (
            68,
            b"\x01",
            "chunk_size",
            0x10_0001,
            "that of the extended superblock",
        ),
        (75, b"\x02", "chunk_count", 0x0200_0002, "at most 2^24"),
        (
            93,
            b"\x02",
            "compressed_size",
            0x0200_0000_3735,
            "at most 2^40",
        ),
        (
            101,
            b"\x20",
            "uncompressed_size",
            0x2000_0000_4000,
            "at most 2^44",
        ),
        (
            84,
            b"\x00",
            "features",
            0x4000_0000,
            "either ALIGNED or TARFS",
        ),
        (
            84,
            b"\x41",
            "features",
            0x4000_0041,
            "either ALIGNED or TARFS",
        ),
        (
            84,
            b"\x09",
            "features",
            0x4000_0009,
            "with CHUNK_INFO_V2 if ZRAN, BATCH or ENCRYPTED",
        ),
        (120, b"\x21", "ci_compressed_size", 0x21, at_most_plain),
        (
            128,
            b"\x30",
            "ci_uncompressed_size",
            0x30,
            "16 bytes a chunk",
        ),
        (
            216,
            b"\x02",
            "cipher_algo",
            2,
            "0 (none) or 1 (aes-128-xts)",
        ),
    ];
    for (offset, bytes, name, found, rule) in cases {
        let expected = field("blob table entry", BLOB, name, found, rule);
        refuses(&[(BLOB + offset, bytes)], &expected);
    }
    let rule = "padded with zeros";
    let id: &[u8] = &[0, b'x'];
    refuses(
        &[(BLOB + 10, id)],
        &field("blob table entry", BLOB, "blob_id", 0x78, rule),
    );
    let rule = "24 bytes a chunk";
    let v2 = field("blob table entry", BLOB, "ci_uncompressed_size", 0x20, rule);
    refuses(&[(BLOB + 84, b"\x05")], &v2);
    let rule = "at least 24 bytes a chunk";
    let batch = field("blob table entry", BLOB, "ci_uncompressed_size", 0x20, rule);
    refuses(&[(BLOB + 84, b"\x85")], &batch);
    let rule = "not both ENCRYPTED and SEPARATE";
    let both = field("blob table entry", BLOB, "features", 0x4000_0115, rule);
    refuses(&[(BLOB + 84, b"\x15\x01")], &both);
}

#[test]
fn blob_ids() {
    let wrong = |id: &[u8]| DecodeError::BlobId {
        offset: 4096,
        source: BlobIdError { id: id.to_vec() },
    };
    refuses(&[(BLOB, &[0; 64])], &wrong(b""));
    let escape = [b"../", &[0; 61][..]].concat();
    refuses(&[(BLOB, &escape)], &wrong(b"../"));
}

#[test]
fn two_blobs_with_one_id() {
    let (image, entries) = a4(DigestAlgorithm::Sha256);
    let mut image = image;
    let second = BlobEntry {
        id: BlobId::new(b"second").unwrap(),
        ..entries[0].clone()
    };
    image.blobs.push(second.blob());
    let entries = [entries[0].clone(), second];
    let bytes = encode(&image, &entries, &a4_options()).unwrap();
    assert_eq!(open(&bytes).unwrap().devices()[1].mapped_blkaddr, 256);
    let error = open(&patched(&bytes, &[(BLOB + 256, ID.as_bytes())])).unwrap_err();
    let expected = DecodeError::DuplicateBlob {
        first: 0,
        offset: 4352,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_root_that_is_no_directory() {
    let expected = field(
        "inode",
        0x30e0,
        "i_mode",
        0o100_000,
        "that of a directory for the root",
    );
    refuses(&[(SUPERBLOCK + 14, &[135])], &expected);
}

#[test]
fn limits() {
    let bytes = Bytes::from_static(A4);
    let refused = |limits: Limits, what, found, max| {
        let error = Bootstrap::open(bytes.clone(), &limits).unwrap_err();
        assert_eq!(error, DecodeError::Limit { what, found, max });
        assert_eq!(error.fault(), Fault::Limit);
    };
    let defaults = Limits::default();
    let small = Limits {
        max_metadata_len: 20_479,
        ..defaults.clone()
    };
    refused(small, "bytes of metadata", 20_480, 20_479);
    let small = Limits {
        max_blobs: 0,
        ..defaults.clone()
    };
    refused(small, "blobs", 1, 0);
    let small = Limits {
        max_chunks: 1,
        ..defaults
    };
    refused(small, "chunks", 2, 1);
}

#[test]
fn bootstraps_are_recognized() {
    assert!(Bootstrap::is_bootstrap(A4));
    assert!(Bootstrap::is_bootstrap(&A4[..1152]));
    assert!(!Bootstrap::is_bootstrap(&A4[..1151]));
    assert!(!Bootstrap::is_bootstrap(&patched(A4, &[(1024, b"\0")])));
    assert!(!Bootstrap::is_bootstrap(&patched(A4, &[(1035, b"\0")])));
}

#[test]
fn the_prefetch_table_follows_the_blob_table() {
    let (image, entries) = a4(DigestAlgorithm::Sha256);
    let options = Options {
        prefetch: vec![InodeId::new(4), InodeId::new(1)],
        ..a4_options()
    };
    let bytes = encode(&image, &entries, &options).unwrap();
    let bootstrap = open(&bytes).unwrap();
    assert_eq!(bootstrap.ext_superblock().prefetch_table(), 4352..4360);
    assert_eq!(
        bootstrap.prefetch().collect::<Vec<_>>(),
        [Ino(138), Ino(141)]
    );
    bootstrap.check(&mut |finding| panic!("{finding}"));
    let shorter = open(&patched(&bytes, &[(4356, &[0])])).unwrap();
    assert_eq!(shorter.prefetch().collect::<Vec<_>>(), [Ino(138)]);
    shorter.check(&mut |finding| panic!("{finding}"));
    // Without blobs there is no such table.
    let mut tree = Tree::new(metadata(0o755));
    let fifo = tree.add(metadata(0o600), Node::Fifo);
    tree.link(InodeId::ROOT, name(b"fifo"), fifo).unwrap();
    let (image, entries) = Store::new(DigestAlgorithm::Sha256, 4096).image(tree);
    let options = Options {
        prefetch: vec![fifo],
        ..self::options(DigestAlgorithm::Sha256, 4096)
    };
    let bytes = encode(&image, &entries, &options).unwrap();
    assert_eq!(open(&bytes).unwrap().prefetch().count(), 0);
}
