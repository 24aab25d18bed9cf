//! What travels to a worker and back.

use image_model::{Codec, Digest};

/// Most chunks of a batch; more would make a batch of holes or tiny files long.
const MAX_CUTS: usize = 4096;

/// About a megabyte of file content, cut into chunks.
#[derive(Debug)]
pub(super) struct Batch {
    plain: Box<[u8]>,
    used: usize,
    cuts: Vec<Cut>,
}

/// A chunk of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// First byte in the file.
    pub(super) file_offset: u64,
    /// Bytes.
    pub(super) len: u32,
    /// First byte in the batch; `None` for a hole, whose zeros are nowhere.
    start: Option<u32>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// Whether a chunk of `len` bytes fits.
    pub(super) fn has_room(&self, len: u32) -> bool {
        self.plain.len() - self.used >= len as usize && self.cuts.len() < MAX_CUTS
    }

    /// Adds a chunk, whose bytes go into the slice returned.
    pub(super) fn push(&mut self, file_offset: u64, len: u32) -> &mut [u8] {
        let start = self.used;
        self.used += len as usize;
        self.cuts.push(Cut {
            file_offset,
            len,
            // A batch has at most 2^24 bytes, the largest chunk.
            start: Some(start as u32),
        });
        &mut self.plain[start..self.used]
    }

    /// Adds a chunk of zeros.
    pub(super) fn push_hole(&mut self, file_offset: u64, len: u32) {
        self.cuts.push(Cut {
            file_offset,
            len,
            start: None,
        });
    }

    pub(super) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// The bytes of `cut`; `None` for a hole.
    pub(super) fn bytes(&self, cut: &Cut) -> Option<&[u8]> {
        let start = cut.start? as usize;
        Some(&self.plain[start..start + cut.len as usize])
    }
}

/// A batch and what a worker finds out about it. Travels there and back, and is used again.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) batch: Batch,
    /// By the worker: one for each cut of the batch.
    pub(super) chunks: Vec<DigestedChunk>,
    /// By the worker: compressed bytes of the chunks that have some, end to end.
    pub(super) stored: Vec<u8>,
}

impl Job {
    /// A job with an empty batch for `capacity` bytes.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            batch: Batch {
                plain: vec![0; capacity as usize].into(),
                used: 0,
                cuts: Vec::new(),
            },
            chunks: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Empties it, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.batch.used = 0;
        self.batch.cuts.clear();
        self.chunks.clear();
        self.stored.clear();
    }
}

/// A chunk that a worker went through.
#[derive(Debug, Clone, Copy)]
pub(super) struct DigestedChunk {
    pub(super) digest: Digest,
    pub(super) crc32c: Option<u32>,
    pub(super) payload: Payload,
}

/// What of a chunk is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// Nothing: an equal chunk is stored already.
    Nothing,
    /// Its plain bytes.
    Plain,
    /// The next so many of the compressed bytes.
    Compressed { codec: Codec, len: u32 },
}
