//! One batch: chunks that are compressed together.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::chunk_info::MAX_CHUNK_LEN;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawBatchContext {
    compressed_size: U32,
    uncompressed_batch_size: U32,
    reserved: [u8; 32],
}

const _: () = assert!(size_of::<RawBatchContext>() == BatchContext::LEN);

/// Small chunks that are compressed as one, 40 bytes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | compressed_size | stored bytes, not 0, at most as many as the next |
/// | 4 | 4 | uncompressed_batch_size | plain bytes, not 0, at most 2^24; if equal, the batch is not compressed |
/// | 8 | 32 | reserved | 0, not read |
///
/// Contexts follow the entries of the [chunk information](super::chunk_info_v2). Where a batch begins in the blob, each
/// of its chunks says. At most eight hold the same stored bytes, of which writers need one.
///
/// Source: nydus v2, `storage/src/meta/batch.rs` (`BatchInflateContext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BatchContext {
    /// Stored bytes.
    pub stored_len: u32,
    /// Plain bytes: those of its chunks, end to end.
    pub len: u32,
}

/// What is wrong with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchFault {
    /// There are no bytes in it, or more than compression may leave, or than readers take.
    #[error(
        "a batch of {stored_len} stored and {len} plain bytes; must be 1 to the plain ones, and those at most 2^24"
    )]
    Len {
        /// Stored bytes.
        stored_len: u32,
        /// Plain bytes.
        len: u32,
    },
    /// The stored bytes end after the chunk data section.
    #[error("stored bytes that end at {end}, past the data section of {data_len} bytes")]
    BeyondData {
        /// End of the stored bytes.
        end: u64,
        /// Length of the data section in bytes.
        data_len: u64,
    },
    /// No chunk is in it, so that nothing tells where it is.
    #[error("no chunk is in it")]
    Unused,
    /// Unused bytes are set, which every writer leaves 0. Readers ignore them.
    #[error("reserved bytes are set")]
    Reserved,
}

impl BatchContext {
    /// Size of a context in bytes.
    pub const LEN: usize = 40;

    /// Reads a context. Whether it fits its blob is another question, see [`check`](Self::check).
    ///
    /// ```
    /// use lazyoci_rafs_format::blob::BatchContext;
    /// let mut context = BatchContext::default();
    /// (context.stored_len, context.len) = (300, 1_000);
    /// assert_eq!(BatchContext::from_bytes(&context.to_bytes()), context);
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: &RawBatchContext = zerocopy::transmute_ref!(bytes);
        Self {
            stored_len: raw.compressed_size.get(),
            len: raw.uncompressed_batch_size.get(),
        }
    }

    /// The context as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut raw = RawBatchContext::new_zeroed();
        raw.compressed_size = self.stored_len.into();
        raw.uncompressed_batch_size = self.len.into();
        zerocopy::transmute!(raw)
    }

    /// Whether the stored bytes are compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.stored_len != self.len
    }

    /// Checks a batch that begins at byte `offset` of the blob, whose chunk data take `data_len` bytes.
    ///
    /// # Errors
    /// The first [`BatchFault`] found.
    pub fn check(&self, offset: u64, data_len: u64) -> Result<(), BatchFault> {
        let &Self { stored_len, len } = self;
        if stored_len == 0 || stored_len > len || len > MAX_CHUNK_LEN {
            return Err(BatchFault::Len { stored_len, len });
        }
        let end = offset.saturating_add(stored_len.into());
        if end > data_len {
            return Err(BatchFault::BeyondData { end, data_len });
        }
        Ok(())
    }
}
