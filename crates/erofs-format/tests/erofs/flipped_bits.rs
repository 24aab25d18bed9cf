//! Every bit of small images, changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use image_model::Limits;
use lazyoci_erofs_format::ErofsImage;

use crate::goldens::golden;

/// What an image has where, out of its dump.
struct Map(Vec<(usize, Structure)>);

enum Structure {
    Superblock,
    Device,
    Compact,
    Extended,
    Entry,
    Attribute,
    Target,
    Address,
}

impl Map {
    fn of(image: &ErofsImage) -> Self {
        let mut dump = String::new();
        image.dump(&mut dump).unwrap();
        let mut structures: Vec<_> = dump.lines().filter_map(structure).collect();
        structures.sort_by_key(|(offset, _)| *offset);
        Self(structures)
    }

    /// The field of which byte `offset` is part.
    fn field(&self, offset: usize) -> &'static str {
        let next = self.0.partition_point(|(start, _)| *start <= offset);
        let Some((start, structure)) = next.checked_sub(1).map(|last| &self.0[last]) else {
            return "between structures";
        };
        let at = offset - start;
        match structure {
            Structure::Superblock => superblock(at),
            Structure::Device if at < 64 => "tag",
            Structure::Device if at < 68 => "blocks",
            Structure::Device if at < 72 => "mapped_blkaddr",
            Structure::Device => "reserved",
            Structure::Compact => compact(at),
            Structure::Extended => extended(at),
            Structure::Entry if at < 8 => "nid of an entry",
            Structure::Entry if at < 10 => "nameoff",
            Structure::Entry if at == 10 => "file_type",
            Structure::Entry if at == 11 => "reserved",
            Structure::Entry => "name",
            Structure::Attribute => "extended attributes",
            Structure::Target => "target",
            Structure::Address if at < 2 => "startblk_hi",
            Structure::Address if at < 4 => "device_id",
            Structure::Address if at < 8 => "startblk_lo",
            Structure::Address => "between structures",
        }
    }
}

/// A line of a dump: an offset, and what is there.
fn structure(line: &str) -> Option<(usize, Structure)> {
    let (offset, what) = line.split_once(' ')?;
    let offset = usize::from_str_radix(offset.strip_prefix("0x")?, 16).ok()?;
    let structure = match what.split([' ', ':']).next()? {
        "superblock" => Structure::Superblock,
        "device" => Structure::Device,
        "inode" if what.contains("form=compact") => Structure::Compact,
        "inode" => Structure::Extended,
        "dirent" => Structure::Entry,
        "xattr" => Structure::Attribute,
        "symlink" => Structure::Target,
        "chunk" => Structure::Address,
        _ => return None,
    };
    Some((offset, structure))
}

fn superblock(at: usize) -> &'static str {
    match at {
        4..8 => "checksum",
        8..12 => "feature_compat",
        12 => "blkszbits",
        13 => "sb_extslots",
        14..16 => "root_nid",
        16..24 => "inos",
        24..36 => "build_time",
        36..40 => "blocks of the image",
        40..44 => "meta_blkaddr",
        44..48 => "xattr_blkaddr",
        48..64 => "uuid",
        64..80 => "volume_name",
        80..84 => "feature_incompat",
        84..86 => "u1",
        86..88 => "extra_devices",
        88..90 => "devt_slotoff",
        91 => "xattr_prefix_count",
        92..96 => "xattr_prefix_start",
        96..104 => "packed_nid",
        104..128 => "reserved",
        0..128 => "others of the superblock",
        _ => "between structures",
    }
}

fn compact(at: usize) -> &'static str {
    match at {
        0..2 => "i_format",
        2..4 => "i_xattr_icount",
        4..6 => "i_mode",
        8..12 => "i_size",
        16..20 => "i_u",
        20..24 => "i_ino",
        24..26 => "i_uid",
        26..28 => "i_gid",
        6..8 => "i_nlink",
        12..16 | 28..32 => "reserved",
        _ => "between structures",
    }
}

fn extended(at: usize) -> &'static str {
    match at {
        8..16 => "i_size",
        24..28 => "i_uid",
        28..32 => "i_gid",
        32..44 => "i_mtime",
        6..8 | 48..64 => "reserved",
        44..48 => "i_nlink",
        0..24 => compact(at),
        _ => "between structures",
    }
}

/// The bits of `image` that can change without a finding, by field.
fn unnoticed(image: &[u8]) -> BTreeMap<&'static str, usize> {
    let open = |bytes: &[u8]| ErofsImage::open(Bytes::copy_from_slice(bytes), &Limits::small());
    let map = Map::of(&open(image).unwrap());
    let mut unnoticed: BTreeMap<&str, usize> = BTreeMap::new();
    let mut looked_at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut bytes = image.to_vec();
    for bit in 0..8 * image.len() {
        *looked_at.entry(map.field(bit / 8)).or_default() += 1;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if open(&bytes).is_ok_and(|image| image.check(&mut |_| ()).findings == 0) {
            *unnoticed.entry(map.field(bit / 8)).or_default() += 1;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let sum: usize = unnoticed.values().sum();
    println!("{sum} of {} bits are not found", 8 * image.len());
    for (field, count) in &unnoticed {
        println!("{count} of {} are not found: {field}", looked_at[field]);
    }
    unnoticed
}

/// No change makes the decoder panic, and all but these are found without anything but the image: they are what
/// [`ErofsImage::check`] lists. Here no superblock has a checksum, and content is on a device.
#[test]
fn every_flipped_bit_is_found_where_it_can_be() {
    let found = unnoticed(&golden("tar-i"));
    let known = KNOWN.map(|(field, _)| field);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), known);
}

/// What the documentation of `check` says that it cannot know is what is not found.
#[test]
fn the_documentation_names_what_is_not_found() {
    let source = include_str!("../../src/check/run.rs");
    let (_, list) = source
        .split_once("or a hash tree, vouches for it:")
        .unwrap();
    let (list, _) = list.split_once("Takes about").unwrap();
    let list = list.replace("///", "");
    let list = list.split_whitespace().collect::<Vec<_>>().join(" ");
    for (field, words) in KNOWN {
        assert!(list.contains(words), "{field}: no `{words}`: {list}");
    }
}

/// What is not found, and the words with which the documentation of `check` names it.
const KNOWN: [(&str, &str); 33] = [
    ("between structures", "bytes between structures"),
    ("blocks", "tags of devices, their lengths"),
    (
        "blocks of the image",
        "a number of blocks that is too small",
    ),
    ("build_time", "build time"),
    ("device_id", "chunk addresses that stay within their device"),
    (
        "devt_slotoff",
        "another place of the device table where one can be",
    ),
    (
        "extended attributes",
        "names and values of extended attributes",
    ),
    ("feature_compat", "compatible features"),
    ("feature_incompat", "features that change nothing"),
    (
        "i_format",
        "sizes, layouts and addresses that still lead to bytes",
    ),
    ("i_gid", "group"),
    ("i_ino", "the sequential number"),
    ("i_mode", "permissions"),
    ("i_mtime", "time"),
    (
        "i_size",
        "sizes, layouts and addresses that still lead to bytes",
    ),
    (
        "i_u",
        "sizes, layouts and addresses that still lead to bytes",
    ),
    ("i_uid", "owner"),
    (
        "i_xattr_icount",
        "sizes, layouts and addresses that still lead to bytes",
    ),
    ("mapped_blkaddr", "where they are mapped"),
    ("name", "names that stay in order"),
    ("nameoff", "names that stay in order and where they end"),
    (
        "packed_nid",
        "fields that belong to features that the image does not have",
    ),
    ("reserved", "reserved bytes"),
    (
        "startblk_hi",
        "chunk addresses that stay within their device",
    ),
    (
        "startblk_lo",
        "chunk addresses that stay within their device",
    ),
    ("tag", "tags of devices"),
    ("target", "targets of symbolic links"),
    (
        "u1",
        "fields that belong to features that the image does not have",
    ),
    ("uuid", "UUID"),
    ("volume_name", "volume name"),
    (
        "xattr_blkaddr",
        "fields that belong to features that the image does not have",
    ),
    (
        "xattr_prefix_count",
        "fields that belong to features that the image does not have",
    ),
    (
        "xattr_prefix_start",
        "fields that belong to features that the image does not have",
    ),
];

/// A checksum covers the superblock's block to its end, but for the bit that says that there is one.
#[test]
fn a_checksum_covers_the_first_block() {
    let image = golden("blobdev");
    let that_bit = 8 * (1024 + 8);
    for bit in (8 * 1024..8 * 4096)
        .step_by(7)
        .filter(|&bit| bit != that_bit)
    {
        let mut bytes = image.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let found = match ErofsImage::open(Bytes::from(bytes), &Limits::small()) {
            Err(_) => true,
            Ok(image) => image.check(&mut |_| {}).findings != 0,
        };
        assert!(found, "bit {bit}");
    }
}
