//! The chunks that are stored, known to all threads.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chunk_dedup::ChunkTable;
use image_model::{Chunk, ChunkId, Digest};

use super::batch::{Job, Payload};

/// The chunks stored so far. The ordered stage adds to them, workers look them up.
#[derive(Debug, Default)]
pub(super) struct KnownChunks(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    table: ChunkTable,
    chunks: Vec<Chunk>,
}

impl KnownChunks {
    /// Marks the chunks of `job` that are stored already.
    pub(super) fn mark(&self, job: &mut Job) {
        let known = self.read();
        for (cut, chunk) in job.batch.cuts().iter().zip(&mut job.chunks) {
            if known.find(&chunk.digest, cut.len).is_some() {
                chunk.payload = Payload::Nothing;
            }
        }
    }

    pub(super) fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId> {
        self.read().find(digest, len)
    }

    /// Adds a chunk that was not found.
    pub(super) fn insert(&self, chunk: Chunk) -> ChunkId {
        let mut known = self.write();
        let id = ChunkId::new(u32::try_from(known.chunks.len()).expect("a blob has fewer chunks"));
        known.chunks.push(chunk);
        let Known { table, chunks } = &mut *known;
        table.insert(chunks, id);
        id
    }

    /// Takes the chunks out, in the order in which they were inserted.
    pub(super) fn take(&self) -> Vec<Chunk> {
        std::mem::take(&mut *self.write()).chunks
    }

    // Nobody panics while holding the lock.
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId> {
        self.table.find(&self.chunks, digest, len)
    }
}
