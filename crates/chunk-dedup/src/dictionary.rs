//! Chunks that need not be stored again.

use std::sync::{PoisonError, RwLock};

use image_model::{BlobIndex, Chunk, ChunkId, Digest};

use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};
use crate::table::ChunkTable;

/// What a chunk is found by: the digest of its bytes, and how many they are.
pub type Key = (Digest, u32);

/// Chunks that are already stored, found by content. Many threads query it at once: a writer's compressing threads,
/// which can skip chunks that are found, and the thread that places chunks.
///
/// ```
/// use lazyoci_chunk_dedup::{ChunkList, Dictionary};
/// # use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
/// # let digest = Digest::new(DigestAlgorithm::Sha256, [7; 32]);
/// # let chunk = Chunk { digest: Some(digest), len: 4096, crc32c: None, frame: FrameId(0), offset_in_frame: 0 };
/// let mut list = ChunkList::default();
/// assert_eq!(list.find(&digest, 4096)?, None);
/// let id = list.push(chunk);
/// assert_eq!(list.find(&digest, 4096)?, Some(id));
/// # Ok::<(), lazyoci_chunk_dedup::DictionaryError>(())
/// ```
pub trait Dictionary: Send + Sync {
    /// The number of the chunk with this digest and length in bytes. A chunk found once is found
    /// again.
    ///
    /// # Errors
    /// [`DictionaryError`] if the dictionary is a damaged file.
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError>;

    /// Appends to `found` what [`find`](Self::find) returns for each of `keys`, in their order. Large dictionaries
    /// answer many questions in far less time than one after the other.
    ///
    /// # Errors
    /// [`DictionaryError`] if the dictionary is a damaged file.
    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        for (digest, len) in keys {
            found.push(self.find(digest, *len)?);
        }
        Ok(())
    }

    /// Why a chunk is not found that is stored all the same; `None` if it is found, or not stored.
    ///
    /// # Errors
    /// [`DictionaryError`] if the dictionary is a damaged file.
    fn refusal(&self, digest: &Digest, len: u32) -> Result<Option<Refusal>, DictionaryError> {
        let _ = (digest, len);
        Ok(None)
    }
}

/// Why a chunk that is stored is not shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It is shorter than the [minimum](crate::Policy::min_chunk).
    Short,
    /// Its blob is none of those to which the image may refer.
    Blob,
}

/// A dictionary that tells where its chunks are: a [file](crate::DictionaryFile), or an
/// [image](crate::ImageDictionary).
pub trait PlacedDictionary: Dictionary {
    /// Number of chunks.
    fn chunks(&self) -> u32;

    /// Length and placement of the chunk `id`, which was [found](Dictionary::find).
    ///
    /// # Errors
    /// [`DictionaryError`] if the dictionary is a damaged file, or has no chunk `id`.
    fn entry_placement(&self, id: ChunkId) -> Result<(u32, Placement), DictionaryError>;

    /// Number of blobs.
    fn blobs(&self) -> u32;

    /// The blob to which placements refer by `index`.
    ///
    /// # Errors
    /// [`DictionaryError`] if the dictionary is a damaged file, or has no such blob.
    fn blob(&self, index: BlobIndex) -> Result<BlobRecord, DictionaryError>;
}

/// A growing list of chunks, as a dictionary of itself. Among equal chunks the first is found.
#[derive(Debug, Clone, Default)]
pub struct ChunkList {
    chunks: Vec<Chunk>,
    table: ChunkTable,
}

impl ChunkList {
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

impl Dictionary for ChunkList {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        Ok(self.table.find(&self.chunks, digest, len))
    }
}

/// A dictionary that grows while others look things up.
impl<D: Dictionary + ?Sized> Dictionary for RwLock<D> {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        let dictionary = self.read().unwrap_or_else(PoisonError::into_inner);
        dictionary.find(digest, len)
    }
}
