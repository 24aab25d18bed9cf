//! The EROFS superblock.

use image_model::Timestamp;
use image_model::width::u64_from;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, DecodeError};

/// Bytes before the superblock.
pub(crate) const OFFSET: u64 = 1024;
/// Bytes of the superblock.
pub(crate) const LEN: u64 = 128;

const MAGIC: u32 = 0xe0f5_e1e2;
const COMPAT_RAFS_V6: u32 = 0x4000_0000;
const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
/// Position of the device table in units of 128 bytes.
const DEVT_SLOTOFF: u16 = 11;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawSuperblock {
    magic: U32,
    checksum: U32,
    feature_compat: U32,
    blkszbits: u8,
    sb_extslots: u8,
    root_nid: U16,
    inos: U64,
    build_time: U64,
    build_time_nsec: U32,
    blocks: U32,
    meta_blkaddr: U32,
    xattr_blkaddr: U32,
    uuid: [u8; 16],
    volume_name: [u8; 16],
    feature_incompat: U32,
    u: U16,
    extra_devices: U16,
    devt_slotoff: U16,
    reserved: [u8; 38],
}

const _: () = assert!(u64_from(size_of::<RawSuperblock>()) == LEN);
const _: () = assert!(std::mem::offset_of!(RawSuperblock, feature_incompat) == 80);

/// Size of a file system block: the unit of device addresses and of directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockSize {
    /// 512 bytes, of tarfs images.
    B512,
    /// 4096 bytes, of all others.
    B4096,
}

impl BlockSize {
    /// Binary logarithm of the size in bytes.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::B512 => 9,
            Self::B4096 => 12,
        }
    }

    /// Size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.bits()
    }

    /// Bytes of so many blocks.
    pub(crate) fn bytes_in(self, blocks: u32) -> u64 {
        let blocks = u64::from(blocks);
        match self {
            Self::B512 => blocks << 9,
            Self::B4096 => blocks << 12,
        }
    }

    /// Whole blocks of so many bytes.
    pub(crate) const fn whole_in(self, bytes: u64) -> u64 {
        bytes >> self.bits()
    }

    /// Bytes behind the last whole block of so many bytes.
    pub(crate) const fn rest(self, bytes: u64) -> u64 {
        match self {
            Self::B512 => bytes % 512,
            Self::B4096 => bytes % 4096,
        }
    }
}

/// The EROFS superblock, 128 bytes at byte 1024.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 4 | magic | `0xe0f5e1e2` |
/// | 4 | 4 | checksum | 0: there is none |
/// | 8 | 4 | feature_compat | holds `0x40000000`, the mark of RAFS v6 |
/// | 12 | 1 | blkszbits | 12, or 9 in tarfs images |
/// | 13 | 1 | sb_extslots | 0 |
/// | 14 | 2 | root_nid | inode of the root directory, not 0; 128 by all builders |
/// | 16 | 8 | inos | names in the tree, the root included, hard links counted every time; not 0 |
/// | 24 | 8 | build_time | seconds since 1970: the time of compact inodes |
/// | 32 | 4 | build_time_nsec | nanoseconds |
/// | 36 | 4 | blocks | blocks of all devices (not of the bootstrap) |
/// | 40 | 4 | meta_blkaddr | M, in blocks: nids count 32-byte slots from there |
/// | 44 | 4 | xattr_blkaddr | 0: no shared extended attributes |
/// | 48 | 16 | uuid | any |
/// | 64 | 16 | volume_name | any |
/// | 80 | 4 | feature_incompat | `0xc`: chunked files, device table |
/// | 84 | 2 | u | 0: no compression |
/// | 86 | 2 | extra_devices | slots of the device table |
/// | 88 | 2 | devt_slotoff | 11, in units of 128 bytes |
/// | 90 | 38 | reserved | 0, not read |
///
/// Source: Linux `fs/erofs/erofs_fs.h`; nydus v2, `rafs/src/metadata/layout/v6.rs`
/// (`RafsV6SuperBlock`), whose loader has these rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Compatible features; bits that no reader depends on.
    pub feature_compat: u32,
    /// Block size.
    pub block_size: BlockSize,
    /// Inode of the root directory.
    pub root_nid: u16,
    /// Names in the tree, the root included, hard links counted every time.
    pub inos: u64,
    /// Time of compact inodes, which have none of their own.
    pub build_time: Timestamp,
    /// Blocks of all devices.
    pub blocks: u32,
    /// Block from which inodes are numbered.
    pub meta_blkaddr: u32,
    /// Any.
    pub uuid: [u8; 16],
    /// Any.
    pub volume_name: [u8; 16],
    /// Number of data blobs.
    pub extra_devices: u16,
}

impl Superblock {
    /// What every builder writes for an image of `devices` blobs.
    pub(crate) const fn new(block_size: BlockSize, devices: u16) -> Self {
        Self {
            feature_compat: COMPAT_RAFS_V6,
            block_size,
            root_nid: 128,
            inos: 0,
            build_time: Timestamp::EPOCH,
            blocks: 0,
            meta_blkaddr: 0,
            uuid: [0; 16],
            volume_name: [0; 16],
            extra_devices: devices,
        }
    }

    /// First byte of the area from which inodes are numbered.
    #[must_use]
    pub fn meta_start(&self) -> u64 {
        self.block_size.bytes_in(self.meta_blkaddr)
    }

    /// Where inode `nid` begins; saturates, which is behind every bootstrap.
    #[must_use]
    pub fn inode_offset(&self, nid: u64) -> u64 {
        nid.saturating_mul(32).saturating_add(self.meta_start())
    }

    pub(crate) fn from_raw(raw: &RawSuperblock) -> Result<Self, DecodeError> {
        let at = At::new("superblock", OFFSET);
        at.require(raw.magic == MAGIC, "magic", raw.magic, "0xe0f5e1e2")?;
        at.require(raw.checksum == 0, "checksum", raw.checksum, "0")?;
        at.require(
            raw.feature_compat.get() & COMPAT_RAFS_V6 != 0,
            "feature_compat",
            raw.feature_compat,
            "marked as RAFS v6 (0x40000000)",
        )?;
        let block_size = match raw.blkszbits {
            9 => BlockSize::B512,
            12 => BlockSize::B4096,
            bits => return Err(at.wrong("blkszbits", bits, "9 or 12")),
        };
        at.require(raw.sb_extslots == 0, "sb_extslots", raw.sb_extslots, "0")?;
        at.require(raw.root_nid != 0, "root_nid", raw.root_nid, "not 0")?;
        at.require(raw.inos != 0, "inos", raw.inos, "not 0")?;
        let time = raw.build_time_nsec.get();
        at.require(
            time < 1_000_000_000,
            "build_time_nsec",
            time,
            "less than a second",
        )?;
        at.require(
            raw.extra_devices != 0 || matches!(raw.blocks.get(), 0 | 4096),
            "blocks",
            raw.blocks,
            "0 or 4096 without devices",
        )?;
        if raw.xattr_blkaddr != 0 {
            return Err(at.unsupported("shared extended attributes"));
        }
        at.require(
            raw.feature_incompat == INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE,
            "feature_incompat",
            raw.feature_incompat,
            "0xc (chunked files, device table)",
        )?;
        at.require(raw.u == 0, "u", raw.u, "0")?;
        at.require(
            raw.devt_slotoff == DEVT_SLOTOFF,
            "devt_slotoff",
            raw.devt_slotoff,
            "11",
        )?;
        Ok(Self {
            feature_compat: raw.feature_compat.get(),
            block_size,
            root_nid: raw.root_nid.get(),
            inos: raw.inos.get(),
            build_time: Timestamp {
                seconds: raw.build_time.get().cast_signed(),
                nanoseconds: time,
            },
            blocks: raw.blocks.get(),
            meta_blkaddr: raw.meta_blkaddr.get(),
            uuid: raw.uuid,
            volume_name: raw.volume_name,
            extra_devices: raw.extra_devices.get(),
        })
    }

    pub(crate) fn to_raw(self) -> RawSuperblock {
        let mut raw = RawSuperblock::new_zeroed();
        raw.magic = MAGIC.into();
        raw.feature_compat = self.feature_compat.into();
        raw.blkszbits = self.block_size.bits();
        raw.root_nid = self.root_nid.into();
        raw.inos = self.inos.into();
        raw.build_time = self.build_time.seconds.cast_unsigned().into();
        raw.build_time_nsec = self.build_time.nanoseconds.into();
        raw.blocks = self.blocks.into();
        raw.meta_blkaddr = self.meta_blkaddr.into();
        raw.uuid = self.uuid;
        raw.volume_name = self.volume_name;
        raw.feature_incompat = (INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE).into();
        raw.extra_devices = self.extra_devices.into();
        raw.devt_slotoff = DEVT_SLOTOFF.into();
        raw
    }
}

/// Whether the superblock is EROFS's and marked as RAFS v6.
pub(crate) fn is_rafs_v6(raw: &RawSuperblock) -> bool {
    raw.magic == MAGIC && raw.feature_compat.get() & COMPAT_RAFS_V6 != 0
}
