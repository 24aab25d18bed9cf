//! Chunks that share batches.

use image_model::Codec;

use super::batch_context::BatchContext;
use super::build_error::BuildError;
use super::builder::{BatchedChunk, BlobBuilder, Placement};
use super::chunk_info::{ChunkExtra, ChunkInfo, MAX_STORED_OFFSET};

impl BlobBuilder {
    /// Whether a file of `len` bytes goes into a batch; a short one does not begin one that is encrypted.
    #[must_use]
    pub fn shares_batch(&self, len: u32) -> bool {
        // An encrypted batch of fewer than 16 bytes is padded, which nydus refuses, and one of 18 may look so.
        let begins = self.batch_len == 0 && self.options.key.is_some();
        len < self.options.batch_size / 2 && !(begins && len <= 18)
    }

    /// Whether a chunk of `len` bytes fits in the batch that has begun.
    #[must_use]
    pub fn fits_batch(&self, len: u32) -> bool {
        u64::from(self.batch_len) + u64::from(len) < u64::from(self.options.batch_size)
    }

    /// Plain bytes of the batch that has begun; 0 if none has.
    #[must_use]
    pub fn batch_len(&self) -> u32 {
        self.batch_len
    }

    /// Adds a chunk to the batch that has begun, or begins one with it. The caller keeps its bytes. After an error the
    /// builder is as it was.
    ///
    /// # Errors
    /// [`BuildError::TooManyChunks`], [`BuildError::TooLarge`] when the blob is full; [`BuildError::Digest`];
    /// [`BuildError::Chunk`]; [`BuildError::NotBatched`] if it does not [share](Self::shares_batch) batches, or does
    /// not [fit](Self::fits_batch).
    pub fn push_batched(&mut self, chunk: &BatchedChunk) -> Result<Placement, BuildError> {
        let &BatchedChunk { len, digest } = chunk;
        let index = self.next_index()?;
        self.check_plain(len, digest)?;
        if !self.shares_batch(len) || !self.fits_batch(len) {
            return Err(BuildError::NotBatched {
                len,
                batch_size: self.options.batch_size,
                batch_len: self.batch_len,
            });
        }
        let (offset, address_end) = (self.offset, self.address_end(len)?);
        let address = self.add(ChunkInfo {
            address: self.address,
            len,
            offset,
            stored_len: 0,
            // Whatever becomes of the batch.
            compressed: true,
            encrypted: self.options.key.is_some(),
            extra: ChunkExtra::Batch {
                context: self.batches.len() as u32,
                offset: self.batch_len,
            },
        })?;
        self.batch_len += len;
        self.note(digest, offset, address_end);
        Ok(Placement {
            index,
            offset,
            padding: 0,
            address,
        })
    }

    /// Ends the batch that has begun, and is stored as `stored_len` bytes of `codec`: the blob's compressor, or none if
    /// that did not help. After an error the builder is as it was.
    ///
    /// # Errors
    /// [`BuildError::OpenBatch`] if none has begun; [`BuildError::Batch`], [`BuildError::TooLarge`].
    pub fn end_batch(&mut self, stored_len: u32, codec: Codec) -> Result<BatchContext, BuildError> {
        let (index, len) = (self.batches.len() as u32, self.batch_len);
        if len == 0 {
            return Err(BuildError::OpenBatch { index, len });
        }
        let compressor = self.options.compressor;
        let context = BatchContext { stored_len, len };
        let known = match context.is_compressed() {
            true => codec != Codec::None && codec == compressor.into(),
            false => codec == Codec::None,
        };
        if !known {
            return Err(BuildError::Codec {
                index: self.chunk_count.saturating_sub(1),
                codec,
                compressor,
            });
        }
        let end = self.stored_end(stored_len.into())?;
        let checked = context.check(self.offset, MAX_STORED_OFFSET);
        checked.map_err(|fault| BuildError::Batch { index, fault })?;
        self.batches.push(context);
        (self.offset, self.batch_len) = (end, 0);
        Ok(context)
    }

    /// Fails if a batch has begun.
    pub(super) fn check_no_batch(&self) -> Result<(), BuildError> {
        match self.batch_len {
            0 => Ok(()),
            len => Err(BuildError::OpenBatch {
                index: self.batches.len() as u32,
                len,
            }),
        }
    }

    pub(super) fn has_batches(&self) -> bool {
        self.options.batch_size > 0
    }
}
