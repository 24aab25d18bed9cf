//! Why a layer cannot be read or applied.

use crate::error::{Blame, Fault};
use crate::metadata::FileKind;
use crate::path::ImagePath;

/// An entry that does not belong in a layer, or a layer that does not fit those below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The root of a [listed](super::Entries::Listed) layer is not a directory.
    #[error("the root of the layer is a {kind}, not a directory")]
    RootNotDirectory {
        /// What it is in the layer; a hard link counts as a file.
        kind: FileKind,
    },
    /// A whiteout that does not name an entry of its directory: a path component is just `.wh.`, or `.wh.` followed by
    /// `.` or `..`. containerd refuses it.
    #[error("{path:#}: a whiteout must name the file it hides")]
    EmptyWhiteout {
        /// The entry.
        path: ImagePath,
    },
    /// A directory named like a whiteout: containerd treats it as one, GNU tar and bsdtar do not.
    #[error(
        "{path:#}: a directory named like a whiteout, which containerd reads differently from GNU tar and bsdtar"
    )]
    WhiteoutDirectory {
        /// The entry.
        path: ImagePath,
    },
    /// An entry below something that is not a directory.
    #[error("{path:#}: lies below a {kind}")]
    BelowNonDirectory {
        /// The entry.
        path: ImagePath,
        /// What it is below.
        kind: FileKind,
    },
    /// An entry below a symbolic link whose target does not exist yet: containerd creates it; podman, GNU tar and
    /// bsdtar do not.
    #[error(
        "{path:#}: lies below a dangling symbolic link, which containerd reads differently from podman, GNU tar and bsdtar"
    )]
    BelowDanglingSymlink {
        /// The entry.
        path: ImagePath,
    },
    /// Too many symbolic links lead to the directory of an entry.
    #[error("{path:#}: the path leads through more than {limit} symbolic links")]
    TooManySymlinks {
        /// The entry.
        path: ImagePath,
        /// Maximum number of links to follow.
        limit: u32,
    },
    /// The targets of symbolic links on the way to entries have too many components.
    #[error("{path:#}: the symbolic links on the path have more than {limit} components")]
    TooManySteps {
        /// The entry.
        path: ImagePath,
        /// The limit for all entries so far together: see [`LayerBuilder`](super::LayerBuilder).
        limit: u64,
    },
    /// Too many directories without an entry.
    #[error("{path:#}: more than {limit} directories without an entry")]
    TooManyImplied {
        /// The entry.
        path: ImagePath,
        /// The limit for all entries so far together: see [`LayerBuilder`](super::LayerBuilder).
        limit: u64,
    },
    /// The files have too much content, or too many bytes of holes.
    #[error("{path:#}: with this file there are more than {limit} bytes of {}", if *.holes { "holes" } else { "content" })]
    TooMuchContent {
        /// The entry that exceeds the limit.
        path: ImagePath,
        /// Whether the limit on holes is exceeded.
        holes: bool,
        /// The bound, [`Limits::max_hole_len`](crate::Limits::max_hole_len) or
        /// [`Limits::max_content_len`](crate::Limits::max_content_len).
        limit: u64,
    },
    /// A hard link to a directory.
    #[error("{path:#}: hard link to the directory {target:#}")]
    LinkToDirectory {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link that leads to itself, directly or through others, or into what it replaces.
    #[error("{path:#}: the hard link to {target:#} leads back to itself")]
    LinkLoop {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link whose target is not in the layer, when lower layers are not considered.
    #[error("{path:#}: hard link to {target:#}, which this layer does not hold")]
    TargetOutsideLayer {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link whose target is not in any layer.
    #[error("{path:#}: hard link to {target:#}, which does not exist")]
    MissingTarget {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// Too many inodes.
    #[error("{path:#}: more than {limit} inodes")]
    TooManyInodes {
        /// The entry that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_inodes`](crate::Limits::max_inodes).
        limit: u32,
    },
    /// Inodes, names, targets and attributes together take too much memory.
    #[error("{path:#}: more than {limit} bytes of inodes, names, targets and attributes")]
    TooMuchMetadata {
        /// The entry that exceeds the limit.
        path: ImagePath,
        /// The bound, [`Limits::max_metadata_len`](crate::Limits::max_metadata_len).
        limit: u64,
    },
    /// Directories nested too deeply.
    #[error("{path:#}: directories are nested more than {limit} deep")]
    TooDeep {
        /// The entry.
        path: ImagePath,
        /// The bound, [`Limits::max_depth`](crate::Limits::max_depth).
        limit: u32,
    },
}

impl Blame for LayerError {
    fn fault(&self) -> Fault {
        match self {
            Self::TargetOutsideLayer { .. } => Fault::Unsupported,
            Self::WhiteoutDirectory { .. }
            | Self::BelowDanglingSymlink { .. }
            | Self::BelowNonDirectory {
                kind: FileKind::Symlink,
                ..
            }
            | Self::TooManyInodes { .. }
            | Self::TooMuchMetadata { .. }
            | Self::TooManySteps { .. }
            | Self::TooManyImplied { .. }
            | Self::TooMuchContent { .. }
            | Self::TooDeep { .. } => Fault::Limit,
            Self::RootNotDirectory { .. }
            | Self::EmptyWhiteout { .. }
            | Self::BelowNonDirectory { .. }
            | Self::TooManySymlinks { .. }
            | Self::LinkToDirectory { .. }
            | Self::LinkLoop { .. }
            | Self::MissingTarget { .. } => Fault::Corrupt,
        }
    }
}
