//! Why a part of an image cannot be visited.

use crate::error::{Blame, Fault, ImageError};
use crate::image::Ino;
use crate::name::Name;
use crate::path::ImagePath;

/// A part of an image that cannot be visited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// The inode or the directory cannot be read.
    #[error("{path:#}: cannot read the inode")]
    Image {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// Directories are nested too deeply.
    #[error("{path:#}: directories are nested more than {limit} deep")]
    Depth {
        /// The directory beyond the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_depth`](crate::Limits::max_depth).
        limit: u32,
    },
    /// There are too many names. The walk ends here.
    #[error("{path:#}: the image has more than {limit} names")]
    Names {
        /// The directory whose entries exceed the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_inodes`](crate::Limits::max_inodes).
        limit: u32,
    },
    /// The paths of hard links are too long in all.
    #[error("{path:#}: the paths of hard links have more than {limit} bytes")]
    LinkPaths {
        /// The link that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_metadata_len`](crate::Limits::max_metadata_len).
        limit: u64,
    },
    /// The tree takes too much memory.
    #[error("{path:#}: the tree takes more than {limit} bytes of memory")]
    Memory {
        /// The path that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_metadata_len`](crate::Limits::max_metadata_len).
        limit: u64,
    },
    /// The names of a directory are not in strictly ascending order.
    #[error("{path:#}: the entry `{name}` is out of order or a duplicate")]
    Order {
        /// The directory.
        path: ImagePath,
        /// The name that does not come after its predecessor.
        name: Name,
    },
    /// A directory contains itself.
    #[error("{path:#}: the directory contains itself (inode {ino})")]
    Loop {
        /// The path that closes the loop.
        path: ImagePath,
        /// The directory.
        ino: Ino,
    },
    /// A directory has two names.
    #[error("{path:#}: the directory already has another name (inode {ino})")]
    SecondName {
        /// The later name.
        path: ImagePath,
        /// The directory.
        ino: Ino,
    },
}

impl WalkError {
    /// Where the image cannot be visited.
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        match self {
            Self::Image { path, .. }
            | Self::Depth { path, .. }
            | Self::Names { path, .. }
            | Self::LinkPaths { path, .. }
            | Self::Memory { path, .. }
            | Self::Order { path, .. }
            | Self::Loop { path, .. }
            | Self::SecondName { path, .. } => path,
        }
    }
}

impl Blame for WalkError {
    fn fault(&self) -> Fault {
        match self {
            Self::Image { source, .. } => source.fault(),
            Self::Depth { .. }
            | Self::Names { .. }
            | Self::LinkPaths { .. }
            | Self::Memory { .. } => Fault::Limit,
            Self::Order { .. } | Self::Loop { .. } | Self::SecondName { .. } => Fault::Corrupt,
        }
    }
}
