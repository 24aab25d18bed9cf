//! The blocks of zstd frames.

use super::super::Corruption;
use super::FrameHeader;

pub(super) const BLOCK_HEADER_LEN: usize = 3;

/// Largest block, stored or decoded, of a frame whose window is not smaller, in bytes.
const MAX_BLOCK_LEN: u32 = 128 << 10;

/// Largest block of a frame, stored or decoded, in bytes.
pub(super) fn max_len(frame: &FrameHeader) -> u32 {
    u32::try_from(frame.window).map_or(MAX_BLOCK_LEN, |window| window.min(MAX_BLOCK_LEN))
}

/// The header of a block (RFC 8878 section 3.1.1.2), little endian:
///
/// | bits | field | rule |
/// |---|---|---|
/// | 0 | last block | |
/// | 1-2 | type: 0 raw, 1 one byte repeated, 2 compressed, 3 reserved | not 3 |
/// | 3-23 | size of the content: stored; of type 1: decoded | of type 2 not 0; at most the window and 128 KiB |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub(super) last: bool,
    /// Number of bytes after the header.
    pub(super) stored_len: u32,
    #[cfg(feature = "ruzstd")]
    pub(super) compressed: bool,
}

impl BlockHeader {
    /// Takes the header of a block of at most `max_len` bytes.
    pub(super) fn parse(bytes: [u8; BLOCK_HEADER_LEN], max_len: u32) -> Result<Self, Corruption> {
        let [a, b, c] = bytes;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = header >> 3;
        let kind = (header >> 1) & 3;
        let stored_len = match kind {
            1 => 1,
            2 if size == 0 => return Err(Corruption::EmptyBlock),
            3 => return Err(Corruption::Reserved),
            _ => size,
        };
        if size.max(stored_len) > max_len {
            return Err(Corruption::LargeBlock);
        }
        Ok(Self {
            last: header & 1 == 1,
            stored_len,
            #[cfg(feature = "ruzstd")]
            compressed: kind == 2,
        })
    }
}

/// How many literals the content of a compressed block says that it has (RFC 8878 section 3.1.1.3.1.1). The header is
/// one to five bytes long, little endian; of one that is cut off something, or nothing, is made.
///
/// | bits | field |
/// |---|---|
/// | 0-1 | type: 0 raw, 1 one byte repeated, 2 and 3 compressed |
/// | 2-3 | size format |
/// | from 3 | of types 0 and 1 with size format 0 or 2: number of literals, 5 bits |
/// | from 4 | number of literals: of types 0 and 1 with size format 1 12 bits, with 3 20; of types 2 and 3 10, 10, 14, 18 |
#[cfg(feature = "ruzstd")]
pub(super) fn literals(content: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    for (to, byte) in bytes.iter_mut().zip(content) {
        *to = *byte;
    }
    let header = u32::from_le_bytes(bytes);
    let mask = match (header & 3, (header >> 2) & 3) {
        (0 | 1, 0 | 2) => return (header >> 3) & 0x1f,
        (0 | 1, 1) => 0xfff,
        (0 | 1, _) => 0xf_ffff,
        (_, 0 | 1) => 0x3ff,
        (_, 2) => 0x3fff,
        _ => 0x3_ffff,
    };
    (header >> 4) & mask
}

/// Tracks the blocks of a frame: libzstd accepts an empty compressed block, which other decoders do not.
#[cfg(feature = "zstd")]
#[derive(Default)]
pub(super) struct Blocks {
    /// Bytes to skip before the next header.
    skip: usize,
    header: [u8; BLOCK_HEADER_LEN],
    have: usize,
    /// Whether there are no more headers.
    ended: bool,
    max_len: u32,
}

#[cfg(feature = "zstd")]
impl Blocks {
    /// The blocks of a frame, which begin after its header.
    pub(super) fn of(frame: &FrameHeader) -> Self {
        Self {
            skip: frame.len,
            max_len: max_len(frame),
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
            let header = BlockHeader::parse(self.header, self.max_len)?;
            self.skip = image_model::width::usize_from(header.stored_len);
            self.have = 0;
            self.ended = header.last;
            bytes = rest;
        }
        Ok(())
    }
}
