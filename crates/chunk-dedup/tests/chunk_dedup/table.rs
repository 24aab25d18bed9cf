//! Lookups, against a model.

use std::collections::HashMap;

use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
use lazyoci_chunk_dedup::ChunkTable;
use proptest::prelude::*;

fn chunk(digest: Option<Digest>, len: u32) -> Chunk {
    Chunk {
        digest,
        len,
        crc32c: None,
        frame: FrameId(0),
        offset_in_frame: 0,
    }
}

/// Evenly spread like a real digest.
fn digest(n: u32) -> Digest {
    let mut bytes = [0; 32];
    let mut state = u64::from(n) + 1;
    for word in bytes.chunks_exact_mut(8) {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ state >> 29;
        word.copy_from_slice(&state.to_le_bytes());
    }
    Digest::new(DigestAlgorithm::Sha256, bytes)
}

#[test]
fn an_empty_table_finds_nothing() {
    let table = ChunkTable::default();
    assert!(table.is_empty());
    assert_eq!(table.find(&[], &digest(0), 0), None);
}

#[test]
fn many_chunks_are_found_while_the_table_grows() {
    let mut chunks = Vec::new();
    let mut table = ChunkTable::new();
    for i in 0..50_000 {
        assert_eq!(table.find(&chunks, &digest(i), i), None);
        chunks.push(chunk(Some(digest(i)), i));
        assert!(table.insert(&chunks, ChunkId::new(i)));
    }
    assert_eq!(table.len(), 50_000);
    for i in 0..50_000 {
        assert_eq!(table.find(&chunks, &digest(i), i), Some(ChunkId::new(i)));
    }
}

#[test]
fn the_first_of_equal_chunks_is_found() {
    let chunks = [chunk(Some(digest(1)), 5); 3];
    let mut table = ChunkTable::new();
    assert!(table.insert(&chunks, ChunkId::new(1)));
    assert!(!table.insert(&chunks, ChunkId::new(0)));
    assert!(!table.insert(&chunks, ChunkId::new(1)));
    assert_eq!(table.find(&chunks, &digest(1), 5), Some(ChunkId::new(1)));
    let table = ChunkTable::of(&chunks);
    assert_eq!(table.find(&chunks, &digest(1), 5), Some(ChunkId::new(0)));
    assert_eq!(table.len(), 1);
}

#[test]
fn every_part_of_the_key_counts() {
    let base = digest(1);
    let mut differs_at_the_end = *base.as_bytes();
    differs_at_the_end[31] ^= 1;
    let keys = [
        (base, 5),
        (base, 6),
        (Digest::new(DigestAlgorithm::Sha256, differs_at_the_end), 5),
        (Digest::new(DigestAlgorithm::Blake3, *base.as_bytes()), 5),
    ];
    let chunks = keys.map(|(digest, len)| chunk(Some(digest), len));
    let table = ChunkTable::of(&chunks);
    for (i, (digest, len)) in (0..).zip(keys) {
        assert_eq!(table.find(&chunks, &digest, len), Some(ChunkId::new(i)));
    }
    assert_eq!(table.find(&chunks, &base, 7), None);
}

#[test]
fn chunks_without_digest_are_never_found() {
    let chunks = [chunk(None, 5), chunk(Some(digest(1)), 5)];
    let mut table = ChunkTable::of(&chunks);
    assert_eq!(table.len(), 1);
    assert!(!table.insert(&chunks, ChunkId::new(0)));
}

proptest! {
    #[test]
    fn a_table_is_a_map_that_keeps_the_first(
        keys in proptest::collection::vec((0..40_u32, 0..3_u32), 0..200),
    ) {
        let mut chunks = Vec::new();
        let mut table = ChunkTable::new();
        let mut model = HashMap::new();
        for (i, &(n, len)) in (0..).zip(&keys) {
            prop_assert_eq!(
                table.find(&chunks, &digest(n), len),
                model.get(&(n, len)).copied()
            );
            chunks.push(chunk(Some(digest(n)), len));
            let id = ChunkId::new(i);
            let new = !model.contains_key(&(n, len));
            model.entry((n, len)).or_insert(id);
            prop_assert_eq!(table.insert(&chunks, id), new);
        }
        prop_assert_eq!(table.len(), model.len());
    }
}
