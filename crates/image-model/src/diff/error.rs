//! Why two images cannot be compared.

use std::fmt;

use crate::error::{Blame, Fault, ImageError};
use crate::path::ImagePath;
use crate::walk::WalkError;

/// One of the two images that are compared.
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
    #[error("the {side} image cannot be walked")]
    Walk {
        /// Which image.
        side: Side,
        /// What is wrong, and where.
        source: WalkError,
    },
    /// An inode cannot be read.
    #[error("{path:#}: the inode of the {side} image cannot be read")]
    Image {
        /// Which image.
        side: Side,
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// The files of an image have too many extents together.
    #[error("{path:#}: more than {limit} extents in the {side} image")]
    TooManyExtents {
        /// Which image.
        side: Side,
        /// The file that is too much.
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
