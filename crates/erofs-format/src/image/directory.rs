//! The data of directories and symbolic links.

use bytes::Bytes;
use image_model::width::usize_up_to;
use image_model::{FileKind, Ino, NameRef};

use super::ErofsImage;
use crate::dirent::{Dirent, DirentBlock, last_at_most};
use crate::error::{At, DecodeError, StructureError, limit};
use crate::inode::{DataLayout, Inode};

/// A block of a directory, and where it is.
pub(crate) struct DirectoryBlock {
    pub(crate) bytes: Bytes,
    pub(crate) offset: u64,
}

impl DirectoryBlock {
    pub(crate) fn entries(&self) -> Result<DirentBlock<'_>, StructureError> {
        DirentBlock::new(&self.bytes, self.offset)
    }
}

impl ErofsImage {
    /// Bytes of `inode` that lie after it, its data being flat.
    pub(super) fn tail_len(&self, inode: &Inode) -> Result<u64, StructureError> {
        let block_size = self.superblock.block_size;
        if inode.layout != DataLayout::Inline || inode.size == 0 {
            return Ok(0);
        }
        let tail_len = block_size.rest(inode.size);
        let end = block_size.rest(inode.end()).saturating_add(tail_len);
        let fits = tail_len != 0 && end <= block_size.bytes();
        let rule = "such that data are left for the tail, which lies in one block";
        At::new("inode", inode.offset).require(fits, "i_size", inode.size, rule)?;
        Ok(tail_len)
    }

    /// Where byte `position` of the flat data of `inode` is, and how many follow it there.
    pub(crate) fn flat_place(
        &self,
        inode: &Inode,
        position: u64,
    ) -> Result<(u64, u64), StructureError> {
        let body = inode.size.saturating_sub(self.tail_len(inode)?);
        Ok(match position.checked_sub(body) {
            Some(in_tail) => (
                inode.end().saturating_add(in_tail),
                inode.size.saturating_sub(position),
            ),
            None => (
                (self.superblock.block_size.bytes_in(inode.word)).saturating_add(position),
                body.saturating_sub(position),
            ),
        })
    }

    /// Reads `len` bytes at `position` of the flat data of `inode`, which lie in the image.
    pub(super) fn read_flat(
        &self,
        inode: &Inode,
        mut position: u64,
        len: u64,
    ) -> Result<Bytes, DecodeError> {
        let rule = "plain or inline for metadata";
        let flat = inode.layout != DataLayout::Chunked;
        let at = At::new("inode", inode.offset);
        at.require(flat, "i_format", inode.layout.id() << 1, rule)?;
        let end = position.saturating_add(len);
        at.require(
            end <= inode.size,
            "i_size",
            inode.size,
            "enough for what is read of it",
        )?;
        let mut gathered = Bytes::new();
        while position < end {
            let (offset, follow) = self.flat_place(inode, position)?;
            let now = follow.min(end.saturating_sub(position));
            let piece = self.read("data", offset, now)?;
            position = position.saturating_add(now);
            gathered = match gathered.is_empty() {
                true => piece,
                false => [gathered, piece].concat().into(),
            };
        }
        Ok(gathered)
    }

    /// Number of blocks of the directory `inode`.
    pub(crate) fn block_count(&self, inode: &Inode) -> usize {
        usize_up_to(inode.size.div_ceil(self.superblock.block_size.bytes()))
    }

    /// Where block `number` of the directory `inode` is, and how long it is.
    pub(crate) fn block_place(
        &self,
        inode: &Inode,
        number: usize,
    ) -> Result<(u64, u64), StructureError> {
        let size = self.superblock.block_size.bytes();
        let start = crate::view::element_offset(0, number, usize_up_to(size));
        let (offset, follow) = self.flat_place(inode, start)?;
        Ok((offset, follow.min(size)))
    }

    pub(crate) fn block(
        &self,
        inode: &Inode,
        number: usize,
    ) -> Result<DirectoryBlock, DecodeError> {
        let (offset, len) = self.block_place(inode, number)?;
        let bytes = self.read("directory block", offset, len)?;
        Ok(DirectoryBlock { bytes, offset })
    }

    /// The entry called `name` of the directory `inode`: its inode and kind.
    pub(super) fn find(
        &self,
        inode: &Inode,
        name: &[u8],
    ) -> Result<Option<(Ino, FileKind)>, DecodeError> {
        inode.require_kind(FileKind::Directory)?;
        let Some(number) = last_at_most(self.block_count(inode), |number| {
            let block = self.block(inode, number)?;
            Ok::<_, DecodeError>(block.entries()?.entry(0)?.name.cmp(name))
        })?
        else {
            return Ok(None);
        };
        let block = self.block(inode, number)?;
        let found = block.entries()?.last_at_most(name)?;
        let found = found.filter(|entry| entry.name == name);
        Ok(found.map(|entry| (Ino(entry.nid), entry.kind)))
    }

    /// Shows the entries of the directory `inode` but `.` and `..`, in order, until `visit` returns false.
    pub(super) fn each_entry(
        &self,
        inode: &Inode,
        visit: &mut dyn FnMut(NameRef<'_>, &Dirent<'_>) -> bool,
    ) -> Result<(), DecodeError> {
        inode.require_kind(FileKind::Directory)?;
        let mut last = Vec::new();
        for number in 0..self.block_count(inode) {
            let block = self.block(inode, number)?;
            let entries = block.entries()?;
            for index in 0..entries.len() {
                let entry = entries.entry(index)?;
                let offset = entry.offset;
                if entry.name <= &last[..] {
                    return Err(StructureError::NameOrder { offset }.into());
                }
                last.clear();
                last.extend_from_slice(entry.name);
                if matches!(entry.name, b"." | b"..") {
                    continue;
                }
                let name = NameRef::new(entry.name)
                    .map_err(|source| StructureError::Name { offset, source })?;
                if !visit(name, &entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn read_target(&self, inode: &Inode) -> Result<Box<[u8]>, DecodeError> {
        inode.require_kind(FileKind::Symlink)?;
        let what = "bytes of a symbolic link's target";
        limit(what, inode.size, self.limits.max_symlink_len.into())?;
        let target = self.read_flat(inode, 0, inode.size)?;
        let rule = "at most the bytes before the first NUL of the link's target";
        let nul = target.contains(&0);
        At::new("inode", inode.offset).require(!nul, "i_size", inode.size, rule)?;
        Ok((*target).into())
    }
}
