//! Boundaries.

use std::num::NonZeroU32;

use image_model::{Blame as _, Fault};
use lazyoci_chunk_dedup::{ChunkSizesError, Chunker, FastCdc, FixedSize};
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

/// Bytes that look like nothing in particular.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Where chunks of `bytes` end, which are fed in pieces of these lengths, over and over.
fn ends(chunker: &mut dyn Chunker, bytes: &[u8], lengths: &[usize]) -> Vec<usize> {
    let (mut at, mut ends) = (0, Vec::new());
    let mut lengths = lengths.iter().cycle();
    while at < bytes.len() {
        let piece = &bytes[at..bytes.len().min(at + lengths.next().unwrap_or(&1))];
        match chunker.feed(piece) {
            Some(end) => {
                at += end;
                ends.push(at);
            }
            None => at += piece.len(),
        }
    }
    chunker.end_file();
    if ends.last() != Some(&bytes.len()) {
        ends.push(bytes.len());
    }
    ends
}

#[test]
fn content_decides_as_in_the_crate() {
    for (min, avg, max) in [
        (64, 256, 1024),
        (2048, 8192, 65_536),
        (256, 256, 1024),
        (64, 1024, 1024),
    ] {
        for (len, seed) in [
            (1, 1),
            (63, 2),
            (64, 3),
            (65, 4),
            (1025, 5),
            (200_000, 6),
            (99_999, 7),
        ] {
            let bytes = noise(len, seed);
            let sizes = [min, avg, max].map(|size: u32| size as usize);
            let theirs = fastcdc::v2020::FastCDC::new(&bytes, sizes[0], sizes[1], sizes[2]);
            let theirs: Vec<usize> = theirs.map(|chunk| chunk.offset + chunk.length).collect();
            let mut ours = FastCdc::new(min, avg, max).unwrap();
            for lengths in [&[len][..], &[1], &[7, 300, 1], &[4096]] {
                let found = ends(&mut ours, &bytes, lengths);
                assert_eq!(
                    found, theirs,
                    "{min}, {avg}, {max}: {len} bytes in {lengths:?}"
                );
            }
        }
    }
}

/// After an insertion, chunks are the same again.
#[test]
fn an_insertion_moves_boundaries_with_it() {
    let bytes = noise(1 << 20, 9);
    let inserted = [&bytes[..300_000], b"inserted", &bytes[300_000..]].concat();
    let mut chunker = FastCdc::new(1024, 4096, 16_384).unwrap();
    let before = ends(&mut chunker, &bytes, &[4096]);
    let after = ends(&mut chunker, &inserted, &[4096]);
    let moved = |end: &&usize| after.contains(&(**end + 8)) || after.contains(*end);
    let same = before.iter().filter(moved).count();
    assert!(before.len() - same <= 2, "{same} of {}", before.len());
}

#[test]
fn zeros_are_cut_as_bytes_are() {
    let mut chunker = FastCdc::new(64, 256, 1024).unwrap();
    let as_bytes = chunker.feed(&[0; 5000]).map(|end| end as u64);
    chunker.end_file();
    assert_eq!(chunker.feed_zeros(5000), as_bytes);
    assert_eq!(as_bytes, Some(1024));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (min, avg, max) in [
        (62, 256, 1024),
        (64, 254, 1024),
        (64, 256, 1022),
        (65, 256, 1024),
        (64, 2048, 1024),
        (512, 256, 1024),
        ((1 << 20) + 2, 4 << 20, 16 << 20),
        (64, (4 << 20) + 2, 16 << 20),
        (64, 256, (16 << 20) + 2),
    ] {
        let error = FastCdc::new(min, avg, max).unwrap_err();
        assert_eq!(error, ChunkSizesError { min, avg, max });
        assert_eq!(error.fault(), Fault::Misuse);
    }
}
