//! The blocks of zstd frames.

use super::super::Corruption;

pub(super) const BLOCK_HEADER_LEN: usize = 3;

/// The header of a block (RFC 8878 section 3.1.1.2), little endian:
///
/// | bits | field | rule |
/// |---|---|---|
/// | 0 | last block | |
/// | 1-2 | type: 0 raw, 1 one byte repeated, 2 compressed, 3 reserved | not 3 |
/// | 3-23 | size of the content: stored; of type 1: decoded | of type 2 not 0 |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) last: bool,
    /// The size field.
    pub(super) size: u32,
    /// Number of bytes after the header.
    pub(super) stored_len: u32,
}

impl BlockHeader {
    pub(super) fn parse(bytes: [u8; BLOCK_HEADER_LEN]) -> Result<Self, Corruption> {
        let [a, b, c] = bytes;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = header >> 3;
        let stored_len = match (header >> 1) & 3 {
            1 => 1,
            2 if size == 0 => return Err(Corruption::EmptyBlock),
            3 => return Err(Corruption::Reserved),
            _ => size,
        };
        Ok(Self {
            last: header & 1 == 1,
            size,
            stored_len,
        })
    }
}

/// Tracks the blocks of a frame: libzstd accepts an empty compressed block if the frame arrives in pieces, and refuses
/// it otherwise.
#[cfg(feature = "zstd")]
#[derive(Default)]
pub(super) struct Blocks {
    /// Bytes to skip before the next header.
    skip: usize,
    header: [u8; BLOCK_HEADER_LEN],
    have: usize,
    /// Whether there are no more headers.
    ended: bool,
}

#[cfg(feature = "zstd")]
impl Blocks {
    /// Blocks that begin after `skip` bytes.
    pub(super) fn behind(skip: usize) -> Self {
        Self {
            skip,
            ..Self::default()
        }
    }

    /// Continues with the bytes of the frame.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Corruption> {
        while !self.ended {
            let (passed, rest) = bytes.split_at(self.skip.min(bytes.len()));
            self.skip = self.skip.saturating_sub(passed.len());
            let missing = BLOCK_HEADER_LEN.saturating_sub(self.have);
            let (taken, rest) = rest.split_at(missing.min(rest.len()));
            let end = self.have.saturating_add(taken.len());
            self.header[self.have..end].copy_from_slice(taken);
            self.have = end;
            if end < BLOCK_HEADER_LEN {
                return Ok(());
            }
            let header = BlockHeader::parse(self.header)?;
            self.skip = image_model::width::usize_from(header.stored_len);
            self.have = 0;
            self.ended = header.last;
            bytes = rest;
        }
        Ok(())
    }
}
