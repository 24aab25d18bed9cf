//! Dictionaries.

use std::sync::RwLock;

use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
use lazyoci_chunk_dedup::{ChunkList, Dictionary};

fn digest(byte: u8) -> Digest {
    Digest::new(DigestAlgorithm::Sha256, [byte; 32])
}

fn chunk(digest: Option<Digest>, len: u32, frame: u32) -> Chunk {
    Chunk {
        digest,
        len,
        crc32c: None,
        frame: FrameId(frame),
        offset_in_frame: 0,
    }
}

#[test]
fn the_first_of_equal_chunks_is_found() {
    let mut list = ChunkList::default();
    let chunks = [
        chunk(Some(digest(1)), 10, 0),
        chunk(None, 10, 1),
        chunk(Some(digest(1)), 11, 2),
        chunk(Some(digest(1)), 10, 3),
    ];
    for (index, chunk) in (0..).zip(chunks) {
        assert_eq!(list.push(chunk), ChunkId::new(index));
    }
    let shared = RwLock::new(list.clone());
    let dictionaries: [&dyn Dictionary; 2] = [&list, &shared];
    for dictionary in dictionaries {
        assert_eq!(
            dictionary.find(&digest(1), 10).unwrap(),
            Some(ChunkId::new(0))
        );
        assert_eq!(
            dictionary.find(&digest(1), 11).unwrap(),
            Some(ChunkId::new(2))
        );
        assert_eq!(dictionary.find(&digest(1), 12).unwrap(), None);
        assert_eq!(dictionary.find(&digest(2), 10).unwrap(), None);
        let keys = [(digest(1), 11), (digest(1), 12), (digest(1), 10)];
        let mut found = Vec::new();
        dictionary.find_many(&keys, &mut found).unwrap();
        assert_eq!(found, [Some(ChunkId::new(2)), None, Some(ChunkId::new(0))]);
    }
    assert_eq!(list.into_chunks(), chunks);
}

#[test]
fn what_is_pushed_is_found_through_a_lock() {
    let shared = RwLock::new(ChunkList::default());
    assert_eq!(shared.find(&digest(1), 10).unwrap(), None);
    shared.write().unwrap().push(chunk(Some(digest(1)), 10, 0));
    assert_eq!(shared.find(&digest(1), 10).unwrap(), Some(ChunkId::new(0)));
}
