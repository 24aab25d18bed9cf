//! Planning and writing an image.

mod error;
mod files;
mod front;

use std::io;
use std::num::NonZeroU32;

use image_model::image::{ChunkExtent, ChunkRange};
use image_model::width::u64_from;
use image_model::{InodeId, Node, Tree};

use crate::block_size::BlockSize;
use crate::chunk_index::ChunkIndex;
use crate::device_number::pack_device;
use crate::inode::{DataLayout, EXTENDED_LEN, Inode, SLOT};
use crate::loss::{Loss, Room, losses};
use crate::superblock::Superblock;
use crate::view;
use crate::write::{Emitter, Place, Placed, Placer, directory, write_metadata};
use crate::xattr;

use files::{FileLayout, file_layout};
use front::Front;

pub use error::EncodeError;

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
/// other is stored in one piece (a plain layout), any other by chunk addresses of 4 bytes: one that shares some chunks
/// with others, or has chunks of zeros, which are holes. Extended attributes are inline. The superblock has a checksum.
/// Metadata comes before content, so that an image is written from start to end once the places of its chunks are
/// known. Inodes are placed as RAFS does it: depth first, a directory's files before its subdirectories, small inodes
/// in the gaps that aligned data leave.
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
        let nowhere = Planned {
            nid: 0,
            word: 0,
            number: 0,
            parent: InodeId::ROOT,
            layout: DataLayout::Plain,
        };
        let mut planner = Planner {
            input,
            placer: Placer::new(BlockSize::B4096, INODES),
            inodes: vec![nowhere; input.tree.len()],
            by_place: Vec::new(),
            with_blocks: Vec::new(),
            chunked: false,
        };
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

    /// Writes the metadata, all [`metadata_len`](Self::metadata_len) bytes, in order; content follows.
    /// Memory: 64 KiB, and what is longest of a directory's block, an inode's extended attributes and a
    /// link's target.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_metadata(&self, uuid: [u8; 16], out: impl io::Write) -> io::Result<()> {
        let superblock = Superblock {
            uuid,
            ..self.superblock
        };
        let mut emitter = Emitter::new(Front::new(superblock, out));
        write_metadata(self, &self.by_place, &self.with_blocks, &mut emitter)?;
        emitter.seek(self.metadata_len())?;
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
        let in_one_piece = planned.layout == DataLayout::Plain && size != 0;
        let word = match inode.node {
            Node::File { .. } if in_one_piece => planned.word.saturating_add(self.content),
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

/// Goes through the tree once and gathers the plan.
struct Planner<'a> {
    input: LayoutInput<'a>,
    placer: Placer,
    inodes: Vec<Planned>,
    by_place: Vec<InodeId>,
    with_blocks: Vec<InodeId>,
    /// Whether any file has chunk addresses.
    chunked: bool,
}

impl<'a> Planner<'a> {
    fn run(&mut self) -> Result<(), EncodeError> {
        let tree = self.input.tree;
        let mut pending = vec![InodeId::ROOT];
        while let Some(at) = pending.pop() {
            self.place(at)?;
            let first_child = pending.len();
            for &id in tree.directory(at).into_iter().flat_map(|d| d.values()) {
                if tree.directory(id).is_some() {
                    self.inodes[id.index()].parent = at;
                    pending.push(id);
                } else if self.inodes[id.index()].nid == 0 {
                    self.place(id)?;
                }
            }
            pending[first_child..].reverse();
        }
        Ok(())
    }

    fn place(&mut self, id: InodeId) -> Result<(), EncodeError> {
        let inode = self.input.tree.inode(id);
        let xattr_len = xattr::planned_len(&inode.metadata.xattrs);
        let len = EXTENDED_LEN.saturating_add(xattr_len);
        let block = BlockSize::B4096;
        let mut word = 0;
        let place = match &inode.node {
            Node::Directory(entries) => {
                let data_len = directory::data_len(entries, block.bytes());
                self.with_data(id, len, data_len, &mut word)?
            }
            Node::Symlink(target) => self.with_data(id, len, u64_from(target.len()), &mut word)?,
            Node::File { size, content } => match file_layout(&self.input, id, *size, *content)? {
                FileLayout::OnePiece { first } => {
                    word = first;
                    self.placer.special(len)
                }
                FileLayout::Chunks { format, count } => {
                    word = format;
                    self.chunked = true;
                    self.placer.file(len, count, ADDRESS_LEN)
                }
            },
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                word = pack_device(*device).ok_or(EncodeError::Broken { what: "device" })?;
                self.placer.special(len)
            }
            _ => self.placer.special(len),
        };
        self.by_place.push(id);
        let number = u32::try_from(self.by_place.len()).unwrap_or(u32::MAX);
        let planned = &mut self.inodes[id.index()];
        planned.nid = place.offset / SLOT;
        planned.layout = place.layout;
        planned.number = number;
        planned.word = word;
        Ok(())
    }

    fn with_data(
        &mut self,
        id: InodeId,
        inode_len: u64,
        data_len: u64,
        word: &mut u32,
    ) -> Result<Place, EncodeError> {
        let block = BlockSize::B4096;
        let place = self.placer.with_data(inode_len, data_len);
        if place.layout == DataLayout::Plain || data_len >= block.bytes() {
            self.with_blocks.push(id);
        }
        let first = block.whole_in(place.data);
        *word = u32::try_from(first).map_err(|_| EncodeError::TooLong { blocks: first })?;
        Ok(place)
    }

    fn finish(self, links: Vec<u32>) -> Result<Layout<'a>, EncodeError> {
        let Self {
            input,
            placer,
            inodes,
            mut by_place,
            with_blocks,
            chunked,
        } = self;
        let block = BlockSize::B4096;
        let blocks = block.whole_in(view::align(placer.end(), block.bytes()));
        let content = u32::try_from(blocks).map_err(|_| EncodeError::TooLong { blocks })?;
        let mut superblock = Superblock::new(block);
        superblock.feature_compat = Superblock::COMPAT_CHECKSUM | Superblock::COMPAT_MTIME;
        if chunked {
            superblock.feature_incompat = Superblock::INCOMPAT_CHUNKED_FILE;
        }
        let root = inodes[InodeId::ROOT.index()].nid;
        superblock.root_nid = u16::try_from(root).expect("the root is placed first");
        superblock.inos = u64_from(by_place.len());
        superblock.blocks = content;
        by_place.sort_unstable_by_key(|id| inodes[id.index()].nid);
        Ok(Layout {
            input,
            superblock,
            links,
            inodes,
            by_place,
            with_blocks,
            content,
        })
    }
}
