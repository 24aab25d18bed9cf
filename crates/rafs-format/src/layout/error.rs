//! Why an image cannot be written.

use image_model::{Blame, Codec, DigestAlgorithm, Fault, ImagePath};

use verify::UnsupportedDigest;

use crate::error::DecodeError;
use erofs_format::loss::{CannotCarry, Loss};

/// An image that cannot be written as a RAFS bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The tree has something that the format cannot represent. `drop_losses` of [version
    /// 5](crate::v5::drop_losses) or [6](crate::v6::drop_losses) removes it.
    #[error("{path:#}: {what}")]
    CannotCarry {
        /// First path of the inode.
        path: ImagePath,
        /// What cannot be carried.
        what: CannotCarry,
    },
    /// A file's content is not stored as the format requires.
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
    #[error("{path:#}: the directory already has another name")]
    SharedDirectory {
        /// Its second path.
        path: ImagePath,
    },
    /// [`LayoutOptions::chunk_size`](super::LayoutOptions::chunk_size) is not a power of two from 4096 to 16 MiB.
    #[error("invalid chunk size {chunk_size}: must be a power of two from 4096 to 16 MiB")]
    ChunkSize {
        /// The size in bytes.
        chunk_size: u32,
    },
    /// More blobs than a chunk address can distinguish.
    #[error("the image has {count} blobs; at most 254 are possible")]
    TooManyBlobs {
        /// Number of blobs.
        count: usize,
    },
    /// The inode digests of version 5 use an algorithm that this build lacks.
    #[error(transparent)]
    Digest(#[from] UnsupportedDigest),
    /// The number of blob table entries differs from the number of blobs.
    #[error("{entries} blob table entries for {blobs} blobs")]
    BlobCount {
        /// Entries given.
        entries: usize,
        /// Blobs of the image.
        blobs: usize,
    },
    /// A blob table entry that readers would refuse.
    #[error("readers would refuse the blob table entry of blob {index}")]
    BlobEntry {
        /// Position of the entry.
        index: u32,
        /// What readers would say.
        source: DecodeError,
    },
    /// A blob whose id has more than 64 bytes.
    #[error("blob {index}: its id has {len} bytes; at most 64 are possible")]
    BlobIdLength {
        /// Position of the entry.
        index: u32,
        /// Length of the id in bytes.
        len: usize,
    },
    /// Two blobs have the same id.
    #[error("blob {index} has the same id as blob {first}")]
    DuplicateBlob {
        /// Position of the earlier entry.
        first: u32,
        /// Position of the later one.
        index: u32,
    },
    /// A blob without a full block of data, or more than 2^32 blocks in all blobs together.
    #[error("blob {index}: {uncompressed_size} bytes is not a valid device size")]
    DeviceSize {
        /// Position of the entry.
        index: u32,
        /// Bytes of its uncompressed address space.
        uncompressed_size: u64,
    },
    /// A blob of a kind that this library does not write.
    #[error("blob {index}: writing {feature} is not supported")]
    Unsupported {
        /// Position of the entry.
        index: u32,
        /// What it needs.
        feature: &'static str,
    },
    /// A blob is a tar as it was in an image that is not in [tarfs mode](super::LayoutOptions::tarfs), or the other way
    /// round.
    #[error("blob {index}: its entry and the options do not agree about tarfs mode")]
    Tarfs {
        /// Position of the entry.
        index: u32,
    },
    /// Two different chunks have the same index in their blob.
    #[error("two chunks have index {index} in blob {blob}")]
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
    /// The bootstrap would exceed its maximum length.
    #[error("the bootstrap needs {len} bytes; at most 2 GiB are possible")]
    TooLong {
        /// Bytes planned so far.
        len: u64,
    },
    /// The lists of the image are inconsistent.
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
    /// Zeros without a chunk, which the format cannot represent: they must be stored.
    #[error("a hole, which must be stored as a chunk of zeros")]
    Hole,
    /// The content is not cut at multiples of the chunk size.
    #[error("a chunk of {len} bytes instead of {expected}")]
    Cut {
        /// Length of the chunk in bytes.
        len: u64,
        /// Bytes that it must have.
        expected: u64,
    },
    /// The chunk is a part of its frame.
    #[error("a chunk that shares its frame, which cannot be written")]
    PartOfFrame,
    /// The frame is encrypted otherwise than its blob.
    #[error("the frame is not encrypted as its blob is")]
    Key,
    /// The chunk is compressed with something else than its blob.
    #[error("a chunk compressed with {codec}, which is not its blob's compressor")]
    Codec {
        /// Its codec.
        codec: Codec,
    },
    /// The chunk's stored form is empty, or does not have the length that its codec asks for: that of
    /// the chunk if it is not compressed, else less.
    #[error("a chunk with {stored_len} stored bytes")]
    StoredLen {
        /// Its stored bytes.
        stored_len: u32,
    },
    /// The chunk has no digest.
    #[error("a chunk without a digest")]
    NoDigest,
    /// The chunk's digest is of another algorithm than its blob's.
    #[error("a chunk with a {algorithm} digest, which is not its blob's")]
    DigestAlgorithm {
        /// Its algorithm.
        algorithm: DigestAlgorithm,
    },
    /// The chunk has a digest or a checksum, which tarfs images have no place for.
    #[error("a chunk with a digest, which a tarfs image has no place for")]
    Digest,
    /// The chunk's address in a tar is not where it begins.
    #[error("a chunk at address {address}, but at byte {offset} of its tar")]
    Address {
        /// Its address.
        address: u64,
        /// Where it begins.
        offset: u64,
    },
    /// The chunk's address is not a multiple of 4096, or in tarfs images of 512.
    #[error("a chunk at address {address}, which is not that of a block")]
    Unaligned {
        /// Its address in the blob.
        address: u64,
    },
    /// The chunk does not lie inside its blob.
    #[error("a chunk outside the range in its blob's entry")]
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
            | Self::Tarfs { .. }
            | Self::DuplicateChunk { .. }
            | Self::Prefetch { .. }
            | Self::Broken { .. } => Fault::Misuse,
        }
    }
}
