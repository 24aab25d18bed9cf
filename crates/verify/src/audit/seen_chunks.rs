//! Which chunks an audit has read.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::content::StoredChunk;

/// A set of chunks by everything that the image says of them: two claims about one place are two.
///
/// Of each chunk 128 bits are kept, made with random keys: an image cannot be made so that two
/// different chunks are taken for one, and chance does so in less than one of 10^20 audits.
#[derive(Default)]
pub(super) struct SeenChunks {
    seen: HashSet<(u64, u64)>,
    keys: (RandomState, RandomState),
}

impl SeenChunks {
    /// Adds `chunk`; false if it was there.
    pub(super) fn insert(&mut self, chunk: &StoredChunk) -> bool {
        let (left, right) = &self.keys;
        self.seen
            .insert((left.hash_one(chunk), right.hash_one(chunk)))
    }
}
