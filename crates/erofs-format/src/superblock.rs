//! The superblock.

use image_model::Timestamp;
use image_model::width::{u64_from, usize_up_to};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::block_size::BlockSize;
use crate::error::{At, StructureError};
use crate::view;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawSuperblock {
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
    u1: U16,
    extra_devices: U16,
    devt_slotoff: U16,
    dirblkbits: u8,
    xattr_prefix_count: u8,
    xattr_prefix_start: U32,
    packed_nid: U64,
    xattr_filter_reserved: u8,
    reserved: [u8; 23],
}

const _: () = assert!(size_of::<RawSuperblock>() == Superblock::LEN);
const _: () = assert!(std::mem::offset_of!(RawSuperblock, feature_incompat) == 80);
const _: () = assert!(std::mem::offset_of!(RawSuperblock, packed_nid) == 96);

/// The superblock, 128 bytes at byte 1024.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 4 | magic | `0xe0f5e1e2` |
/// | 4 | 4 | checksum | with [`COMPAT_CHECKSUM`](Self::COMPAT_CHECKSUM): [`checksum_of`](Self::checksum_of) |
/// | 8 | 4 | feature_compat | features that readers need not know |
/// | 12 | 1 | blkszbits | binary logarithm of the block size, 9 to 16 |
/// | 13 | 1 | sb_extslots | further 16-byte slots of the superblock |
/// | 14 | 2 | root_nid | inode of the root directory |
/// | 16 | 8 | inos | inodes of the tree; RAFS: names, hard links counted every time |
/// | 24 | 8 | build_time | seconds since 1970: the time of compact inodes |
/// | 32 | 4 | build_time_nsec | nanoseconds |
/// | 36 | 4 | blocks | blocks of the image; RAFS: of all devices |
/// | 40 | 4 | meta_blkaddr | block from which nids count 32-byte slots |
/// | 44 | 4 | xattr_blkaddr | block from which shared extended attributes are counted |
/// | 48 | 16 | uuid | any |
/// | 64 | 16 | volume_name | any |
/// | 80 | 4 | feature_incompat | features that readers must know |
/// | 84 | 2 | u1 | compression: its algorithms, or the distance of LZ4 |
/// | 86 | 2 | extra_devices | slots of the device table |
/// | 88 | 2 | devt_slotoff | where that begins, in units of 128 bytes |
/// | 90 | 1 | dirblkbits | binary logarithm of the blocks of a directory block: 0 |
/// | 91 | 1 | xattr_prefix_count | long prefixes of names of extended attributes |
/// | 92 | 4 | xattr_prefix_start | where they begin, in units of 4 bytes |
/// | 96 | 8 | packed_nid | inode that packs what belongs to others, 0 if there is none |
/// | 104 | 1 | xattr_filter_reserved | 0 if inodes have filters of names |
/// | 105 | 23 | reserved | 0, not read |
///
/// Source: Linux `fs/erofs/erofs_fs.h` (`erofs_super_block`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Checksum, where there is one.
    pub checksum: u32,
    /// Compatible features; bits that no reader depends on.
    pub feature_compat: u32,
    /// Block size.
    pub block_size: BlockSize,
    /// Further slots of 16 bytes.
    pub sb_extslots: u8,
    /// Inode of the root directory.
    pub root_nid: u16,
    /// Inodes; RAFS: names in the tree, including the root, hard links counted every time.
    pub inos: u64,
    /// Time of compact inodes, which have none of their own.
    pub build_time: Timestamp,
    /// Blocks of the image; RAFS: of all devices.
    pub blocks: u32,
    /// Block from which inodes are numbered.
    pub meta_blkaddr: u32,
    /// Block from which shared extended attributes are counted.
    pub xattr_blkaddr: u32,
    /// Any.
    pub uuid: [u8; 16],
    /// Any.
    pub volume_name: [u8; 16],
    /// Features that readers must know.
    pub feature_incompat: u32,
    /// What is said of compression.
    pub compression: u16,
    /// Number of devices besides the image itself.
    pub extra_devices: u16,
    /// Where the device table begins, in units of 128 bytes.
    pub devt_slotoff: u16,
    /// Binary logarithm of the blocks that make a block of a directory.
    pub dirblkbits: u8,
    /// Number of long prefixes of names of extended attributes.
    pub xattr_prefix_count: u8,
    /// Where they begin, in units of 4 bytes.
    pub xattr_prefix_start: u32,
    /// Inode that packs what belongs to others; 0 if there is none.
    pub packed_nid: u64,
    /// 0 if inodes have filters of names of extended attributes.
    pub xattr_filter_reserved: u8,
}

/// The sizes that a format has, as binary logarithms, and the rule that says so.
type Sizes<'a> = (&'a [u8], &'static str);

impl Superblock {
    /// Bytes before the superblock.
    pub const OFFSET: u64 = 1024;
    /// Length of the superblock in bytes.
    pub const LEN: usize = 128;
    /// First field.
    pub const MAGIC: u32 = 0xe0f5_e1e2;
    /// There is a checksum.
    pub const COMPAT_CHECKSUM: u32 = 0x1;
    /// Inodes have times of modification.
    pub const COMPAT_MTIME: u32 = 0x2;
    /// Long prefixes of names lie in the image, not in the packed inode.
    pub const COMPAT_PLAIN_XATTR_PREFIXES: u32 = 0x10;
    /// Compressed blocks may begin with zeros; without compressed blocks it means nothing.
    pub const INCOMPAT_ZERO_PADDING: u32 = 0x1;
    /// Compression is configured, and clusters may be large.
    pub const INCOMPAT_COMPRESSION: u32 = 0x2;
    /// Files may be made of chunks.
    pub const INCOMPAT_CHUNKED_FILE: u32 = 0x4;
    /// There is a device table; also of compressed images, a second algorithm.
    pub const INCOMPAT_DEVICE_TABLE: u32 = 0x8;
    /// Tails of compressed files may lie inline.
    pub const INCOMPAT_ZTAILPACKING: u32 = 0x10;
    /// Compressed files may share fragments, or be deduplicated; there may be a packed inode.
    pub const INCOMPAT_FRAGMENTS: u32 = 0x20;
    /// There are long prefixes of names of extended attributes.
    pub const INCOMPAT_XATTR_PREFIXES: u32 = 0x40;
    /// Addresses have 48 bits.
    pub const INCOMPAT_48BIT: u32 = 0x80;
    /// The metadata itself is compressed.
    pub const INCOMPAT_METABOX: u32 = 0x100;

    /// A superblock of an image with nothing in it.
    #[must_use]
    pub const fn new(block_size: BlockSize) -> Self {
        Self {
            checksum: 0,
            feature_compat: 0,
            block_size,
            sb_extslots: 0,
            root_nid: 0,
            inos: 0,
            build_time: Timestamp::EPOCH,
            blocks: 0,
            meta_blkaddr: 0,
            xattr_blkaddr: 0,
            uuid: [0; 16],
            volume_name: [0; 16],
            feature_incompat: 0,
            compression: 0,
            extra_devices: 0,
            devt_slotoff: 0,
            dirblkbits: 0,
            xattr_prefix_count: 0,
            xattr_prefix_start: 0,
            packed_nid: 0,
            xattr_filter_reserved: 0,
        }
    }

    /// Reads the superblock of `image`, whose block size is one of `sizes`.
    ///
    /// # Errors
    /// [`StructureError`] if it leaves the image, has another magic number or block size, or its time has
    /// more nanoseconds than a second.
    pub fn read(image: &[u8], (sizes, rule): Sizes<'_>) -> Result<Self, StructureError> {
        let raw: &RawSuperblock = view::record(image, "superblock", Self::OFFSET)?;
        let at = At::new("superblock", Self::OFFSET);
        at.require(raw.magic == Self::MAGIC, "magic", raw.magic, "0xe0f5e1e2")?;
        let bits = raw.blkszbits;
        let block_size = BlockSize::new(bits).filter(|_| sizes.contains(&bits));
        let block_size = block_size.ok_or_else(|| at.wrong("blkszbits", bits, rule))?;
        let nanoseconds = raw.build_time_nsec.get();
        let rule = "less than a second";
        at.require(
            nanoseconds < 1_000_000_000,
            "build_time_nsec",
            nanoseconds,
            rule,
        )?;
        Ok(Self {
            checksum: raw.checksum.get(),
            feature_compat: raw.feature_compat.get(),
            block_size,
            sb_extslots: raw.sb_extslots,
            root_nid: raw.root_nid.get(),
            inos: raw.inos.get(),
            build_time: Timestamp {
                seconds: raw.build_time.get().cast_signed(),
                nanoseconds,
            },
            blocks: raw.blocks.get(),
            meta_blkaddr: raw.meta_blkaddr.get(),
            xattr_blkaddr: raw.xattr_blkaddr.get(),
            uuid: raw.uuid,
            volume_name: raw.volume_name,
            feature_incompat: raw.feature_incompat.get(),
            compression: raw.u1.get(),
            extra_devices: raw.extra_devices.get(),
            devt_slotoff: raw.devt_slotoff.get(),
            dirblkbits: raw.dirblkbits,
            xattr_prefix_count: raw.xattr_prefix_count,
            xattr_prefix_start: raw.xattr_prefix_start.get(),
            packed_nid: raw.packed_nid.get(),
            xattr_filter_reserved: raw.xattr_filter_reserved,
        })
    }

    /// The features of the image that begins with `image`, compatible and incompatible; `None` if it is no
    /// EROFS.
    #[must_use]
    pub fn features(image: &[u8]) -> Option<[u32; 2]> {
        let raw: &RawSuperblock = view::record(image, "superblock", Self::OFFSET).ok()?;
        let features = [raw.feature_compat.get(), raw.feature_incompat.get()];
        (raw.magic == Self::MAGIC).then_some(features)
    }

    /// The superblock as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawSuperblock::new_zeroed();
        raw.magic = Self::MAGIC.into();
        raw.checksum = self.checksum.into();
        raw.feature_compat = self.feature_compat.into();
        raw.blkszbits = self.block_size.bits();
        raw.sb_extslots = self.sb_extslots;
        raw.root_nid = self.root_nid.into();
        raw.inos = self.inos.into();
        raw.build_time = self.build_time.seconds.cast_unsigned().into();
        raw.build_time_nsec = self.build_time.nanoseconds.into();
        raw.blocks = self.blocks.into();
        raw.meta_blkaddr = self.meta_blkaddr.into();
        raw.xattr_blkaddr = self.xattr_blkaddr.into();
        raw.uuid = self.uuid;
        raw.volume_name = self.volume_name;
        raw.feature_incompat = self.feature_incompat.into();
        raw.u1 = self.compression.into();
        raw.extra_devices = self.extra_devices.into();
        raw.devt_slotoff = self.devt_slotoff.into();
        raw.dirblkbits = self.dirblkbits;
        raw.xattr_prefix_count = self.xattr_prefix_count;
        raw.xattr_prefix_start = self.xattr_prefix_start.into();
        raw.packed_nid = self.packed_nid.into();
        raw.xattr_filter_reserved = self.xattr_filter_reserved;
        zerocopy::transmute!(raw)
    }

    /// The checksum of an image that begins with `image`: CRC-32C, not inverted at its end, of what lies
    /// from the superblock to the end of its block, or of a whole block if those are short, with 0 for the
    /// checksum itself. `None` if `image` is shorter than that.
    #[must_use]
    pub fn checksum_of(image: &[u8], block_size: BlockSize) -> Option<u32> {
        let len = Self::checksummed(block_size);
        let mut block = view::slice(image, "superblock", Self::OFFSET, len)
            .ok()?
            .to_vec();
        block.get_mut(4..8)?.fill(0);
        Some(!verify::crc32c(&block))
    }

    /// Bytes, from the superblock on, that the checksum covers.
    #[must_use]
    pub fn checksummed(block_size: BlockSize) -> u64 {
        match block_size.bytes().checked_sub(Self::OFFSET) {
            Some(len @ 1..) => len,
            _ => block_size.bytes(),
        }
    }

    /// First byte of the area from which inodes are numbered.
    #[inline]
    #[must_use]
    pub fn meta_start(&self) -> u64 {
        self.block_size.bytes_in(self.meta_blkaddr)
    }

    /// Where inode `nid` begins; saturates, which is after every image.
    #[inline]
    #[must_use]
    pub fn inode_offset(&self, nid: u64) -> u64 {
        nid.saturating_mul(32).saturating_add(self.meta_start())
    }

    /// First byte of the device table.
    #[inline]
    #[must_use]
    pub fn device_table(&self) -> u64 {
        u64::from(self.devt_slotoff).saturating_mul(u64_from(crate::DeviceSlot::LEN))
    }

    /// Bits of a chunk's device id that count: none if there is no device table.
    #[inline]
    #[must_use]
    pub fn device_id_mask(&self) -> u16 {
        let devices = match self.feature_incompat & Self::INCOMPAT_DEVICE_TABLE {
            0 => 0,
            _ => self.extra_devices,
        };
        let ids = u32::from(devices).saturating_add(1);
        let mask = ids.next_power_of_two().saturating_sub(1);
        u16::try_from(mask).unwrap_or(u16::MAX)
    }

    /// The superblock with the right checksum, written over the first block of an image, if that has the
    /// feature. `image` is at least that block.
    pub fn seal(&self, image: &mut [u8]) {
        let start = usize_up_to(Self::OFFSET);
        let mut sealed = *self;
        sealed.checksum = 0;
        let place = start..start.saturating_add(Self::LEN);
        image[place.clone()].copy_from_slice(&sealed.to_bytes());
        if self.feature_compat & Self::COMPAT_CHECKSUM != 0 {
            sealed.checksum = Self::checksum_of(image, self.block_size).unwrap_or(0);
            image[place].copy_from_slice(&sealed.to_bytes());
        }
    }
}
