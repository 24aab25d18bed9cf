//! Which chunk has this digest.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use hashbrown::hash_table::{Entry, HashTable};
use image_model::{Chunk, ChunkId, Digest};

/// Finds chunks by digest and length. The chunks stay in the caller's array, which is passed to
/// every call; the table stores positions, about eight bytes each. If several chunks have the same
/// bytes, the one inserted first is found. Digests are mixed with a random seed per table, so that
/// a crafted image cannot make all its chunks collide. Results never depend on the seed.
///
/// ```
/// use lazyoci_chunk_dedup::ChunkTable;
/// # use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
/// # let chunk = |byte: u8| Chunk {
/// #     digest: Some(Digest::new(DigestAlgorithm::Blake3, [byte; 32])),
/// #     len: 4096, crc32c: None, frame: FrameId(0), offset_in_frame: 0,
/// # };
/// # let (stored, other) = (chunk(1), chunk(2));
/// let mut chunks = Vec::new();
/// let mut table = ChunkTable::new();
///
/// chunks.push(stored);
/// table.insert(&chunks, ChunkId::new(0));
///
/// let digest = stored.digest.expect("it has one");
/// assert_eq!(table.find(&chunks, &digest, stored.len), Some(ChunkId::new(0)));
/// let digest = other.digest.expect("it has one");
/// assert_eq!(table.find(&chunks, &digest, other.len), None);
/// ```
#[derive(Clone)]
pub struct ChunkTable {
    table: HashTable<ChunkId>,
    seed: Seed,
}

impl ChunkTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: HashTable::new(),
            seed: Seed::draw(),
        }
    }

    /// A table of all `chunks` that have a digest: an image as a dictionary.
    #[must_use]
    pub fn of(chunks: &[Chunk]) -> Self {
        let mut table = Self::new();
        let seed = table.seed;
        table
            .table
            .reserve(chunks.len(), |&id| seed.hash_of(chunks, id));
        for index in 0..chunks.len() {
            let index = u32::try_from(index).expect("chunk lists are shorter than u32::MAX");
            table.insert(chunks, ChunkId::new(index));
        }
        table
    }

    /// The chunk of `chunks` with this digest and length in bytes, if it was inserted.
    ///
    /// # Panics
    /// If `chunks` is shorter than when its chunks were inserted.
    #[must_use]
    pub fn find(&self, chunks: &[Chunk], digest: &Digest, len: u32) -> Option<ChunkId> {
        self.table
            .find(self.seed.hash(digest), |&id| {
                same(&chunks[id.index()], digest, len)
            })
            .copied()
    }

    /// Inserts the chunk `id` of `chunks`, unless one with the same digest and length was inserted
    /// before, or it has no digest. Returns whether it was inserted.
    ///
    /// # Panics
    /// If `chunks` has no chunk `id`, or is shorter than when its chunks were inserted.
    pub fn insert(&mut self, chunks: &[Chunk], id: ChunkId) -> bool {
        let chunk = &chunks[id.index()];
        let Some(digest) = &chunk.digest else {
            return false;
        };
        let seed = self.seed;
        let entry = self.table.entry(
            seed.hash(digest),
            |&id| same(&chunks[id.index()], digest, chunk.len),
            |&id| seed.hash_of(chunks, id),
        );
        match entry {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(id);
                true
            }
        }
    }

    /// Number of chunks that can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no chunk can be found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl Default for ChunkTable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ChunkTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkTable")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

fn same(chunk: &Chunk, digest: &Digest, len: u32) -> bool {
    chunk.digest.as_ref() == Some(digest) && chunk.len == len
}

#[derive(Clone, Copy)]
struct Seed([u64; 2]);

impl Seed {
    fn draw() -> Self {
        let random = RandomState::new();
        Self([random.hash_one(0), random.hash_one(1)])
    }

    /// Multiplies two halves of the digest, each masked by the seed, to 128 bits and folds them:
    /// digests are already evenly distributed, so this only has to hide their places.
    fn hash(self, digest: &Digest) -> u64 {
        let (words, _) = digest.as_bytes().as_chunks::<8>();
        let half = |i: usize| u128::from(u64::from_le_bytes(words[i]) ^ self.0[i]);
        let product = half(0) * half(1);
        (product >> 64) as u64 ^ product as u64
    }

    /// The hash of a chunk in the table.
    fn hash_of(self, chunks: &[Chunk], id: ChunkId) -> u64 {
        let digest = chunks[id.index()].digest.as_ref();
        self.hash(digest.expect("chunks without digest are not inserted"))
    }
}
