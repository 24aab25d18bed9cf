//! The RAFS extended superblock, which EROFS does not know.

use std::ops::Range;

use image_model::width::u64_from;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::blob_entry::BlobEntry;
use crate::chunk_record::ChunkRecord;
use crate::error::{At, DecodeError};
use crate::flags::SuperFlags;

/// Right after the EROFS superblock.
pub(crate) const OFFSET: u64 = 1152;
/// Length of the extended superblock in bytes.
pub(crate) const LEN: u64 = 256;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawExtSuperblock {
    flags: U64,
    blob_table_offset: U64,
    blob_table_size: U32,
    chunk_size: U32,
    chunk_table_offset: U64,
    chunk_table_size: U64,
    prefetch_table_offset: U64,
    prefetch_table_size: U32,
    padding: U32,
    reserved: [u8; 200],
}

const _: () = assert!(u64_from(size_of::<RawExtSuperblock>()) == LEN);

/// The RAFS extended superblock, 256 bytes at byte 1152.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 8 | flags | [`SuperFlags`], exactly one compressor and one digester |
/// | 8 | 8 | blob_table_offset | byte; a multiple of 4096, not 0 |
/// | 16 | 4 | blob_table_size | bytes, 256 a blob; may be 0 |
/// | 20 | 4 | chunk_size | bytes; a power of two, 4096 to 16 MiB |
/// | 24 | 8 | chunk_table_offset | byte; a multiple of 4096 unless the table is empty |
/// | 32 | 8 | chunk_table_size | bytes, 80 a chunk |
/// | 40 | 8 | prefetch_table_offset | byte; 0 if there is none |
/// | 48 | 4 | prefetch_table_size | bytes, 4 an inode; 0 if there is none |
/// | 52 | 4 | padding | 0, not read |
/// | 56 | 200 | reserved | 0, not read |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v6.rs` (`RafsV6SuperBlockExt`). An unknown flag makes
/// every reader refuse the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtSuperblock {
    /// What holds for the whole image.
    pub flags: SuperFlags,
    /// First byte of the blob table.
    pub blob_table_offset: u64,
    /// Length of the blob table in bytes.
    pub blob_table_size: u32,
    /// Bytes of a chunk that is not its file's last.
    pub chunk_size: u32,
    /// First byte of the chunk table.
    pub chunk_table_offset: u64,
    /// Length of the chunk table in bytes.
    pub chunk_table_size: u64,
    /// First byte of the prefetch table; 0 if there is none.
    pub prefetch_table_offset: u64,
    /// Bytes of the prefetch table; 0 if there is none.
    pub prefetch_table_size: u32,
}

/// Whether `size` is a chunk size that RAFS allows: a power of two, 4096 to 16 MiB.
#[must_use]
pub const fn is_chunk_size(size: u32) -> bool {
    size.is_power_of_two() && 4096 <= size && size <= 1 << 24
}

impl ExtSuperblock {
    /// Whether the image is in tarfs mode.
    pub(crate) const fn is_tarfs(&self) -> bool {
        self.flags.contains(SuperFlags::TARFS_MODE)
    }

    /// Length of the blob table in bytes.
    #[must_use]
    pub fn blob_table(&self) -> Range<u64> {
        let start = self.blob_table_offset;
        start..start.saturating_add(self.blob_table_size.into())
    }

    /// Length of the chunk table in bytes.
    #[must_use]
    pub fn chunk_table(&self) -> Range<u64> {
        let start = self.chunk_table_offset;
        start..start.saturating_add(self.chunk_table_size)
    }

    /// Bytes of the prefetch table, empty if there is none.
    #[must_use]
    pub fn prefetch_table(&self) -> Range<u64> {
        match self.prefetch_table_offset {
            0 => 0..0,
            start => start..start.saturating_add(self.prefetch_table_size.into()),
        }
    }

    pub(crate) fn from_raw(raw: &RawExtSuperblock) -> Result<Self, DecodeError> {
        let at = At::new("extended superblock", OFFSET);
        let ext = Self {
            flags: at.flags(SuperFlags::from_raw_v6(raw.flags.get()))?,
            blob_table_offset: raw.blob_table_offset.get(),
            blob_table_size: raw.blob_table_size.get(),
            chunk_size: raw.chunk_size.get(),
            chunk_table_offset: raw.chunk_table_offset.get(),
            chunk_table_size: raw.chunk_table_size.get(),
            prefetch_table_offset: raw.prefetch_table_offset.get(),
            prefetch_table_size: raw.prefetch_table_size.get(),
        };
        ext.check(at)?;
        Ok(ext)
    }

    fn check(&self, at: At) -> Result<(), DecodeError> {
        at.require(
            self.blob_table_offset != 0 && self.blob_table_offset.is_multiple_of(4096),
            "blob_table_offset",
            self.blob_table_offset,
            "a multiple of 4096, not 0",
        )?;
        at.require(
            u64::from(self.blob_table_size).is_multiple_of(u64_from(BlobEntry::LEN)),
            "blob_table_size",
            self.blob_table_size,
            "a multiple of 256",
        )?;
        at.require(
            is_chunk_size(self.chunk_size),
            "chunk_size",
            self.chunk_size,
            "a power of two, 4096 to 16 MiB",
        )?;
        at.require(
            self.chunk_table_size == 0 || self.chunk_table_offset.is_multiple_of(4096),
            "chunk_table_offset",
            self.chunk_table_offset,
            "a multiple of 4096",
        )?;
        at.require(
            self.chunk_table_size
                .is_multiple_of(u64_from(ChunkRecord::LEN)),
            "chunk_table_size",
            self.chunk_table_size,
            "a multiple of 80",
        )?;
        at.require(
            self.prefetch_table_offset.is_multiple_of(8),
            "prefetch_table_offset",
            self.prefetch_table_offset,
            "a multiple of 8",
        )?;
        at.require(
            self.prefetch_table_size.is_multiple_of(4),
            "prefetch_table_size",
            self.prefetch_table_size,
            "a multiple of 4",
        )
    }

    pub(crate) fn to_raw(self) -> RawExtSuperblock {
        let mut raw = RawExtSuperblock::new_zeroed();
        raw.flags = self.flags.bits().into();
        raw.blob_table_offset = self.blob_table_offset.into();
        raw.blob_table_size = self.blob_table_size.into();
        raw.chunk_size = self.chunk_size.into();
        raw.chunk_table_offset = self.chunk_table_offset.into();
        raw.chunk_table_size = self.chunk_table_size.into();
        raw.prefetch_table_offset = self.prefetch_table_offset.into();
        raw.prefetch_table_size = self.prefetch_table_size.into();
        raw
    }
}
