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
        24..36 => "build_time",
        44..48 => "xattr_blkaddr",
        48..64 => "uuid",
        64..80 => "volume_name",
        84..86 => "u1",
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
    let mut bytes = image.to_vec();
    let mut all = 0;
    for bit in 0..8 * image.len() {
        all += 1;
        bytes[bit / 8] ^= 1 << (bit % 8);
        if open(&bytes).is_ok_and(|image| image.check(&mut |_| ()).findings == 0) {
            *unnoticed.entry(map.field(bit / 8)).or_default() += 1;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let sum: usize = unnoticed.values().sum();
    println!("{sum} of {all} bits are not found: {unnoticed:?}");
    unnoticed
}

/// No change makes the decoder panic, and all but these are found without anything but the image: they are what
/// [`ErofsImage::check`] lists. Here no superblock has a checksum, and content is on a device.
#[test]
fn every_flipped_bit_is_found_where_it_can_be() {
    let found = unnoticed(&golden("tar-i"));
    let known = [
        "between structures",
        "blocks",
        "build_time",
        "device_id",
        "extended attributes",
        "feature_compat",
        "i_format",
        "i_gid",
        "i_ino",
        "i_mode",
        "i_mtime",
        "i_size",
        "i_u",
        "i_uid",
        "i_xattr_icount",
        "mapped_blkaddr",
        "name",
        "nameoff",
        "others of the superblock",
        "packed_nid",
        "reserved",
        "startblk_hi",
        "startblk_lo",
        "tag",
        "target",
        "u1",
        "uuid",
        "volume_name",
        "xattr_blkaddr",
        "xattr_prefix_start",
    ];
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), known);
}

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
