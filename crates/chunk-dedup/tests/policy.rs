//! Decisions.

use image_model::{Chunk, ChunkId, Digest, DigestAlgorithm, FrameId};
use lazyoci_chunk_dedup::{Candidate, ChunkTable, Decision, Policy, is_zero};
use proptest::prelude::*;

#[test]
fn decisions_follow_the_policy() {
    let digest = |byte| Digest::new(DigestAlgorithm::Sha256, [byte; 32]);
    let chunks = [Chunk {
        digest: Some(digest(1)),
        len: 10,
        crc32c: None,
        frame: FrameId(0),
        offset_in_frame: 0,
        index_in_blob: 0,
        address: 0,
    }];
    let table = ChunkTable::of(&chunks);
    let reused = Decision::Reuse(ChunkId::new(0));
    for (reuse, holes, byte, zero, expected) in [
        (true, false, 1, false, reused),
        (true, false, 1, true, reused),
        (true, false, 2, false, Decision::Store),
        (true, false, 2, true, Decision::Store),
        (true, true, 1, true, Decision::Zeros),
        (true, true, 2, true, Decision::Zeros),
        (true, true, 1, false, reused),
        (false, false, 1, false, Decision::Store),
        (false, true, 1, true, Decision::Zeros),
    ] {
        let candidate = Candidate {
            digest: digest(byte),
            len: 10,
            zero,
        };
        let decision = Policy { reuse, holes }.decide(&table, &chunks, &candidate);
        assert_eq!(decision, expected, "{reuse} {holes} {candidate:?}");
    }
}

#[test]
fn the_default_stores_zeros_as_nydus_does() {
    assert_eq!(
        Policy::default(),
        Policy {
            reuse: true,
            holes: false
        }
    );
}

proptest! {
    #[test]
    fn zeros_are_told_from_others(len in 0..300_usize, at in any::<proptest::sample::Index>()) {
        let mut bytes = vec![0; len];
        prop_assert!(is_zero(&bytes));
        if len > 0 {
            bytes[at.index(len)] = 1;
            prop_assert!(!is_zero(&bytes));
            prop_assert!(!is_zero(&vec![7; len]));
        }
    }
}
