//! The findings of an audit.

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
    #[error("{path:#}: cannot read the inode")]
    Inode {
        /// Where.
        path: ImagePath,
        /// Why not.
        source: ImageError,
    },
    /// A directory and the inode disagree about the kind of an entry.
    #[error("{path:#}: listed as a {entry} in its directory, but is a {inode}")]
    EntryKind {
        /// Where.
        path: ImagePath,
        /// The kind in the directory.
        entry: FileKind,
        /// The kind of the inode.
        inode: FileKind,
    },
    /// Looking up a name does not find what the directory lists.
    #[error("{path:#}: listed as inode {listed} in its directory, but its name leads to {}", found_inode(*.found))]
    Lookup {
        /// Where.
        path: ImagePath,
        /// The inode that the directory lists.
        listed: Ino,
        /// The inode that the lookup finds.
        found: Option<Ino>,
    },
    /// The link count is not the number of names (for a directory: 2 plus its subdirectories).
    #[error("{path:#}: has link count {links} instead of {names}")]
    Links {
        /// One of the names.
        path: ImagePath,
        /// Number of names.
        names: u64,
        /// The inode's link count.
        links: u32,
    },
    /// The length of a symbolic link's target differs from its size.
    #[error("{path:#}: has a target of {len} bytes instead of {size}")]
    TargetLength {
        /// Where.
        path: ImagePath,
        /// Bytes of the target.
        len: u64,
        /// Bytes according to the inode.
        size: u64,
    },
    /// Something that is not a device has a device number.
    #[error("{path:#}: is not a device, but has device number {}:{}", device.major, device.minor)]
    Device {
        /// Where.
        path: ImagePath,
        /// The number.
        device: Device,
    },
    /// The content of a file is damaged or cannot be read.
    #[error("{path:#}: cannot verify the content")]
    Content {
        /// The file; if several share the chunk, the first one of the walk.
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
