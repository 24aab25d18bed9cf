//! Directories and symbolic links: one corruption for each rule.

use image_model::Image;
use image_model::name::NameError;
use lazyoci_rafs_format::DecodeError;

use crate::common::{field, name};
use crate::damage::{INO_F, INO_Z, L, ROOT, broken, refuses};

#[test]
fn directory_entries() {
    let entry = |number: usize| ROOT + 64 + 12 * number;
    let next = "before the next name, behind the entries, inside the block";
    let block = "a multiple of 12, not 0, inside the block";
    let cases = [
        (
            entry(0) + 8,
            73,
            field("directory block", entry(0), "nameoff", 73, block),
        ),
        (
            entry(0) + 8,
            0,
            field("directory block", entry(0), "nameoff", 0, block),
        ),
        (
            entry(0) + 8,
            84,
            field("directory block", entry(0), "nameoff", 84, block),
        ),
        (
            entry(2) + 8,
            71,
            field("directory entry", entry(1), "nameoff", 73, next),
        ),
        (
            entry(5) + 8,
            79,
            field("directory entry", entry(5), "nameoff", 79, next),
        ),
        (
            entry(3) + 8,
            75,
            field("directory entry", entry(2), "nameoff", 75, next),
        ),
        (
            entry(2) + 10,
            0,
            field(
                "directory entry",
                entry(2),
                "file_type",
                0,
                "1 (file) to 7 (symlink)",
            ),
        ),
        (
            entry(2) + 10,
            8,
            field(
                "directory entry",
                entry(2),
                "file_type",
                8,
                "1 (file) to 7 (symlink)",
            ),
        ),
        (
            entry(0) + 72,
            0,
            DecodeError::Name {
                offset: entry(0) as u64,
                source: NameError::Byte { byte: 0, offset: 0 },
            },
        ),
        (
            entry(0) + 75,
            b'/',
            DecodeError::Name {
                offset: entry(2) as u64,
                source: NameError::Byte {
                    byte: b'/',
                    offset: 0,
                },
            },
        ),
        (
            entry(0) + 78,
            0,
            DecodeError::Name {
                offset: entry(5) as u64,
                source: NameError::Empty,
            },
        ),
        (
            entry(0) + 76,
            b'd',
            DecodeError::NameOrder {
                offset: entry(3) as u64,
            },
        ),
        (
            entry(0) + 76,
            b'a',
            DecodeError::NameOrder {
                offset: entry(3) as u64,
            },
        ),
    ];
    for (offset, byte, expected) in cases {
        refuses(&[(offset, &[byte])], &expected);
    }
}

/// Bytes behind the data of a directory are not names.
#[test]
fn a_directory_that_is_too_short() {
    let end = ROOT + 64;
    let rule = "a multiple of 12, not 0, inside the block";
    refuses(
        &[(ROOT + 8, &[72])],
        &field("directory block", end, "nameoff", 72, rule),
    );
    let expected = DecodeError::Truncated {
        what: "directory entry",
        offset: end as u64,
        len: 12,
        available: (end + 11) as u64,
    };
    refuses(&[(ROOT + 8, &[11])], &expected);
}

#[test]
fn data_of_directories_and_links() {
    let rule = "such that data are left for the tail, which lies in one block";
    // Behind the inode 0xfc0 bytes of the block are left.
    let expected = field("inode", ROOT, "i_size", 0xfc1, rule);
    refuses(&[(ROOT + 8, &[0xc1, 0x0f])], &expected);
    let expected = field("inode", ROOT, "i_size", 0x1000, rule);
    refuses(&[(ROOT + 8, &[0, 0x10])], &expected);
    let truncated = |offset, len| DecodeError::Truncated {
        what: "data blocks",
        offset,
        len,
        available: 20_480,
    };
    let far: &[u8] = &[0xff; 4];
    let expected = truncated(0xffff_ffff << 12, 79);
    refuses(&[(ROOT, &[1]), (ROOT + 16, far)], &expected);
    let expected = truncated(0x3000, 1 << 40 & !0xfff);
    refuses(&[(ROOT + 13, &[1])], &expected);

    let links = "at most the bytes before the first NUL of the link's target";
    refuses(&[(L + 8, &[5])], &field("inode", L, "i_size", 5, links));
    let expected = DecodeError::Limit {
        what: "bytes of a symbolic link's target",
        found: 4097,
        max: 4096,
    };
    refuses(&[(L + 8, &[1, 0x10])], &expected);
}

#[test]
fn lookups_find_names_and_nothing_else() {
    let bootstrap = broken(&[]);
    let find = |label: &[u8]| {
        bootstrap
            .lookup(bootstrap.root(), name(label).as_ref())
            .unwrap()
    };
    assert_eq!(find(b"f"), Some(INO_F));
    assert_eq!(find(b"z"), Some(INO_Z));
    for missing in [b"!".as_slice(), b"-", b"...", b"a", b"ee", b"zz", b"\xff"] {
        assert_eq!(find(missing), None);
    }
}
