//! Every bit of a small bootstrap, changed.

use std::collections::BTreeMap;

use crate::common::{A4, INODES, open};

/// The field of which byte `offset` of [`A4`] is part.
fn field(offset: usize) -> &'static str {
    let Some(&inode) = INODES.iter().rev().find(|&&inode| inode <= offset) else {
        return match offset {
            16..24 => "flags",
            8232..8296 => "blob id",
            8224..8232 => "readahead",
            8296..8300 => "chunk_count",
            8300..8304 => "features",
            8304..8312 => "uncompressed_size",
            8312..8320 => "compressed_size",
            _ => "tables",
        };
    };
    let (in_inode, name) = (offset - inode, 128..136);
    let target = inode == INODES[6] && in_inode >= 136;
    match in_inode {
        0..32 => "i_digest",
        48..52 => "i_uid",
        52..56 => "i_gid",
        60..64 => "i_mode",
        80..88 => "i_flags",
        108..120 => "i_mtime",
        32..128 => "others of the inode",
        _ if name.contains(&in_inode) => "name",
        _ if target => "target",
        _ => match in_inode - 136 {
            0..32 => "block_id",
            36..40 => "chunk flags",
            40..44 => "compressed_size of a chunk",
            48..56 => "compressed_offset",
            56..64 => "uncompressed_offset",
            72..76 => "index",
            76..80 => "crc32",
            _ => "others of the chunk",
        },
    }
}

/// No change makes a decoder panic, and all but these are found without anything but the bootstrap:
/// what digests cover (`i_digest`, `block_id`, targets, and so the number and order of children and
/// chunks) and what follows from other fields. The rest is what the digest of the bootstrap is for; of
/// that, places of chunks are found to be wrong when the chunk is read.
#[test]
fn every_flipped_bit_is_found_where_it_can_be() {
    let mut unnoticed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut looked_at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes = A4.to_vec();
    for bit in 0..8 * A4.len() {
        bytes[bit / 8] ^= 1 << (bit % 8);
        *looked_at.entry(field(bit / 8)).or_default() += 1;
        if let Ok(bootstrap) = open(&bytes) {
            let mut dump = String::new();
            bootstrap.dump(&mut dump).unwrap();
            let refused = bootstrap.to_chunked().is_err();
            let found = bootstrap.check(&mut |_| ()).findings > 0;
            assert!(found || !refused, "bit {bit} is refused, but not found");
            if !found {
                *unnoticed.entry(field(bit / 8)).or_default() += 1;
            }
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let all = 8 * A4.len();
    let sum: usize = unnoticed.values().sum();
    println!("{sum} of {all} bits are not found");
    for (field, count) in &unnoticed {
        println!("{count} of {} are not found: {field}", looked_at[field]);
    }
    let known = KNOWN.map(|(field, _)| field);
    assert_eq!(unnoticed.keys().copied().collect::<Vec<_>>(), known);
}

/// What the documentation of `check` says that only the bootstrap's digest vouches for is what is not found.
#[test]
fn the_documentation_names_what_is_not_found() {
    let source = include_str!("../../src/v5/check/mod.rs");
    let (_, list) = source
        .split_once("Only the bootstrap's digest vouches")
        .unwrap();
    let (list, _) = list.split_once("Which chunks are meant").unwrap();
    let list = list.replace("///", "");
    let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
    for (field, words) in KNOWN {
        assert!(list.contains(words), "{field}: no `{words}`: {list}");
    }
}

/// What is not found, and the words with which the documentation of `check` names it.
const KNOWN: [(&str, &str); 15] = [
    ("blob id", "of blobs the id"),
    ("chunk flags", "checksums and flags of chunks"),
    ("chunk_count", "number of chunks"),
    ("compressed_size", "lengths"),
    ("crc32", "checksums and flags of chunks"),
    ("features", "features"),
    (
        "flags",
        "flags of the image that are compatible with each other",
    ),
    ("i_flags", "flags of an inode"),
    ("i_gid", "group"),
    ("i_mode", "permissions"),
    ("i_mtime", "time"),
    ("i_uid", "owner"),
    ("name", "names that stay in order"),
    ("readahead", "what to read ahead"),
    ("uncompressed_size", "lengths"),
];
