//! The ends of files that are stored beside their inodes.

use std::io;

use image_model::image::ChunkRange;
use image_model::width::usize_up_to;
use image_model::{InodeId, Node, Tree};

use super::Layout;
use crate::inode::{DataLayout, Inode};
use crate::superblock::Superblock;
use crate::write::{Emitter, Placed};

/// Fills in the inline end of the content of a file: its last bytes.
pub type Tails<'t> = &'t dyn Fn(InodeId, &mut [u8]) -> io::Result<()>;

/// A layout that is written with the ends of files, or without.
pub(super) struct WithTails<'w, 'a> {
    pub(super) layout: &'w Layout<'a>,
    pub(super) tails: Option<Tails<'w>>,
}

impl Placed for WithTails<'_, '_> {
    type Content = ChunkRange;

    fn tree(&self) -> &Tree<ChunkRange> {
        self.layout.tree()
    }

    fn superblock(&self) -> &Superblock {
        Placed::superblock(self.layout)
    }

    fn nid(&self, id: InodeId) -> u64 {
        self.layout.nid(id)
    }

    fn parent(&self, id: InodeId) -> InodeId {
        self.layout.parent(id)
    }

    fn layout(&self, id: InodeId) -> DataLayout {
        self.layout.layout(id)
    }

    fn first_block(&self, id: InodeId) -> u32 {
        self.layout.first_block(id)
    }

    fn inode(&self, id: InodeId) -> Inode {
        self.layout.inode(id)
    }

    fn write_addresses<W: io::Write>(
        &self,
        id: InodeId,
        start: u64,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()> {
        let inline = self.layout(id) == DataLayout::Inline;
        let (Node::File { size, .. }, true) = (&self.tree().inode(id).node, inline) else {
            return self.layout.write_addresses(id, start, emitter);
        };
        let Some(tails) = self.tails else {
            return Ok(());
        };
        let out = &mut emitter.buffer;
        let begin = out.len();
        let len = usize_up_to(self.layout.superblock.block_size.rest(*size));
        out.resize(begin.saturating_add(len), 0);
        tails(id, &mut out[begin..])
    }
}
