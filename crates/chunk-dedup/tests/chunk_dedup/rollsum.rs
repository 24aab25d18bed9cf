//! Where the rolling checksum of containers/storage cuts. Vectors and cases are those of its tests and of skopeo 1.18.

use std::convert::Infallible;
use std::num::NonZeroU64;

use lazyoci_chunk_dedup::rollsum::{Part, Rollsum, RollsumChunker};
use proptest::prelude::*;

/// A chunk: whether it is a hole, and its bytes.
type Chunk = (bool, Vec<u8>);

/// The chunks of a file that is fed in these pieces.
fn chunks<'b>(
    mut chunker: RollsumChunker,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut grown: Chunk = Default::default();
    let mut take = |part: Part<'_>| {
        match part {
            Part::Data(bytes) => grown.1.extend(bytes),
            Part::Hole(len) => {
                grown.0 = true;
                grown.1.resize(grown.1.len() + len as usize, 0);
            }
            Part::End => chunks.push(std::mem::take(&mut grown)),
        }
        Ok::<_, Infallible>(())
    };
    for piece in pieces {
        chunker.feed(piece, &mut take).unwrap();
    }
    chunker.end_file(&mut take).unwrap();
    assert_eq!(grown, Chunk::default());
    chunks
}

fn with_holes_of(zeros: u64) -> RollsumChunker {
    RollsumChunker::with_hole_len(NonZeroU64::new(zeros).expect("not 0"))
}

/// The numbers of the format's test vector.
fn vector(len: usize) -> Vec<u8> {
    let mut x = 1u32;
    let next = |_| {
        x = x.wrapping_mul(1_103_515_245).wrapping_add(12_345) & 0x7fff_ffff;
        (x >> 16) as u8
    };
    (0..len).map(next).collect()
}

#[test]
fn the_vector_of_the_format() {
    let bytes = vector(1 << 20);
    let found = chunks(RollsumChunker::default(), [&bytes[..]]);
    let mut end = 0;
    let ends: Vec<_> = found
        .iter()
        .map(|(_, chunk)| {
            end += chunk.len();
            end
        })
        .collect();
    let expected = [
        49_253, 114_509, 155_640, 167_603, 245_388, 263_526, 338_700, 374_605, 449_753, 450_713,
        515_459, 556_036, 586_976,
    ];
    assert_eq!(ends[..expected.len()], expected);
    assert_eq!(found.len(), 24);
    assert_eq!(end, bytes.len());
}

#[test]
fn five_zeros_are_a_hole_or_not() {
    assert_eq!(
        chunks(with_holes_of(1), [&[0; 5][..]]),
        [(true, vec![0; 5])]
    );
    assert_eq!(
        chunks(with_holes_of(1000), [&[0; 5][..]]),
        [(false, vec![0; 5])]
    );
}

#[test]
fn two_holes() {
    let found = chunks(with_holes_of(2), [&b"\0\0\0\0\0FOO\0\0\0\0\0"[..]]);
    let expected = [
        (true, vec![0; 5]),
        (false, b"FOO".to_vec()),
        (true, vec![0; 5]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_hole_has_1024_zeros() {
    let file = [&b"ab"[..], &[0; 1024], b"cd", &[0; 1023], b"e"].concat();
    let found = chunks(RollsumChunker::default(), [&file[..]]);
    let expected = [
        (false, b"ab".to_vec()),
        (true, vec![0; 1024]),
        (false, file[1026..].to_vec()),
    ];
    assert_eq!(found, expected);
    assert_eq!(
        chunks(RollsumChunker::default(), [&[0; 1024][..]]),
        [(true, vec![0; 1024])]
    );
    assert_eq!(
        chunks(RollsumChunker::default(), [&[0; 1023][..]]),
        [(false, vec![0; 1023])]
    );
}

#[test]
fn an_empty_file_has_no_chunks() {
    assert_eq!(chunks(RollsumChunker::default(), [&b""[..]]), []);
}

#[test]
fn bytes_that_repeat_are_one_chunk() {
    for byte in [1, 0x7f, 0xff] {
        let file = vec![byte; 1 << 20];
        assert_eq!(
            chunks(RollsumChunker::default(), [&file[..]]),
            [(false, file.clone())]
        );
    }
}

#[test]
fn the_next_file_starts_afresh() {
    let bytes = vector(60_000);
    let mut chunker = RollsumChunker::default();
    let mut ignore = |_: Part<'_>| Ok::<_, Infallible>(());
    chunker.feed(&bytes, &mut ignore).unwrap();
    chunker.feed_zeros(5000, &mut ignore).unwrap();
    chunker.end_file(&mut ignore).unwrap();
    let found = chunks(chunker, [&bytes[..]]);
    assert_eq!(found[0].1.len(), 49_253);
}

#[test]
fn the_sum_is_that_of_the_window() {
    let bytes = vector(100_000);
    let sum = |bytes: &[u8]| {
        let mut sum = Rollsum::new();
        bytes.iter().for_each(|byte| sum.roll(*byte));
        sum.digest()
    };
    // As in the peer: from the start, from the middle of the buffer, and over the window alone.
    let (all, some, window) = (&bytes[..], &bytes[100..], &bytes[bytes.len() - 64..]);
    assert_eq!(sum(all), sum(some));
    assert_eq!(sum(some), sum(window));
    assert_ne!(sum(window), sum(&bytes[bytes.len() - 63..]));
}

/// The rules, byte by byte and with the whole file at hand.
fn expected(file: &[u8], threshold: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut grown = Vec::new();
    let mut sum = Rollsum::new();
    let mut at = 0;
    while at < file.len() {
        let zeros = file[at..].iter().take_while(|byte| **byte == 0).count();
        let before = file[..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == 0)
            .count();
        if zeros >= threshold && before == 0 {
            if !grown.is_empty() {
                chunks.push((false, std::mem::take(&mut grown)));
            }
            (0..zeros).for_each(|_| sum.roll(0));
            chunks.push((true, vec![0; zeros]));
            at += zeros;
            continue;
        }
        sum.roll(file[at]);
        grown.push(file[at]);
        at += 1;
        if sum.splits() {
            chunks.push((false, std::mem::take(&mut grown)));
        }
    }
    if !grown.is_empty() {
        chunks.push((false, grown));
    }
    chunks
}

/// Data and zeros in turn, as long as cuts need.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let run = prop_oneof![
        (1000usize..1100).prop_map(|len| vec![0; len]),
        (0usize..100).prop_map(|len| vec![0; len]),
        proptest::collection::vec(any::<u8>(), 0..200),
        (any::<u16>(), 0usize..120_000).prop_map(|(from, len)| {
            let bytes = vector(usize::from(from) + len);
            bytes[usize::from(from)..].to_vec()
        }),
    ];
    proptest::collection::vec(run, 0..6).prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn boundaries_do_not_depend_on_how_a_file_is_fed(
        file in file(),
        threshold in prop_oneof![Just(1024u64), 1u64..80],
        piece in 1usize..5000,
    ) {
        let expected = expected(&file, threshold as usize);
        prop_assert_eq!(&chunks(with_holes_of(threshold), [&file[..]]), &expected);
        prop_assert_eq!(&chunks(with_holes_of(threshold), file.chunks(piece)), &expected);
    }
}
