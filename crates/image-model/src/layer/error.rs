//! Why a layer cannot be read or applied.

use crate::error::{Blame, Fault};
use crate::metadata::FileKind;
use crate::path::ImagePath;

/// An entry that has no place in a layer, or a layer that has none on those below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The root of a [listed](super::Entries::Listed) layer is something else than a directory.
    #[error("the root of the layer is a {kind}, not a directory")]
    RootNotDirectory {
        /// What the layer calls it; a hard link counts as a file.
        kind: FileKind,
    },
    /// A whiteout that names nothing, or no entry of its directory: a component of the path is `.wh.`
    /// alone, or before `.` or `..`. containerd refuses it.
    #[error("{path:#}: a whiteout must name what it hides")]
    EmptyWhiteout {
        /// The entry.
        path: ImagePath,
    },
    /// A directory with the name of a whiteout: containerd takes it for one, GNU tar and bsdtar do not.
    #[error(
        "{path:#}: a directory with the name of a whiteout, which containerd reads differently from GNU tar and bsdtar"
    )]
    WhiteoutDirectory {
        /// The entry.
        path: ImagePath,
    },
    /// An entry lies below something that is no directory.
    #[error("{path:#}: lies below a {kind}")]
    BelowNonDirectory {
        /// The entry.
        path: ImagePath,
        /// What it lies below.
        kind: FileKind,
    },
    /// An entry below a symbolic link to something that is not there yet: containerd makes it, podman,
    /// GNU tar and bsdtar do not.
    #[error(
        "{path:#}: lies below a symbolic link to what does not exist, which containerd reads differently from podman, GNU tar and bsdtar"
    )]
    BelowDanglingSymlink {
        /// The entry.
        path: ImagePath,
    },
    /// Too many symbolic links lead to the directory of an entry.
    #[error("{path:#}: more than {limit} symbolic links lead there")]
    TooManySymlinks {
        /// The entry.
        path: ImagePath,
        /// Links that are followed at most.
        limit: u32,
    },
    /// The targets of symbolic links on the way to entries have too many components.
    #[error("{path:#}: symbolic links that lead through more than {limit} components")]
    TooManySteps {
        /// The entry.
        path: ImagePath,
        /// What the entries so far may take together: see [`LayerBuilder`](super::LayerBuilder).
        limit: u64,
    },
    /// Too many directories that no entry describes.
    #[error("{path:#}: more than {limit} directories that no entry describes")]
    TooManyImplied {
        /// The entry.
        path: ImagePath,
        /// What the entries so far may imply together: see [`LayerBuilder`](super::LayerBuilder).
        limit: u64,
    },
    /// The files hold too much, or too much of it is holes.
    #[error("{path:#}: with this file there are more than {limit} bytes of {}", if *.holes { "holes" } else { "content" })]
    TooMuchContent {
        /// The entry that is too much.
        path: ImagePath,
        /// Whether the bound is that of holes.
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
    /// A hard link that leads to itself, alone or through others, or into what it replaces.
    #[error("{path:#}: the hard link to {target:#} leads back to itself")]
    LinkLoop {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link whose target is not in the layer, where lower layers do not count.
    #[error("{path:#}: hard link to {target:#}, which this layer does not hold")]
    TargetOutsideLayer {
        /// The link.
        path: ImagePath,
        /// Its target.
        target: ImagePath,
    },
    /// A hard link whose target is in no layer.
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
        /// The entry that is too much.
        path: ImagePath,
        /// The bound, [`Limits::max_inodes`](crate::Limits::max_inodes).
        limit: u32,
    },
    /// Inodes, names, targets and attributes take too much together.
    #[error("{path:#}: more than {limit} bytes of inodes, names, targets and attributes")]
    TooMuchMetadata {
        /// The entry that is too much.
        path: ImagePath,
        /// The bound, [`Limits::max_metadata_len`](crate::Limits::max_metadata_len).
        limit: u64,
    },
    /// Directories nested too deep.
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
