//! The owned image, whose content is stored.

use std::ops::{ControlFlow, Range};

use super::{Attributes, DirEntry, Extent, ExtentSource, Image, Ino, NoSuchEntry};
use crate::blob::Blob;
use crate::chunk::{Chunk, ChunkId};
use crate::error::{Blame, Fault, ImageError};
use crate::frame::{Frame, FrameId, Recipe, RecipeId};
use crate::metadata::Xattrs;
use crate::name::NameRef;
use crate::tree::{BrokenTree, InodeId, Node, Tree};
use crate::tree_view::TreeView;

/// A file's extents as a range of [`ChunkedImage::extents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkRange {
    /// First extent.
    pub start: u32,
    /// One past the last extent.
    pub end: u32,
}

/// An extent of a [`ChunkedImage`]; it ends where the file's next extent begins, or at the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkExtent {
    /// First byte in the file.
    pub file_offset: u64,
    /// The chunk with the bytes; `None` for zeros.
    pub chunk: Option<ChunkId>,
}

/// An image whose content is stored: the last stage before a format is written, and the decoded
/// form of a format's metadata. All lists are flat; a file has a range of `extents`, an extent
/// refers to a chunk, a chunk to a frame, a frame to a blob. Files share chunks freely.
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
    /// How they are decoded.
    pub recipes: Vec<Recipe>,
    /// Blobs that hold the frames.
    pub blobs: Vec<Blob>,
    /// `st_nlink` of every inode of the tree.
    pub links: Vec<u32>,
}

/// The parts of a [`ChunkedImage`].
#[derive(Debug, Clone, Default)]
pub struct ChunkedParts {
    /// All files' extents.
    pub extents: Vec<ChunkExtent>,
    /// Distinct stored chunks.
    pub chunks: Vec<Chunk>,
    /// Distinct stored frames.
    pub frames: Vec<Frame>,
    /// How they are decoded.
    pub recipes: Vec<Recipe>,
    /// Blobs that hold the frames.
    pub blobs: Vec<Blob>,
}

/// A [`ChunkedImage`] whose lists are inconsistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenImage {
    /// The names do not form a tree, or refer to missing inodes.
    #[error(transparent)]
    Tree(#[from] BrokenTree),
    /// A file's extents exceed the list, begin after 0, or are out of order.
    #[error("the extents of inode {} do not cover its {size} bytes in order", inode.index())]
    Extents {
        /// The file.
        inode: InodeId,
        /// Its length in bytes.
        size: u64,
    },
    /// The lengths of an extent and its chunk differ.
    #[error("inode {}: the chunk at byte {file_offset} has {chunk_len} bytes, but its extent has {extent_len}", inode.index())]
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
    /// An extent, chunk or frame refers past the end of a list.
    #[error("reference to {what} {index}, but there are only {len}")]
    Dangling {
        /// `chunk`, `frame`, `recipe` or `blob`.
        what: &'static str,
        /// The position.
        index: usize,
        /// Length of the list.
        len: usize,
    },
    /// A chunk is not within its frame.
    #[error("chunk {chunk} ends at byte {end} of a frame of {frame_len} bytes")]
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
    /// Assembles the parts and checks that they are consistent.
    ///
    /// # Errors
    /// [`BrokenImage`] on the first invalid reference or range, and if a directory has two names or
    /// contains itself.
    pub fn new(tree: Tree<ChunkRange>, parts: ChunkedParts) -> Result<Self, BrokenImage> {
        let (links, checked) = tree.count_links();
        checked?;
        let ChunkedParts {
            extents,
            chunks,
            frames,
            recipes,
            blobs,
        } = parts;
        let image = Self {
            tree,
            extents,
            chunks,
            frames,
            recipes,
            blobs,
            links,
        };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<(), BrokenImage> {
        for frame in &self.frames {
            at(&self.blobs, "blob", frame.blob.0 as usize)?;
            at(&self.recipes, "recipe", frame.recipe.0 as usize)?;
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

    /// The extents in the range `content`; `None` if it exceeds the list.
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
                    frame: chunk.frame,
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

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        self.frames.get(frame.0 as usize).copied().ok_or_else(|| {
            let (what, index) = ("frame", frame.0);
            let count = self.frames.len();
            ImageError::new(None, NoSuchEntry { what, index, count })
        })
    }

    fn frame_bound(&self) -> u32 {
        // As many as can be numbered.
        self.frames.len() as u32
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.recipes.get(recipe.0 as usize).cloned()
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn is_implied(&self, ino: Ino) -> bool {
        self.view().is_implied(ino)
    }
}
