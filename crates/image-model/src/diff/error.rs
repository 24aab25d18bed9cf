//! Why two images cannot be compared.

use std::fmt;

use crate::error::{Blame, Fault, ImageError};
use crate::path::ImagePath;
use crate::walk::WalkError;

/// One of the two compared images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "first",
            Self::Right => "second",
        })
    }
}

/// An image that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// A path cannot be visited.
    #[error("cannot walk the {side} image")]
    Walk {
        /// Which image.
        side: Side,
        /// What is wrong, and where.
        source: WalkError,
    },
    /// An inode cannot be read.
    #[error("{path:#}: cannot read the inode of the {side} image")]
    Image {
        /// Which image.
        side: Side,
        /// Where.
        path: ImagePath,
        /// Why not.
        source: ImageError,
    },
    /// The files of an image have too many extents in all.
    #[error("{path:#}: more than {limit} extents in the {side} image")]
    TooManyExtents {
        /// Which image.
        side: Side,
        /// The file that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_chunks`](crate::Limits::max_chunks).
        limit: u32,
    },
}

impl Blame for DiffError {
    fn fault(&self) -> Fault {
        match self {
            Self::Walk { source, .. } => source.fault(),
            Self::Image { source, .. } => source.fault(),
            Self::TooManyExtents { .. } => Fault::Limit,
        }
    }
}
