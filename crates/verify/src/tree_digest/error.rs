//! Why a tree has no digest.

use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Fault, FileKind, ImageError, ImagePath};

use crate::content::ContentError;

/// A tree that cannot be digested: it is damaged, or too large.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeDigestError {
    /// A path cannot be visited.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An inode cannot be read.
    #[error("{path:#}: cannot read the inode")]
    Image {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// The root is not a directory.
    #[error("the root is a {kind}, not a directory")]
    Root {
        /// What it is.
        kind: FileKind,
    },
    /// Content cannot be read, or is corrupt.
    #[error("{path:#}: the content at byte {} is missing or corrupt", source.file_offset())]
    Content {
        /// The file.
        path: ImagePath,
        /// What is wrong with it.
        source: ContentError,
    },
    /// The content of all files together cannot be read, for example because it is too much.
    #[error(transparent)]
    Contents(ContentError),
    /// All files together are too large.
    #[error("{path:#}: the content of all files exceeds {limit} bytes")]
    TooLarge {
        /// The file that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_content_len`](image_model::Limits::max_content_len).
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
            Self::Root { .. } => Fault::Corrupt,
            Self::Content { source, .. } | Self::Contents(source) => source.fault(),
            Self::TooLarge { .. } => Fault::Limit,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
