//! Why a tree has no digest.

use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Fault, FileKind, ImageError, ImagePath};

use crate::content::{ExtentError, StoredAt};

/// A tree that cannot be digested: it is damaged, or too large.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeDigestError {
    /// A path cannot be visited.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An inode is damaged.
    #[error("{path}: the inode is damaged")]
    Image {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// The root is no directory.
    #[error("the root is a {kind}, not a directory")]
    Root {
        /// What it is.
        kind: FileKind,
    },
    /// The extents of a file do not cover it in order.
    #[error("{path}: no extent begins at byte {file_offset} of {size}")]
    Extents {
        /// The file.
        path: ImagePath,
        /// Where the next extent should begin.
        file_offset: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// Content cannot be read, or is wrong.
    #[error("{path}: the content at byte {file_offset} ({at}) is missing or wrong")]
    Content {
        /// The file.
        path: ImagePath,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it is stored.
        at: Box<StoredAt>,
        /// What is wrong with it.
        source: ExtentError,
    },
    /// All files together are too large.
    #[error("{path}: the content of all files exceeds {limit} bytes")]
    TooLarge {
        /// The file that is too much.
        path: ImagePath,
        /// The bound, [`Limits::max_layer_len`](image_model::Limits::max_layer_len).
        limit: u64,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Blame for TreeDigestError {
    fn fault(&self) -> Fault {
        match self {
            Self::Walk(error) => error.fault(),
            Self::Image { source, .. } => source.fault(),
            Self::Root { .. } | Self::Extents { .. } => Fault::Corrupt,
            Self::Content { source, .. } => source.fault(),
            Self::TooLarge { .. } => Fault::Limit,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
