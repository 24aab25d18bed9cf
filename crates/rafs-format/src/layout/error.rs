//! Why an image cannot be written.

use image_model::{Blame, Codec, DigestAlgorithm, Fault, ImagePath};

use verify::UnsupportedDigest;

use crate::error::DecodeError;
use erofs_format::loss::{CannotCarry, Loss};

/// An image that cannot be written as a RAFS bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The tree has something that the format has no place for. `drop_losses` of
    /// [version 5](crate::v5::drop_losses) or [6](crate::v6::drop_losses) takes it out.
    #[error("{path:#}: {what}")]
    CannotCarry {
        /// First path of the inode.
        path: ImagePath,
        /// What cannot be carried.
        what: CannotCarry,
    },
    /// A file's content is not stored as the format needs it.
    #[error("{path:#}, byte {file_offset}: {what}")]
    Content {
        /// First path of the file.
        path: ImagePath,
        /// Where the piece of content begins in the file.
        file_offset: u64,
        /// What is wrong.
        what: BadContent,
    },
    /// A directory has two names, or holds itself.
    #[error("{path:#}: the directory has another name already")]
    SharedDirectory {
        /// Its second path.
        path: ImagePath,
    },
    /// [`LayoutOptions::chunk_size`](super::LayoutOptions::chunk_size) is no power of two, 4096 to 16 MiB.
    #[error("chunks of {chunk_size} bytes: a power of two, 4096 to 16 MiB, is needed")]
    ChunkSize {
        /// The size in bytes.
        chunk_size: u32,
    },
    /// More blobs than a chunk address can tell apart.
    #[error("{count} blobs, where 254 are possible")]
    TooManyBlobs {
        /// Number of blobs.
        count: usize,
    },
    /// The digests of inodes, which version 5 has, are of an algorithm that this build lacks.
    #[error(transparent)]
    Digest(#[from] UnsupportedDigest),
    /// Not one blob table entry for each blob of the image.
    #[error("{entries} blob table entries for {blobs} blobs")]
    BlobCount {
        /// Entries given.
        entries: usize,
        /// Blobs of the image.
        blobs: usize,
    },
    /// A blob table entry that readers would refuse.
    #[error("blob {index}")]
    BlobEntry {
        /// Position of the entry.
        index: u32,
        /// What readers would say.
        source: DecodeError,
    },
    /// A blob whose id has more than the 64 bytes there are.
    #[error("blob {index}: its id has {len} bytes, where 64 are possible")]
    BlobIdLength {
        /// Position of the entry.
        index: u32,
        /// Bytes of the id.
        len: usize,
    },
    /// Two blobs have one id.
    #[error("blob {index} has the same id as blob {first}")]
    DuplicateBlob {
        /// Position of the earlier entry.
        first: u32,
        /// Position of the later one.
        index: u32,
    },
    /// A blob without a single block of data, or all blobs together beyond 2^32 blocks.
    #[error("blob {index}: its {uncompressed_size} bytes cannot be a device")]
    DeviceSize {
        /// Position of the entry.
        index: u32,
        /// Bytes of its uncompressed address space.
        uncompressed_size: u64,
    },
    /// A blob of a kind that this library does not write.
    #[error("blob {index}: {feature} cannot be written yet")]
    Unsupported {
        /// Position of the entry.
        index: u32,
        /// What it needs.
        feature: &'static str,
    },
    /// Two different chunks have one index in their blob.
    #[error("two chunks are number {index} of blob {blob}")]
    DuplicateChunk {
        /// Position of the blob.
        blob: u32,
        /// Position of the chunks in it.
        index: u32,
    },
    /// A prefetched inode is not part of the tree.
    #[error("prefetched inode {inode} is not in the tree")]
    Prefetch {
        /// Its position in the tree's table.
        inode: usize,
    },
    /// The bootstrap would be too long for its own numbers.
    #[error("a bootstrap of {len} bytes, where 2 GiB are possible")]
    TooLong {
        /// Bytes that were planned until then.
        len: u64,
    },
    /// A list of the image does not fit the others.
    #[error("the image refers to a {what} that it does not have")]
    Broken {
        /// What is missing.
        what: &'static str,
    },
}

/// What is wrong with a piece of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadContent {
    /// Zeros without a chunk, which the format has no word for: they must be stored.
    #[error("a hole, which must be stored as a chunk of zeros")]
    Hole,
    /// The content is not cut at multiples of the chunk size.
    #[error("a chunk of {len} bytes where one of {expected} is needed")]
    Cut {
        /// Bytes of the chunk.
        len: u64,
        /// Bytes that it must have.
        expected: u64,
    },
    /// The chunk is a part of its frame.
    #[error("a chunk that shares its frame, which cannot be written yet")]
    PartOfFrame,
    /// The chunk is compressed with something else than its blob.
    #[error("a chunk compressed with {codec}, which is not its blob's compressor")]
    Codec {
        /// Its codec.
        codec: Codec,
    },
    /// The chunk's stored form is empty, or does not have the length that its codec asks for: that of
    /// the chunk if it is not compressed, else less.
    #[error("a chunk of {stored_len} stored bytes")]
    StoredLen {
        /// Its stored bytes.
        stored_len: u32,
    },
    /// The chunk has no digest.
    #[error("a chunk without digest")]
    NoDigest,
    /// The chunk's digest is of another algorithm than its blob's.
    #[error("a chunk with a {algorithm} digest, which is not its blob's")]
    DigestAlgorithm {
        /// Its algorithm.
        algorithm: DigestAlgorithm,
    },
    /// The chunk's address is no multiple of 4096.
    #[error("a chunk at address {address}, which is no multiple of 4096")]
    Unaligned {
        /// Its address in the blob.
        address: u64,
    },
    /// The chunk does not lie inside its blob.
    #[error("a chunk that its blob's entry has no room for")]
    OutsideBlob,
}

impl From<Loss> for EncodeError {
    fn from(Loss { path, what }: Loss) -> Self {
        Self::CannotCarry { path, what }
    }
}

impl Blame for EncodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Digest(source) => source.fault(),
            Self::CannotCarry { .. } | Self::TooLong { .. } | Self::TooManyBlobs { .. } => {
                Fault::Unsupported
            }
            Self::Unsupported { .. }
            | Self::Content {
                what: BadContent::PartOfFrame,
                ..
            } => Fault::Unsupported,
            Self::Content { .. }
            | Self::SharedDirectory { .. }
            | Self::ChunkSize { .. }
            | Self::BlobCount { .. }
            | Self::BlobEntry { .. }
            | Self::BlobIdLength { .. }
            | Self::DuplicateBlob { .. }
            | Self::DeviceSize { .. }
            | Self::DuplicateChunk { .. }
            | Self::Prefetch { .. }
            | Self::Broken { .. } => Fault::Misuse,
        }
    }
}
