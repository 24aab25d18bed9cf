//! The header of the chunk information (CI).

use std::ops::Range;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::error::BlobError;
use crate::flags::{BlobFeatures, Compressor};
use crate::v6::BlobEntry;

const MAGIC: u32 = 0xb10b_b10b;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawCiHeader {
    magic: U32,
    features: U32,
    ci_compressor: U32,
    ci_entries: U32,
    ci_offset: U64,
    ci_compressed_size: U64,
    ci_uncompressed_size: U64,
    context_offset: U64,
    context_size: U64,
    context_count: U32,
    reserved: [u8; 4032],
    magic2: U32,
}

const _: () = assert!(size_of::<RawCiHeader>() == CiHeader::LEN);
const _: () = assert!(std::mem::offset_of!(RawCiHeader, context_offset) == 40);
const _: () = assert!(std::mem::offset_of!(RawCiHeader, magic2) == 4092);

/// The 4096 bytes directly after the stored chunk information.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | magic | `0xb10bb10b` |
/// | 4 | 4 | features | [`BlobFeatures`] of the blob when this was written; readers pass them by |
/// | 8 | 4 | ci_compressor | [`Compressor`] of the CI, none if compression did not help |
/// | 12 | 4 | ci_entries | chunks |
/// | 16 | 8 | ci_offset | byte in the file |
/// | 24 | 8 | ci_compressed_size | bytes stored |
/// | 32 | 8 | ci_uncompressed_size | bytes, contexts included |
/// | 40 | 8 | context offset | zran and batch: byte in the plain CI where contexts begin, else 0 |
/// | 48 | 8 | context size | bytes; with zran, dictionaries included |
/// | 56 | 4 | context count | contexts |
/// | 60 | 4032 | reserved | 0, not read |
/// | 4092 | 4 | magic2 | `0xb10bb10b` |
///
/// Everything but the features and the contexts repeats the bootstrap's blob table, and must be
/// [equal](Self::check) to it. The features are
/// [compared](super::Sections::compare_features) by who looks closely: they differ where a later tool
/// changed the blob table. `merge` clears [`BlobFeatures::INLINED_FS_META`] there, so it is the blob that
/// tells it; a table made by `chunkdict generate` or `optimize` says anything.
///
/// Source: nydus v2, `storage/src/meta/mod.rs` (`BlobCompressionContextHeader`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CiHeader {
    /// Features of the blob. Unknown ones are kept: nobody decides anything by this word.
    pub features: u32,
    /// Compressor of the chunk information.
    pub compressor: Compressor,
    /// Chunks.
    pub entries: u32,
    /// First stored byte of the chunk information, from the start of the file.
    pub offset: u64,
    /// Stored bytes of the chunk information.
    pub stored_len: u64,
    /// Plain bytes of the chunk information.
    pub len: u64,
    /// Zran or batch contexts after the entries.
    pub contexts: Contexts,
}

/// Where the plain chunk information holds zran or batch contexts; all 0 if it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Contexts {
    /// First byte in the plain chunk information.
    pub offset: u64,
    /// Bytes; with zran, dictionaries included.
    pub len: u64,
    /// Contexts.
    pub count: u32,
}

impl CiHeader {
    /// Size of a header in bytes.
    pub const LEN: usize = 4096;
    /// Where the features are in it.
    pub const FEATURES: Range<u64> = 4..8;

    /// Reads a header.
    ///
    /// # Errors
    /// [`BlobError::HeaderMagic`]; [`BlobError::Flags`] if the compressor is unknown.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Result<Self, BlobError> {
        let raw: &RawCiHeader = zerocopy::transmute_ref!(bytes);
        for (offset, magic) in [(0, raw.magic), (4092, raw.magic2)] {
            let found = magic.get();
            if found != MAGIC {
                return Err(BlobError::HeaderMagic { offset, found });
            }
        }
        Ok(Self {
            features: raw.features.get(),
            compressor: Compressor::from_id(raw.ci_compressor.get())?,
            entries: raw.ci_entries.get(),
            offset: raw.ci_offset.get(),
            stored_len: raw.ci_compressed_size.get(),
            len: raw.ci_uncompressed_size.get(),
            contexts: Contexts {
                offset: raw.context_offset.get(),
                len: raw.context_size.get(),
                count: raw.context_count.get(),
            },
        })
    }

    /// Checks that there are contexts only of zran and batches.
    ///
    /// # Errors
    /// [`BlobError::Contexts`].
    pub fn check_contexts(&self) -> Result<(), BlobError> {
        let with_contexts = BlobFeatures::ZRAN.bits() | BlobFeatures::BATCH.bits();
        if self.features & with_contexts == 0 && self.contexts != Contexts::default() {
            return Err(BlobError::Contexts);
        }
        Ok(())
    }

    /// The header as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawCiHeader::new_zeroed();
        raw.magic = MAGIC.into();
        raw.features = self.features.into();
        raw.ci_compressor = self.compressor.id().into();
        raw.ci_entries = self.entries.into();
        raw.ci_offset = self.offset.into();
        raw.ci_compressed_size = self.stored_len.into();
        raw.ci_uncompressed_size = self.len.into();
        raw.context_offset = self.contexts.offset.into();
        raw.context_size = self.contexts.len.into();
        raw.context_count = self.contexts.count.into();
        raw.magic2 = MAGIC.into();
        zerocopy::transmute!(raw)
    }

    /// Compares the header with what the bootstrap's blob table says. The number of chunks of a
    /// generated chunk dictionary may differ.
    ///
    /// # Errors
    /// [`BlobError::Contradiction`] with the first difference.
    pub fn check(&self, blob: &BlobEntry) -> Result<(), BlobError> {
        let count = u64::from(self.entries);
        let expected_count = if blob.features.contains(BlobFeatures::IS_CHUNKDICT_GENERATED) {
            count
        } else {
            u64::from(blob.chunk_count)
        };
        let (compressor, expected_compressor) = (self.compressor.id(), blob.ci_compressor.id());
        let fields = [
            ("ci_entries", expected_count, count),
            (
                "ci_compressor",
                expected_compressor.into(),
                compressor.into(),
            ),
            ("ci_offset", blob.ci_offset, self.offset),
            (
                "ci_compressed_size",
                blob.ci_compressed_size,
                self.stored_len,
            ),
            ("ci_uncompressed_size", blob.ci_uncompressed_size, self.len),
        ];
        for (field, expected, found) in fields {
            if found != expected {
                return Err(BlobError::Contradiction {
                    field,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }
}
