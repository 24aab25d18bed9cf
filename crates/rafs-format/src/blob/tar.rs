//! Describing a plain tar that stays as it is, in tarfs mode, where nothing but the bootstrap describes it.

use image_model::{BlobId, BlobIndex, Digest, Frame, RecipeId};

use super::build_error::BuildError;
use super::chunk_info::{ChunkFault, MAX_CHUNKS, MAX_STORED_OFFSET};
use crate::flags::{BlobFeatures, Cipher, Compressor, Digester};
use crate::v6::{BlobEntry, ChunkPlace, is_chunk_size};

/// Bytes of a sector: content begins at multiples of this, and the kernel reads no part of one.
const SECTOR: u64 = 512;

/// Describes a plain tar by the chunks of its files, in the order of the tar: where each is in it, and nothing else. A
/// bootstrap in [tarfs mode](crate::layout::LayoutOptions::tarfs) refers to the tar by its digest.
///
/// ```
/// use lazyoci_rafs_format::blob::TarBuilder;
///
/// let mut builder = TarBuilder::new(1 << 20)?;
/// let (frame, place) = builder.push(512, 1_000)?;
/// assert_eq!((frame.offset, place.address, place.index), (512, 512, 0));
/// let entry = builder.finish(verify::sha256(b"the tar"), 2_560)?.ok_or("no chunks")?;
/// assert_eq!((entry.chunk_count, entry.compressed_size), (1, 2_560));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TarBuilder {
    chunk_size: u32,
    chunk_count: u32,
    /// The first byte after the sectors of all chunks.
    end: u64,
}

impl TarBuilder {
    /// Starts on a tar whose files are cut into chunks of `chunk_size` bytes.
    ///
    /// # Errors
    /// [`BuildError::ChunkSize`].
    pub fn new(chunk_size: u32) -> Result<Self, BuildError> {
        if !is_chunk_size(chunk_size) {
            return Err(BuildError::ChunkSize { chunk_size });
        }
        Ok(Self {
            chunk_size,
            chunk_count: 0,
            end: 0,
        })
    }

    /// Adds the chunk of `len` bytes at byte `offset` of the tar, after all others; returns it as a frame of the image's
    /// first blob, and its place.
    ///
    /// # Errors
    /// [`BuildError::TooManyChunks`], [`BuildError::TooLarge`] when the blob is full; [`BuildError::Chunk`] if the chunk is
    /// empty or too long, does not begin a sector, or begins before the end of the last one.
    pub fn push(&mut self, offset: u64, len: u32) -> Result<(Frame, ChunkPlace), BuildError> {
        let index = self.chunk_count;
        let fault = |fault| BuildError::Chunk { index, fault };
        if index >= MAX_CHUNKS {
            return Err(BuildError::TooManyChunks { limit: MAX_CHUNKS });
        }
        if len == 0 || len > self.chunk_size {
            return Err(fault(ChunkFault::Len { len }));
        }
        if !offset.is_multiple_of(SECTOR) || offset < self.end {
            return Err(fault(ChunkFault::Order));
        }
        if offset >= MAX_STORED_OFFSET {
            return Err(too_large());
        }
        self.end = offset + u64::from(len).next_multiple_of(SECTOR);
        self.chunk_count = index + 1;
        let frame = Frame {
            blob: BlobIndex(0),
            offset,
            stored_len: len,
            len,
            recipe: RecipeId(0),
        };
        let address = offset;
        let place = ChunkPlace {
            index,
            address,
            in_batch: false,
        };
        Ok((frame, place))
    }

    /// The entry for the blob table of the tar of `len` bytes that has the digest `tar`; `None` if no chunk is in it.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] if it is too long; [`BuildError::Sector`] if it ends before the sectors of its chunks do.
    pub fn finish(self, tar: Digest, len: u64) -> Result<Option<BlobEntry>, BuildError> {
        if self.chunk_count == 0 {
            return Ok(None);
        }
        if len > MAX_STORED_OFFSET {
            return Err(too_large());
        }
        if len < self.end {
            let end = self.end;
            return Err(BuildError::Sector { end, len });
        }
        Ok(Some(BlobEntry {
            id: BlobId::new(tar.hex().as_bytes()).expect("64 hex digits name a blob"),
            chunk_size: self.chunk_size,
            chunk_count: self.chunk_count,
            compressor: Compressor::None,
            digester: Digester::Sha256,
            features: BlobFeatures::TARFS | BlobFeatures::CAP_TAR_TOC,
            compressed_size: len,
            uncompressed_size: len,
            toc_size: 0,
            toc_digest: [0; 32],
            // What nydus-builder names where there is no chunk information.
            ci_compressor: Compressor::Lz4Block,
            ci_offset: 0,
            ci_compressed_size: 0,
            ci_uncompressed_size: 0,
            meta_digest: [0; 32],
            meta_size: 0,
            cipher_iv: 0,
            cipher: Cipher::None,
        }))
    }
}

fn too_large() -> BuildError {
    BuildError::TooLarge {
        what: "stored bytes",
        limit: MAX_STORED_OFFSET,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_lie_in_sectors_is_refused() {
        let mut builder = TarBuilder::new(4096).unwrap();
        let refused = |builder: &mut TarBuilder, offset, len| match builder.push(offset, len) {
            Err(BuildError::Chunk { index, fault }) => (index, fault),
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&mut builder, 511, 1), (0, ChunkFault::Order));
        let empty = ChunkFault::Len { len: 0 };
        assert_eq!(refused(&mut builder, 512, 0), (0, empty));
        let long = ChunkFault::Len { len: 4097 };
        assert_eq!(refused(&mut builder, 512, 4097), (0, long));
        builder.push(512, 513).unwrap();
        assert_eq!(refused(&mut builder, 1024, 1), (1, ChunkFault::Order));
        builder.push(1536, 4096).unwrap();
        let limit = 1 << 40;
        let what = "stored bytes";
        let too_large = BuildError::TooLarge { what, limit };
        assert_eq!(builder.push(limit, 1), Err(too_large.clone()));
        let digest = verify::sha256(b"");
        let cut = BuildError::Sector {
            end: 5632,
            len: 5631,
        };
        assert_eq!(builder.clone().finish(digest, 5631), Err(cut));
        assert_eq!(builder.clone().finish(digest, limit + 1), Err(too_large));
        let entry = builder.finish(digest, 5632).unwrap().unwrap();
        assert_eq!((entry.chunk_count, entry.uncompressed_size), (2, 5632));
        let none = TarBuilder::new(4096).unwrap().finish(digest, 1024);
        assert_eq!(none, Ok(None));
        let chunk_size = 4095;
        let error = TarBuilder::new(chunk_size).unwrap_err();
        assert_eq!(error, BuildError::ChunkSize { chunk_size });
    }
}
