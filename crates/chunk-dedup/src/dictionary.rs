//! Chunks that need not be stored again.

use std::sync::{PoisonError, RwLock};

use image_model::{Chunk, ChunkId, Digest};

use crate::table::ChunkTable;

/// Chunks that are already stored, found by content. Many threads query it at once: a writer's compressing threads,
/// which can skip chunks that are found, and the thread that places chunks.
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
    /// The number of the chunk with this digest and length in bytes. A chunk found once is found
    /// again.
    fn find(&self, digest: &Digest, len: u32) -> Option<ChunkId>;
}

/// A growing list of chunks, as a dictionary of itself. Among equal chunks the first is found.
#[derive(Debug, Clone, Default)]
pub struct ChunkList {
    chunks: Vec<Chunk>,
    table: ChunkTable,
}

impl ChunkList {
    /// The chunks, in the order of insertion.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Returns the chunks.
    #[must_use]
    pub fn into_chunks(self) -> Vec<Chunk> {
        self.chunks
    }

    /// Appends a chunk; returns its number. A chunk without a digest cannot be found.
    ///
    /// # Panics
    /// At 2^32 chunks; writers have far lower bounds.
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
