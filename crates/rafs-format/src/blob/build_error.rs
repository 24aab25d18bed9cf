//! Why blobs cannot be built.

use frame_codec::CodecError;
use image_model::{Blame, Codec, Digest, DigestAlgorithm, Fault};

use super::batch_context::BatchFault;
use super::chunk_info::ChunkFault;
use super::zran_context::ZranFault;
use crate::flags::{Compressor, Digester};
use crate::version::Version;

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
    /// Not a power of two from 4096 to the chunk size.
    #[error(
        "invalid batch size {batch_size}: must be a power of two from 4096 to the chunk size, {chunk_size}"
    )]
    BatchSize {
        /// Bytes requested.
        batch_size: u32,
        /// The chunk size.
        chunk_size: u32,
    },
    /// Batches and encryption need what an option excludes.
    #[error("a blob with {with} cannot have {what}")]
    Excluded {
        /// The option.
        with: &'static str,
        /// What it excludes.
        what: &'static str,
    },
    /// This build lacks the feature `encryption`.
    #[error("encrypted blobs need feature `encryption` of rafs-format")]
    NoEncryption,
    /// A batch has begun, and was not ended; or none has begun.
    #[error("batch {index} has {len} bytes, which are not stored yet")]
    OpenBatch {
        /// Its position.
        index: u32,
        /// Plain bytes of its chunks so far.
        len: u32,
    },
    /// A chunk does not go into the batch: it is too long, or that is full.
    #[error("{len} bytes do not go into a batch of {batch_size} that has {batch_len}")]
    NotBatched {
        /// Plain bytes of the chunk.
        len: u32,
        /// Bytes that a batch may have.
        batch_size: u32,
        /// Bytes that it has.
        batch_len: u32,
    },
    /// A batch breaks a rule.
    #[error("cannot add batch {index} to the blob")]
    Batch {
        /// Its position.
        index: u32,
        /// Why.
        #[source]
        fault: BatchFault,
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
            | Self::BatchSize { .. }
            | Self::Excluded { .. }
            | Self::NoEncryption
            | Self::OpenBatch { .. }
            | Self::NotBatched { .. }
            | Self::Batch { .. }
            | Self::Codec { .. }
            | Self::Digest { .. }
            | Self::Chunk { .. }
            | Self::Context { .. }
            | Self::Hashed { .. } => Fault::Misuse,
        }
    }
}
