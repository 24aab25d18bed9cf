//! Where everything goes, decided in one pass through the tree.

use image_model::width::u64_from;
use image_model::{InodeId, Node};

use super::files::{FileLayout, file_layout};
use super::{ADDRESS_LEN, EncodeError, INODES, Layout, LayoutInput, Planned, inode_len};
use crate::block_size::BlockSize;
use crate::device_number::pack_device;
use crate::inode::{DataLayout, SLOT};
use crate::superblock::Superblock;
use crate::view;
use crate::write::{Place, Placer, directory};

/// Goes through the tree once and gathers the plan.
pub(super) struct Planner<'a> {
    input: LayoutInput<'a>,
    placer: Placer,
    inodes: Vec<Planned>,
    by_place: Vec<InodeId>,
    with_blocks: Vec<InodeId>,
    /// Whether any file has chunk addresses.
    chunked: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: LayoutInput<'a>) -> Self {
        let nowhere = Planned {
            nid: 0,
            word: 0,
            number: 0,
            parent: InodeId::ROOT,
            layout: DataLayout::Plain,
        };
        Self {
            input,
            placer: Placer::new(BlockSize::B4096, INODES),
            inodes: vec![nowhere; input.tree.len()],
            by_place: Vec::new(),
            with_blocks: Vec::new(),
            chunked: false,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), EncodeError> {
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
        let len = inode_len(&inode.metadata);
        let block = BlockSize::B4096;
        let mut word = 0;
        let place = match &inode.node {
            Node::Directory(entries) => {
                let data_len = directory::data_len(entries, block.bytes());
                self.with_data(id, len, data_len, &mut word)?
            }
            Node::Symlink(target) => self.with_data(id, len, u64_from(target.len()), &mut word)?,
            Node::File { size, content } => match file_layout(&self.input, id, *size, *content)? {
                FileLayout::OnePiece { first, tail } => {
                    word = first;
                    match tail {
                        0 => self.without_data(len),
                        tail => self.placer.with_data(len, tail),
                    }
                }
                FileLayout::Chunks { format, count } => {
                    word = format;
                    self.chunked = true;
                    self.placer.file(len, count, ADDRESS_LEN)
                }
            },
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                word = pack_device(*device).ok_or(EncodeError::Broken { what: "device" })?;
                self.without_data(len)
            }
            _ => self.without_data(len),
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

    /// Places an inode that nothing follows.
    fn without_data(&mut self, inode_len: u64) -> Place {
        Place {
            layout: DataLayout::Plain,
            ..self.placer.file(inode_len, 0, ADDRESS_LEN)
        }
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

    pub(super) fn finish(self, links: Vec<u32>) -> Result<Layout<'a>, EncodeError> {
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
