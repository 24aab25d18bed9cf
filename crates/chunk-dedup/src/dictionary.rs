//! Chunks that need not be stored again.

use std::sync::{PoisonError, RwLock};

use image_model::{Chunk, ChunkId, Digest};

use crate::table::ChunkTable;

/// Chunks that are stored already, found by what is in them.
///
/// Asked by many threads at once: a writer's threads, which need not compress what is found, and the
/// one that puts chunks in their places.
///
/// ```
/// use lazyoci_chunk_dedup::{ChunkList, Dictionary};
/// # use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
/// # let digest = Digest::new(DigestAlgorithm::Sha256, [7; 32]);
/// # let chunk = Chunk { digest: Some(digest), len: 4096, crc32c: None, frame: FrameId(0), offset_in_frame: 0 };
/// let mut list = ChunkList::default();
/// assert_eq!(list.find(&digest, 4096), None);
/// let id = list.push(chunk);
/// assert_eq!(list.find(&digest, 4096), Some(id));
/// ```
pub trait Dictionary: Send + Sync {
    /// The chunk with this digest and length in bytes: its number in the dictionary. What was found
    /// once is found again.
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId>;
}

/// A list of chunks that grows, as a dictionary of itself. Of equal chunks the first is found.
#[derive(Debug, Clone, Default)]
pub struct ChunkList {
    chunks: Vec<Chunk>,
    table: ChunkTable,
}

impl ChunkList {
    /// The chunks, in the order in which they were pushed.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Gives the chunks back.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// Appends a chunk; returns its number. Without a digest it is not found.
    ///
    /// # Panics
    /// At 2^32 chunks; writers bound them far below.
    pub fn push(&mut self, chunk: Chunk) -> ChunkId {
        let id = u32::try_from(self.chunks.len()).expect("fewer than 2^32 chunks");
        let id = ChunkId::new(id);
        self.chunks.push(chunk);
        self.table.insert(&self.chunks, id);
        id
    }
}

/// An image's chunks as a dictionary.
impl From<Vec<Chunk>> for ChunkList {
    fn from(chunks: Vec<Chunk>) -> Self {
        let table = ChunkTable::of(&chunks);
        Self { chunks, table }
    }
}

impl Dictionary for ChunkList {
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId> {
        self.table.find(&self.chunks, digest, len)
    }
}

/// A dictionary that grows while others look things up.
impl<D: Dictionary + ?Sized> Dictionary for RwLock<D> {
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId> {
        let dictionary = self.read().unwrap_or_else(PoisonError::into_inner);
        dictionary.find(digest, len)
    }
}
