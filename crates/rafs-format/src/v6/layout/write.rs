//! Writing a planned bootstrap, from its first byte to its last.

use std::io;

use erofs_format::write::{Emitter, Placed, directory, write_metadata};
use erofs_format::{DataLayout, Inode, Superblock, xattr};
use image_model::image::ChunkRange;
use image_model::width::u64_from;
use image_model::{InodeId, Node, Tree};
use zerocopy::IntoBytes;

use super::{Layout, content};
use crate::ChunkRecord;
use crate::flags::Compat;
use crate::layout::content::record;
use crate::v6::ext_superblock;
use crate::view;

impl Layout<'_> {
    /// Writes the bootstrap, all [`len`](Self::len) bytes of it, in order. Memory: 64 KiB, and what
    /// is longest of a directory's block, an inode's extended attributes and a link's target.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_to(&self, out: impl io::Write) -> io::Result<()> {
        let mut emitter = Emitter::new(out);
        self.write_tables(&mut emitter)?;
        write_metadata(self, &self.by_place, &self.with_blocks, &mut emitter)?;
        if !self.chunk_table.records.is_empty() {
            emitter.seek(self.ext.chunk_table_offset)?;
        }
        for &used in &self.chunk_table.records {
            let options = &self.options;
            let record: ChunkRecord = record(self.input, used, options.chunk_size, options.compat);
            emitter.buffer.extend_from_slice(&record.to_bytes());
            emitter.flush_if_full()?;
        }
        emitter.seek(self.len)?;
        emitter.flush()
    }

    fn write_tables<W: io::Write>(&self, emitter: &mut Emitter<W>) -> io::Result<()> {
        emitter.seek(Superblock::OFFSET)?;
        let out = &mut emitter.buffer;
        out.extend_from_slice(&self.superblock.to_bytes());
        debug_assert_eq!(u64_from(out.len()), ext_superblock::OFFSET);
        out.extend_from_slice(self.ext.to_raw().as_bytes());
        for slot in &self.devices {
            out.extend_from_slice(&slot.to_bytes());
        }
        if self.input.entries.is_empty() {
            return Ok(());
        }
        emitter.seek(self.ext.blob_table_offset)?;
        for (index, entry) in (0u32..).zip(self.input.entries) {
            emitter.buffer.extend_from_slice(&entry.to_bytes(index));
        }
        for id in &self.options.prefetch {
            let nid = self.inodes[id.index()].nid;
            emitter.buffer.extend_from_slice(&nid.to_le_bytes());
            emitter.flush_if_full()?;
        }
        Ok(())
    }
}

impl Placed for Layout<'_> {
    type Content = ChunkRange;

    fn tree(&self) -> &Tree<ChunkRange> {
        &self.input.image.tree
    }

    fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    fn nid(&self, id: InodeId) -> u64 {
        self.inodes[id.index()].nid.into()
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

    fn write_addresses<W: io::Write>(
        &self,
        id: InodeId,
        start: u64,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()> {
        let Node::File { content, .. } = self.input.image.tree.inode(id).node else {
            return Ok(());
        };
        emitter
            .seek(start.saturating_add(view::align(emitter.position().saturating_sub(start), 8)))?;
        let extents = self.input.image.file_extents(content).unwrap_or_default();
        for chunk in extents.iter().filter_map(|extent| extent.chunk) {
            let block_size = self.superblock.block_size;
            let address = content::address(self.input, chunk.index(), block_size);
            emitter.buffer.extend_from_slice(&address.to_bytes());
            emitter.flush_if_full()?;
        }
        Ok(())
    }

    fn inode(&self, id: InodeId) -> Inode {
        let planned = &self.inodes[id.index()];
        let inode = self.input.image.tree.inode(id);
        let metadata = &inode.metadata;
        let explicit = self.options.explicit_ids;
        let block = self.superblock.block_size.bytes();
        let size = match &inode.node {
            Node::Directory(entries) => directory::data_len(entries, block),
            node => node.size(),
        };
        let number = match self.options.compat {
            Compat::V2_2 if id == InodeId::ROOT => self.options.root_number,
            _ => planned.number,
        };
        Inode {
            nid: planned.nid.into(),
            offset: self.superblock.inode_offset(planned.nid.into()),
            extended: true,
            layout: planned.layout,
            xattr_len: xattr::planned_len(&metadata.xattrs),
            kind: inode.node.kind(),
            mode: metadata.mode & 0o7777,
            size,
            word: planned.word,
            number,
            uid: if explicit { metadata.uid } else { 0 },
            gid: if explicit { metadata.gid } else { 0 },
            mtime: metadata.mtime,
            links: self.input.image.links.get(id.index()).copied().unwrap_or(1),
        }
    }
}
