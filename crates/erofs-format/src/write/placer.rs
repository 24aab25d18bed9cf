//! Where inodes and their data go: the allocator of nydus, step by step.
//!
//! Its results are part of the bootstrap's bytes, so the order of its free lists matters. Source:
//! nydus v2, `builder/src/core/v6.rs` (`v6_set_offset_with_tail`, `allocate_available_block`).

use std::collections::VecDeque;

use image_model::width::usize_up_to;

use crate::block_size::BlockSize;
use crate::inode::{DataLayout, SLOT};
use crate::view;

/// Where an inode went. Offsets are bytes from the start of the metadata area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte of the inode.
    pub offset: u64,
    /// Where its data are.
    pub layout: DataLayout,
    /// Where blocks of data begin (directories and symbolic links).
    pub data: u64,
}

/// Hands out places in the metadata area, from its start to its end but for gaps that fit.
#[derive(Debug)]
pub struct Placer {
    block: u64,
    /// End of what is handed out, gaps included.
    offset: u64,
    /// List `n` holds the blocks whose last `32 n` to `32 n + 31` bytes are free, oldest first.
    free: Vec<VecDeque<u64>>,
}

impl Placer {
    /// An area of blocks of `block_size` of which the first `start` bytes, a multiple of 32, are taken.
    #[must_use]
    pub fn new(block_size: BlockSize, start: u64) -> Self {
        let block = block_size.bytes();
        Self {
            block,
            offset: start,
            free: (0..block / SLOT).map(|_| VecDeque::new()).collect(),
        }
    }

    /// End of the metadata area so far.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.offset
    }

    /// Places a directory or symbolic link: `inode_len` bytes of inode and extended attributes and
    /// `data_len` bytes of data.
    pub fn with_data(&mut self, inode_len: u64, data_len: u64) -> Place {
        let tail = data_len % self.block;
        let place = if tail != 0 && inode_len + tail <= self.block {
            self.with_tail(inode_len + tail, data_len - tail)
        } else {
            self.without_tail(inode_len, data_len)
        };
        self.align_to_slot();
        place
    }

    fn with_tail(&mut self, len: u64, blocks_len: u64) -> Place {
        let offset = self.take(len).unwrap_or_else(|| {
            if self.block - self.offset % self.block < len {
                self.skip_to_block();
            }
            self.append(len)
        });
        if blocks_len != 0 {
            self.skip_to_block();
        }
        Place {
            offset,
            layout: DataLayout::Inline,
            data: self.append(blocks_len),
        }
    }

    fn without_tail(&mut self, inode_len: u64, data_len: u64) -> Place {
        let offset = self
            .take(inode_len)
            .unwrap_or_else(|| self.append(inode_len));
        self.skip_to_block();
        let data = self.append(data_len);
        self.offset = view::align(self.offset, self.block);
        Place {
            offset,
            layout: DataLayout::Plain,
            data,
        }
    }

    /// Places a regular file that has `chunks` chunk addresses of `address_len` bytes.
    pub fn file(&mut self, inode_len: u64, chunks: u64, address_len: u64) -> Place {
        let len = view::align(inode_len, address_len) + chunks * address_len;
        let offset = self.take(len).unwrap_or_else(|| self.append(len));
        self.align_to_slot();
        Place {
            offset,
            layout: DataLayout::Chunked,
            data: 0,
        }
    }

    /// Places any other inode. Gaps are not used for it.
    pub fn special(&mut self, inode_len: u64) -> Place {
        let offset = self.append(inode_len);
        self.align_to_slot();
        Place {
            offset,
            layout: DataLayout::Plain,
            data: 0,
        }
    }

    fn append(&mut self, len: u64) -> u64 {
        let offset = self.offset;
        self.offset += len;
        offset
    }

    fn align_to_slot(&mut self) {
        self.offset = view::align(self.offset, SLOT);
    }

    /// Leaves the rest of the block to smaller inodes.
    fn skip_to_block(&mut self) {
        self.free_from(self.offset);
        self.offset = view::align(self.offset, self.block);
    }

    fn free_from(&mut self, offset: u64) {
        let used = offset % self.block;
        if used != 0 {
            let list = (self.block - used) / SLOT;
            self.free[usize_up_to(list)].push_back(offset - used);
        }
    }

    /// Room for `len` bytes at the end of a block that was given up.
    fn take(&mut self, len: u64) -> Option<u64> {
        if len >= self.block {
            return None;
        }
        let need = len.div_ceil(SLOT);
        let (list, block) = (need..self.block / SLOT)
            .find_map(|list| Some((list, self.free[usize_up_to(list)].pop_front()?)))?;
        let offset = block + self.block - list * SLOT;
        self.free_from(offset + need * SLOT);
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tails_of_blocks_are_used_again() {
        let mut placer = Placer::new(BlockSize::B4096, 4096);
        assert_eq!(placer.with_data(64, 79).offset, 4096);
        assert_eq!(placer.file(64, 0, 8).offset, 4096 + 160);
        // Does not fit into the rest of the first block, which becomes free from 4320 on.
        let large = placer.with_data(64, 3900);
        assert_eq!((large.offset, large.layout), (8192, DataLayout::Inline));
        assert_eq!(placer.end(), 8192 + 3968);
        assert_eq!(placer.file(64, 1, 8).offset, 4320);
        assert_eq!(placer.file(64, 1, 8).offset, 4416);
        // Other kinds never use gaps.
        assert_eq!(placer.special(64).offset, 8192 + 3968);
    }

    #[test]
    fn data_of_whole_blocks_are_never_inline() {
        let mut placer = Placer::new(BlockSize::B512, 4096);
        let place = placer.with_data(64, 1024);
        assert_eq!((place.layout, place.offset), (DataLayout::Plain, 4096));
        assert_eq!(place.data, 4608);
        let place = placer.with_data(64, 512 + 500);
        // 64 + 500 bytes exceed a block: plain as well, into the gap after the first inode.
        assert_eq!((place.layout, place.offset), (DataLayout::Plain, 4160));
        assert_eq!((place.data, placer.end()), (5632, 6656));
    }
}
