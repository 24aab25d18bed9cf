//! Lookups that begin with a digest.

use std::hint::black_box;

use lazyoci::chunk_dedup::ChunkTable;
use lazyoci::model::{Chunk, ChunkedImage, Digest};

use super::COUNT;
use crate::content::Random;

/// An image as a dictionary, and what to ask it.
#[derive(Debug)]
pub struct Digests {
    /// Its chunks.
    pub table: ChunkTable,
    /// Digests and lengths of different ones.
    pub sample: Vec<(Digest, u32)>,
}

impl Digests {
    /// Chooses chunks of `image`.
    ///
    /// # Panics
    /// If it has not as many, or they have no digests.
    #[must_use]
    pub fn of(image: &ChunkedImage) -> Self {
        let chunks: Vec<Chunk> = Random::new(2).choose(image.chunks.clone(), COUNT);
        let key = |chunk: &Chunk| (chunk.digest.expect("our chunks have one"), chunk.len);
        Self {
            table: ChunkTable::of(&image.chunks),
            sample: chunks.iter().map(key).collect(),
        }
    }

    /// Digests to frames of the same image, [`COUNT`] times.
    ///
    /// # Panics
    /// If one is not found.
    pub fn find(&self, image: &ChunkedImage) {
        let found = |(digest, len): &&(Digest, u32)| {
            let id = self.table.find(&image.chunks, digest, *len);
            let frame = id.map(|id| image.frames[image.chunks[id.index()].frame.0 as usize]);
            black_box(frame).is_some()
        };
        assert_eq!(self.sample.iter().filter(found).count(), COUNT);
    }
}
