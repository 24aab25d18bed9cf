//! What an audit finds.

use image_model::walk::WalkError;
use image_model::{Blame, Device, Fault, FileKind, ImageError, ImagePath, Ino};

use crate::content::{ExtentError, StoredAt};

/// One fault of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// A path cannot be visited.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An inode is damaged.
    #[error("{path}: the inode is damaged")]
    Inode {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
    /// A directory calls an entry another kind than the inode itself.
    #[error("{path}: called a {entry} in its directory, but is a {inode}")]
    EntryKind {
        /// Where.
        path: ImagePath,
        /// The kind in the directory.
        entry: FileKind,
        /// The kind of the inode.
        inode: FileKind,
    },
    /// Looking a name up does not find what reading the directory shows.
    #[error("{path}: inode {listed} in its directory, but {} by its name", found_inode(*.found))]
    Lookup {
        /// Where.
        path: ImagePath,
        /// The inode that the directory lists.
        listed: Ino,
        /// The inode that looking up finds.
        found: Option<Ino>,
    },
    /// The link count is not the number of names (of a directory: 2 and its subdirectories).
    #[error("{path}: has link count {links}, but {names} links")]
    Links {
        /// One of the names.
        path: ImagePath,
        /// Links there are.
        names: u64,
        /// The inode's link count.
        links: u32,
    },
    /// A symbolic link is not as long as it says.
    #[error("{path}: a target of {len} bytes instead of {size}")]
    TargetLength {
        /// Where.
        path: ImagePath,
        /// Bytes of the target.
        len: u64,
        /// Bytes according to the inode.
        size: u64,
    },
    /// Something that is no device has a device number.
    #[error("{path}: is no device, but has number {}:{}", device.major, device.minor)]
    Device {
        /// Where.
        path: ImagePath,
        /// The number.
        device: Device,
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
    /// A chunk lies in a blob that the image does not list.
    #[error("{path}: chunk {chunk} at byte {file_offset}: {at} is not in the image's list")]
    Blob {
        /// The file.
        path: ImagePath,
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it should be stored.
        at: StoredAt,
    },
    /// A chunk's frame ends behind its blob.
    #[error("{path}: chunk {chunk} at byte {file_offset}: {at} ends at byte {end} of {blob_len}")]
    OutsideBlob {
        /// The file.
        path: ImagePath,
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it should be stored.
        at: StoredAt,
        /// One past the last stored byte of the frame.
        end: u64,
        /// Stored bytes of the blob.
        blob_len: u64,
    },
    /// A chunk cannot be read, or is wrong.
    #[error("{path}: chunk {chunk} at byte {file_offset} ({at}) is damaged")]
    Chunk {
        /// The file that comes first in the walk, of all that share the chunk.
        path: ImagePath,
        /// Position among the file's chunks, counted from 0.
        chunk: u64,
        /// Where the chunk begins in the file.
        file_offset: u64,
        /// Where it is stored.
        at: StoredAt,
        /// What is wrong with it.
        source: ExtentError,
    },
    /// There are too many extents. Those of later files are not looked at.
    #[error("{path}: the image has more than {limit} extents")]
    TooManyExtents {
        /// The file that is too much.
        path: ImagePath,
        /// The bound, [`Limits::max_chunks`](image_model::Limits::max_chunks).
        limit: u32,
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
            | Self::Extents { path, .. }
            | Self::Blob { path, .. }
            | Self::OutsideBlob { path, .. }
            | Self::Chunk { path, .. }
            | Self::TooManyExtents { path, .. } => path,
        }
    }
}

impl Blame for AuditFault {
    fn fault(&self) -> Fault {
        match self {
            Self::Walk(error) => error.fault(),
            Self::Inode { source, .. } => source.fault(),
            Self::Chunk { source, .. } => source.fault(),
            Self::TooManyExtents { .. } => Fault::Limit,
            Self::EntryKind { .. }
            | Self::Lookup { .. }
            | Self::Links { .. }
            | Self::TargetLength { .. }
            | Self::Device { .. }
            | Self::Extents { .. }
            | Self::Blob { .. }
            | Self::OutsideBlob { .. } => Fault::Corrupt,
        }
    }
}
