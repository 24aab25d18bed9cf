//! Files into members, members into batches.

use std::collections::VecDeque;
use std::num::NonZeroU32;

use estargz_toc::Landmark;
use estargz_toc::write::Members;
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::{ChunkId, Digest, ImagePath, Limits, Metadata, Node, Progress};
use verify::Hasher;

use super::batch::{BATCH_LEN, Batch};
use super::sink::Sink;
use crate::ConvertError;
use crate::content::Content;
use image_read::pipeline::Stage;

/// A worker of a thread.
pub(super) type Work = Box<dyn FnMut(Batch) -> Result<Batch, ConvertError> + Send>;

/// Writes the tar, one file after the other, and has its members stored in that order.
pub(super) struct Assembler<'a, 'o> {
    stage: &'a mut Stage<Batch, Result<Batch, ConvertError>, Work>,
    sink: Sink<'o>,
    progress: &'a mut dyn Progress,
    limits: &'a Limits,
    chunk_size: NonZeroU32,
    members: Members,
    batch: Batch,
    /// Plain bytes of the batches under way, oldest first.
    under_way: VecDeque<usize>,
    /// How many bytes may be under way.
    bytes_under_way: usize,
    /// How many batches are under way even if they have more bytes.
    threads: usize,
    /// The chunks of all files so far.
    extents: Vec<ChunkExtent>,
    chunk_count: u32,
    content_bytes: u64,
    /// Bytes of content that will come.
    total: u64,
}

/// What an [`Assembler`] is made of.
pub(super) struct Parts<'a, 'o> {
    pub(super) stage: &'a mut Stage<Batch, Result<Batch, ConvertError>, Work>,
    pub(super) sink: Sink<'o>,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) limits: &'a Limits,
    pub(super) chunk_size: NonZeroU32,
    pub(super) threads: usize,
    pub(super) total: u64,
}

/// Where the content of a file is.
pub(super) struct StoredContent {
    pub(super) range: ChunkRange,
    /// Of the whole file, if it has several chunks.
    pub(super) digest: Option<Digest>,
}

/// A tar that is complete but for its end.
pub(super) struct Assembled<'o> {
    pub(super) sink: Sink<'o>,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) content_bytes: u64,
    pub(super) tar_len: u64,
}

impl<'a, 'o> Assembler<'a, 'o> {
    pub(super) fn new(parts: Parts<'a, 'o>) -> Self {
        let Parts {
            stage,
            sink,
            progress,
            limits,
            chunk_size,
            threads,
            total,
        } = parts;
        Self {
            stage,
            sink,
            progress,
            limits,
            chunk_size,
            members: Members::new(chunk_size),
            batch: Batch::default(),
            under_way: VecDeque::new(),
            bytes_under_way: bytes_under_way(threads),
            threads,
            extents: Vec::new(),
            chunk_count: 0,
            content_bytes: 0,
            total,
        }
    }

    /// Appends a landmark; answers with its chunk.
    pub(super) fn landmark(&mut self, landmark: Landmark) -> Result<ChunkId, ConvertError> {
        self.members.landmark(landmark)?;
        let chunk = ChunkId::new(self.chunk_count);
        self.chunk_count += 1;
        self.drain()?;
        Ok(chunk)
    }

    /// Appends the header of a file. The content of a regular one is due then.
    pub(super) fn header<C>(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        node: &Node<C>,
    ) -> Result<(), ConvertError> {
        let limit = self.limits.max_layer_len;
        if self.members.tar_len().saturating_add(node.size()) > limit {
            let path = path.clone();
            return Err(ConvertError::TarTooLong { path, limit });
        }
        let chunks = node.size().div_ceil(self.chunk_size.get().into());
        let limit = self.limits.max_chunks;
        if chunks > u64::from(limit.saturating_sub(self.chunk_count)) {
            let path = path.clone();
            return Err(ConvertError::TooManyChunks { path, limit });
        }
        self.members.append(path, metadata, node)?;
        self.drain()
    }

    /// Appends a hard link.
    pub(super) fn link(
        &mut self,
        path: &ImagePath,
        metadata: &Metadata,
        target: &ImagePath,
    ) -> Result<(), ConvertError> {
        self.members.append_link(path, metadata, target)?;
        self.drain()
    }

    /// Appends the content of the file of `size` bytes whose header came last.
    pub(super) fn content(
        &mut self,
        size: u64,
        content: &mut dyn Content,
    ) -> Result<StoredContent, ConvertError> {
        let start = self.extents.len() as u32;
        let several = size > self.chunk_size.get().into();
        let mut whole = several.then(Hasher::sha256);
        let mut file_offset = 0;
        while let Some(place) = self.members.next_chunk() {
            content.read(place)?;
            if let Some(whole) = &mut whole {
                whole.update(place);
            }
            let len = place.len() as u64;
            self.extents.push(ChunkExtent {
                file_offset,
                chunk: Some(ChunkId::new(self.chunk_count)),
            });
            self.chunk_count += 1;
            file_offset += len;
            self.content_bytes += len;
            self.drain()?;
        }
        Ok(StoredContent {
            range: ChunkRange {
                start,
                end: self.extents.len() as u32,
            },
            digest: whole.map(Hasher::finish),
        })
    }

    /// Waits for all members to be stored.
    pub(super) fn finish(mut self) -> Result<Assembled<'o>, ConvertError> {
        self.members.finish()?;
        self.drain()?;
        if !self.batch.is_empty() {
            self.submit()?;
        }
        while let Some(done) = self.stage.next() {
            self.take(&done?)?;
        }
        Ok(Assembled {
            sink: self.sink,
            extents: self.extents,
            content_bytes: self.content_bytes,
            tar_len: self.members.tar_len(),
        })
    }

    /// Moves the complete members on.
    fn drain(&mut self) -> Result<(), ConvertError> {
        while let Some(member) = self.members.take() {
            if self.batch.push(member) {
                self.submit()?;
            }
        }
        Ok(())
    }

    /// Hands the batch to the workers, once few enough bytes are under way.
    fn submit(&mut self) -> Result<(), ConvertError> {
        let full = std::mem::take(&mut self.batch);
        while self.under_way.len() >= self.threads
            && self.under_way.iter().sum::<usize>() + full.plain_len() > self.bytes_under_way
        {
            let Some(done) = self.stage.next() else { break };
            self.take(&done?)?;
        }
        self.under_way.push_back(full.plain_len());
        if let Some(done) = self.stage.submit(full) {
            self.take(&done?)?;
        }
        Ok(self
            .progress
            .advance(self.content_bytes, Some(self.total))?)
    }

    /// Takes the oldest batch under way.
    fn take(&mut self, done: &Batch) -> Result<(), ConvertError> {
        self.under_way.pop_front();
        self.sink.take(done)
    }
}

/// Plain bytes of batches that may be under way with so many threads: 16 MiB, or two batches for each.
fn bytes_under_way(threads: usize) -> usize {
    (16 << 20).max(threads.saturating_mul(2 * BATCH_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_two_batches() {
        let with_threads = [1, 2, 8, 9, 64, 256].map(bytes_under_way);
        assert_eq!(
            with_threads,
            [16, 16, 16, 18, 128, 512].map(|mib| mib << 20)
        );
    }
}
