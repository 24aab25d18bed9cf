//! Every bit of a small bootstrap, changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use image_model::Limits;
use lazyoci_rafs_format::v6::Bootstrap;

use crate::common::A4;

/// Where the inodes of [`A4`] are, and where what follows each of them ends.
const INODES: [(usize, usize); 6] = [
    (0x3000, 0x308f), // the root
    (0x30a0, 0x30e0), // e
    (0x30e0, 0x3128), // f
    (0x3140, 0x3188), // z
    (0x31a0, 0x3215), // d
    (0x3220, 0x3264), // d/l
];

/// The field of which byte `offset` of [`A4`] is part.
fn field(offset: usize) -> &'static str {
    match offset {
        0x400..0x480 => superblock(offset - 0x400),
        0x480..0x580 => extended(offset - 0x480),
        0x580..0x5c0 => "tag",
        0x5c4..0x5c8 => "mapped_blkaddr",
        0x5c0..0x5c4 | 0x5c8..0x600 => "others of the device slot",
        0x1000..0x1100 => blob(offset - 0x1000),
        0x4000..0x40a0 => chunk_record((offset - 0x4000) % 80),
        _ => {
            let inode = INODES
                .iter()
                .find(|(start, end)| (*start..*end).contains(&offset));
            inode.map_or("between structures", |(start, _)| {
                in_inode(*start, offset - start)
            })
        }
    }
}

fn superblock(at: usize) -> &'static str {
    match at {
        4..8 => "checksum",
        8..12 => "feature_compat",
        24..36 => "build_time",
        44..48 => "xattr_blkaddr",
        48..64 => "uuid",
        64..80 => "volume_name",
        _ => "others of the superblock",
    }
}

fn extended(at: usize) -> &'static str {
    match at {
        0..8 => "flags",
        8..16 => "blob_table_offset",
        20..24 => "chunk_size",
        24..32 => "chunk_table_offset",
        32..40 => "chunk_table_size",
        40..48 => "prefetch_table_offset",
        48..52 => "prefetch_table_size",
        _ => "others of the extended superblock",
    }
}

fn blob(at: usize) -> &'static str {
    match at {
        0..64 => "blob_id",
        76..80 => "compression_algo",
        80..84 => "digest_algo",
        84..88 => "features",
        88..96 => "compressed_size",
        96..104 => "uncompressed_size",
        104..108 => "blob_toc_size",
        108..112 => "ci_compressor",
        112..120 => "ci_offset",
        120..128 => "ci_compressed_size",
        136..168 => "blob_toc_digest",
        168..200 => "blob_meta_digest",
        200..208 => "blob_meta_size",
        208..216 => "cipher_iv",
        216..220 => "cipher_algo",
        _ => "others of the blob",
    }
}

fn chunk_record(at: usize) -> &'static str {
    match at {
        0..32 => "block_id",
        36..40 => "flags of a chunk",
        48..56 => "compressed_offset",
        56..64 => "uncompressed_offset",
        64..72 => "file_offset",
        72..76 => "index",
        76..80 => "crc32",
        _ => "others of a chunk",
    }
}

fn in_inode(inode: usize, at: usize) -> &'static str {
    let entries = match inode {
        0x3000 => 6,
        0x31a0 => 4,
        _ => 0,
    };
    match at {
        0..2 => "i_format",
        4..6 => "i_mode",
        8..16 => "i_size",
        16..20 => "i_u",
        20..24 => "i_ino",
        24..28 => "i_uid",
        28..32 => "i_gid",
        32..44 => "i_mtime",
        2..4 | 6..8 | 44..64 => "others of an inode",
        _ if entries == 0 && inode == 0x3220 => "target",
        _ if entries == 0 => "chunk address",
        _ if at >= 64 + 12 * entries => "name",
        _ => match (at - 64) % 12 {
            0..8 => "nid of an entry",
            _ => "others of an entry",
        },
    }
}

/// No change makes the decoder panic, and all but these are found without anything but the bootstrap: they are what
/// [`Bootstrap::check`] lists.
#[test]
fn every_flipped_bit_is_found_where_it_can_be() {
    let mut unnoticed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes = A4.to_vec();
    // Of the zeros between structures, which are looked at by the byte, one bit of each byte will do.
    let looked_at = |bit: &usize| field(bit / 8) != "between structures" || bit % 8 == bit / 8 % 8;
    for bit in (0..8 * A4.len()).filter(looked_at) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let opened = Bootstrap::open(Bytes::copy_from_slice(&bytes), &Limits::small());
        if opened.is_ok_and(|bootstrap| bootstrap.check(&mut |_| ()).findings == 0) {
            *unnoticed.entry(field(bit / 8)).or_default() += 1;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let all = 8 * A4.len();
    let sum: usize = unnoticed.values().sum();
    println!("{sum} of {all} bits are not found: {unnoticed:?}");
    let known = [
        "blob_toc_size",
        "block_id",
        "build_time",
        "ci_compressed_size",
        "ci_compressor",
        "compressed_size",
        "compression_algo",
        "crc32",
        "digest_algo",
        "features",
        "file_offset",
        "flags",
        "flags of a chunk",
        "i_format",
        "i_gid",
        "i_ino",
        "i_mode",
        "i_mtime",
        "i_size",
        "i_u",
        "i_uid",
        "mapped_blkaddr",
        "name",
        "prefetch_table_offset",
        "prefetch_table_size",
        "target",
        "uuid",
        "volume_name",
    ];
    assert_eq!(unnoticed.keys().copied().collect::<Vec<_>>(), known);
}
