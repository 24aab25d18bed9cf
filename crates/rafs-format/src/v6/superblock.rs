//! What RAFS v6 wants of the EROFS superblock.

use erofs_format::{BlockSize, Superblock};

use crate::error::{At, DecodeError};

/// The mark of RAFS v6 in feature_compat.
pub(crate) const COMPAT_RAFS_V6: u32 = 0x4000_0000;
const INCOMPAT: u32 = Superblock::INCOMPAT_CHUNKED_FILE | Superblock::INCOMPAT_DEVICE_TABLE;
/// Position of the device table in units of 128 bytes.
const DEVT_SLOTOFF: u16 = 11;
/// Binary logarithms of the block sizes: of tarfs images, and of all others.
const BLOCK_SIZES: (&[u8], &str) = (&[9, 12], "9 or 12");

/// Length of the superblock in bytes.
pub(crate) const LEN: u64 = 128;
const _: () = assert!(Superblock::LEN == 128);

/// What every builder writes for an image of `devices` blobs.
pub(crate) const fn new(block_size: BlockSize, devices: u16) -> Superblock {
    let mut superblock = Superblock::new(block_size);
    superblock.feature_compat = COMPAT_RAFS_V6;
    superblock.root_nid = 128;
    superblock.feature_incompat = INCOMPAT;
    superblock.extra_devices = devices;
    superblock.devt_slotoff = DEVT_SLOTOFF;
    superblock
}

/// Reads the superblock of a bootstrap.
///
/// | field | rule |
/// |---|---|
/// | checksum | 0: there is none |
/// | feature_compat | holds `0x40000000`, the mark of RAFS v6 |
/// | blkszbits | 12, or 9 in tarfs images |
/// | sb_extslots | 0 |
/// | root_nid | not 0; 128 by all builders |
/// | inos | not 0 |
/// | blocks | without devices 0 or 4096 |
/// | xattr_blkaddr | 0: no shared extended attributes |
/// | feature_incompat | `0xc`: chunked files, device table |
/// | u1 | 0: no compression |
/// | devt_slotoff | 11, in units of 128 bytes |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v6.rs` (`RafsV6SuperBlock`), whose loader has these rules.
pub(crate) fn read(bytes: &[u8]) -> Result<Superblock, DecodeError> {
    let superblock = Superblock::read(bytes, BLOCK_SIZES)?;
    let at = At::new("superblock", Superblock::OFFSET);
    let checksum = superblock.checksum;
    at.require(checksum == 0, "checksum", checksum, "0")?;
    let compat = superblock.feature_compat;
    let rule = "marked as RAFS v6 (0x40000000)";
    at.require(compat & COMPAT_RAFS_V6 != 0, "feature_compat", compat, rule)?;
    let slots = superblock.sb_extslots;
    at.require(slots == 0, "sb_extslots", slots, "0")?;
    let root = superblock.root_nid;
    at.require(root != 0, "root_nid", root, "not 0")?;
    let inos = superblock.inos;
    at.require(inos != 0, "inos", inos, "not 0")?;
    let blocks = superblock.blocks;
    let holds = superblock.extra_devices != 0 || matches!(blocks, 0 | 4096);
    at.require(holds, "blocks", blocks, "0 or 4096 without devices")?;
    if superblock.xattr_blkaddr != 0 {
        return Err(at.unsupported("shared extended attributes"));
    }
    let incompat = superblock.feature_incompat;
    let rule = "0xc (chunked files, device table)";
    at.require(incompat == INCOMPAT, "feature_incompat", incompat, rule)?;
    let compression = superblock.compression;
    at.require(compression == 0, "u", compression, "0")?;
    let slot = superblock.devt_slotoff;
    at.require(slot == DEVT_SLOTOFF, "devt_slotoff", slot, "11")?;
    Ok(superblock)
}

/// The superblock as it would be stored if what RAFS has no use for were 0.
pub(crate) fn used_part(superblock: &Superblock) -> [u8; Superblock::LEN] {
    let used = Superblock {
        dirblkbits: 0,
        xattr_prefix_count: 0,
        xattr_prefix_start: 0,
        packed_nid: 0,
        xattr_filter_reserved: 0,
        ..*superblock
    };
    used.to_bytes()
}

/// Whether the bytes begin with the superblock of EROFS, marked as RAFS v6.
pub(crate) fn is_rafs_v6(bytes: &[u8]) -> bool {
    Superblock::features(bytes).is_some_and(|[compat, _]| compat & COMPAT_RAFS_V6 != 0)
}
