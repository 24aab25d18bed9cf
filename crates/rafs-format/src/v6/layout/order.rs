//! The order in which names are numbered and inodes placed.

use image_model::width::u64_from;
use image_model::{ChunkedImage, InodeId, Node};

use super::Planned;
use super::content::Contents;
use crate::layout::{EncodeError, LayoutInput, LayoutOptions};
use crate::v6::chunk_address::ChunkAddress;
use crate::view::MAX_LEN;
use erofs_format::device_number::pack_device;
use erofs_format::inode::{DataLayout, EXTENDED_LEN, SLOT};
use erofs_format::loss::second_path_of;
use erofs_format::write::{Place, Placer, directory};
use erofs_format::xattr;
use erofs_format::{BlockSize, Superblock};

/// Goes through the tree once and gathers the plan.
///
/// The children of a directory are numbered one after the other, in the order of their names; those
/// that are not directories are placed on the way. Then each subdirectory is placed, and its children
/// follow before the next one. So does nydus (spec: numbering, v5 as v6).
#[derive(Debug)]
pub(super) struct Planner<'a> {
    image: &'a ChunkedImage,
    meta_start: u64,
    block_size: BlockSize,
    pub(super) placer: Placer,
    pub(super) contents: Contents<'a>,
    pub(super) inodes: Vec<Planned>,
    pub(super) with_blocks: Vec<InodeId>,
    /// Names numbered so far.
    pub(super) names: u32,
    pub(super) has_xattr: bool,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        input: LayoutInput<'a>,
        options: &LayoutOptions,
        superblock: &Superblock,
    ) -> Self {
        let image = input.image;
        let block_size = superblock.block_size;
        let nowhere = Planned {
            nid: 0,
            word: 0,
            number: 0,
            parent: InodeId::ROOT,
            layout: DataLayout::Plain,
        };
        Self {
            image,
            meta_start: superblock.meta_start(),
            block_size,
            placer: Placer::new(block_size, 4096),
            contents: Contents::new(input, options.chunk_size, block_size),
            inodes: vec![nowhere; image.tree.len()],
            with_blocks: Vec::new(),
            names: 0,
            has_xattr: false,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), EncodeError> {
        let tree = &self.image.tree;
        self.add_name(InodeId::ROOT, InodeId::ROOT)?;
        let mut pending = vec![InodeId::ROOT];
        while let Some(at) = pending.pop() {
            self.place(at)?;
            let first_child = pending.len();
            for &id in tree.directory(at).into_iter().flat_map(|d| d.values()) {
                let first_name = self.add_name(id, at)?;
                if tree.directory(id).is_some() {
                    pending.push(id);
                } else if first_name {
                    self.place(id)?;
                }
            }
            pending[first_child..].reverse();
        }
        Ok(())
    }

    /// Numbers one name of `id`, in directory `parent`; whether it is the inode's first.
    fn add_name(&mut self, id: InodeId, parent: InodeId) -> Result<bool, EncodeError> {
        self.names = self.names.checked_add(1).ok_or(EncodeError::TooLong {
            len: MAX_LEN.saturating_add(1),
        })?;
        let inode = &self.image.tree.inode(id).node;
        let planned = self
            .inodes
            .get_mut(id.index())
            .ok_or(EncodeError::Broken { what: "inode" })?;
        let first = planned.number == 0;
        if first {
            planned.number = self.names;
        }
        match inode {
            Node::Directory(_) if !first => Err(EncodeError::SharedDirectory {
                path: second_path_of(&self.image.tree, id),
            }),
            Node::Directory(_) => {
                planned.parent = parent;
                Ok(true)
            }
            Node::File { size, content } => {
                self.contents.add_name(id);
                if first {
                    planned.word = self.contents.check_file(id, *size, *content)?;
                }
                Ok(first)
            }
            _ => Ok(first),
        }
    }

    fn place(&mut self, id: InodeId) -> Result<(), EncodeError> {
        let inode = self.image.tree.inode(id);
        let xattr_len = xattr::planned_len(&inode.metadata.xattrs);
        self.has_xattr |= xattr_len != 0;
        let len = EXTENDED_LEN.saturating_add(xattr_len);
        let block = self.block_size.bytes();
        let place = match &inode.node {
            Node::Directory(entries) => {
                let data_len = directory::data_len(entries, block);
                self.with_data(id, len, data_len)
            }
            Node::Symlink(target) => self.with_data(id, len, u64_from(target.len())),
            Node::File { size, .. } => {
                let chunks = size.div_ceil(self.contents.chunk_size().into());
                self.placer.file(len, chunks, u64_from(ChunkAddress::LEN))
            }
            _ => self.placer.special(len),
        };
        let end = self.meta_start.saturating_add(self.placer.end());
        if end > MAX_LEN {
            return Err(EncodeError::TooLong { len: end });
        }
        let planned = &mut self.inodes[id.index()];
        let small = |value: u64| u32::try_from(value).expect("offsets below 2 GiB are small");
        planned.nid = small(place.offset / SLOT);
        planned.layout = place.layout;
        match &inode.node {
            Node::Directory(_) | Node::Symlink(_) => {
                let data = self.meta_start.saturating_add(place.data);
                planned.word = small(self.block_size.whole_in(data));
            }
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                planned.word =
                    pack_device(*device).ok_or(EncodeError::Broken { what: "device" })?;
            }
            _ => {}
        }
        Ok(())
    }

    fn with_data(&mut self, id: InodeId, inode_len: u64, data_len: u64) -> Place {
        let place = self.placer.with_data(inode_len, data_len);
        if place.layout == DataLayout::Plain || data_len >= self.block_size.bytes() {
            self.with_blocks.push(id);
        }
        place
    }
}
