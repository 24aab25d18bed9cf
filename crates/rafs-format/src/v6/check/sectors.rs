//! Which sectors of tars the chunks of a tarfs image take.

use erofs_format::inode::Inode;
use image_model::width::u64_from;

use super::Checker;
use crate::check::Inconsistency;
use crate::v6::chunk_address::ChunkAddress;
use crate::view;

/// What the chunks of files take of tars: 24 bytes each.
#[derive(Debug, Default)]
pub(super) struct Sectors(Vec<TarChunk>);

/// A chunk, in the order of tars and of sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TarChunk {
    device: u8,
    start: u32,
    /// Position among the chunks of the tar.
    index: u32,
    len: u32,
    /// Where its address is.
    offset: u64,
}

impl TarChunk {
    /// The first sector after it.
    fn end(&self) -> u64 {
        let sectors = u64::from(self.len).div_ceil(512);
        u64::from(self.start).saturating_add(sectors)
    }
}

impl Checker<'_> {
    /// Takes note of chunk `number` of the file `inode`, if it lies in a tar as it was.
    pub(super) fn take_sectors(
        &mut self,
        inode: &Inode,
        address: &[u8; ChunkAddress::LEN],
        number: usize,
    ) {
        if !self.bootstrap.is_tarfs() {
            return;
        }
        let chunk_size = self.bootstrap.ext.chunk_size;
        let before = u64_from(number).saturating_mul(chunk_size.into());
        let left = u32::try_from(inode.size.saturating_sub(before)).unwrap_or(u32::MAX);
        let ChunkAddress {
            device,
            index,
            startblk,
        } = ChunkAddress::from_bytes(address);
        self.sectors.0.push(TarChunk {
            device,
            start: startblk,
            index,
            len: left.min(chunk_size),
            offset: view::element_offset(inode.chunk_addresses(), number, ChunkAddress::LEN),
        });
    }
}

impl Sectors {
    /// Reports chunks that begin before another one of the same tar ends. Several files may have one and the same.
    pub(super) fn check(mut self, report: &mut dyn FnMut(u64, Inconsistency)) {
        self.0.sort_unstable();
        let mut furthest: Option<TarChunk> = None;
        for chunk in self.0 {
            let Some(before) = furthest.filter(|before| before.device == chunk.device) else {
                furthest = Some(chunk);
                continue;
            };
            let same =
                (before.start, before.index, before.len) == (chunk.start, chunk.index, chunk.len);
            if !same && u64::from(chunk.start) < before.end() {
                let other_offset = before.offset;
                report(chunk.offset, Inconsistency::SectorOverlap { other_offset });
            }
            if before.end() < chunk.end() {
                furthest = Some(chunk);
            }
        }
    }
}
