//! Why an image cannot be written.

use image_model::tree::BrokenTree;
use image_model::{Blame, Fault, ImagePath};

use crate::loss::{CannotCarry, Loss};

/// An image that cannot be written as EROFS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The tree has something that the format has no place for. [`drop_losses`](crate::drop_losses)
    /// takes it out.
    #[error("{path:#}: {what}")]
    CannotCarry {
        /// First path of the inode.
        path: ImagePath,
        /// What cannot be carried.
        what: CannotCarry,
    },
    /// The names are no tree.
    #[error(transparent)]
    Tree(#[from] BrokenTree),
    /// The chunk size is not a power of two, or less than a block.
    #[error("invalid chunk size {chunk_size}: must be a power of two, at least 4096")]
    ChunkSize {
        /// The size in bytes.
        chunk_size: u32,
    },
    /// A file is not cut at multiples of the chunk size.
    #[error(
        "{path:#}: a chunk begins at byte {file_offset}, which is not a multiple of the chunk size {chunk_size}"
    )]
    Cut {
        /// First path of the file.
        path: ImagePath,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Bytes that each chunk must have.
        chunk_size: u32,
    },
    /// The image would have more blocks than have numbers.
    #[error("the image needs {blocks} blocks; at most 2^32 - 2 are possible")]
    TooLong {
        /// Its blocks.
        blocks: u64,
    },
    /// A list does not fit the others.
    #[error("the image refers to a {what} that it does not have")]
    Broken {
        /// What is missing.
        what: &'static str,
    },
}

impl From<Loss> for EncodeError {
    fn from(Loss { path, what }: Loss) -> Self {
        Self::CannotCarry { path, what }
    }
}

impl Blame for EncodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::CannotCarry { .. } | Self::TooLong { .. } => Fault::Unsupported,
            Self::Tree(source) => source.fault(),
            Self::ChunkSize { .. } | Self::Cut { .. } | Self::Broken { .. } => Fault::Misuse,
        }
    }
}
