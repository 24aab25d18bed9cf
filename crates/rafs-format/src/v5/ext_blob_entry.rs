//! The extended blob table.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawExtBlobEntry {
    chunk_count: U32,
    features: U32,
    uncompressed_size: U64,
    compressed_size: U64,
    reserved: [u8; 40],
}

const _: () = assert!(size_of::<RawExtBlobEntry>() == ExtBlobEntry::LEN);

/// An entry of the extended blob table, 64 bytes, one for each blob, in the order of the blob table.
///
/// | offset | size | field | unit and meaning |
/// |---|---|---|---|
/// | 0 | 4 | chunk_count | chunks in the blob |
/// | 4 | 4 | features | [`BlobFeatures`](crate::flags::BlobFeatures); unknown bits are dropped |
/// | 8 | 8 | uncompressed_size | bytes of the uncompressed address space |
/// | 16 | 8 | compressed_size | bytes of the blob; with an inlined bootstrap, those before it |
/// | 24 | 40 | reserved | 0, not read |
///
/// Any bytes are an entry. Bootstraps of the first builders have no such table.
///
/// Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5ExtBlobEntry`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtBlobEntry {
    /// Chunks in the blob.
    pub chunk_count: u32,
    /// What the blob holds and how, as stored.
    pub features: u32,
    /// Bytes of the blob's uncompressed address space.
    pub uncompressed_size: u64,
    /// Bytes of the blob; of a blob with an inlined bootstrap those before it.
    pub compressed_size: u64,
}

impl ExtBlobEntry {
    /// Size of an entry in bytes.
    pub const LEN: usize = 64;

    /// Reads an entry.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: RawExtBlobEntry = zerocopy::transmute!(*bytes);
        Self {
            chunk_count: raw.chunk_count.get(),
            features: raw.features.get(),
            uncompressed_size: raw.uncompressed_size.get(),
            compressed_size: raw.compressed_size.get(),
        }
    }

    /// The entry as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawExtBlobEntry::new_zeroed();
        raw.chunk_count = self.chunk_count.into();
        raw.features = self.features.into();
        raw.uncompressed_size = self.uncompressed_size.into();
        raw.compressed_size = self.compressed_size.into();
        zerocopy::transmute!(raw)
    }
}
