//! Lookups in a dictionary file.

use std::hint::black_box;

use lazyoci::chunk_dedup::{DictionaryFile, Key, Placement};

use super::COUNT;
use crate::dictionaries::{file, questions};

/// A dictionary file, and what to ask it.
#[derive(Debug)]
pub struct DictionaryLookups {
    file: DictionaryFile<Vec<u8>>,
    hits: Vec<Key>,
    misses: Vec<Key>,
}

impl DictionaryLookups {
    /// Chunks of the dictionary.
    const CHUNKS: u32 = 100_000;

    /// Builds the dictionary.
    #[must_use]
    pub fn new() -> Self {
        let mut hits = questions(0, Self::CHUNKS);
        hits.truncate(COUNT);
        Self {
            file: file(Self::CHUNKS),
            hits,
            misses: questions(Self::CHUNKS, COUNT as u32),
        }
    }

    /// Digests to placements, [`COUNT`] times.
    ///
    /// # Panics
    /// If one is not found.
    pub fn find(&self) {
        assert_eq!(self.found(&self.hits), COUNT);
    }

    /// The same for chunks that are not there.
    ///
    /// # Panics
    /// If one is found.
    pub fn find_missing(&self) {
        assert_eq!(self.found(&self.misses), 0);
    }

    /// The same for chunks that are there, 64 at once.
    ///
    /// # Panics
    /// If one is not found.
    pub fn find_many(&self) {
        let mut found: Vec<Option<Placement>> = Vec::with_capacity(64);
        let mut count = 0;
        for keys in self.hits.chunks(64) {
            found.clear();
            let looked = self.file.lookup_many(black_box(keys), &mut found);
            looked.expect("it is sound");
            count += black_box(&found).iter().flatten().count();
        }
        assert_eq!(count, COUNT);
    }

    fn found(&self, keys: &[Key]) -> usize {
        let found = |(digest, len): &&Key| {
            let placement = self.file.lookup(black_box(digest), *len);
            black_box(placement.expect("it is sound")).is_some()
        };
        keys.iter().filter(found).count()
    }
}

impl Default for DictionaryLookups {
    fn default() -> Self {
        Self::new()
    }
}
