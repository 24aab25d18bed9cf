//! The section of chunk digests.

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm};

use super::error::{BlobError, check_given};

/// Size of a digest in bytes.
pub(super) const LEN: usize = 32;

/// The section `blob.digest`: 32 bytes per chunk, in index order, neither compressed nor encrypted.
/// A blob that has it has the feature
/// [`INLINED_CHUNK_DIGEST`](crate::flags::BlobFeatures::INLINED_CHUNK_DIGEST).
///
/// Source: nydus v2, `builder/src/core/blob.rs`.
#[derive(Debug, Clone)]
pub struct ChunkDigests {
    bytes: Bytes,
    algorithm: DigestAlgorithm,
}

impl ChunkDigests {
    /// Takes the bytes of the section for the digests of `chunk_count` chunks. They are best taken
    /// out of the blob by the TOC, which vouches for them.
    ///
    /// # Errors
    /// [`BlobError::Given`] if their number is another one.
    pub fn new(
        bytes: Bytes,
        algorithm: DigestAlgorithm,
        chunk_count: u32,
    ) -> Result<Self, BlobError> {
        let expected = u64::from(chunk_count).saturating_mul(u64_from(LEN));
        check_given("chunk digests", expected, &bytes)?;
        Ok(Self { bytes, algorithm })
    }

    /// The digest of the chunk at `index`; `None` after the last.
    #[must_use]
    pub fn digest(&self, index: u32) -> Option<Digest> {
        let (digests, _) = self.bytes.as_chunks();
        let digest = digests.get(usize::try_from(index).ok()?)?;
        Some(Digest::new(self.algorithm, *digest))
    }
}
