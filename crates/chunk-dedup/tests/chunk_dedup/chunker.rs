//! Boundaries.

use std::num::NonZeroU32;

use lazyoci_chunk_dedup::{Chunker, FixedSize};
use proptest::prelude::*;

fn fixed(size: u32) -> FixedSize {
    FixedSize::new(NonZeroU32::new(size).expect("sizes are not 0"))
}

/// The chunks of one file that arrives in `pieces`.
fn chunks(chunker: &mut dyn Chunker, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut current = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(n) = chunker.feed(piece) {
            assert!((1..=piece.len()).contains(&n));
            current.extend_from_slice(&piece[..n]);
            chunks.push(std::mem::take(&mut current));
            piece = &piece[n..];
        }
        current.extend_from_slice(piece);
        assert!(current.len() <= chunker.max_len() as usize);
    }
    chunker.end_file();
    if !current.is_empty() {
        chunks.push(current);
    }
    chunks
}

#[test]
fn files_are_cut_at_the_size() {
    let mut chunker = fixed(4);
    assert_eq!(chunker.max_len(), 4);
    for (content, expected) in [
        (&b""[..], vec![]),
        (b"abc", vec![&b"abc"[..]]),
        (b"abcd", vec![b"abcd"]),
        (b"abcde", vec![b"abcd", b"e"]),
        (b"abcdefgh", vec![b"abcd", b"efgh"]),
    ] {
        assert_eq!(chunks(&mut chunker, &[content]), expected);
    }
}

#[test]
fn the_largest_size_does_not_overflow() {
    let mut chunker = fixed(u32::MAX);
    let piece = vec![0; 1 << 20];
    for _ in 0..4095 {
        assert_eq!(chunker.feed(&piece), None);
    }
    assert_eq!(chunker.feed(&piece), Some((1 << 20) - 1));
    assert_eq!(chunker.feed(&piece), None);
}

proptest! {
    #[test]
    fn boundaries_do_not_depend_on_the_pieces(
        pieces in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..50),
            0..20,
        ),
        size in 1..60_u32,
    ) {
        let content = pieces.concat();
        let mut chunker = fixed(size);
        let whole = chunks(&mut chunker, &[&content]);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(&chunks(&mut chunker, &pieces), &whole);
        prop_assert_eq!(whole.concat(), content.clone());
        let expected: Vec<_> = content.chunks(size as usize).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(whole, expected);
    }
}
