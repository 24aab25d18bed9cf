//! Files into chunks, chunks into batches.

use std::io::Write;

use image_model::image::ChunkRange;
use image_model::{Cancelled, ImagePath, Progress};

use super::batch::Job;
use super::store::Store;
use crate::ConvertError;
use crate::content::Content;
use image_read::pipeline::Stage;

/// A worker of a thread.
pub(super) type Work<'w> = Box<dyn FnMut(Job) -> Result<Job, ConvertError> + Send + 'w>;

/// Plain bytes of a batch, unless chunks are longer.
const BATCH_LEN: u32 = 1 << 20;

/// Cuts files, one after the other, and has their chunks stored in that order.
pub(super) struct Chunker<'k, 'c, W> {
    stage: &'c mut Stage<Job, Result<Job, ConvertError>, Work<'k>>,
    store: Store<'k, W>,
    progress: &'c mut dyn Progress,
    /// Bytes of content that will come, where that is known.
    total: Option<u64>,
    chunk_size: u32,
    max_chunks: u32,
    /// Extents handed out so far.
    extents: u32,
    current: Job,
    spare: Vec<Job>,
}

/// What a [`Chunker`] is made of.
pub(super) struct Parts<'k, 'c, W> {
    pub(super) stage: &'c mut Stage<Job, Result<Job, ConvertError>, Work<'k>>,
    pub(super) store: Store<'k, W>,
    pub(super) progress: &'c mut dyn Progress,
    pub(super) chunk_size: u32,
    pub(super) max_chunks: u32,
}

/// Plain bytes of a batch for chunks of `chunk_size`.
pub(super) fn batch_len(chunk_size: u32) -> u32 {
    BATCH_LEN.max(chunk_size)
}

impl<'k, 'c, W: Write> Chunker<'k, 'c, W> {
    pub(super) fn new(parts: Parts<'k, 'c, W>) -> Self {
        let Parts {
            stage,
            store,
            progress,
            chunk_size,
            max_chunks,
        } = parts;
        Self {
            stage,
            store,
            progress,
            total: None,
            chunk_size,
            max_chunks,
            extents: 0,
            current: Job::new(batch_len(chunk_size)),
            spare: Vec::new(),
        }
    }

    /// Announces how many bytes of content will come.
    pub(super) fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Lets the caller know that work goes on.
    pub(super) fn tick(&mut self) -> Result<(), Cancelled> {
        self.progress.advance(self.store.content_bytes, self.total)
    }

    /// Takes a file of `size` bytes, which come out of `content`; `path` is asked only for errors.
    pub(super) fn file(
        &mut self,
        size: u64,
        content: &mut dyn Content,
        path: &dyn Fn() -> ImagePath,
    ) -> Result<ChunkRange, ConvertError> {
        let chunk_size = u64::from(self.chunk_size);
        let start = self.extents;
        let end = u32::try_from(size.div_ceil(chunk_size))
            .ok()
            .and_then(|count| start.checked_add(count))
            .filter(|end| *end <= self.max_chunks)
            .ok_or_else(|| ConvertError::TooManyChunks {
                path: path(),
                limit: self.max_chunks,
            })?;
        let mut offset = 0;
        while offset < size {
            // No longer than the chunk size.
            let len = chunk_size.min(size - offset) as u32;
            if content.hole()? >= u64::from(len) {
                self.make_room(0)?;
                self.current.batch.push_hole(offset, len);
                content.skip(len.into());
            } else {
                self.make_room(len)?;
                content.read(self.current.batch.push(offset, len))?;
            }
            offset += u64::from(len);
        }
        self.extents = end;
        Ok(ChunkRange { start, end })
    }

    /// Waits for all chunks to be stored.
    pub(super) fn finish(mut self) -> Result<Store<'k, W>, ConvertError> {
        if !self.current.batch.is_empty() {
            self.submit()?;
        }
        while let Some(done) = self.stage.next() {
            self.take(done?)?;
        }
        Ok(self.store)
    }

    fn make_room(&mut self, len: u32) -> Result<(), ConvertError> {
        if self.current.batch.has_room(len) {
            Ok(())
        } else {
            self.submit()
        }
    }

    fn submit(&mut self) -> Result<(), ConvertError> {
        let chunk_size = self.chunk_size;
        let next = self.spare.pop();
        let next = next.unwrap_or_else(|| Job::new(batch_len(chunk_size)));
        let full = std::mem::replace(&mut self.current, next);
        match self.stage.submit(full) {
            Some(done) => self.take(done?),
            None => Ok(()),
        }
    }

    fn take(&mut self, mut done: Job) -> Result<(), ConvertError> {
        self.store.take(&done)?;
        done.clear();
        self.spare.push(done);
        self.tick()?;
        Ok(())
    }
}
