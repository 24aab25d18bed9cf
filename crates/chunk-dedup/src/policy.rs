//! What to do with a chunk.

use image_model::{Chunk, ChunkId, Digest};

use crate::table::ChunkTable;

/// What happens to a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Refer to this chunk, which has the same bytes.
    Reuse(ChunkId),
    /// Write it to the blob.
    Store,
    /// Leave a hole: it is all zeros.
    Zeros,
}

/// A chunk that was cut and digested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub len: u32,
    /// Whether all its bytes are zero ([`is_zero`]).
    pub zero: bool,
}

/// What is done with chunks.
///
/// ```
/// use lazyoci_chunk_dedup::{Candidate, ChunkTable, Decision, Policy};
/// # let digest = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [7; 32]);
/// let candidate = Candidate { digest, len: 4096, zero: true };
/// let table = ChunkTable::new();
/// assert_eq!(Policy::default().decide(&table, &[], &candidate), Decision::Store);
/// let holes = Policy { holes: true, ..Policy::default() };
/// assert_eq!(holes.decide(&table, &[], &candidate), Decision::Zeros);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Whether chunks that are stored already are reused. On by default.
    pub reuse: bool,
    /// Whether chunks of zeros become holes. Only for formats that carry holes; RAFS has none, and
    /// nydus stores zeros as ordinary chunks. Off by default.
    pub holes: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reuse: true,
            holes: false,
        }
    }
}

impl Policy {
    /// What happens to `candidate`, with the chunks that are stored so far and their table.
    #[must_use]
    pub fn decide(&self, table: &ChunkTable, chunks: &[Chunk], candidate: &Candidate) -> Decision {
        if self.holes && candidate.zero {
            return Decision::Zeros;
        }
        let found = if self.reuse {
            table.find(chunks, &candidate.digest, candidate.len)
        } else {
            None
        };
        found.map_or(Decision::Store, Decision::Reuse)
    }
}

/// Whether all of `bytes` are zero.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    // Zero at the start, and every byte like the one before it: a comparison of slices runs at
    // the speed of memory.
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && *rest == bytes[..rest.len()],
    }
}
