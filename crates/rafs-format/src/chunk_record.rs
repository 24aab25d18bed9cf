//! The 80-byte record of one chunk: entry of the v6 chunk table, and part of v5 inodes.

use std::ops::BitOr;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawChunkRecord {
    block_id: [u8; 32],
    blob_index: U32,
    flags: U32,
    compressed_size: U32,
    uncompressed_size: U32,
    compressed_offset: U64,
    uncompressed_offset: U64,
    file_offset: U64,
    index: U32,
    crc32: U32,
}

const _: () = assert!(size_of::<RawChunkRecord>() == ChunkRecord::LEN);
const _: () = assert!(std::mem::offset_of!(RawChunkRecord, compressed_offset) == 48);

/// How a chunk is stored.
///
/// | bit | flag |
/// |---|---|
/// | `0x1` | compressed with the blob's compressor |
/// | `0x2` | hole, never written |
/// | `0x4` | encrypted with the blob's cipher |
/// | `0x8` | part of a batch |
/// | `0x10` | the record has a CRC-32C (not before nydus 2.3) |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ChunkFlags(u32);

impl ChunkFlags {
    /// Compressed with the blob's compressor.
    pub const COMPRESSED: Self = Self(0x1);
    /// A hole; no builder writes it.
    pub const HOLE: Self = Self(0x2);
    /// Encrypted with the blob's cipher.
    pub const ENCRYPTED: Self = Self(0x4);
    /// Part of a batch.
    pub const BATCH: Self = Self(0x8);
    /// The record has a CRC-32C of the plain bytes.
    pub const HAS_CRC32: Self = Self(0x10);

    /// Flags out of their word; unknown ones are kept.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The word as stored.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other`'s bits are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ChunkFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The record of one chunk, 80 bytes.
///
/// | offset | size | field | unit and meaning |
/// |---|---|---|---|
/// | 0 | 32 | block_id | digest of the plain bytes |
/// | 32 | 4 | blob_index | position in the blob table |
/// | 36 | 4 | flags | [`ChunkFlags`] |
/// | 40 | 4 | compressed_size | stored bytes; 0 in a batch |
/// | 44 | 4 | uncompressed_size | plain bytes, 1 to the chunk size |
/// | 48 | 8 | compressed_offset | byte in the blob |
/// | 56 | 8 | uncompressed_offset | byte in the blob's uncompressed address space |
/// | 64 | 8 | file_offset | byte in the file that used the chunk last |
/// | 72 | 4 | index | position among the blob's chunks |
/// | 76 | 4 | crc32 | CRC-32C of the plain bytes, with HAS_CRC32 |
/// Any bytes are a record; users check it against its blob.
///
/// Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5ChunkInfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRecord {
    /// Digest of the plain bytes.
    pub digest: [u8; 32],
    /// Position of the blob in the blob table.
    pub blob_index: u32,
    /// How the chunk is stored.
    pub flags: ChunkFlags,
    /// Stored bytes.
    pub compressed_size: u32,
    /// Plain bytes.
    pub uncompressed_size: u32,
    /// First stored byte in the blob.
    pub compressed_offset: u64,
    /// First byte in the blob's uncompressed address space.
    pub uncompressed_offset: u64,
    /// First byte in a file that uses the chunk.
    pub file_offset: u64,
    /// Position among the blob's chunks.
    pub index: u32,
    /// CRC-32C of the plain bytes, if the flags say so; else 0.
    pub crc32: u32,
}

impl ChunkRecord {
    /// Size of a record in bytes.
    pub const LEN: usize = 80;

    /// Reads a record.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: RawChunkRecord = zerocopy::transmute!(*bytes);
        Self {
            digest: raw.block_id,
            blob_index: raw.blob_index.get(),
            flags: ChunkFlags(raw.flags.get()),
            compressed_size: raw.compressed_size.get(),
            uncompressed_size: raw.uncompressed_size.get(),
            compressed_offset: raw.compressed_offset.get(),
            uncompressed_offset: raw.uncompressed_offset.get(),
            file_offset: raw.file_offset.get(),
            index: raw.index.get(),
            crc32: raw.crc32.get(),
        }
    }

    /// The record as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawChunkRecord::new_zeroed();
        raw.block_id = self.digest;
        raw.blob_index = self.blob_index.into();
        raw.flags = self.flags.0.into();
        raw.compressed_size = self.compressed_size.into();
        raw.uncompressed_size = self.uncompressed_size.into();
        raw.compressed_offset = self.compressed_offset.into();
        raw.uncompressed_offset = self.uncompressed_offset.into();
        raw.file_offset = self.file_offset.into();
        raw.index = self.index.into();
        raw.crc32 = self.crc32.into();
        zerocopy::transmute!(raw)
    }
}
