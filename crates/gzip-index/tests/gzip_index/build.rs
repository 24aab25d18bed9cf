//! What is built, and that every span can be entered by itself.

use std::io::{self, Read};

use image_model::DigestAlgorithm;
use lazyoci_gzip_index::{GzipIndex, IndexBuilder, IndexOptions};
use proptest::prelude::*;

use crate::support::{Slow, build, digest, gzip, read_backwards, small, span, text};

#[test]
fn every_span_is_decoded_by_itself() {
    let plain = text(1 << 20);
    for level in 0..=9 {
        let stored = gzip(&plain, level);
        let index = build(&stored, &small(40_000));
        // zlib-rs makes long blocks at level 1.
        let least = if level == 1 { 2 } else { 10 };
        assert!(
            index.spans().len() >= least,
            "{level}: {}",
            index.spans().len()
        );
        assert!(index.spans()[0].begins_member());
        assert!(!index.spans()[1].begins_member());
        assert_eq!(index.stored_len(), stored.len() as u64);
        assert_eq!(index.decoded_len(), plain.len() as u64);
        assert!(read_backwards(&index, &stored) == plain);
    }
}

#[test]
fn spans_are_limited_on_both_sides() {
    let plain = text(3 << 20);
    let stored = gzip(&plain, 6);
    for max in [100_000, 200_000] {
        let index = build(&stored, &small(max));
        let longest = index.spans().iter().map(|span| span.stored_len).max();
        assert!(longest.is_some_and(|len| len <= max && len > max / 2));
        let index = build(&stored, &IndexOptions::default().max_decoded_span(max));
        let longest = index.spans().iter().map(|span| span.decoded_len).max();
        assert!(
            longest.is_some_and(|len| len <= max && len > max / 3),
            "{longest:?}"
        );
    }
}

/// Zeros give blocks that are longer than a span may be; the ones after them are as long as they were before.
#[test]
fn a_long_block_does_not_make_others_short() {
    let mut plain = vec![0; 9 << 20];
    plain.extend(text(12 << 20));
    let stored = gzip(&plain, 6);
    let index = build(&stored, &IndexOptions::default().max_decoded_span(4 << 20));
    let longest = index.spans().iter().map(|span| span.decoded_len).max();
    assert!(longest.is_some_and(|len| len > 4 << 20), "{longest:?}");
    assert!(index.spans().len() <= 16, "{}", index.spans().len());
}

#[test]
fn spans_end_at_members() {
    let plain = text(200_000);
    let parts = [
        &plain[..70_000],
        &[],
        &plain[70_000..70_001],
        &plain[70_001..],
    ];
    let members = parts.map(|part| gzip(part, 6));
    let stored = members.concat();
    let index = build(&stored, &IndexOptions::default());
    let begins = [
        0,
        members[0].len() + members[1].len(),
        stored.len() - members[3].len(),
    ];
    let spans = index.spans();
    assert_eq!(spans.len(), 3);
    for (span, begin) in spans.iter().zip(begins) {
        assert!(span.begins_member());
        // After the header, of ten bytes.
        assert_eq!((span.stored_offset, span.bits), (begin as u64 + 10, 0));
    }
    assert_eq!(
        spans
            .iter()
            .map(|span| span.decoded_len)
            .collect::<Vec<_>>(),
        [70_000, 1, 129_999]
    );
    assert!(read_backwards(&index, &stored) == plain);
}

#[test]
fn stored_blocks_begin_at_whole_bytes_and_refer_to_nothing() {
    let plain = text(500_000);
    let stored = gzip(&plain, 0);
    let index = build(&stored, &small(70_000));
    assert!(index.spans().len() >= 7);
    assert_eq!(index.windows_len(), 0);
    assert!(index.spans().iter().all(|span| span.bits == 0));
    assert!(read_backwards(&index, &stored) == plain);
}

#[test]
fn windows_hold_what_is_referred_to() {
    let plain = text(1 << 20);
    let index = build(&gzip(&plain, 6), &small(100_000));
    let points = index.spans().len() as u64 - 1;
    let len = index.windows_len();
    assert!(
        len > points * 100 && len < points * 16_384,
        "{len} in {points}"
    );
    // Random bytes refer to nothing.
    let random = plain
        .iter()
        .enumerate()
        .map(|(n, byte)| byte ^ ((n * n) >> 7) as u8)
        .collect::<Vec<_>>();
    let random = gzip(&random, 9);
    let index = build(&random, &small(100_000));
    assert!(index.windows_len() < len);
}

#[test]
fn the_index_does_not_depend_on_how_the_stream_comes() {
    let plain = text(400_000);
    let stored = [gzip(&plain[..150_000], 9), gzip(&plain[150_000..], 1)].concat();
    let expected = build(&stored, &small(20_000));
    for piece in [1, 7, 4_096] {
        let mut builder = IndexBuilder::new(Slow(&stored, piece), &small(20_000));
        let mut decoded = Vec::new();
        builder.read_to_end(&mut decoded).unwrap();
        assert!(decoded == plain);
        let (index, _) = builder.finish().unwrap();
        assert_eq!(index, expected);
    }
    let mut builder = IndexBuilder::new(&stored[..], &small(20_000));
    let mut some = vec![0; 12_345];
    builder.read_exact(&mut some).unwrap();
    assert_eq!(builder.finish().unwrap().0, expected);
}

#[test]
fn bytes_are_found_in_their_spans() {
    let plain = text(300_000);
    let index = build(&gzip(&plain, 6), &small(20_000));
    for (nth, span) in index.spans().iter().enumerate() {
        assert_eq!(index.span_at(span.decoded_offset), Some(nth));
        assert_eq!(index.span_at(span.decoded_end() - 1), Some(nth));
    }
    assert_eq!(index.span_at(300_000), None);
    assert_eq!(index.span_at(u64::MAX), None);
    assert_eq!(index.recipe(index.spans().len()), None);
}

#[test]
fn a_stream_of_nothing_has_no_spans() {
    for stored in [gzip(&[], 6), [gzip(&[], 0), gzip(&[], 9)].concat()] {
        let index = build(&stored, &IndexOptions::default());
        assert!(index.spans().is_empty());
        assert_eq!((index.decoded_len(), index.span_at(0)), (0, None));
        let again = GzipIndex::decode(&index.encode(), &Default::default());
        assert_eq!(again, Ok(index));
    }
}

#[test]
fn the_digest_of_the_stream_is_left_out_if_asked() {
    let stored = gzip(b"lazy", 6);
    let index = build(&stored, &IndexOptions::default());
    let digest = index.stored_digest().unwrap();
    assert_eq!(
        digest.as_bytes()[..],
        <sha2::Sha256 as sha2::Digest>::digest(&stored)[..]
    );
    let index = build(&stored, &IndexOptions::default().stored_digest(false));
    assert_eq!(index.stored_digest(), None);
    let again = GzipIndex::decode(&index.encode(), &Default::default());
    assert_eq!(again, Ok(index));
}

#[test]
fn an_index_that_was_read_is_written_as_it_was() {
    let plain = text(1 << 20);
    let stored = gzip(&plain, 6);
    let built = build(&stored, &small(40_000));
    let bytes = built.encode();
    let mut written = Vec::new();
    built.write_to(&mut written).unwrap();
    assert!(written == bytes);
    let read = GzipIndex::decode(&bytes, &Default::default()).unwrap();
    assert!(read.encode() == bytes);
    // The windows of one are decompressed, those of the other were when it was read.
    for nth in 0..built.spans().len() {
        assert_eq!(built.recipe(nth), read.recipe(nth));
    }
    assert_eq!(built.windows_len(), read.windows_len());
    let error = built.write_to(&mut &mut [0; 200][..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

/// A member of stored blocks, of which so many in the middle are empty.
fn empty_blocks(count: usize) -> Vec<u8> {
    let content = text(60_000);
    let len = 60_000_u16.to_le_bytes();
    let block = |last: u8| {
        let header = [&[last][..], &len, &len.map(|byte| !byte)].concat();
        [header, content.clone()].concat()
    };
    let mut crc = crc32fast::Hasher::new();
    crc.update(&content);
    crc.update(&content);
    let crc = crc.finalize().to_le_bytes();
    let mut stored = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    stored.extend(block(0));
    stored.extend([0, 0, 0, 0xff, 0xff].repeat(count));
    stored.extend(block(1));
    stored.extend([crc, 120_000_u32.to_le_bytes()].concat());
    stored
}

#[test]
fn the_index_is_the_same_on_one_thread_and_two() {
    let streams = [
        gzip(&text(3_000_000), 6),
        gzip(&text(100), 1),
        empty_blocks(500_000),
    ];
    for stored in streams {
        for algorithm in [DigestAlgorithm::Blake3, DigestAlgorithm::Sha256] {
            let options = small(20_000).span_digest(algorithm);
            let built = |threads| build(&stored, &options.clone().threads(threads));
            let index = built(1);
            assert_eq!(index, built(2));
            let of_stream = digest(DigestAlgorithm::Sha256, &stored);
            assert_eq!(index.stored_digest(), Some(of_stream));
            for span in index.spans() {
                let bytes = &stored[span.stored_offset as usize..span.stored_end() as usize];
                assert_eq!(span.digest, digest(algorithm, bytes));
            }
            let read = GzipIndex::decode(&index.encode(), &Default::default());
            assert_eq!(read, Ok(index));
        }
    }
}

#[test]
fn whole_windows_begin_with_the_stream() {
    // Its spans are too short to tell what is referred to, some of them before 32 KiB.
    for len in (10_000..40_000).step_by(1_000) {
        let plain = text(len);
        let stored = gzip(&plain, 2);
        let index = build(&stored, &small(1_000));
        let read = GzipIndex::decode(&index.encode(), &Default::default());
        assert_eq!(read.as_ref(), Ok(&index), "{len}");
        assert!(read_backwards(&index, &stored) == plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_stream(
        members in prop::collection::vec((0..200_000_usize, 0..10_u32), 1..4),
        span_len in 1_000..60_000_u32,
        nth in any::<prop::sample::Index>(),
    ) {
        let plain = text(members.iter().map(|(len, _)| len).sum());
        let mut at = 0;
        let mut stored = Vec::new();
        for (len, level) in members {
            stored.extend(gzip(&plain[at..at + len], level));
            at += len;
        }
        let index = build(&stored, &small(span_len));
        let index = GzipIndex::decode(&index.encode(), &Default::default()).unwrap();
        prop_assert!(read_backwards(&index, &stored) == plain);
        if !plain.is_empty() {
            let offset = nth.index(plain.len());
            let found = index.span_at(offset as u64).unwrap();
            let start = index.spans()[found].decoded_offset as usize;
            prop_assert_eq!(span(&index, found, &stored)[offset - start], plain[offset]);
        }
    }
}
