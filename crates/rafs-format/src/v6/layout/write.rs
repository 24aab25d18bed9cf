//! Writing a planned bootstrap, from its first byte to its last.

use std::io;

use image_model::width::{u64_from, usize_up_to};
use image_model::{InodeId, Node};
use zerocopy::IntoBytes;

use super::directory::{each_block, with_dots, write_block};
use super::{Layout, content};
use crate::ChunkRecord;
use crate::emit::Emitter;
use crate::flags::Compat;
use crate::layout::content::record;
use crate::v6::dirent::RawDirent;
use crate::v6::inode::{DataLayout, Inode};
use crate::v6::{ext_superblock, superblock, xattr};

impl Layout<'_> {
    /// Writes the bootstrap, all [`len`](Self::len) bytes of it, in order. Memory: 64 KiB, and what
    /// is longest of a directory's block, an inode's extended attributes and a link's target.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_to(&self, out: impl io::Write) -> io::Result<()> {
        let mut emitter = Emitter::new(out);
        self.write_tables(&mut emitter)?;
        self.write_metadata(&mut emitter)?;
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
        emitter.seek(superblock::OFFSET)?;
        let out = &mut emitter.buffer;
        out.extend_from_slice(self.superblock.to_raw().as_bytes());
        debug_assert_eq!(u64_from(out.len()), ext_superblock::OFFSET);
        out.extend_from_slice(self.ext.to_raw().as_bytes());
        for slot in &self.devices {
            out.extend_from_slice(slot.to_raw().as_bytes());
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

    /// Inodes and blocks of data, whichever comes next.
    fn write_metadata<W: io::Write>(&self, emitter: &mut Emitter<W>) -> io::Result<()> {
        let mut with_blocks = self.with_blocks.iter().copied().peekable();
        for &id in &self.by_place {
            let offset = self
                .superblock
                .inode_offset(self.inodes[id.index()].nid.into());
            while let Some(earlier) = with_blocks.next_if(|&id| self.blocks_offset(id) < offset) {
                self.write_blocks(earlier, emitter)?;
            }
            emitter.seek(offset)?;
            self.write_inode(id, emitter)?;
            emitter.flush_if_full()?;
        }
        for id in with_blocks {
            self.write_blocks(id, emitter)?;
        }
        Ok(())
    }

    fn blocks_offset(&self, id: InodeId) -> u64 {
        let block = self.inodes[id.index()].word;
        self.superblock.block_size.bytes_in(block)
    }

    /// The inode with extended attributes and what follows it.
    fn write_inode<W: io::Write>(&self, id: InodeId, emitter: &mut Emitter<W>) -> io::Result<()> {
        let inode = self.input.image.tree.inode(id);
        let out = &mut emitter.buffer;
        let start = out.len();
        out.extend_from_slice(self.inode(id).to_extended().as_bytes());
        xattr::write(&inode.metadata.xattrs, out);
        let block = usize_up_to(self.superblock.block_size.bytes());
        match &inode.node {
            Node::File { content, .. } => {
                let padded = out[start..].len().next_multiple_of(8);
                out.resize(start.saturating_add(padded), 0);
                let extents = self.input.image.file_extents(*content).unwrap_or_default();
                for chunk in extents.iter().filter_map(|extent| extent.chunk) {
                    let block_size = self.superblock.block_size;
                    let address = content::address(self.input, chunk.index(), block_size);
                    emitter.buffer.extend_from_slice(&address.to_bytes());
                    emitter.flush_if_full()?;
                }
            }
            Node::Symlink(target) if self.is_inline(id) => {
                out.extend_from_slice(target.chunks_exact(block).remainder());
            }
            Node::Directory(_) if self.is_inline(id) => self.write_directory(id, true, emitter)?,
            _ => {}
        }
        Ok(())
    }

    /// The data of `id` but for its inline tail.
    fn write_blocks<W: io::Write>(&self, id: InodeId, emitter: &mut Emitter<W>) -> io::Result<()> {
        emitter.seek(self.blocks_offset(id))?;
        match &self.input.image.tree.inode(id).node {
            Node::Symlink(target) => {
                let block = usize_up_to(self.superblock.block_size.bytes());
                let tail = if self.is_inline(id) {
                    target.chunks_exact(block).remainder()
                } else {
                    &[]
                };
                let blocks = target.strip_suffix(tail).unwrap_or(target);
                emitter.buffer.extend_from_slice(blocks);
            }
            _ => self.write_directory(id, false, emitter)?,
        }
        emitter.flush_if_full()
    }

    fn is_inline(&self, id: InodeId) -> bool {
        self.inodes[id.index()].layout == DataLayout::Inline
    }

    /// The inline tail of a directory, or all before it.
    fn write_directory<W: io::Write>(
        &self,
        id: InodeId,
        tail: bool,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()> {
        let Some(entries) = self.input.image.tree.directory(id) else {
            return Ok(());
        };
        let dirent = |id: InodeId, name_offset| {
            let nid = self.inodes[id.index()].nid;
            RawDirent::new(
                nid.into(),
                name_offset,
                self.input.image.tree.inode(id).node.kind(),
            )
        };
        let inline = self.is_inline(id);
        let block = usize_up_to(self.superblock.block_size.bytes());
        let names = with_dots(entries, id, self.inodes[id.index()].parent);
        each_block(names, block, |entries, last| {
            if (inline && last) != tail {
                return Ok(());
            }
            let out = &mut emitter.buffer;
            let start = out.len();
            write_block(entries, dirent, out);
            if !last {
                out.resize(start.saturating_add(block), 0);
            }
            emitter.flush_if_full()
        })
    }

    /// The inode as it is stored.
    pub(super) fn inode(&self, id: InodeId) -> Inode {
        let planned = &self.inodes[id.index()];
        let inode = self.input.image.tree.inode(id);
        let metadata = &inode.metadata;
        let explicit = self.options.explicit_ids;
        let block = self.superblock.block_size.bytes();
        let size = match &inode.node {
            Node::Directory(entries) => super::directory::data_len(entries, block),
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
