//! The superblock.

use std::ops::Range;

use image_model::width::u64_from;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::inode_table;
use super::prefetch_table;
use crate::error::{At, DecodeError};
use crate::flags::SuperFlags;
use crate::v6::is_chunk_size;
use crate::view;

/// Length of the superblock in bytes.
pub(crate) const LEN: u64 = 8192;
/// Length of the meaningful part of the superblock, in bytes.
pub(crate) const USED_LEN: u64 = 80;

const MAGIC: u32 = 0x5241_4653;
const VERSION: u32 = 0x500;

/// The meaningful part of the superblock.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawSuperblock {
    magic: U32,
    version: U32,
    sb_size: U32,
    block_size: U32,
    flags: U64,
    inodes_count: U64,
    inode_table_offset: U64,
    prefetch_table_offset: U64,
    blob_table_offset: U64,
    inode_table_entries: U32,
    prefetch_table_entries: U32,
    blob_table_size: U32,
    extended_blob_table_entries: U32,
    extended_blob_table_offset: U64,
}

const _: () = assert!(u64_from(size_of::<RawSuperblock>()) == USED_LEN);
const _: () = assert!(std::mem::offset_of!(RawSuperblock, inode_table_entries) == 56);

/// The superblock, 8192 bytes at byte 0.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | magic | `0x52414653` |
/// | 4 | 4 | version | `0x500` |
/// | 8 | 4 | sb_size | 8192 |
/// | 12 | 4 | block_size | bytes of a chunk; a power of two, 4096 to 16 MiB |
/// | 16 | 8 | flags | [`SuperFlags`] |
/// | 24 | 8 | inodes_count | distinct inodes, at most inode_table_entries; nydus 2.2 does not count the root |
/// | 32 | 8 | inode_table_offset | byte; a multiple of 8, at least 8192 |
/// | 40 | 8 | prefetch_table_offset | byte; a multiple of 8 |
/// | 48 | 8 | blob_table_offset | byte; a multiple of 8 |
/// | 56 | 4 | inode_table_entries | names; less than 2^29 |
/// | 60 | 4 | prefetch_table_entries | 0 if there is no table |
/// | 64 | 4 | blob_table_size | bytes, a multiple of 8; may be 0 |
/// | 68 | 4 | extended_blob_table_entries | one a blob, or 0 |
/// | 72 | 8 | extended_blob_table_offset | byte; a multiple of 8 |
/// | 80 | 8112 | reserved | 0, not read |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5SuperBlock`). An unknown flag makes every
/// reader refuse the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superblock {
    /// Bytes of a chunk that is not its file's last.
    pub chunk_size: u32,
    /// What holds for the whole image.
    pub flags: SuperFlags,
    /// Distinct inodes.
    pub inodes_count: u64,
    /// First byte of the inode table.
    pub inode_table_offset: u64,
    /// Entries of the inode table: names.
    pub inode_table_entries: u32,
    /// First byte of the prefetch table.
    pub prefetch_table_offset: u64,
    /// Entries of the prefetch table.
    pub prefetch_table_entries: u32,
    /// First byte of the blob table.
    pub blob_table_offset: u64,
    /// Length of the blob table in bytes.
    pub blob_table_size: u32,
    /// First byte of the extended blob table.
    pub extended_blob_table_offset: u64,
    /// Entries of the extended blob table.
    pub extended_blob_table_entries: u32,
}

/// Whether a superblock of version 5 begins there.
pub(crate) fn is_rafs_v5(raw: &RawSuperblock) -> bool {
    raw.magic.get() == MAGIC && raw.version.get() == VERSION
}

impl Superblock {
    /// Bytes of the inode table, without those that fill it up.
    #[must_use]
    pub fn inode_table(&self) -> Range<u64> {
        let len = inode_table::len(self.inode_table_entries);
        self.inode_table_offset..self.inode_table_offset.saturating_add(len)
    }

    /// Bytes of the prefetch table, without those that fill it up; empty if there is none.
    #[must_use]
    pub fn prefetch_table(&self) -> Range<u64> {
        let len = prefetch_table::len(self.prefetch_table_entries);
        self.prefetch_table_offset..self.prefetch_table_offset.saturating_add(len)
    }

    /// Length of the blob table in bytes.
    #[must_use]
    pub fn blob_table(&self) -> Range<u64> {
        let len = u64::from(self.blob_table_size);
        self.blob_table_offset..self.blob_table_offset.saturating_add(len)
    }

    /// Length of the extended blob table in bytes.
    #[must_use]
    pub fn extended_blob_table(&self) -> Range<u64> {
        let len = u64::from(self.extended_blob_table_entries)
            .saturating_mul(u64_from(super::ExtBlobEntry::LEN));
        self.extended_blob_table_offset..self.extended_blob_table_offset.saturating_add(len)
    }

    pub(crate) fn from_raw(raw: &RawSuperblock) -> Result<Self, DecodeError> {
        let at = At::new("superblock", 0);
        let rule = "0x52414653 and 0x500 for RAFS v5";
        at.require(raw.magic.get() == MAGIC, "magic", raw.magic, rule)?;
        at.require(raw.version.get() == VERSION, "version", raw.version, rule)?;
        let size = raw.sb_size.get();
        at.require(u64::from(size) == LEN, "sb_size", size, "8192")?;
        let superblock = Self {
            chunk_size: raw.block_size.get(),
            flags: at.flags(SuperFlags::from_raw(raw.flags.get()))?,
            inodes_count: raw.inodes_count.get(),
            inode_table_offset: raw.inode_table_offset.get(),
            inode_table_entries: raw.inode_table_entries.get(),
            prefetch_table_offset: raw.prefetch_table_offset.get(),
            prefetch_table_entries: raw.prefetch_table_entries.get(),
            blob_table_offset: raw.blob_table_offset.get(),
            blob_table_size: raw.blob_table_size.get(),
            extended_blob_table_offset: raw.extended_blob_table_offset.get(),
            extended_blob_table_entries: raw.extended_blob_table_entries.get(),
        };
        superblock.check(at)?;
        Ok(superblock)
    }

    fn check(&self, at: At) -> Result<(), DecodeError> {
        let rule = "a power of two, 4096 to 16 MiB";
        let size = self.chunk_size;
        at.require(is_chunk_size(size), "block_size", size, rule)?;
        let entries = self.inode_table_entries;
        let rule = "1 to 2^29 - 1";
        at.require(
            (1..1 << 29).contains(&entries),
            "inode_table_entries",
            entries,
            rule,
        )?;
        let rule = "at most inode_table_entries";
        at.require(
            self.inodes_count <= entries.into(),
            "inodes_count",
            self.inodes_count,
            rule,
        )?;
        for (field, offset) in [
            ("inode_table_offset", self.inode_table_offset),
            ("prefetch_table_offset", self.prefetch_table_offset),
            ("blob_table_offset", self.blob_table_offset),
            (
                "extended_blob_table_offset",
                self.extended_blob_table_offset,
            ),
        ] {
            at.require(offset.is_multiple_of(8), field, offset, "a multiple of 8")?;
        }
        let size = self.blob_table_size;
        at.require(
            size.is_multiple_of(8),
            "blob_table_size",
            size,
            "a multiple of 8",
        )
    }

    /// The tables, each with what it is called, and without those that are empty.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&'static str, Range<u64>)> {
        let padded = |range: Range<u64>| range.start..view::align(range.end, 8);
        [
            ("superblock", 0..LEN),
            ("inode table", padded(self.inode_table())),
            ("prefetch table", padded(self.prefetch_table())),
            ("blob table", self.blob_table()),
            ("extended blob table", self.extended_blob_table()),
        ]
        .into_iter()
        .filter(|(_, range)| !range.is_empty())
    }

    /// The superblock as stored, but for the zeros after it.
    pub(crate) fn to_raw(self) -> RawSuperblock {
        let mut raw = RawSuperblock::new_zeroed();
        raw.magic = MAGIC.into();
        raw.version = VERSION.into();
        // 8192.
        raw.sb_size = 0x2000.into();
        raw.block_size = self.chunk_size.into();
        raw.flags = self.flags.bits().into();
        raw.inodes_count = self.inodes_count.into();
        raw.inode_table_offset = self.inode_table_offset.into();
        raw.prefetch_table_offset = self.prefetch_table_offset.into();
        raw.blob_table_offset = self.blob_table_offset.into();
        raw.inode_table_entries = self.inode_table_entries.into();
        raw.prefetch_table_entries = self.prefetch_table_entries.into();
        raw.blob_table_size = self.blob_table_size.into();
        raw.extended_blob_table_entries = self.extended_blob_table_entries.into();
        raw.extended_blob_table_offset = self.extended_blob_table_offset.into();
        raw
    }
}
