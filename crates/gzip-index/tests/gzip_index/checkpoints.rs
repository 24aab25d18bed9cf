//! Checkpoints: where they are, what is between them, and that each can be begun at.

use std::io::{self, Read, Write};

use frame_codec::Decoder;
use image_model::deflate::{DeflateStart, WINDOW_LEN, Window};
use image_model::{Blame, Decode, DigestAlgorithm, Fault, Limits};
use lazyoci_gzip_index::{
    BuildError, Checkpoint, CheckpointBuilder, CheckpointOptions, Checkpoints, Corruption,
};
use proptest::prelude::*;

use crate::blocks::{Block, Start, Stream};
use crate::support::{Slow, build, digest, gzip, small, text};

fn spans(span_size: u64) -> CheckpointOptions {
    CheckpointOptions::default().span_size(span_size)
}

fn find(stored: &[u8], span_size: u64) -> Checkpoints {
    let (found, rest) = CheckpointBuilder::new(stored, &spans(span_size))
        .finish()
        .unwrap();
    assert!(rest.is_empty());
    found
}

fn start(point: &Checkpoint) -> Start {
    Start {
        stored: point.stored_offset,
        bits: point.bits,
        decoded: point.decoded_offset,
    }
}

fn starts(found: &Checkpoints) -> Vec<Start> {
    found.points.iter().map(start).collect()
}

/// Where checkpoints are among the starts of blocks.
fn expected(starts: &[Start], span_size: u64) -> Vec<Start> {
    let mut points: Vec<Start> = Vec::new();
    for start in starts {
        let since = points.last().map(|last| start.decoded - last.decoded);
        if since.is_none_or(|since| since > span_size) {
            points.push(*start);
        }
    }
    points
}

/// The window of `point`, of which nothing is known before the start of the stream.
fn window(point: &Checkpoint) -> Window {
    let known = WINDOW_LEN.min(point.decoded_offset as usize);
    if known == 0 {
        return Window::default();
    }
    let gap = WINDOW_LEN - known;
    let runs = [gap, known].map(|len| (len as u16).to_le_bytes()).concat();
    Window::new(runs.into(), point.window.slice(gap..)).unwrap()
}

/// What is between the checkpoints of `stored`, each decoded by itself and verified, the last ones first.
pub(crate) fn read_backwards(found: &Checkpoints, stored: &[u8]) -> Vec<u8> {
    assert_eq!(found.stored_len, stored.len() as u64);
    let mut plain = vec![0; found.decoded_len as usize];
    let mut end = (stored.len(), plain.len());
    for point in found.points.iter().rev() {
        let from = point.stored_offset as usize - usize::from(point.bits != 0);
        let span = &stored[from..end.0];
        assert_eq!(point.digest, digest(DigestAlgorithm::Sha256, span));
        let how = Decode::DeflateMembers(DeflateStart {
            bits: point.bits,
            window: window(point),
        });
        let decoded = &mut plain[point.decoded_offset as usize..end.1];
        Decoder::new().decode_frame(&how, span, decoded).unwrap();
        end = (point.stored_offset as usize, point.decoded_offset as usize);
    }
    assert_eq!(end.1, 0);
    plain
}

/// The windows of all checkpoints are what `plain` has before them.
fn windows_hold(found: &Checkpoints, plain: &[u8]) {
    for point in &found.points {
        let before = &plain[..point.decoded_offset as usize];
        let known = &before[before.len().saturating_sub(WINDOW_LEN)..];
        let window = [&vec![0; WINDOW_LEN - known.len()][..], known].concat();
        assert!(point.window == window, "{}", point.decoded_offset);
    }
}

#[test]
fn spans_end_at_the_first_boundary_beyond_their_size() {
    let plain = text(1_500_000);
    let (a, b) = plain.split_at(700_000);
    let stored = [gzip(a, 6), gzip(b, 0)].concat();
    let all = starts(&find(&stored, 0));
    assert!(all.len() > 30, "{}", all.len());
    // Those of the peer's tests, none, and more than there is.
    for span_size in [
        0,
        1,
        64,
        10_000,
        65_535,
        128_000,
        256_000,
        512_000,
        1 << 20,
        1_500_000,
        u64::MAX,
    ] {
        let found = find(&stored, span_size);
        assert_eq!(starts(&found), expected(&all, span_size), "{span_size}");
        assert_eq!(found.points.len() == 1, span_size >= 1_500_000);
        assert_eq!(
            (found.decoded_len, found.stored_len),
            (1_500_000, stored.len() as u64)
        );
        windows_hold(&found, &plain);
        assert!(read_backwards(&found, &stored) == plain, "{span_size}");
    }
}

/// The stream is longer than what is read and decoded at once.
#[test]
fn checkpoints_do_not_depend_on_how_the_stream_comes_and_goes() {
    let plain = text(900_000);
    let parts = [
        &plain[..300_000],
        &plain[300_000..600_000],
        &plain[600_000..],
    ];
    let stored = [gzip(parts[0], 9), gzip(parts[1], 0), gzip(parts[2], 1)].concat();
    let once = find(&stored, 20_000);
    assert!(once.points.len() > 10, "{}", once.points.len());
    for threads in [1, 2] {
        let options = spans(20_000).threads(threads);
        for (piece, buffer) in [(1, 1 << 20), (7, 1), (4_096, 100), (131_071, 300_000)] {
            let mut builder = CheckpointBuilder::new(Slow(&stored, piece), &options);
            let (mut decoded, mut buf) = (Vec::<u8>::new(), vec![0; buffer]);
            loop {
                match builder.read(&mut buf).unwrap() {
                    0 => break,
                    len => decoded.extend(&buf[..len]),
                }
            }
            assert!(decoded == plain, "{threads} {piece}");
            assert_eq!(builder.stored_position(), stored.len() as u64);
            assert_eq!(builder.finish().unwrap().0, once, "{threads} {piece}");
        }
        // Some of it, and nothing at all.
        for len in [12_345, 0] {
            let mut builder = CheckpointBuilder::new(Slow(&stored, 1_000), &options);
            builder.read_exact(&mut vec![0; len]).unwrap();
            assert_eq!(builder.finish().unwrap().0, once, "{threads} {len}");
        }
    }
}

/// As pigz has it: each flush ends with an empty stored block.
#[test]
fn no_two_checkpoints_are_at_the_same_byte() {
    let plain = text(100_000);
    let level = flate2::Compression::new(6);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    for piece in plain.chunks(9_000) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    let stored = encoder.finish().unwrap();
    let found = find(&stored, 0);
    let decoded = found.points.iter().map(|point| point.decoded_offset);
    // The last one is before the block of nothing that the last flush made, and the one that ends the stream.
    assert!(decoded.eq((0..12).map(|nth| nth * 9_000).chain([100_000])));
    assert_eq!(read_backwards(&found, &stored), plain);
    let points = starts(&find(&stored, 30_000));
    let decoded = points.iter().map(|point| point.decoded);
    assert!(decoded.eq([0, 36_000, 72_000]));
}

#[test]
fn what_is_empty_makes_no_second_checkpoint() {
    let (full, empty) = (gzip(b"lazy", 6), gzip(b"", 6));
    let at = |stored: usize, decoded| Start {
        stored: stored as u64,
        bits: 0,
        decoded,
    };
    for (before, behind) in [(1, 0), (3, 0), (0, 1), (0, 3), (2, 2)] {
        let (before, behind) = (empty.repeat(before), empty.repeat(behind));
        let stored = [&before[..], &full, &behind].concat();
        let found = find(&stored, 0);
        // Behind a byte the start of a member is one like others, though nothing may follow it.
        let end = [at(before.len() + full.len() + 10, 4)];
        let end = &end[..usize::from(!behind.is_empty())];
        assert_eq!(starts(&found), [&[at(10, 0)], end].concat());
        assert_eq!(read_backwards(&found, &stored), b"lazy");
        assert_eq!(starts(&find(&stored, 4)), [at(10, 0)]);
    }
    // Blocks of nothing before the first byte.
    let blocks = [
        Block::Stored(0),
        Block::Match { far: false },
        Block::Literals(9),
    ];
    let stream = Stream::new([&blocks[..]]);
    assert_eq!(stream.starts[2].decoded, 0);
    let found = find(&stream.stored, 0);
    assert_eq!(starts(&found), [stream.starts[0], stream.starts[3]]);
    assert_eq!(read_backwards(&found, &stream.stored), stream.plain);
    // Nothing but nothing: there is a place to begin at, but no byte to find there.
    let found = find(&[&empty[..], &empty].concat(), 0);
    assert_eq!((found.points.len(), found.decoded_len), (1, 0));
}

fn refused(stored: &[u8], options: &CheckpointOptions) -> BuildError {
    CheckpointBuilder::new(stored, options)
        .finish()
        .unwrap_err()
}

#[test]
fn streams_that_are_damaged_are_refused() {
    let default = CheckpointOptions::default();
    let first = gzip(b"lazy lazy lazy", 6);
    let stored = [&first[..], &gzip(&text(300), 6)].concat();
    for len in (0..stored.len()).filter(|len| *len != first.len()) {
        match refused(&stored[..len], &default) {
            BuildError::Cut { stored, .. } => assert_eq!(stored, len as u64),
            // Too little to be told from what is no member.
            BuildError::NoMember { stored: 0 } => assert!(len < 3, "{len}"),
            BuildError::NoMember { stored } => {
                assert_eq!(stored, first.len() as u64);
                assert!(len - first.len() < 3, "{len}");
            }
            other => panic!("{len}: {other}"),
        }
    }
    for trailing in [&b"\0"[..], b"\x1f\x8b\x09", &[7; 200_000]] {
        let error = refused(&[&first[..], trailing].concat(), &default);
        let at = first.len() as u64;
        assert!(
            matches!(error, BuildError::NoMember { stored } if stored == at),
            "{error}"
        );
        assert_eq!(error.fault(), Fault::Corrupt);
    }
    let end = first.len();
    for (at, bits, expected) in [
        (3, 1 << 5, Corruption::Reserved),
        // A type of block that is none.
        (10, 1 << 2, Corruption::Deflate),
        (end - 8, 1, Corruption::Checksum),
        (end - 1, 1, Corruption::Length),
    ] {
        let mut damaged = stored.clone();
        damaged[at] ^= bits;
        let error = refused(&damaged, &default);
        assert!(
            matches!(error, BuildError::Corrupt { source, .. } if source == expected),
            "{at}: {error}"
        );
    }
}

#[test]
fn after_an_error_it_only_fails() {
    let stored = [&gzip(b"lazy", 6)[..], b"what is this"].concat();
    let mut builder = CheckpointBuilder::new(&stored[..], &CheckpointOptions::default());
    let mut decoded = [0; 9];
    assert_eq!(builder.read(&mut decoded).unwrap(), 4);
    assert_eq!(&decoded[..4], b"lazy");
    let error = builder.read(&mut decoded).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    for _ in 0..2 {
        let error = builder.read(&mut decoded).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    assert!(matches!(builder.finish(), Err(BuildError::Io(_))));
}

#[test]
fn limits_hold() {
    let stored = gzip(&[0; 100_000], 6);
    let layer = spans(0).limits(Limits::default().max_layer_len(99_999));
    let error = refused(&stored, &layer);
    assert!(
        matches!(error, BuildError::TooLarge { limit: 99_999 }),
        "{error}"
    );
    let frame = |limit| spans(0).limits(Limits::default().max_frame_len(limit));
    let error = refused(&stored, &frame(99_999));
    let expected = BuildError::SpanTooLong {
        stored: 10,
        limit: 99_999,
    };
    assert_eq!(error.to_string(), expected.to_string());
    assert_eq!(error.fault(), Fault::Limit);
    CheckpointBuilder::new(&stored[..], &frame(100_000))
        .finish()
        .unwrap();
}

fn block() -> impl Strategy<Value = Block> {
    prop_oneof![
        2 => prop_oneof![Just(0), 1..2_000_u16, 40_000..=u16::MAX].prop_map(Block::Stored),
        4 => prop_oneof![Just(0), 1..2_000_u16].prop_map(Block::Literals),
        2 => any::<bool>().prop_map(|far| Block::Match { far }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of a stream whose blocks are known, checkpoints are where the rule puts them, and hold what it says.
    #[test]
    fn they_are_at_known_blocks(
        members in prop::collection::vec(prop::collection::vec(block(), 0..12), 1..5),
        span_size in prop_oneof![Just(0), 1..3_000_u64, 3_000..150_000_u64],
        threads in 1..3_usize,
        piece in 1..200_000_usize,
    ) {
        let stream = Stream::new(members.iter().map(Vec::as_slice));
        let options = spans(span_size).threads(threads);
        let builder = CheckpointBuilder::new(Slow(&stream.stored, piece), &options);
        let (found, _) = builder.finish().unwrap();
        prop_assert_eq!(starts(&found), expected(&stream.starts, span_size));
        prop_assert_eq!(found.decoded_len, stream.plain.len() as u64);
        windows_hold(&found, &stream.plain);
        prop_assert!(read_backwards(&found, &stream.stored) == stream.plain);
    }

    /// Our own spans begin at those blocks, too, and where a member does that holds anything.
    #[test]
    fn spans_begin_at_known_blocks(
        members in prop::collection::vec(prop::collection::vec(block(), 0..12), 1..5),
        span_len in prop_oneof![Just(1), 1..100_000_u32],
    ) {
        let stream = Stream::new(members.iter().map(Vec::as_slice));
        let index = build(&stream.stored, &small(span_len));
        for span in index.spans() {
            let mut starts = stream.starts.iter();
            prop_assert!(starts.any(|start| start.decoded == span.decoded_offset), "{:?}", span);
        }
        prop_assert!(crate::support::read_backwards(&index, &stream.stored) == stream.plain);
    }
}
