//! The data of directories and symbolic links.

use erofs_format::dirent::{Dirent, DirentBlock, last_at_most};
use erofs_format::{DataLayout, Inode};
use image_model::width::{u64_from, usize_up_to};
use image_model::{FileKind, NameRef};

use super::bootstrap::Bootstrap;

use crate::error::{At, DecodeError};
use crate::view;

/// The data of a directory or symbolic link: whole blocks, then the tail after the inode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) blocks: &'a [u8],
    /// Where the blocks begin in the bootstrap.
    pub(super) blocks_offset: u64,
    pub(super) tail: &'a [u8],
    /// Where the tail begins in the bootstrap.
    pub(super) tail_offset: u64,
}

impl Bootstrap {
    /// Finds the data of `inode`, which must be a directory or symbolic link.
    pub(super) fn data(&self, inode: &Inode) -> Result<Data<'_>, DecodeError> {
        let block_size = self.superblock.block_size;
        let tail_len = match inode.layout {
            DataLayout::Inline => block_size.rest(inode.size),
            DataLayout::Plain | DataLayout::Chunked => 0,
        };
        let tail_offset = inode.end();
        if inode.layout == DataLayout::Inline {
            let end = block_size.rest(tail_offset).saturating_add(tail_len);
            let fits = tail_len != 0 && end <= block_size.bytes();
            let rule = "such that data are left for the tail, which lies in one block";
            At::new("inode", inode.offset).require(fits, "i_size", inode.size, rule)?;
        }
        let blocks_len = inode.size.saturating_sub(tail_len);
        let blocks_offset = match blocks_len {
            0 => 0,
            _ => block_size.bytes_in(inode.word),
        };
        Ok(Data {
            blocks: view::slice(&self.bytes, "data blocks", blocks_offset, blocks_len)?,
            blocks_offset,
            tail: view::slice(&self.bytes, "inline data", tail_offset, tail_len)?,
            tail_offset,
        })
    }

    /// Opens the directory `inode`.
    pub(super) fn directory(&self, inode: &Inode) -> Result<Directory<'_>, DecodeError> {
        inode.require_kind(FileKind::Directory)?;
        Ok(Directory {
            data: self.data(inode)?,
            block_size: usize_up_to(self.superblock.block_size.bytes()),
        })
    }
}

/// A directory: blocks of entries, sorted by name across all blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    data: Data<'a>,
    block_size: usize,
}

impl<'a> Directory<'a> {
    fn block_count(&self) -> usize {
        let whole = self.data.blocks.len().div_ceil(self.block_size);
        whole.saturating_add(usize::from(!self.data.tail.is_empty()))
    }

    fn block(&self, number: usize) -> Result<DirentBlock<'a>, DecodeError> {
        let start = number.saturating_mul(self.block_size);
        let (block, offset) = match self.data.blocks.get(start..) {
            Some(rest) if !rest.is_empty() => (
                &rest[..rest.len().min(self.block_size)],
                self.data.blocks_offset.saturating_add(u64_from(start)),
            ),
            _ => (self.data.tail, self.data.tail_offset),
        };
        Ok(DirentBlock::new(block, offset)?)
    }

    /// The blocks in order; those that cannot be read by where they are.
    pub(super) fn blocks(
        self,
    ) -> impl Iterator<Item = Result<DirentBlock<'a>, (u64, DecodeError)>> {
        (0..self.block_count()).map(move |number| {
            let start = number.saturating_mul(self.block_size);
            let offset = if start < self.data.blocks.len() {
                self.data.blocks_offset.saturating_add(u64_from(start))
            } else {
                self.data.tail_offset
            };
            self.block(number).map_err(|error| (offset, error))
        })
    }

    /// The entry called `name`, `.` and `..` included.
    pub(super) fn find(&self, name: &[u8]) -> Result<Option<Dirent<'a>>, DecodeError> {
        let Some(block) = last_at_most(self.block_count(), |number| {
            Ok::<_, DecodeError>(self.block(number)?.entry(0)?.name.cmp(name))
        })?
        else {
            return Ok(None);
        };
        let block = self.block(block)?;
        match block.last_at_most(name)? {
            Some(entry) if entry.name == name => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// All entries but `.` and `..`, in order; the first that is wrong ends them.
    pub(super) fn entries(self) -> Entries<'a> {
        Entries {
            directory: self,
            block: None,
            next_block: 0,
            next_entry: 0,
            last: &[],
        }
    }
}

/// See [`Directory::entries`].
#[derive(Debug)]
pub(super) struct Entries<'a> {
    directory: Directory<'a>,
    block: Option<DirentBlock<'a>>,
    next_block: usize,
    next_entry: usize,
    last: &'a [u8],
}

impl<'a> Entries<'a> {
    /// The next entry, `.` and `..` included.
    fn next_raw(&mut self) -> Result<Option<Dirent<'a>>, DecodeError> {
        loop {
            if let Some(block) = self.block.filter(|block| self.next_entry < block.len()) {
                let entry = block.entry(self.next_entry)?;
                self.next_entry = self.next_entry.saturating_add(1);
                return Ok(Some(entry));
            }
            if self.next_block == self.directory.block_count() {
                return Ok(None);
            }
            self.block = Some(self.directory.block(self.next_block)?);
            self.next_block = self.next_block.saturating_add(1);
            self.next_entry = 0;
        }
    }

    fn next_entry(&mut self) -> Result<Option<(NameRef<'a>, Dirent<'a>)>, DecodeError> {
        loop {
            let Some(entry) = self.next_raw()? else {
                return Ok(None);
            };
            let is_dots = matches!(entry.name, b"." | b"..");
            let offset = entry.offset;
            let name = match NameRef::new(entry.name) {
                Err(source) if !is_dots => return Err(DecodeError::Name { offset, source }),
                name => name.ok(),
            };
            if entry.name <= self.last {
                return Err(DecodeError::NameOrder { offset });
            }
            self.last = entry.name;
            if let Some(name) = name {
                return Ok(Some((name, entry)));
            }
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(NameRef<'a>, Dirent<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_entry().transpose();
        if let Some(Err(_)) = item {
            self.block = None;
            self.next_block = self.directory.block_count();
        }
        item
    }
}
