//! Placing chunks in a new blob.

use frame_codec::CodecError;
use image_model::{Blame, Codec, Digest, DigestAlgorithm, Fault};

use super::chunk_info::{
    ADDRESS_ALIGN, ChunkExtra, ChunkFault, ChunkInfo, MAX_ADDRESS, MAX_CHUNKS, MAX_STORED_OFFSET,
};
use super::chunk_info_v1;
use super::zran_context::ZranFault;
use crate::flags::{Compat, Compressor, Digester};
use crate::v6::is_chunk_size;
use crate::version::Version;
use crate::view;

/// Options for building a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobOptions {
    /// Version of the image: blobs of version 5 contain only chunks, and possibly a bootstrap.
    pub version: Version,
    /// Release whose bytes to reproduce: 2.2 always compresses the chunk information with zstd, 2.4
    /// like the chunks.
    pub compat: Compat,
    /// Compressor for chunks; used only if it makes them smaller.
    pub compressor: Compressor,
    /// Digest algorithm for chunks.
    pub digester: Digester,
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 16 MiB.
    pub chunk_size: u32,
    /// Whether to append the chunk digests and a TOC.
    pub toc: bool,
    /// Whether each chunk is stored at its uncompressed address, padded to 4096 bytes, so that a
    /// kernel can mount the blob as a device of the bootstrap. Not with compression.
    pub aligned_data: bool,
}

impl Default for BlobOptions {
    /// Version 6, 2.4, zstd, BLAKE3, chunks of 1 MiB, without TOC: the defaults of nydus-image.
    fn default() -> Self {
        Self {
            version: Version::default(),
            compat: Compat::default(),
            compressor: Compressor::Zstd,
            digester: Digester::Blake3,
            chunk_size: 1 << 20,
            toc: false,
            aligned_data: false,
        }
    }
}

impl BlobOptions {
    image_model::setters! {
        version: Version,
        compat: Compat,
        compressor: Compressor,
        digester: Digester,
        chunk_size: u32,
        toc: bool,
        aligned_data: bool,
    }
}

/// A chunk to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredChunk {
    /// Plain bytes, 1 to the chunk size.
    pub len: u32,
    /// Stored bytes: as many as [`len`](Self::len) if not compressed, else fewer.
    pub stored_len: u32,
    /// The blob's compressor, or none if that did not help.
    pub codec: Codec,
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
/// The caller writes the chunks and hashes them with a [`BlobHasher`](super::BlobHasher). Memory
/// use is 16 bytes per chunk, 48 with a TOC.
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
}

impl BlobBuilder {
    /// Starts a blob.
    ///
    /// # Errors
    /// [`BuildError::Compressor`] for gzip, or for aligned data with any but none;
    /// [`BuildError::ChunkSize`]; [`BuildError::Version`] for a TOC or aligned data in version 5.
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
        Ok(Self {
            options,
            entries: Vec::new(),
            digests: Vec::new(),
            chunk_count: 0,
            offset: 0,
            address: 0,
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
    /// the options or itself.
    pub fn push(&mut self, chunk: &StoredChunk) -> Result<Placement, BuildError> {
        let &StoredChunk {
            len,
            stored_len,
            codec,
            digest,
        } = chunk;
        let index = self.chunk_count;
        if index >= MAX_CHUNKS {
            return Err(BuildError::TooManyChunks { limit: MAX_CHUNKS });
        }
        let compressor = self.options.compressor;
        if codec != Codec::None && codec != compressor.into() {
            return Err(BuildError::Codec {
                index,
                codec,
                compressor,
            });
        }
        if digest.algorithm() != DigestAlgorithm::from(self.options.digester) {
            return Err(BuildError::Digest {
                index,
                digest,
                digester: self.options.digester,
            });
        }
        if len > self.options.chunk_size {
            return Err(BuildError::Chunk {
                index,
                fault: ChunkFault::Len { len },
            });
        }
        let pad = |len: u32| view::align(len.into(), ADDRESS_ALIGN);
        let on_disk = if self.options.aligned_data {
            pad(stored_len)
        } else {
            stored_len.into()
        };
        let (offset, address) = (self.offset, self.address);
        let room = match self.options.version {
            Version::V5 => len.into(),
            Version::V6 => pad(len),
        };
        let (offset_end, address_end) = (offset + on_disk, address + room);
        if offset_end > MAX_STORED_OFFSET {
            return Err(BuildError::TooLarge {
                what: "stored bytes",
                limit: MAX_STORED_OFFSET,
            });
        }
        if address_end > MAX_ADDRESS {
            return Err(BuildError::TooLarge {
                what: "uncompressed bytes",
                limit: MAX_ADDRESS,
            });
        }
        if codec != Codec::None && stored_len >= len {
            let fault = ChunkFault::Compression { len, stored_len };
            return Err(BuildError::Chunk { index, fault });
        }
        let version = self.options.version;
        let info = ChunkInfo {
            // Version 5 has no chunk information, but the same bounds.
            address: match version {
                Version::V5 => 0,
                Version::V6 => address,
            },
            len,
            offset,
            stored_len,
            compressed: codec != Codec::None,
            encrypted: false,
            extra: ChunkExtra::None,
        };
        let entry =
            chunk_info_v1::encode(&info).map_err(|fault| BuildError::Chunk { index, fault })?;
        if version == Version::V6 {
            self.entries.extend(entry);
        }
        if self.options.toc {
            self.digests.extend(digest.as_bytes());
        }
        (self.chunk_count, self.offset, self.address) = (index + 1, offset_end, address_end);
        // Less than 4096.
        let padding = (on_disk - u64::from(stored_len)) as u32;
        Ok(Placement {
            index,
            offset,
            padding,
            address,
        })
    }
}

/// Why a blob cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A native blob cannot use this compressor, or not with aligned data.
    #[error("a blob of this kind cannot be compressed with {}", Codec::from(*compressor))]
    Compressor {
        /// The compressor requested.
        compressor: Compressor,
    },
    /// Blobs of this version do not support it.
    #[error("a blob of {version} cannot have {what}")]
    Version {
        /// The version requested.
        version: Version,
        /// What is not supported.
        what: &'static str,
    },
    /// Not a power of two from 4096 to 16 MiB.
    #[error("invalid chunk size {chunk_size}: must be a power of two from 4096 to 16777216")]
    ChunkSize {
        /// Bytes requested.
        chunk_size: u32,
    },
    /// The blob already has the maximum number of chunks.
    #[error("a blob holds at most {limit} chunks")]
    TooManyChunks {
        /// The maximum.
        limit: u32,
    },
    /// The blob would become too large.
    #[error("a blob holds at most {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The maximum.
        limit: u64,
    },
    /// The chunk's compression differs from the blob's.
    #[error("chunk {index} is compressed with {codec}, but its blob with {}", Codec::from(*compressor))]
    Codec {
        /// Position of the chunk.
        index: u32,
        /// Its codec.
        codec: Codec,
        /// The blob's compressor.
        compressor: Compressor,
    },
    /// The chunk's digest algorithm differs from the blob's.
    #[error("chunk {index} has digest {digest}, but its blob has {} digests", DigestAlgorithm::from(*digester))]
    Digest {
        /// Position of the chunk.
        index: u32,
        /// Its digest.
        digest: Digest,
        /// The blob's digester.
        digester: Digester,
    },
    /// The chunk information cannot represent the chunk.
    #[error("cannot add chunk {index} to the blob")]
    Chunk {
        /// Position of the chunk.
        index: u32,
        /// Why.
        #[source]
        fault: ChunkFault,
    },
    /// A context of zran mode breaks a rule.
    #[error("cannot add context {index} to what describes the layer")]
    Context {
        /// Its position.
        index: u32,
        /// Why.
        #[source]
        fault: ZranFault,
    },
    /// A tar in tarfs mode ends before the last sector of a file, which the kernel would not read.
    #[error("the tar has {len} bytes, but the blocks of its files end at byte {end}")]
    Sector {
        /// Where the last sector of the last file ends.
        end: u64,
        /// Bytes of the tar.
        len: u64,
    },
    /// The number of bytes hashed differs from the number placed.
    #[error("{found} bytes of the blob were hashed, but {expected} were placed")]
    Hashed {
        /// Bytes placed, including padding.
        expected: u64,
        /// Bytes hashed.
        found: u64,
    },
    /// The chunk information or the bootstrap cannot be compressed.
    #[error("cannot compress section `{section}`")]
    Compress {
        /// Name of the section.
        section: &'static str,
        /// Why.
        #[source]
        source: CodecError,
    },
}

impl Blame for BuildError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooManyChunks { .. } | Self::TooLarge { .. } => Fault::Limit,
            Self::Compress { source, .. } => source.fault(),
            Self::Sector { .. } => Fault::Unsupported,
            Self::Compressor { .. }
            | Self::Version { .. }
            | Self::ChunkSize { .. }
            | Self::Codec { .. }
            | Self::Digest { .. }
            | Self::Chunk { .. }
            | Self::Context { .. }
            | Self::Hashed { .. } => Fault::Misuse,
        }
    }
}

#[cfg(test)]
mod tests {
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
