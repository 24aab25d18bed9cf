//! The narrow trait that every image implements, and the owned image.

mod chunked;

use std::fmt;
use std::ops::{ControlFlow, Range};

use crate::blob::{Blob, BlobIndex};

use crate::digest::Digest;
use crate::error::{Blame, Fault, ImageError};
use crate::frame::{Frame, FrameId, Recipe, RecipeId};
use crate::metadata::{Device, FileKind, Timestamp, Xattrs};
use crate::name::NameRef;

pub use chunked::{BrokenImage, ChunkExtent, ChunkRange, ChunkedImage, ChunkedParts};

/// An inode's number within one image. All names of a hard-linked file give the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl fmt::Display for Ino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fixed-size part of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Kind of file.
    pub kind: FileKind,
    /// Low 12 bits of `st_mode`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// File length or symlink target length in bytes; 0 for directories and the rest.
    pub size: u64,
    /// Number of names; directories: 2 plus subdirectories.
    pub links: u32,
    /// Device number, 0:0 if it is not a device.
    pub device: Device,
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// The name.
    pub name: NameRef<'a>,
    /// Its inode.
    pub ino: Ino,
    /// Kind of the inode.
    pub kind: FileKind,
}

/// A piece of a file: one chunk, a run of zeros, or plain bytes in a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte in the file.
    pub file_offset: u64,
    /// Length in bytes; not 0.
    pub len: u64,
    /// Where the bytes are.
    pub source: ExtentSource,
}

/// Where the bytes of an [`Extent`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtentSource {
    /// Nowhere: they are zero.
    Zeros,
    /// Plain in a blob, of any length: in a tar, a directory, a file system. They have no digest,
    /// and any part of them can be read by itself.
    Plain {
        /// The blob.
        blob: BlobIndex,
        /// First byte, from the start of the blob.
        offset: u64,
    },
    /// In a chunk, which is as long as the extent.
    Chunk {
        /// The frame that contains it: see [`Image::frame`].
        frame: FrameId,
        /// First byte of the chunk in the decoded frame.
        offset_in_frame: u32,
        /// Digest of the chunk's bytes, if the image has one.
        digest: Option<Digest>,
        /// CRC-32C of the chunk's bytes, if the image has one.
        crc32c: Option<u32>,
    },
}

/// A container image's file system, independent of the format. Implementations check only what they
/// access: each method may find the image corrupt. They do no I/O and never read content;
/// [`extents`](Self::extents) says where it is.
pub trait Image {
    /// The root directory.
    fn root(&self) -> Ino;

    /// The fixed-size part of `ino`.
    ///
    /// # Errors
    /// If there is no such inode, or it is damaged.
    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError>;

    /// The extended attributes of `ino`.
    ///
    /// # Errors
    /// If there is no such inode, or it is damaged.
    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError>;

    /// Looks up `name` in `directory`; `None` if there is no such entry.
    ///
    /// # Errors
    /// If `directory` is not a directory, or is damaged.
    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError>;

    /// The same, with the kind of the inode, as needed to follow a path. May cost less than calling
    /// [`attributes`](Self::attributes) as well.
    ///
    /// # Errors
    /// If `directory` is not a directory, or it or the record of the kind is damaged.
    fn lookup_kind(
        &self,
        directory: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<(Ino, FileKind)>, ImageError> {
        let Some(ino) = self.lookup(directory, name)? else {
            return Ok(None);
        };
        Ok(Some((ino, self.attributes(ino)?.kind)))
    }

    /// Passes the entries of `directory` to `visit` in byte order, without `.` and `..`, until it breaks.
    ///
    /// # Errors
    /// If `directory` is not a directory, or is damaged.
    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError>;

    /// The target of the symbolic link `ino`.
    ///
    /// # Errors
    /// If `ino` is not a symbolic link, or is damaged.
    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError>;

    /// Passes the extents of the file `ino` that overlap `range` to `visit`, whole and in file
    /// order, until it breaks. Together the extents of `0..size` cover the file without gap or
    /// overlap.
    ///
    /// # Errors
    /// If `ino` is not a regular file, or is damaged. A range beyond the end is truncated.
    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError>;

    /// The frame that an extent refers to.
    ///
    /// # Errors
    /// If there is no such frame, or its description is damaged.
    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError>;

    /// The number that stands for all frames of which the image says the same as of `frame`: by it readers share what
    /// they have fetched and decoded. Most formats number what is stored once, and each number stands for itself; where
    /// every use has a number of its own, the first call may make an index.
    fn shared_frame(&self, frame: FrameId) -> FrameId {
        frame
    }

    /// An upper bound of all frame numbers: no frame has this number or a greater one, and most
    /// smaller numbers belong to frames.
    fn frame_bound(&self) -> u32;

    /// A recipe of the table that [`Frame::recipe`] indexes. `None` beyond its end.
    fn recipe(&self, recipe: RecipeId) -> Option<Recipe>;

    /// The blobs, indexed by [`Frame::blob`].
    fn blobs(&self) -> &[Blob];

    /// Whether `ino` is a directory without an entry in the layer
    /// ([`Inode::is_implied`](crate::Inode::is_implied)). Most formats have none.
    fn is_implied(&self, _ino: Ino) -> bool {
        false
    }
}

/// A frame or recipe that the image does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {index}: the image has {count}")]
pub struct NoSuchEntry {
    /// `frame` or `recipe`.
    pub what: &'static str,
    /// The number.
    pub index: u32,
    /// How many there are.
    pub count: usize,
}

impl Blame for NoSuchEntry {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

/// A question that the image cannot answer: the caller's mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongInode {
    /// No inode has this number.
    #[error("there is no inode {0}")]
    Missing(Ino),
    /// The inode is of another kind.
    #[error("expected a {expected}, found a {found}")]
    Kind {
        /// The kind required.
        expected: FileKind,
        /// The kind of the inode.
        found: FileKind,
    },
}

impl Blame for WrongInode {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}
