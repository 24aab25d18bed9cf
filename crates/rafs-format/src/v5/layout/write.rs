//! Writing a planned bootstrap, from its first byte to its last.

use std::io;

use erofs_format::device_number::pack_device;
use erofs_format::write::Emitter;
use image_model::width::usize_from;
use image_model::{InodeId, Node};
use zerocopy::IntoBytes;

use super::Layout;
use super::order::Named;
use crate::flags::Compat;
use crate::layout::content::record;
use crate::v5::ext_blob_entry::ExtBlobEntry;
use crate::v5::inode::{self, Inode, InodeFlags};
use crate::v5::{inode_table, xattr};

impl Layout<'_> {
    /// Writes the bootstrap, all [`len`](Self::len) bytes of it, in order. Memory: 64 KiB, and the
    /// longest extended attributes of an inode.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_to(&self, out: impl io::Write) -> io::Result<()> {
        let mut emitter = Emitter::new(out);
        self.write_tables(&mut emitter)?;
        for &at in &self.by_place {
            let named = &self.names[usize_from(at)];
            emitter.seek(named.offset)?;
            self.write_inode(at.saturating_add(1), named, &mut emitter)?;
        }
        emitter.seek(self.len)?;
        emitter.flush()
    }

    fn write_tables<W: io::Write>(&self, emitter: &mut Emitter<W>) -> io::Result<()> {
        let superblock = &self.superblock;
        emitter
            .buffer
            .extend_from_slice(superblock.to_raw().as_bytes());
        emitter.seek(superblock.inode_table_offset)?;
        for named in &self.names {
            let entry = inode_table::entry(named.offset);
            emitter.buffer.extend_from_slice(&entry);
            emitter.flush_if_full()?;
        }
        emitter.seek(superblock.prefetch_table_offset)?;
        for &id in &self.options.prefetch {
            let number = self.number(id).unwrap_or(0);
            emitter.buffer.extend_from_slice(&number.to_le_bytes());
            emitter.flush_if_full()?;
        }
        emitter.seek(superblock.blob_table_offset)?;
        emitter.buffer.extend_from_slice(&self.blob_table);
        for entry in self.input.entries {
            let entry = ExtBlobEntry {
                chunk_count: entry.chunk_count,
                features: entry.features.bits(),
                uncompressed_size: entry.uncompressed_size,
                compressed_size: entry.compressed_size,
            };
            emitter.buffer.extend_from_slice(&entry.to_bytes());
            emitter.flush_if_full()?;
        }
        Ok(())
    }

    /// An inode with all that follows it.
    fn write_inode<W: io::Write>(
        &self,
        number: u32,
        named: &Named<'_>,
        emitter: &mut Emitter<W>,
    ) -> io::Result<()> {
        let inode = self.input.image.tree.inode(named.id);
        let planned = self.inode(number, named);
        emitter
            .buffer
            .extend_from_slice(planned.to_raw().as_bytes());
        emitter.buffer.extend_from_slice(named.stored_name());
        emitter.seek(emitter.position().next_multiple_of(8))?;
        if let Node::Symlink(target) = &inode.node {
            emitter.buffer.extend_from_slice(target);
            emitter.seek(emitter.position().next_multiple_of(8))?;
        }
        xattr::write(&inode.metadata.xattrs, &mut emitter.buffer);
        if let Node::File { content, .. } = &inode.node {
            let extents = self.input.image.file_extents(*content).unwrap_or_default();
            let chunks = extents.iter().filter_map(|extent| extent.chunk);
            for (number, chunk) in (0u32..).zip(chunks) {
                let position = u32::try_from(chunk.index()).unwrap_or(u32::MAX);
                let options = &self.options;
                let used = (position, number);
                let record = record(self.input, used, options.chunk_size, options.compat);
                emitter.buffer.extend_from_slice(&record.to_bytes());
                emitter.flush_if_full()?;
            }
        }
        emitter.flush_if_full()
    }

    /// The inode as stored.
    fn inode(&self, number: u32, named: &Named<'_>) -> Inode {
        let image = self.input.image;
        let tree_inode = image.tree.inode(named.id);
        let metadata = &tree_inode.metadata;
        let explicit = self.options.explicit_ids;
        let xattr_len = xattr::planned_len(&metadata.xattrs);
        let links = image.links.get(named.id.index()).copied().unwrap_or(1);
        let small = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let short = |len: usize| u16::try_from(len).expect("the plan refuses longer ones");
        let mut flags = InodeFlags::default();
        if xattr_len != 0 {
            flags = flags | InodeFlags::XATTR;
        }
        let (mut child_index, mut child_count, mut target_len, mut rdev) = (0, 0, 0, 0);
        let mut size = tree_inode.node.size();
        match &tree_inode.node {
            Node::Directory(children) => {
                let names = children.keys().map(|name| name.as_bytes().len());
                size =
                    inode::directory_size(names.map(inode::entry_len).fold(0, u64::saturating_add));
                (child_index, child_count) = (named.child_index, small(children.len()));
            }
            Node::File { size, .. } => {
                let chunks = size.div_ceil(self.options.chunk_size.into());
                child_count = u32::try_from(chunks).unwrap_or(u32::MAX);
            }
            Node::Symlink(target) => {
                flags = flags | InodeFlags::SYMLINK;
                target_len = short(target.len());
            }
            Node::CharDevice(device) | Node::BlockDevice(device) => {
                rdev = pack_device(*device).expect("the plan refuses others");
            }
            Node::Fifo | Node::Socket => {}
        }
        // Release 2.2 leaves the length of the extended attributes out.
        let counted = match self.options.compat {
            Compat::V2_2 => xattr_len.saturating_sub(xattr::SIZE_LEN),
            Compat::V2_4 => xattr_len,
        };
        let ino = match named.id {
            InodeId::ROOT => inode::ROOT,
            id => self.number(id).unwrap_or(number),
        };
        Inode {
            number,
            offset: named.offset,
            digest: named.digest,
            parent: named.parent.into(),
            ino: ino.into(),
            uid: if explicit { metadata.uid } else { 0 },
            gid: if explicit { metadata.gid } else { 0 },
            project: 0,
            kind: tree_inode.node.kind(),
            mode: metadata.mode & 0o7777,
            size,
            blocks: inode::blocks(size, counted),
            flags,
            links,
            child_index,
            child_count,
            name_len: short(named.stored_name().len()),
            target_len,
            rdev,
            mtime: metadata.mtime,
            xattr_len,
        }
    }
}
