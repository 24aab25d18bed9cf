//! Opening: every check of superblocks, lengths and the place of tables, one corruption for each.

use bytes::Bytes;
use image_model::{Blame, DigestAlgorithm, Fault, Limits, Tree};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::flags::FlagsError;
use lazyoci_rafs_format::v6::Bootstrap;

use crate::common::{A4, Store, a4_options, encode, field, metadata, open, patched};

const SUPERBLOCK: usize = 1024;
const EXT: usize = 1152;
const BLOB: usize = 4096;

#[track_caller]
pub(crate) fn refuses(patches: &[(usize, &[u8])], expected: &DecodeError) {
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
    let stored = Store::new(DigestAlgorithm::Sha256, 4096).image(Tree::new(metadata(0)));
    let bytes = encode(&stored, &a4_options()).unwrap();
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
    let small = defaults.clone().max_metadata_len(20_479);
    refused(small, "bytes of metadata", 20_480, 20_479);
    let small = defaults.clone().max_blobs(0);
    refused(small, "blobs", 1, 0);
    let small = defaults.max_chunks(1);
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
