//! Placing chunks in a new blob.

use image_model::{Codec, Digest, DigestAlgorithm};

use super::batch_context::BatchContext;
use super::build_error::BuildError;
use super::chunk_info::{
    ADDRESS_ALIGN, ChunkExtra, ChunkFault, ChunkInfo, MAX_ADDRESS, MAX_CHUNKS, MAX_STORED_OFFSET,
};
use super::options::BlobOptions;
use super::{chunk_info_v1, chunk_info_v2};
use crate::flags::Compressor;
use crate::native::padded_len;
use crate::v6::is_chunk_size;
use crate::version::Version;
use crate::view;

/// A chunk to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredChunk {
    /// Plain bytes, 1 to the chunk size.
    pub len: u32,
    /// Stored bytes: as many as [`len`](Self::len) if not compressed, else fewer. Encrypted at least 16, and 18 if there
    /// were fewer.
    pub stored_len: u32,
    /// The blob's compressor, or none if that did not help.
    pub codec: Codec,
    /// Digest of the plain bytes.
    pub digest: Digest,
    /// CRC-32C of the plain bytes, if it is known. Blobs with batches record it.
    pub crc32c: Option<u32>,
}

/// A chunk that shares a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchedChunk {
    /// Plain bytes, 1 to less than half of a batch.
    pub len: u32,
    /// Digest of the plain bytes.
    pub digest: Digest,
}

/// Where a chunk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Position among the blob's chunks.
    pub index: u32,
    /// First stored byte, from the start of the blob: the end of the bytes written so far.
    pub offset: u64,
    /// Zero bytes to write after the stored ones.
    pub padding: u32,
    /// First byte in the uncompressed address space.
    pub address: u64,
}

/// Builds a native blob: given each chunk in write order, it decides where the chunk goes, and
/// finally returns the bytes that complete the file.
///
/// The caller writes the chunks and hashes them with a [`BlobHasher`](super::BlobHasher). Chunks that share a
/// [batch](BlobOptions::batch_size) come by [`push_batched`](Self::push_batched), and
/// [`end_batch`](Self::end_batch) places them. Memory use is 16 bytes per chunk, 24 with batches, and 32 more with a TOC.
///
/// ```
/// use image_model::{Codec, DigestAlgorithm};
/// use lazyoci_rafs_format::blob::{BlobBuilder, BlobHasher, BlobOptions, StoredChunk};
/// use lazyoci_rafs_format::flags::{Compressor, Digester};
///
/// let options = BlobOptions::default()
///     .compressor(Compressor::None)
///     .digester(Digester::Sha256);
/// let mut builder = BlobBuilder::new(options)?;
/// let (mut file, mut hasher) = (Vec::new(), BlobHasher::default());
/// let content = b"hello";
/// let placement = builder.push(&StoredChunk {
///     len: 5,
///     stored_len: 5,
///     codec: Codec::None,
///     digest: verify::digest(DigestAlgorithm::Sha256, content)?,
///     crc32c: None,
/// })?;
/// file.extend(content);
/// hasher.update(content);
/// assert_eq!((placement.offset, placement.address), (0, 0));
///
/// let blob = builder.finish(hasher)?.expect("a chunk was stored");
/// file.extend(&blob.trailer);
/// assert_eq!(file.len() as u64, blob.len);
/// assert_eq!(verify::digest(DigestAlgorithm::Sha256, &file)?, blob.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct BlobBuilder {
    pub(super) options: BlobOptions,
    /// Entries of the chunk information.
    pub(super) entries: Vec<u8>,
    /// Digests of the chunks, if there is a TOC.
    pub(super) digests: Vec<u8>,
    pub(super) chunk_count: u32,
    /// End of the stored data.
    pub(super) offset: u64,
    /// End of the uncompressed address space.
    pub(super) address: u64,
    /// Batches that are stored.
    pub(super) batches: Vec<BatchContext>,
    /// Plain bytes of the batch that has begun; 0 if none has.
    pub(super) batch_len: u32,
}

impl BlobBuilder {
    /// Starts a blob.
    ///
    /// # Errors
    /// [`BuildError::Compressor`] for gzip, or for aligned data with any but none;
    /// [`BuildError::ChunkSize`]; [`BuildError::Version`] for a TOC or aligned data in version 5;
    /// [`BuildError::BatchSize`], [`BuildError::Excluded`].
    pub fn new(options: BlobOptions) -> Result<Self, BuildError> {
        let BlobOptions { version, toc, .. } = options;
        let beyond_v5 = [("a TOC", toc), ("aligned data", options.aligned_data)];
        if version == Version::V5
            && let Some((what, _)) = beyond_v5.into_iter().find(|(_, wanted)| *wanted)
        {
            return Err(BuildError::Version { version, what });
        }
        let compressor = options.compressor;
        let usable = match compressor {
            Compressor::None => true,
            Compressor::Lz4Block | Compressor::Zstd => !options.aligned_data,
            Compressor::Gzip => false,
        };
        if !usable {
            return Err(BuildError::Compressor { compressor });
        }
        let chunk_size = options.chunk_size;
        if !is_chunk_size(chunk_size) {
            return Err(BuildError::ChunkSize { chunk_size });
        }
        options.check_modes()?;
        Ok(Self {
            options,
            entries: Vec::new(),
            digests: Vec::new(),
            chunk_count: 0,
            offset: 0,
            address: 0,
            batches: Vec::new(),
            batch_len: 0,
        })
    }

    /// Chunks placed so far.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// Places the next chunk. After an error the builder is as it was.
    ///
    /// # Errors
    /// [`BuildError::TooManyChunks`], [`BuildError::TooLarge`] when the blob is full;
    /// [`BuildError::Codec`], [`BuildError::Digest`], [`BuildError::Chunk`] if the chunk contradicts
    /// the options or itself; [`BuildError::OpenBatch`].
    pub fn push(&mut self, chunk: &StoredChunk) -> Result<Placement, BuildError> {
        let &StoredChunk {
            len,
            stored_len,
            codec,
            digest,
            crc32c,
        } = chunk;
        self.check_no_batch()?;
        let index = self.next_index()?;
        let compressor = self.options.compressor;
        if codec != Codec::None && codec != compressor.into() {
            return Err(BuildError::Codec {
                index,
                codec,
                compressor,
            });
        }
        self.check_plain(len, digest)?;
        let on_disk = if self.options.aligned_data {
            padded(stored_len)
        } else {
            stored_len.into()
        };
        let offset = self.offset;
        let offset_end = self.stored_end(on_disk)?;
        let address_end = self.address_end(len)?;
        let plain_len = match self.options.key {
            Some(_) => padded_len(len),
            None => stored_len,
        };
        let wrong = match codec {
            Codec::None => stored_len != plain_len,
            _ => stored_len >= len,
        };
        if wrong {
            let fault = ChunkFault::Compression { len, stored_len };
            return Err(BuildError::Chunk { index, fault });
        }
        // A CRC that is 0 cannot be told from none.
        let crc32c = crc32c.filter(|&crc| crc != 0 && self.options.uses_v2());
        let address = self.add(ChunkInfo {
            address: self.address,
            len,
            offset,
            stored_len,
            compressed: codec != Codec::None,
            encrypted: self.options.key.is_some(),
            extra: crc32c.map_or(ChunkExtra::None, ChunkExtra::Crc32c),
        })?;
        self.note(digest, offset_end, address_end);
        // Less than 4096.
        let padding = (on_disk - u64::from(stored_len)) as u32;
        Ok(Placement {
            index,
            offset,
            padding,
            address,
        })
    }

    pub(super) fn next_index(&self) -> Result<u32, BuildError> {
        match self.chunk_count {
            index if index < MAX_CHUNKS => Ok(index),
            _ => Err(BuildError::TooManyChunks { limit: MAX_CHUNKS }),
        }
    }

    /// Checks what does not depend on how the next chunk is stored.
    pub(super) fn check_plain(&self, len: u32, digest: Digest) -> Result<(), BuildError> {
        let (index, digester) = (self.chunk_count, self.options.digester);
        if digest.algorithm() != DigestAlgorithm::from(digester) {
            return Err(BuildError::Digest {
                index,
                digest,
                digester,
            });
        }
        if len > self.options.chunk_size {
            let fault = ChunkFault::Len { len };
            return Err(BuildError::Chunk { index, fault });
        }
        Ok(())
    }

    /// End of the stored data after `len` more bytes.
    pub(super) fn stored_end(&self, len: u64) -> Result<u64, BuildError> {
        let (what, limit) = ("stored bytes", MAX_STORED_OFFSET);
        match self.offset + len {
            end if end <= limit => Ok(end),
            _ => Err(BuildError::TooLarge { what, limit }),
        }
    }

    /// End of the address space after a chunk of `len` bytes.
    pub(super) fn address_end(&self, len: u32) -> Result<u64, BuildError> {
        let (what, limit) = ("uncompressed bytes", MAX_ADDRESS);
        let room = match self.options.version {
            Version::V5 => len.into(),
            Version::V6 => padded(len),
        };
        match self.address + room {
            end if end <= limit => Ok(end),
            _ => Err(BuildError::TooLarge { what, limit }),
        }
    }

    /// Adds the entry of the next chunk; returns its address.
    pub(super) fn add(&mut self, info: ChunkInfo) -> Result<u64, BuildError> {
        let (index, address) = (self.chunk_count, info.address);
        let fault = |fault| BuildError::Chunk { index, fault };
        match self.options.version {
            _ if self.options.uses_v2() => {
                let entry = chunk_info_v2::encode(&info).map_err(fault)?;
                self.entries.extend(entry);
            }
            Version::V6 => {
                let entry = chunk_info_v1::encode(&info).map_err(fault)?;
                self.entries.extend(entry);
            }
            // It has no chunk information, but the same bounds.
            Version::V5 => {
                let info = ChunkInfo { address: 0, ..info };
                chunk_info_v1::encode(&info).map_err(fault)?;
            }
        }
        Ok(address)
    }

    /// Counts a chunk whose entry was added.
    pub(super) fn note(&mut self, digest: Digest, offset_end: u64, address_end: u64) {
        if self.options.toc {
            self.digests.extend(digest.as_bytes());
        }
        self.chunk_count += 1;
        (self.offset, self.address) = (offset_end, address_end);
    }
}

fn padded(len: u32) -> u64 {
    view::align(len.into(), ADDRESS_ALIGN)
}

#[cfg(test)]
mod tests {
    use image_model::{Blame, Fault};

    use super::*;

    #[test]
    fn a_blob_holds_0xffffff_chunks() {
        let options = BlobOptions::default().compressor(Compressor::None);
        let digest = Digest::new(options.digester.into(), [7; 32]);
        let chunk = StoredChunk {
            len: 1,
            stored_len: 1,
            codec: Codec::None,
            digest,
            crc32c: None,
        };
        let mut builder = BlobBuilder {
            chunk_count: 0xff_fffe,
            ..BlobBuilder::new(options).unwrap()
        };
        builder.push(&chunk).unwrap();
        let error = BuildError::TooManyChunks { limit: 0xff_ffff };
        assert_eq!(error.fault(), Fault::Limit);
        assert_eq!(builder.push(&chunk), Err(error));
        assert_eq!(builder.chunk_count(), 0xff_ffff);
    }
}
