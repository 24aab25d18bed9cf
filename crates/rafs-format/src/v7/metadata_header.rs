//! The header of the blob metadata.

use image_model::width::u64_from;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::BLOCK;
use super::error::{At, V7Error};

#[derive(Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawMetadataHeader {
    magic: [u8; 8],
    feature_compat: U32,
    feature_incompat: U32,
    crc32: U32,
    table_count: U16,
    reserved: [u8; 2],
}

const _: () = assert!(size_of::<RawMetadataHeader>() == MetadataHeader::LEN);

/// First byte of the checksum in the header, and the first one after it.
const CRC32: (usize, usize) = (16, 20);

/// The blob holds data of an upper layer alone, and no bootstrap.
const INCREMENTAL: u32 = 1;

/// The header of the blob metadata, 24 bytes; [tables](super::TableHeader) follow.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 8 | magic | `NDBLMETA` |
/// | 8 | 4 | feature_compat | features that readers need not know |
/// | 12 | 4 | feature_incompat | 1: an upper layer's data, without a bootstrap; others are refused |
/// | 16 | 4 | crc32 | CRC-32C of all blob metadata, with 0 for this field |
/// | 20 | 2 | table_count | tables that follow |
/// | 22 | 2 | reserved | 0, not read |
///
/// Source: the crate nydus-format 3.0.0-beta.2, `blob/metadata.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataHeader {
    /// Features that readers need not know.
    pub feature_compat: u32,
    /// Features that readers must know.
    pub feature_incompat: u32,
    /// Tables that follow.
    pub table_count: u16,
}

impl MetadataHeader {
    /// Length of the header in bytes.
    pub const LEN: usize = 24;
    /// Its first bytes.
    pub const MAGIC: [u8; 8] = *b"NDBLMETA";

    /// Reads the header of `metadata`, which are all blob metadata of a blob.
    ///
    /// # Errors
    /// [`V7Error`] if magic, checksum or features are wrong, or `metadata` are not whole blocks.
    pub fn read(metadata: &[u8]) -> Result<Self, V7Error> {
        let structure = "blob metadata";
        let at = At::new(structure, 0);
        let len = u64_from(metadata.len());
        let rule = "a multiple of 4096";
        at.require(len & BLOCK.saturating_sub(1) == 0, "length", len, rule)?;
        let Some((header, tables)) = metadata.split_first_chunk::<{ Self::LEN }>() else {
            return Err(V7Error::Truncated {
                structure,
                offset: 0,
                len: u64_from(Self::LEN),
                available: len,
            });
        };
        let raw: &RawMetadataHeader = zerocopy::transmute_ref!(header);
        let magic = u64::from_le_bytes(raw.magic);
        at.require(raw.magic == Self::MAGIC, "magic", magic, "`NDBLMETA`")?;
        let mut unsealed = *header;
        unsealed[CRC32.0..CRC32.1].fill(0);
        let expected = verify::crc32c_append(verify::crc32c(&unsealed), tables);
        let found = raw.crc32.get();
        if expected != found {
            return Err(V7Error::Checksum {
                structure,
                expected,
                found,
            });
        }
        let header = Self {
            feature_compat: raw.feature_compat.get(),
            feature_incompat: raw.feature_incompat.get(),
            table_count: raw.table_count.get(),
        };
        match header.feature_incompat & !INCREMENTAL {
            0 => Ok(header),
            _ => Err(at.unsupported("features that are not known")),
        }
    }

    /// Whether the blob holds data of an upper layer alone.
    #[must_use]
    pub const fn is_incremental(&self) -> bool {
        self.feature_incompat & INCREMENTAL != 0
    }
}
