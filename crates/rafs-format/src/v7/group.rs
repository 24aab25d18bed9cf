//! Groups of chunks: what is compressed as one.

use std::ops::Range;

use image_model::{Codec, Digest};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::redirect::Redirect;

#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawGroupEntry {
    compressed_offset: U64,
    logical_block_offset: U32,
    first_chunk_index: U32,
    uncompressed_size: U32,
    uncompressed_crc32: U32,
}

const _: () = assert!(size_of::<RawGroupEntry>() == GroupEntry::LEN);

/// An entry of the table of groups, 24 bytes. A group ends where the next entry says that one begins; the last entry
/// is no group, and has the ends of the last one.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 8 | compressed_offset | first stored byte in the data |
/// | 8 | 4 | logical_block_offset | first block of 4096 bytes in the address space |
/// | 12 | 4 | first_chunk_index | first of its chunks in the table of their lengths |
/// | 16 | 4 | uncompressed_size | bytes of its chunks, which follow one another; last entry: 0, not read |
/// | 20 | 4 | uncompressed_crc32 | CRC-32C of these; last entry: 0, not read |
///
/// In the address space each chunk begins at a block of its own. Source: the crate nydus-format 3.0.0-beta.2,
/// `blob/metadata.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupEntry {
    /// First stored byte in the data.
    pub stored_offset: u64,
    /// First block in the address space.
    pub block: u32,
    /// First chunk.
    pub chunk: u32,
    /// Decoded bytes.
    pub len: u32,
    /// CRC-32C of the decoded bytes.
    pub crc32c: u32,
}

impl GroupEntry {
    /// Length of an entry in bytes.
    pub const LEN: usize = 24;

    /// Reads an entry.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: &RawGroupEntry = zerocopy::transmute_ref!(bytes);
        Self {
            stored_offset: raw.compressed_offset.get(),
            block: raw.logical_block_offset.get(),
            chunk: raw.first_chunk_index.get(),
            len: raw.uncompressed_size.get(),
            crc32c: raw.uncompressed_crc32.get(),
        }
    }
}

/// A group of chunks, which was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Where its stored bytes are in the blob.
    pub stored: Range<u64>,
    /// Decoded bytes.
    pub len: u32,
    /// How it is compressed.
    pub codec: Codec,
    /// Its blocks in the address space.
    pub blocks: Range<u32>,
    /// Its chunks.
    pub chunks: Range<u32>,
    /// CRC-32C of the decoded bytes.
    pub crc32c: u32,
    /// Digest of the decoded bytes, if the blob has digests.
    pub digest: Option<Digest>,
    /// The group of another blob that it is a copy of.
    pub redirect: Option<Redirect>,
}

impl Group {
    /// Whether it has one chunk alone.
    #[must_use]
    pub fn is_one_chunk(&self) -> bool {
        self.chunks.len() == 1
    }
}
