//! What an audit finds.

use image_model::walk::WalkError;
use image_model::{Blame, Device, Fault, FileKind, ImageError, ImagePath, Ino};

use crate::content::ChunkFault;

/// One fault of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// A path cannot be visited.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An inode cannot be read.
    #[error("{path:#}: the inode cannot be read")]
    Inode {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// A directory calls an entry another kind than the inode itself.
    #[error("{path:#}: called a {entry} in its directory, but is a {inode}")]
    EntryKind {
        /// Where.
        path: ImagePath,
        /// The kind in the directory.
        entry: FileKind,
        /// The kind of the inode.
        inode: FileKind,
    },
    /// Looking a name up does not find what reading the directory shows.
    #[error("{path:#}: inode {listed} in its directory, but {} by its name", found_inode(*.found))]
    Lookup {
        /// Where.
        path: ImagePath,
        /// The inode that the directory lists.
        listed: Ino,
        /// The inode that looking up finds.
        found: Option<Ino>,
    },
    /// The link count is not the number of names (of a directory: 2 and its subdirectories).
    #[error("{path:#}: has link count {links}, but {names} links")]
    Links {
        /// One of the names.
        path: ImagePath,
        /// Links there are.
        names: u64,
        /// The inode's link count.
        links: u32,
    },
    /// A symbolic link is not as long as it says.
    #[error("{path:#}: a target of {len} bytes instead of {size}")]
    TargetLength {
        /// Where.
        path: ImagePath,
        /// Bytes of the target.
        len: u64,
        /// Bytes according to the inode.
        size: u64,
    },
    /// Something that is no device has a device number.
    #[error("{path:#}: is not a device, but has number {}:{}", device.major, device.minor)]
    Device {
        /// Where.
        path: ImagePath,
        /// The number.
        device: Device,
    },
    /// The content of a file is damaged, or cannot be had.
    #[error("{path:#}")]
    Content {
        /// The file; of all that share a chunk the one that comes first in the walk.
        path: ImagePath,
        /// What is wrong with it.
        #[source]
        fault: ChunkFault,
    },
}

fn found_inode(ino: Option<Ino>) -> String {
    ino.map_or_else(|| "nothing".into(), |ino| format!("inode {ino}"))
}

impl AuditFault {
    /// Where the fault is.
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        match self {
            Self::Walk(error) => error.path(),
            Self::Inode { path, .. }
            | Self::EntryKind { path, .. }
            | Self::Lookup { path, .. }
            | Self::Links { path, .. }
            | Self::TargetLength { path, .. }
            | Self::Device { path, .. }
            | Self::Content { path, .. } => path,
        }
    }
}

impl Blame for AuditFault {
    fn fault(&self) -> Fault {
        match self {
            Self::Walk(error) => error.fault(),
            Self::Inode { source, .. } => source.fault(),
            Self::Content { fault, .. } => fault.fault(),
            Self::EntryKind { .. }
            | Self::Lookup { .. }
            | Self::Links { .. }
            | Self::TargetLength { .. }
            | Self::Device { .. } => Fault::Corrupt,
        }
    }
}
