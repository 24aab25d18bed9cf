//! Planning and writing an image.

mod error;
mod files;
mod front;
mod planner;
mod tails;

use std::io;
use std::num::NonZeroU32;

use image_model::image::{ChunkExtent, ChunkRange};
use image_model::{InodeId, Metadata, Node, Tree};

use crate::block_size::BlockSize;
use crate::chunk_index::ChunkIndex;
use crate::inode::{DataLayout, EXTENDED_LEN, Inode};
use crate::loss::{Loss, Room, losses};
use crate::superblock::Superblock;
use crate::write::{Emitter, Placed, directory, write_metadata};
use crate::xattr;

use front::Front;
use planner::Planner;
use tails::WithTails;

pub use error::EncodeError;
pub use tails::Tails;

/// First byte of the area in which inodes are placed: directly after the superblock.
const INODES: u64 = 1152;

/// Bytes of each chunk address: of the image alone.
const ADDRESS_LEN: u64 = 4;

/// The input for planning an image.
#[derive(Debug, Clone, Copy)]
pub struct LayoutInput<'a> {
    /// Inodes and names; a file holds a range of `extents`.
    pub tree: &'a Tree<ChunkRange>,
    /// The chunks of files, each where the one before it ends.
    pub extents: &'a [ChunkExtent],
    /// Where each chunk is: its first block, counted from where content begins; `None` for zeros, which
    /// are nowhere.
    pub chunks: &'a [Option<u32>],
    /// Of which chunks the end after the last whole block is in no block, but inline, beside the inode of its file. Such
    /// a chunk is the last of one file whose chunks lie one after the other, and its end is as long as
    /// [`tail_len`](Self::tail_len) says, not 0. None that are not listed.
    pub inline: &'a [bool],
    /// Bytes of a chunk that is not its file's last: a power of two, 4096 or more.
    pub chunk_size: u32,
}

impl LayoutInput<'_> {
    /// Whether chunks may have this size.
    ///
    /// # Errors
    /// [`EncodeError::ChunkSize`] if not.
    pub fn check_chunk_size(chunk_size: u32) -> Result<NonZeroU32, EncodeError> {
        let size = NonZeroU32::new(chunk_size).filter(|size| size.is_power_of_two());
        let size = size.filter(|size| u64::from(size.get()) >= BlockSize::B4096.bytes());
        size.ok_or(EncodeError::ChunkSize { chunk_size })
    }

    /// Bytes of the end of the file `inode` after its last whole block, if they fit into a block together with the inode
    /// and its attributes; else 0, as for all that are no files.
    #[must_use]
    pub fn tail_len<C>(inode: &image_model::Inode<C>) -> u64 {
        let Node::File { size, .. } = inode.node else {
            return 0;
        };
        let tail = BlockSize::B4096.rest(size);
        let beside = inode_len(&inode.metadata).saturating_add(tail);
        match beside <= BlockSize::B4096.bytes() {
            true => tail,
            false => 0,
        }
    }
}

/// Bytes of an inode and its extended attributes.
fn inode_len(metadata: &Metadata) -> u64 {
    EXTENDED_LEN.saturating_add(xattr::planned_len(&metadata.xattrs))
}

/// Where one inode goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Planned {
    /// Number of its 32-byte slot; 0 if the root does not reach the inode.
    nid: u64,
    /// The word `i_u`; of a file that is stored in one piece, from where content begins.
    word: u32,
    /// The sequential number `i_ino`.
    number: u32,
    /// The directory above (directories only).
    parent: InodeId,
    layout: DataLayout,
}

/// A planned image: the place of everything in it.
///
/// ```text
///     0  1024 zero bytes
///  1024  superblock             128 bytes   Superblock
///  1152  inodes, each with its extended attributes and what is inline, chunk addresses;
///        blocks of directories and links
///     D  content, chunk by chunk, each at the beginning of a block of 4096 bytes
/// ```
///
/// `D` is the first multiple of 4096 after the metadata. All inodes are extended. A file whose chunks lie one after the
/// other is stored in one piece (a plain layout, or inline if its end is beside its inode), any other by chunk
/// addresses of 4 bytes: one that shares some chunks with others, or has chunks of zeros, which are holes. Extended
/// attributes are inline. The superblock has a checksum. Metadata comes before content, so that an image is written
/// from start to end once the places of its chunks are known. Inodes are placed as RAFS does it: depth first, a
/// directory's files before its subdirectories, small inodes in the gaps that aligned data leave; here those of all
/// kinds.
///
/// The plan takes about 40 bytes for each inode.
#[derive(Debug, Clone)]
pub struct Layout<'a> {
    input: LayoutInput<'a>,
    superblock: Superblock,
    /// `st_nlink` of each inode.
    links: Vec<u32>,
    /// By position in the tree's table.
    inodes: Vec<Planned>,
    /// Inodes in the order of their places.
    by_place: Vec<InodeId>,
    /// Inodes with blocks of data, in the order of those.
    with_blocks: Vec<InodeId>,
    /// First block of content.
    content: u32,
}

impl<'a> Layout<'a> {
    /// Decides where everything goes.
    ///
    /// # Errors
    /// [`EncodeError`] if the format cannot carry the tree, its content is not cut as
    /// [`LayoutInput::chunk_size`] says, or the image would have 2^32 blocks or more.
    pub fn plan(input: LayoutInput<'a>) -> Result<Self, EncodeError> {
        LayoutInput::check_chunk_size(input.chunk_size)?;
        input.tree.check()?;
        let links = input.tree.link_counts();
        let mut first = None;
        losses(input.tree, Room::EROFS, &mut |path, what| {
            first.get_or_insert_with(|| Loss {
                path: path.clone(),
                what,
            });
        });
        if let Some(loss) = first {
            return Err(loss.into());
        }
        let mut planner = Planner::new(input);
        planner.run()?;
        planner.finish(links)
    }

    /// Length of the metadata: where content begins in bytes.
    #[must_use]
    pub fn metadata_len(&self) -> u64 {
        BlockSize::B4096.bytes_in(self.content)
    }

    /// The superblock, but for its UUID and checksum.
    #[must_use]
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Sets how many blocks of content follow the metadata.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] if the image would have 2^32 blocks or more.
    pub fn with_content(mut self, blocks: u32) -> Result<Self, EncodeError> {
        let sum = u64::from(self.content).saturating_add(blocks.into());
        // The last number means a hole.
        let fits = u32::try_from(sum).ok().filter(|&sum| sum != u32::MAX);
        self.superblock.blocks = fits.ok_or(EncodeError::TooLong { blocks: sum })?;
        Ok(self)
    }

    /// Writes the metadata, all [`metadata_len`](Self::metadata_len) bytes, in order; content follows. `tails` fills in
    /// the inline end of a file's content, all of it. Memory: 64 KiB, and what is longest of a directory's block, an
    /// inode's extended attributes and a link's target.
    ///
    /// # Errors
    /// Errors of `out` and of `tails`.
    pub fn write_metadata(
        &self,
        uuid: [u8; 16],
        tails: Tails<'_>,
        out: impl io::Write,
    ) -> io::Result<()> {
        let superblock = Superblock {
            uuid,
            ..self.superblock
        };
        let mut emitter = Emitter::new(Front::new(superblock, out));
        let placed = WithTails {
            layout: self,
            tails: Some(tails),
        };
        write_metadata(&placed, &self.by_place, &self.with_blocks, &mut emitter)?;
        emitter.seek(self.metadata_len())?;
        emitter.flush()
    }

    /// Writes inodes, attributes, directories, links and chunk addresses, in their order, and nothing between them: no
    /// superblock, no content that is inline. Together with the digests of all chunks that tells images apart.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_outline(&self, out: impl io::Write) -> io::Result<()> {
        let mut emitter = Emitter::without_gaps(out);
        let placed = WithTails {
            layout: self,
            tails: None,
        };
        write_metadata(&placed, &self.by_place, &self.with_blocks, &mut emitter)?;
        emitter.flush()
    }
}

impl Placed for Layout<'_> {
    type Content = ChunkRange;

    fn tree(&self) -> &Tree<ChunkRange> {
        self.input.tree
    }

    fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    fn nid(&self, id: InodeId) -> u64 {
        self.inodes[id.index()].nid
    }

    fn parent(&self, id: InodeId) -> InodeId {
        self.inodes[id.index()].parent
    }

    fn layout(&self, id: InodeId) -> DataLayout {
        self.inodes[id.index()].layout
    }

    fn first_block(&self, id: InodeId) -> u32 {
        self.inodes[id.index()].word
    }

    fn inode(&self, id: InodeId) -> Inode {
        let planned = &self.inodes[id.index()];
        let inode = self.input.tree.inode(id);
        let metadata = &inode.metadata;
        let block = self.superblock.block_size.bytes();
        let size = match &inode.node {
            Node::Directory(entries) => directory::data_len(entries, block),
            node => node.size(),
        };
        let has_blocks = match planned.layout {
            DataLayout::Plain => size != 0,
            DataLayout::Inline => size >= block,
            DataLayout::Chunked => false,
        };
        let word = match inode.node {
            Node::File { .. } if has_blocks => planned.word.saturating_add(self.content),
            _ => planned.word,
        };
        Inode {
            nid: planned.nid,
            offset: self.superblock.inode_offset(planned.nid),
            extended: true,
            layout: planned.layout,
            xattr_len: xattr::planned_len(&metadata.xattrs),
            kind: inode.node.kind(),
            mode: metadata.mode & 0o7777,
            size,
            word,
            number: planned.number,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime,
            links: self.links.get(id.index()).copied().unwrap_or(1),
        }
    }

    fn write_addresses<W: io::Write>(
        &self,
        id: InodeId,
        _start: u64,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()> {
        let Node::File { content, .. } = self.input.tree.inode(id).node else {
            return Ok(());
        };
        if self.layout(id) != DataLayout::Chunked {
            return Ok(());
        }
        // Inodes and extended attributes are multiples of 4 bytes.
        for chunk in files::chunks(&self.input, content).into_iter().flatten() {
            let place = files::place(&self.input, chunk);
            let block = place.map_or(ChunkIndex::HOLE, |block| block.saturating_add(self.content));
            emitter.buffer.extend_from_slice(&block.to_le_bytes());
            emitter.flush_if_full()?;
        }
        Ok(())
    }
}
