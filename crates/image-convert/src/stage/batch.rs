//! What travels to a worker and back.

use frame_codec::Compression;
use image_model::{Codec, Digest};

use super::blocks::BlockDigest;
use super::rules::{Fetch, KeptFrame};
use crate::ConvertError;

/// Maximum number of pieces of a batch; more would make a batch of holes or tiny files long.
const MAX_PIECES: usize = 4096;

/// What headers and trailers of compressed pieces take, in a batch of few.
const STORED_SLACK: usize = 4 << 10;

/// Plain bytes, cut into pieces, and what a worker makes of them. Travels there and back, and is used
/// again.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The memory, as long as it ever was.
    plain: Vec<u8>,
    used: usize,
    /// Where the piece that grows begins.
    start: usize,
    pieces: Vec<Cut>,
    /// What is still to be read, in rising order.
    fetches: Vec<Missing>,
    /// By the worker: one for each piece.
    pub(super) made: Vec<Made>,
    /// By the worker: compressed bytes of the pieces that have some, end to end.
    pub(super) stored: Vec<u8>,
    /// By the worker: of the blocks of chunks, end to end.
    pub(super) blocks: Vec<BlockDigest>,
}

/// Plain bytes that the worker is to read.
#[derive(Debug, Clone, Copy)]
struct Missing {
    /// First byte in the batch.
    start: usize,
    len: usize,
    /// First byte in what they are read from.
    offset: u64,
}

/// The chunk at the beginning of a piece; of no bytes if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Chunk {
    pub(super) len: u32,
    pub(super) file_offset: u64,
    pub(super) kept: Option<KeptFrame>,
}

/// A piece of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// First byte in the batch; `None` for zeros, which are nowhere.
    start: Option<usize>,
    pub(super) len: usize,
    /// Bytes of the chunk at its beginning; 0 if there is none.
    pub(super) chunk_len: u32,
    /// Where that is in its file.
    pub(super) file_offset: u64,
    /// The frame that holds it, or nothing more than it, in the source.
    pub(super) kept: Option<KeptFrame>,
}

impl Missing {
    /// Whether it ends at `start` in the batch and at `offset` in what it is read from.
    fn is_followed_by(&self, start: usize, offset: u64) -> bool {
        self.start + self.len == start && self.offset + self.len as u64 == offset
    }
}

/// What a worker found out about a piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// Of its chunk: digest, checksum.
    pub(super) digest: Option<(Digest, Option<u32>)>,
    pub(super) payload: Payload,
    /// Digests of blocks of its chunk.
    pub(super) blocks: usize,
}

/// What of a piece is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nothing: an equal chunk is stored already.
    Known,
    /// Its plain bytes.
    Plain,
    /// The next so many of the compressed bytes.
    Compressed { codec: Codec, len: usize },
    /// The next so many of the compressed bytes, as the source has them.
    Copied { codec: Codec, len: usize },
}

impl Batch {
    pub(super) fn pieces(&self) -> &[Cut] {
        &self.pieces
    }

    /// The bytes of `piece`; `None` for zeros.
    pub(super) fn bytes(&self, piece: &Cut) -> Option<&[u8]> {
        let start = piece.start?;
        Some(&self.plain[start..start + piece.len])
    }

    /// Whether it should travel.
    pub(super) fn is_full(&self, batch_len: usize) -> bool {
        self.used >= batch_len || self.pieces.len() >= MAX_PIECES
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.pieces.is_empty()
    }

    /// Whether the piece that grows may get `len` more bytes in a batch of `batch_len`.
    pub(super) fn has_room(&self, len: usize, batch_len: usize) -> bool {
        self.used + len <= batch_len
    }

    /// Makes room for `len` more bytes.
    pub(super) fn make_room(&mut self, len: usize, batch_len: usize) {
        // Few different sizes, so that a buffer that one batch returns fits another.
        let needed = batch_len.max((self.used + len).next_multiple_of(batch_len / 16));
        if self.plain.len() < needed {
            // Fresh zeros cost nothing until they are overwritten, unlike a vector that grows.
            let mut longer = vec![0; needed];
            longer[..self.used].copy_from_slice(&self.plain[..self.used]);
            self.plain = longer;
        }
    }

    /// Bytes of memory for its plain bytes.
    pub(super) fn memory(&self) -> usize {
        self.plain.len()
    }

    /// Bytes that its compressed pieces may take, and that the encoder wants room for.
    pub(super) fn max_stored_len(&self, compression: Compression) -> usize {
        compression.max_frame_len(self.used) + STORED_SLACK
    }

    /// `len` more bytes of the piece that grows, to be overwritten.
    pub(super) fn extend(&mut self, len: usize) -> &mut [u8] {
        let start = self.used;
        self.used += len;
        if self.plain.len() < self.used {
            self.plain.resize(self.used, 0);
        }
        &mut self.plain[start..self.used]
    }

    /// Leaves room for `len` more bytes of the piece that grows, which are at `offset` of what workers read; `false`
    /// if there are too many such places already.
    pub(super) fn extend_later(&mut self, len: usize, offset: u64) -> bool {
        let start = self.used;
        let places = self.fetches.len();
        match self.fetches.last_mut() {
            Some(last) if last.is_followed_by(start, offset) => last.len += len,
            _ if places < MAX_PIECES => self.fetches.push(Missing { start, len, offset }),
            _ => return false,
        }
        self.extend(len);
        true
    }

    /// Reads what is missing.
    pub(super) fn complete(&mut self, origin: &dyn Fetch) -> Result<(), ConvertError> {
        for Missing { start, len, offset } in self.fetches.drain(..) {
            origin.fetch(offset, &mut self.plain[start..start + len])?;
        }
        Ok(())
    }

    /// The piece that grows.
    pub(super) fn growing(&self) -> &[u8] {
        &self.plain[self.start..self.used]
    }

    /// Ends a piece after the first `len` bytes of what grows.
    pub(super) fn cut(&mut self, len: usize, chunk: Chunk) {
        self.pieces.push(Cut {
            start: Some(self.start),
            len,
            chunk_len: chunk.len,
            file_offset: chunk.file_offset,
            kept: chunk.kept,
        });
        self.start += len;
    }

    /// Adds a chunk of zeros, while nothing grows.
    pub(super) fn push_zeros(&mut self, len: u32, file_offset: u64) {
        self.pieces.push(Cut {
            start: None,
            len: len as usize,
            chunk_len: len,
            file_offset,
            kept: None,
        });
    }

    /// Moves what grows into `next`, which is empty.
    pub(super) fn move_growing(&mut self, next: &mut Self) {
        next.extend(self.used - self.start)
            .copy_from_slice(&self.plain[self.start..self.used]);
        self.used = self.start;
        let first = self
            .fetches
            .partition_point(|missing| missing.start < self.start);
        let moved = self.fetches.drain(first..).map(|missing| Missing {
            start: missing.start - self.start,
            ..missing
        });
        next.fetches.extend(moved);
        // One that began in the last whole piece goes on in the one that grows.
        if let Some(last) = self.fetches.last_mut() {
            let kept = last.len.min(self.start - last.start);
            if kept < last.len {
                let rest = Missing {
                    start: 0,
                    len: last.len - kept,
                    offset: last.offset + kept as u64,
                };
                last.len = kept;
                next.fetches.insert(0, rest);
            }
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn cost(&self) -> usize {
        let lists = self.pieces.len() * (size_of::<Cut>() + size_of::<Made>())
            + self.fetches.len() * size_of::<Missing>()
            + self.blocks.capacity() * size_of::<BlockDigest>();
        self.plain.len() + self.stored.capacity() + lists
    }

    /// Empties it, and keeps the memory for plain bytes; gives back that for compressed ones.
    pub(super) fn clear(&mut self) -> Vec<u8> {
        (self.used, self.start) = (0, 0);
        self.pieces.clear();
        self.fetches.clear();
        self.made.clear();
        self.stored.clear();
        self.blocks.clear();
        std::mem::take(&mut self.stored)
    }
}
