//! The narrow trait that every image implements, and the owned image.

use std::fmt;
use std::ops::{ControlFlow, Range};

use crate::chunk::{Blob, Chunk, ChunkId, Frame};
use crate::digest::Digest;
use crate::error::{Blame, Fault, ImageError};
use crate::metadata::{Device, FileKind, Timestamp, Xattrs};
use crate::name::NameRef;
use crate::tree::{BrokenTree, InodeId, Node, Tree};
use crate::tree_view::TreeView;

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

/// A piece of a file: one chunk, or a run of zeros.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentSource {
    /// Nowhere: they are zero.
    Zeros,
    /// In a chunk, which is as long as the extent.
    Chunk {
        /// The frame to decode.
        frame: Frame,
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

    /// The blobs that [`Frame::blob`] counts.
    fn blobs(&self) -> &[Blob];
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

/// A file's extents as a range of [`ChunkedImage::extents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkRange {
    /// First extent.
    pub start: u32,
    /// One past the last extent.
    pub end: u32,
}

/// An extent of a [`ChunkedImage`]; it ends where the file's next one begins, or the file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkExtent {
    /// First byte in the file.
    pub file_offset: u64,
    /// The chunk with the bytes; `None` for zeros.
    pub chunk: Option<ChunkId>,
}

/// An image whose content is stored: the last stage before a format is written, and what a
/// format's metadata decode to.
///
/// All lists are flat; a file holds a range of `extents`, an extent names a chunk, a chunk a frame,
/// a frame a blob. Files share chunks freely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedImage {
    /// Inodes and names.
    pub tree: Tree<ChunkRange>,
    /// All files' extents.
    pub extents: Vec<ChunkExtent>,
    /// Distinct stored chunks.
    pub chunks: Vec<Chunk>,
    /// Distinct stored frames.
    pub frames: Vec<Frame>,
    /// Blobs that hold the frames.
    pub blobs: Vec<Blob>,
    /// `st_nlink` of every inode of the tree.
    pub links: Vec<u32>,
}

/// A [`ChunkedImage`] whose lists do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenImage {
    /// The names are no tree, or lead nowhere.
    #[error(transparent)]
    Tree(#[from] BrokenTree),
    /// A file's extents leave the list, begin after 0, or are out of order.
    #[error("the extents of inode {} do not cover its {size} bytes in order", inode.index())]
    Extents {
        /// The file.
        inode: InodeId,
        /// Its length in bytes.
        size: u64,
    },
    /// An extent is not as long as its chunk.
    #[error("inode {}: the chunk at byte {file_offset} has {chunk_len} bytes, its extent {extent_len}", inode.index())]
    ChunkLength {
        /// The file.
        inode: InodeId,
        /// Where the extent begins in the file.
        file_offset: u64,
        /// Bytes of the chunk.
        chunk_len: u32,
        /// Bytes of the extent.
        extent_len: u64,
    },
    /// An extent, chunk or frame points past the end of its list.
    #[error("a reference to {what} {index} leaves the list of {len}")]
    Dangling {
        /// `chunk`, `frame` or `blob`.
        what: &'static str,
        /// The position asked for.
        index: usize,
        /// Length of the list.
        len: usize,
    },
    /// A chunk lies outside its frame.
    #[error("chunk {chunk} ends at byte {end} of a frame of {frame_len}")]
    ChunkOutsideFrame {
        /// Position of the chunk.
        chunk: usize,
        /// One past its last byte in the frame.
        end: u64,
        /// Decoded bytes of the frame.
        frame_len: u32,
    },
}

impl Blame for BrokenImage {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

impl ChunkedImage {
    /// Puts the parts together and checks that they fit.
    ///
    /// # Errors
    /// [`BrokenImage`] on the first reference that leads nowhere or range that does not fit, and if
    /// a directory has two names or lies in itself.
    pub fn new(
        tree: Tree<ChunkRange>,
        extents: Vec<ChunkExtent>,
        chunks: Vec<Chunk>,
        frames: Vec<Frame>,
        blobs: Vec<Blob>,
    ) -> Result<Self, BrokenImage> {
        let (links, checked) = tree.count_links();
        checked?;
        let image = Self {
            tree,
            extents,
            chunks,
            frames,
            blobs,
            links,
        };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<(), BrokenImage> {
        for frame in &self.frames {
            at(&self.blobs, "blob", frame.blob.0 as usize)?;
        }
        for (index, chunk) in self.chunks.iter().enumerate() {
            let frame = at(&self.frames, "frame", chunk.frame.0 as usize)?;
            let end = u64::from(chunk.offset_in_frame) + u64::from(chunk.len);
            if end > u64::from(frame.len) {
                return Err(BrokenImage::ChunkOutsideFrame {
                    chunk: index,
                    end,
                    frame_len: frame.len,
                });
            }
        }
        for index in 0..self.tree.len() {
            let inode = InodeId::new(u32::try_from(index).expect("a tree has fewer inodes"));
            if let Node::File { size, content } = self.tree.inode(inode).node {
                self.check_file(inode, size, content)?;
            }
        }
        Ok(())
    }

    fn check_file(
        &self,
        inode: InodeId,
        size: u64,
        content: ChunkRange,
    ) -> Result<(), BrokenImage> {
        let broken = BrokenImage::Extents { inode, size };
        let extents = self.file_extents(content).ok_or(broken)?;
        let mut expected = 0;
        for (position, extent) in extents.iter().enumerate() {
            let end = extents.get(position + 1).map_or(size, |e| e.file_offset);
            if extent.file_offset != expected || end <= extent.file_offset {
                return Err(broken);
            }
            if let Some(chunk) = extent.chunk {
                let chunk = at(&self.chunks, "chunk", chunk.index())?;
                if u64::from(chunk.len) != end - extent.file_offset {
                    return Err(BrokenImage::ChunkLength {
                        inode,
                        file_offset: extent.file_offset,
                        chunk_len: chunk.len,
                        extent_len: end - extent.file_offset,
                    });
                }
            }
            expected = end;
        }
        if expected == size {
            Ok(())
        } else {
            Err(broken)
        }
    }

    /// The extents that `content` names; `None` if it leaves the list.
    #[must_use]
    pub fn file_extents(&self, content: ChunkRange) -> Option<&[ChunkExtent]> {
        self.extents
            .get(content.start as usize..content.end as usize)
    }

    fn view(&self) -> TreeView<'_, ChunkRange> {
        TreeView::new(&self.tree, &self.links)
    }
}

fn at<'a, T>(list: &'a [T], what: &'static str, index: usize) -> Result<&'a T, BrokenImage> {
    let len = list.len();
    list.get(index)
        .ok_or(BrokenImage::Dangling { what, index, len })
}

impl Image for ChunkedImage {
    fn root(&self) -> Ino {
        self.view().root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        self.view().attributes(ino)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        self.view().xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.view().lookup(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.view().read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.view().symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let (size, &content) = self.view().file(ino)?;
        let extents = self.file_extents(content).unwrap_or_default();
        let first = extents
            .partition_point(|e| e.file_offset <= range.start)
            .saturating_sub(1);
        for position in first..extents.len() {
            let ChunkExtent { file_offset, chunk } = extents[position];
            let end = extents.get(position + 1).map_or(size, |e| e.file_offset);
            if file_offset >= range.end || range.start >= end || range.is_empty() {
                break;
            }
            let source = chunk.map_or(ExtentSource::Zeros, |id| {
                let chunk = self.chunks[id.index()];
                ExtentSource::Chunk {
                    frame: self.frames[chunk.frame.0 as usize],
                    offset_in_frame: chunk.offset_in_frame,
                    digest: chunk.digest,
                    crc32c: chunk.crc32c,
                }
            });
            let extent = Extent {
                file_offset,
                len: end - file_offset,
                source,
            };
            if visit(extent).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
