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
    /// Device number, 0:0 for what is no device.
    pub device: Device,
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// The name.
    pub name: NameRef<'a>,
    /// What it means.
    pub ino: Ino,
    /// Kind of the inode.
    pub kind: FileKind,
}

/// A piece of a file: one chunk, a run of zeros, or bytes that lie plain in a blob.
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
    /// In a blob as they are, in any length: a tar, a directory, a file system. Nothing vouches for
    /// them, and any part of them can be read by itself.
    Plain {
        /// The blob.
        blob: BlobIndex,
        /// First byte, from the start of the blob.
        offset: u64,
    },
    /// In a chunk, which is as long as the extent.
    Chunk {
        /// The frame that holds it: see [`Image::frame`].
        frame: FrameId,
        /// First byte of the chunk in the decoded frame.
        offset_in_frame: u32,
        /// Digest of the chunk's bytes, where the image has one.
        digest: Option<Digest>,
        /// CRC-32C of the chunk's bytes, where the image has one.
        crc32c: Option<u32>,
    },
}

/// A container image's file system, whatever holds it.
///
/// Implementations check what they touch and nothing else: each method may find the image corrupt.
/// They do no I/O and never read content; [`extents`](Self::extents) says where it is.
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

    /// What `name` means in `directory`; `None` if it has no such entry.
    ///
    /// # Errors
    /// If `directory` is none, or is damaged.
    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError>;

    /// The same, and of which kind that is: what a path goes on from. May cost less than
    /// [`attributes`](Self::attributes) besides.
    ///
    /// # Errors
    /// If `directory` is none, or it or what tells the kind is damaged.
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

    /// Shows `visit` the entries of `directory` in byte order, without `.` and `..`, until it breaks.
    ///
    /// # Errors
    /// If `directory` is none, or is damaged.
    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError>;

    /// The target of the symbolic link `ino`.
    ///
    /// # Errors
    /// If `ino` is no symbolic link, or is damaged.
    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError>;

    /// Shows `visit` the extents of the file `ino` that touch `range`, whole and in file order,
    /// until it breaks. Together the extents of `0..size` cover the file without gap or overlap.
    ///
    /// # Errors
    /// If `ino` is no regular file, or is damaged. A range beyond the end is cut off there.
    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError>;

    /// The frame that an extent names.
    ///
    /// # Errors
    /// If there is no such frame, or what describes it is damaged.
    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError>;

    /// A number that no frame has, nor any above it: of 0 to it, most are those of frames.
    fn frame_bound(&self) -> u32;

    /// How frames are decoded: the table that [`Frame::recipe`] counts. `None` beyond its end.
    fn recipe(&self, recipe: RecipeId) -> Option<Recipe>;

    /// The blobs that [`Frame::blob`] counts.
    fn blobs(&self) -> &[Blob];

    /// Whether `ino` is a directory that no entry of the layer described
    /// ([`Inode::is_implied`](crate::Inode::is_implied)). In most formats there is none.
    fn is_implied(&self, _ino: Ino) -> bool {
        false
    }
}

/// A frame or recipe that the image does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} {index}, the image has {count}")]
pub struct NoSuchEntry {
    /// `frame` or `recipe`.
    pub what: &'static str,
    /// The number asked for.
    pub index: u32,
    /// How many there are.
    pub count: usize,
}

impl Blame for NoSuchEntry {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

/// A question that the image cannot answer: the caller mixed something up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongInode {
    /// No inode has this number.
    #[error("there is no inode {0}")]
    Missing(Ino),
    /// The inode is of another kind.
    #[error("a {expected} is needed, this is a {found}")]
    Kind {
        /// What the question needs.
        expected: FileKind,
        /// What the inode is.
        found: FileKind,
    },
}

impl Blame for WrongInode {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}
