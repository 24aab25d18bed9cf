//! The whole check: one corruption for each thing that it finds.

use crate::common::{A4, INODES, check, patched};

/// The change leads to these findings and no other.
#[track_caller]
fn finds(patches: &[(usize, &[u8])], expected: &[&str]) {
    assert_eq!(check(&patched(A4, patches)), expected);
}

const ROOT: usize = INODES[0];
const D: usize = INODES[1];
const E: usize = INODES[2];
const F: usize = INODES[3];
const Z: usize = INODES[4];
const H: usize = INODES[5];
const L: usize = INODES[6];

#[test]
fn digests() {
    // SHA-256 of nothing begins with e3, that of the directory `d` is covered by the root.
    let found = check(&patched(A4, &[(E, b"\0")]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("/e, byte 8632: the inode has digest sha256:00"),
        "{}",
        found[0]
    );
    assert!(
        found[1].starts_with("/, byte 8360: the inode has digest"),
        "{}",
        found[1]
    );
    // The root's own.
    assert_eq!(check(&patched(A4, &[(ROOT, b"\0")])).len(), 1);
    // A chunk's, and a target.
    for offset in [Z + 136, L + 136] {
        let found = check(&patched(A4, &[(offset, b"X")]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("its contents have"), "{}", found[0]);
    }
}

#[test]
fn derived_fields() {
    for (offset, patch, finding) in [
        (
            Z + 56,
            &b"\x01"[..],
            "/z, byte 8984: i_projid of the inode is 0x1, expected 0x0",
        ),
        (
            Z + 72,
            b"\x15",
            "/z, byte 8984: i_blocks of the inode is 0x15, expected 0x14",
        ),
        (
            L + 80,
            b"\0",
            "/d/l, byte 9416: i_flags of the inode is 0x0, expected 0x1",
        ),
        (
            E + 88,
            b"\x02",
            "/e, byte 8632: i_nlink of the inode is 0x2, expected 0x1",
        ),
        (
            D + 88,
            b"\x03",
            "/d, byte 8496: i_nlink of the inode is 0x3, expected 0x2",
        ),
        (
            E + 92,
            b"\x03",
            "/e, byte 8632: i_child_index of the inode is 0x3, expected 0x0",
        ),
        (
            E + 102,
            b"\x01",
            "/e, byte 8632: i_symlink_size of the inode is 0x1, expected 0x0",
        ),
        (
            E + 104,
            b"\x01",
            "/e, byte 8632: i_rdev of the inode is 0x1, expected 0x0",
        ),
        (
            E + 120,
            b"\x01",
            "/e, byte 8632: reserved bytes of the inode are not zero",
        ),
        (
            E + 130,
            b"\x01",
            "/e, byte 8632: reserved bytes of the name are not zero",
        ),
        (
            L + 142,
            b"\x01",
            "/d/l, byte 9416: reserved bytes of the target are not zero",
        ),
        (
            24,
            b"\x04",
            "byte 0: inodes_count of the superblock is 0x4, expected 0x6",
        ),
        (
            40,
            b"\x28",
            "byte 0: prefetch_table_offset of the superblock is 0x2028, expected 0x2020",
        ),
        (
            100,
            b"\x05",
            "byte 100: bytes outside all structures are not zero",
        ),
        (
            8220,
            b"\x05",
            "byte 8220: bytes outside all structures are not zero",
        ),
        (
            8330,
            b"\x05",
            "byte 8296: reserved bytes of the extended blob table entry are not zero",
        ),
    ] {
        finds(&[(offset, patch)], &[finding]);
    }
}

#[test]
fn the_size_of_a_directory() {
    finds(
        &[(D + 64, b"\x01")],
        &[
            "/d, byte 8496: i_blocks of the inode is 0x8, expected 0x9",
            "/d, byte 8496: i_size of the inode is 0x1001, expected 0x1000",
        ],
    );
}

#[test]
fn names_of_one_inode() {
    finds(
        &[(H + 48, b"\x01")],
        &["/d/h, byte 9200: i_uid: mismatch with the inode's first record, at byte 8768"],
    );
    let found = check(&patched(A4, &[(H + 40, b"\x05")]));
    assert!(
        found
            .iter()
            .any(|finding| finding.contains("the chunks: mismatch")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|finding| finding.starts_with("/f, byte 8768: i_nlink")),
        "{found:?}"
    );
}

#[test]
fn chunks() {
    let hello = F + 136;
    for (offset, patch, finding) in [
        (hello + 64, &b"\x01"[..], "file_offset"),
        (hello + 36, b"\x02", "holes"),
        (hello + 44, b"\x06", "uncompressed_size"),
        (hello + 32, b"\x01", "blob_index"),
        (hello + 72, b"\x02", "index"),
        (
            Z + 136 + 48,
            b"\x04",
            "compressed_offset is before the end of chunk 0",
        ),
    ] {
        let found = check(&patched(A4, &[(offset, patch)]));
        let told = found.iter().any(|found| found.contains(finding));
        assert!(told, "{offset}: {found:?}");
    }
}
