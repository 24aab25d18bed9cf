//! Frames with `ruzstd`.

use std::io::Read as _;

use image_model::width::usize_from;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::super::Corruption;
use super::super::error::Found;
use super::super::step::Buffers;
use super::blocks::{BLOCK_HEADER_LEN, BlockHeader, literals, max_len};
use super::{FrameHeader, MAX_WINDOW};

const CHECKSUM_LEN: usize = 4;

/// `ruzstd` needs whole blocks, so those that arrive in pieces are assembled here. A block is
/// decoded when everything before it has been output, so that at most a window and a block are
/// kept.
pub(super) struct Ruzstd {
    decoder: FrameDecoder,
    /// The current block.
    block: Vec<u8>,
    has_checksum: bool,
    max_block_len: u32,
}

impl Ruzstd {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self {
            decoder,
            block: Vec::new(),
            has_checksum: false,
            max_block_len: 0,
        }
    }

    /// Begins the frame of a header, which is at the start of `bytes`.
    pub(super) fn begin(&mut self, header: &FrameHeader, bytes: &[u8]) -> Result<(), Found> {
        self.has_checksum = header.has_checksum;
        self.max_block_len = max_len(header);
        self.decoder.reset(bytes).map_err(corrupt)
    }

    /// Continues with a frame; whether it has ended.
    pub(super) fn decode(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        loop {
            let written = self.decoder.read(buffers.room()).map_err(corrupt)?;
            buffers.write(written);
            if buffers.room().is_empty() {
                return Ok(false);
            }
            if self.decoder.is_finished() {
                return self.check_checksum().map(|()| true);
            }
            if !self.decode_block(buffers)? {
                return Ok(false);
            }
        }
    }

    /// Decodes the next block; returns whether it was complete.
    fn decode_block(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        let rest = buffers.rest();
        if self.block.is_empty()
            && let Some(header) = rest.first_chunk()
            && let len = self.block_len(*header)?
            && let Some(mut block) = rest.get(..len)
        {
            self.one_block(&mut block)?;
            buffers.take(len);
            return Ok(true);
        }
        if !self.gather(BLOCK_HEADER_LEN, buffers) {
            return Ok(false);
        }
        let header = self.block.first_chunk().expect("a header was gathered");
        let len = self.block_len(*header)?;
        if !self.gather(len, buffers) {
            return Ok(false);
        }
        let block = std::mem::take(&mut self.block);
        self.one_block(&mut &block[..])?;
        self.block = block;
        self.block.clear();
        Ok(true)
    }

    fn one_block(&mut self, block: &mut &[u8]) -> Result<(), Found> {
        // `ruzstd` looks at the length of what sequences make, but not of literals without sequences.
        if let Some((header, content)) = block.split_first_chunk()
            && BlockHeader::parse(*header, self.max_block_len)?.compressed
            && literals(content) > self.max_block_len
        {
            return Err(Corruption::LargeBlock.into());
        }
        self.decoder
            .decode_blocks(block, BlockDecodingStrategy::UptoBlocks(1))
            .map(|_| ())
            .map_err(corrupt)
    }

    /// Consumes input until the current block has `len` bytes; returns whether it has.
    fn gather(&mut self, len: usize, buffers: &mut Buffers<'_>) -> bool {
        let rest = buffers.rest();
        let step = len.saturating_sub(self.block.len()).min(rest.len());
        self.block.extend_from_slice(&rest[..step]);
        buffers.take(step);
        self.block.len() >= len
    }

    /// Length of a block, including its header and the checksum after the last one.
    fn block_len(&self, header: [u8; BLOCK_HEADER_LEN]) -> Result<usize, Found> {
        let header = BlockHeader::parse(header, self.max_block_len)?;
        let checksum_len = match header.last && self.has_checksum {
            true => CHECKSUM_LEN,
            false => 0,
        };
        Ok(usize_from(header.stored_len)
            .saturating_add(BLOCK_HEADER_LEN)
            .saturating_add(checksum_len))
    }

    /// `ruzstd` leaves that to its users.
    fn check_checksum(&self) -> Result<(), Found> {
        let stored = self.decoder.get_checksum_from_data();
        if self.has_checksum && stored != self.decoder.get_calculated_checksum() {
            return Err(Corruption::Checksum.into());
        }
        Ok(())
    }
}

fn corrupt(error: impl std::fmt::Display) -> Found {
    let message = error.to_string();
    Corruption::Zstd { message }.into()
}
