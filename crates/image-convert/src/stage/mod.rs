//! The path from content to blobs, common to all formats.
//!
//! ```text
//! content ─► cut (Chunker) ─► batches ─► workers: fetch, digest, ask the dictionary, compress
//!                                             │ in order
//! blob ◄─ Target: place, write ◄──────────────┘
//! ```
//!
//! Content comes with a batch, or is [fetched](Stage::fetch) by the worker, where any thread can read it. A piece whose
//! source has it as a frame of the same codec can be [kept](Stage::keep) so: the worker reads the frame once more,
//! decodes it, and takes its stored bytes if they hold the piece and nothing else.
//!
//! A piece is what is compressed by itself: a chunk, a chunk with what follows it in the tar, or any
//! bytes. All that is under way, plain and compressed, takes some [`BUDGET`] bytes, whatever the size of
//! chunks and the number of threads; a piece that is longer than that travels alone. What is written
//! does not depend on the threads, nor on where batches end.

mod batch;
mod blocks;
mod cut;
mod rules;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;

use chunk_dedup::{Chunker, Dictionary};
use image_model::image::ChunkExtent;
use image_model::{ChunkId, Codec, Progress};
use image_read::pipeline::{self, MAX_THREADS};

use crate::ConvertError;
use crate::report::ChunkCounts;
use batch::{Batch, Payload};
use cut::Growing;
use worker::Worker;

pub(crate) use blocks::{BLOCK, BlockDigest, digest_blocks};
pub(crate) use rules::{
    ChunkDigest, Fetch, Grouped, KeptFrame, Piece, PieceChunk, Rules, SourceChunk, StoredFrames,
    Target,
};

/// Maximum number of bytes in progress, plain and compressed.
const BUDGET: usize = 24 << 20;

/// Maximum number of plain bytes of a batch, unless a piece is longer: enough work for a trip to another thread.
const MAX_BATCH_LEN: usize = 1 << 20;
/// Fewer are not worth the trip.
const MIN_BATCH_LEN: usize = 64 << 10;

/// Batches under way for each thread: one that it works on, one that waits for it, and one that waits
/// to be written.
const BATCHES: usize = 3;

/// A worker of a thread.
type Work<'d> = Box<dyn FnMut(Batch) -> Result<Batch, ConvertError> + Send + 'd>;
type Lanes<'d> = pipeline::Stage<Batch, Result<Batch, ConvertError>, Work<'d>>;

/// Options of a stage.
pub(crate) struct Setup<'p, 'd> {
    pub(crate) rules: Rules<'d>,
    /// Where files are cut.
    pub(crate) chunker: &'p mut dyn Chunker,
    /// Maximum number of chunks of all files.
    pub(crate) max_chunks: u32,
    pub(crate) threads: usize,
    /// What earlier runs have stored, to which this one adds.
    pub(crate) before: Stored,
    pub(crate) progress: &'p mut dyn Progress,
}

/// Cuts content, and stores its pieces in order.
pub(crate) struct Stage<'p, 'd, T> {
    lanes: &'p mut Lanes<'d>,
    target: T,
    rules: Rules<'d>,
    chunker: &'p mut dyn Chunker,
    progress: &'p mut dyn Progress,
    /// Bytes of content that will come, where that is known.
    total: Option<u64>,
    batch_len: usize,
    batch: Batch,
    spare: Vec<Batch>,
    /// Memory for compressed pieces, lent to the batches under way.
    spare_stored: Vec<Vec<u8>>,
    /// What the batches under way cost, oldest first.
    under_way: VecDeque<usize>,
    growing: Growing,
    /// Remaining bytes of the file.
    left: u64,
    /// Where the chunk that grows begins in its file.
    file_offset: u64,
    /// The chunks that the source has of the rest of the file.
    kept: VecDeque<SourceChunk>,
    /// Whether the file is cut there.
    follows: bool,
    max_chunks: u32,
    /// Chunks that were cut so far.
    cut: u32,
    stored: Stored,
    zeros: Vec<u8>,
}

/// What was stored.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// Where the chunks of all files are, in the order in which they were cut.
    pub(crate) extents: Vec<ChunkExtent>,
    pub(crate) counts: ChunkCounts,
    /// Plain bytes of all chunks that went through; of all pieces, where there are no chunks.
    pub(crate) content_bytes: u64,
}

/// Lets `body` hand content to a stage, and waits for all of it to be stored in `target`.
pub(crate) fn run<'d, T: Target, R>(
    setup: Setup<'_, 'd>,
    target: T,
    body: impl FnOnce(&mut Stage<'_, 'd, T>) -> Result<R, ConvertError>,
) -> Result<(R, T, Stored), ConvertError> {
    let Setup {
        rules,
        chunker,
        max_chunks,
        threads,
        before,
        progress,
    } = setup;
    let idle = rules.digest.is_none() && rules.compression.codec() == Codec::None;
    let threads = if idle {
        1
    } else {
        threads.clamp(1, MAX_THREADS)
    };
    let workers = (0..threads)
        .map(|_| work(rules))
        .collect::<Result<Vec<_>, _>>()?;
    let batch_len = (BUDGET / (4 * threads)).clamp(MIN_BATCH_LEN, MAX_BATCH_LEN);
    pipeline::run(workers, BATCHES * threads, |lanes| {
        let mut stage = Stage {
            lanes,
            target,
            rules,
            chunker,
            progress,
            total: None,
            batch_len,
            batch: Batch::default(),
            spare: Vec::new(),
            spare_stored: Vec::new(),
            under_way: VecDeque::new(),
            growing: Growing::Nothing,
            left: 0,
            file_offset: 0,
            kept: VecDeque::new(),
            follows: false,
            max_chunks,
            // There are at most `max_chunks` of them.
            cut: before.extents.len() as u32,
            stored: before,
            zeros: Vec::new(),
        };
        let result = body(&mut stage)?;
        stage.close()?;
        stage.submit()?;
        while let Some(done) = stage.lanes.next() {
            stage.take(done?)?;
        }
        let grouped = stage.target.end_groups()?;
        let counts = &mut stage.stored.counts;
        counts.stored_bytes += grouped.stored;
        counts.compressed_bytes += grouped.compressed;
        Ok((result, stage.target, stage.stored))
    })
}

/// A worker with contexts of its own.
fn work(rules: Rules<'_>) -> Result<Work<'_>, ConvertError> {
    let mut worker = Worker::new(rules)?;
    Ok(Box::new(move |batch| worker.work(batch)))
}

impl<T: Target> Stage<'_, '_, T> {
    /// Announces how many more bytes of content will come.
    pub(crate) fn expect(&mut self, total: u64) {
        self.total = Some(total.saturating_add(self.stored.content_bytes));
    }

    /// Lets the caller know that work continues.
    pub(crate) fn tick(&mut self) -> Result<(), ConvertError> {
        let done = self.stored.content_bytes;
        Ok(self.progress.advance(done, self.total)?)
    }

    /// Chunks that were cut so far: the position of the next one in [`Stored::extents`].
    pub(crate) fn chunks(&self) -> u32 {
        self.cut
    }

    /// What takes the pieces; those under way have yet to come.
    pub(crate) fn target(&mut self) -> &mut T {
        &mut self.target
    }

    /// Makes room for `len` more bytes of the piece that grows.
    fn reserve(&mut self, len: usize) -> Result<(), ConvertError> {
        if !self.batch.has_room(len, self.batch_len) && !self.batch.pieces().is_empty() {
            self.submit()?;
        }
        if self.batch.is_empty() && self.batch.memory() < len {
            self.swap_for_long(len);
        }
        self.batch.make_room(len, self.batch_len);
        Ok(())
    }

    /// Takes a spare batch for a long piece, if one has the memory.
    fn swap_for_long(&mut self, len: usize) {
        let mut spare = self.spare.iter_mut();
        if let Some(long) = spare.find(|spare| spare.memory() >= len) {
            std::mem::swap(&mut self.batch, long);
        }
    }

    /// Hands the pieces of the batch to the workers, once few enough bytes are under way.
    fn submit(&mut self) -> Result<(), ConvertError> {
        if self.batch.pieces().is_empty() {
            return Ok(());
        }
        let compression = self.rules.compression;
        let compressed = compression.codec() != Codec::None;
        let stored_len = match compressed {
            true => self.batch.max_stored_len(compression),
            false => 0,
        };
        // Its own length, and that of the one that grows after it.
        let cost = self.batch.cost() + stored_len + self.batch_len;
        while !self.under_way.is_empty() && self.cost_under_way() + cost > BUDGET {
            let Some(done) = self.lanes.next() else { break };
            self.take(done?)?;
        }
        if compressed {
            self.batch.stored = self.lend_stored(stored_len);
        }
        let shortest = (0..self.spare.len()).min_by_key(|&at| self.spare[at].memory());
        let mut next = shortest.map_or_else(Batch::default, |at| self.spare.swap_remove(at));
        self.batch.move_growing(&mut next);
        let full = std::mem::replace(&mut self.batch, next);
        self.under_way.push_back(full.cost());
        if let Some(done) = self.lanes.submit(full) {
            self.take(done?)?;
        }
        Ok(())
    }

    /// Takes the oldest batch under way.
    fn take(&mut self, mut done: Batch) -> Result<(), ConvertError> {
        self.under_way.pop_front();
        let mut compressed = &done.stored[..];
        let mut blocks = &done.blocks[..];
        for (cut, made) in done.pieces().iter().zip(&done.made) {
            let plain = match done.bytes(cut) {
                Some(bytes) => bytes,
                None => zeros(&mut self.zeros, cut.len),
            };
            let (mut stored, mut codec) = (plain, Codec::None);
            if let Payload::Compressed { codec: by, len } | Payload::Copied { codec: by, len } =
                made.payload
            {
                (stored, compressed) = compressed.split_at(len);
                codec = by;
            }
            let of_piece;
            (of_piece, blocks) = blocks.split_at(made.blocks);
            let chunk = made.digest.map(|(digest, crc32c)| PieceChunk {
                len: cut.chunk_len,
                digest,
                crc32c,
            });
            let counts = &mut self.stored.counts;
            let found = match &chunk {
                Some(chunk) => find(chunk, &self.rules, &mut self.target, counts)?,
                None => None,
            };
            let grouped = chunk.is_some() && self.rules.groups(cut.chunk_len, cut.file_offset);
            let id = match found {
                Some(id) => Some(id),
                None => {
                    count(made.payload, &mut self.stored.counts);
                    self.target.store(&Piece {
                        plain,
                        stored,
                        codec,
                        grouped,
                        chunk,
                        blocks: of_piece,
                    })?
                }
            };
            let Some(id) = id else {
                if self.rules.digest.is_none() {
                    self.stored.content_bytes += cut.len as u64;
                }
                continue;
            };
            if found.is_none() {
                self.stored.counts.stored += 1;
                if !grouped {
                    self.stored.counts.stored_bytes += stored.len() as u64;
                }
                if let Some((foreign, chunk)) = self.rules.foreign.zip(chunk) {
                    let refusal = foreign.refusal(&chunk.digest, chunk.len)?;
                    self.stored.counts.refuse(refusal, chunk.len);
                }
            }
            self.stored.extents.push(ChunkExtent {
                file_offset: cut.file_offset,
                chunk: Some(id),
            });
            self.stored.content_bytes += u64::from(cut.chunk_len);
        }
        let stored = done.clear();
        if self.held() + done.cost() <= BUDGET {
            self.spare.push(done);
        }
        if self.held() + stored.capacity() <= BUDGET {
            self.spare_stored.push(stored);
        }
        self.tick()
    }

    /// Memory for `len` compressed bytes, taken here so that no worker has to.
    fn lend_stored(&mut self, len: usize) -> Vec<u8> {
        let spare = self.spare_stored.iter().enumerate();
        let fitting = spare.filter(|(_, spare)| spare.capacity() >= len);
        let best = fitting.min_by_key(|(_, spare)| spare.capacity());
        if let Some((at, _)) = best {
            return self.spare_stored.swap_remove(at);
        }
        while self.held() + len > BUDGET && self.spare_stored.pop().is_some() {}
        while self.held() + len > BUDGET && self.spare.pop().is_some() {}
        Vec::with_capacity(len)
    }

    fn cost_under_way(&self) -> usize {
        self.under_way.iter().sum()
    }

    /// Bytes of memory of all batches, and of what is lent to them.
    fn held(&self) -> usize {
        let spare: usize = self.spare.iter().map(Batch::cost).sum();
        let stored: usize = self.spare_stored.iter().map(Vec::capacity).sum();
        self.cost_under_way() + spare + stored + self.batch.cost()
    }
}

/// Counts a piece that is stored by how it came about.
fn count(payload: Payload, counts: &mut ChunkCounts) {
    match payload {
        Payload::Copied { len, .. } => {
            counts.copied += 1;
            counts.copied_bytes += len as u64;
        }
        Payload::Compressed { len, .. } => counts.compressed_bytes += len as u64,
        Payload::Known | Payload::Plain => {}
    }
}

/// The number of a chunk that need not be stored, which is counted.
fn find(
    chunk: &PieceChunk,
    rules: &Rules<'_>,
    target: &mut impl Target,
    counts: &mut ChunkCounts,
) -> Result<Option<ChunkId>, ConvertError> {
    let find = |dictionary: Option<&dyn Dictionary>| match dictionary {
        Some(dictionary) => dictionary.find(&chunk.digest, chunk.len),
        None => Ok(None),
    };
    if let Some(id) = find(rules.dictionary)? {
        counts.deduplicated += 1;
        counts.deduplicated_bytes += u64::from(chunk.len);
        return Ok(Some(id));
    }
    let Some(foreign) = find(rules.foreign)? else {
        return Ok(None);
    };
    let id = target.reuse(foreign, chunk)?;
    if id.is_some() {
        counts.reused += 1;
        counts.reused_bytes += u64::from(chunk.len);
    }
    Ok(id)
}

/// The first `len` of `bytes`, all of which are zero, grown as needed.
fn zeros(bytes: &mut Vec<u8>, len: usize) -> &[u8] {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
    &bytes[..len]
}
