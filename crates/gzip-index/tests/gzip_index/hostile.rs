//! Indexes that lie.

use image_model::{Blame, Fault, Limits};
use lazyoci_gzip_index::{DecodeError, GzipIndex, Span, SpanFault};
use sha2::{Digest as _, Sha256};

use crate::support::{build, gzip, small, text};

const HEADER_LEN: usize = 168;
const DIGEST: usize = 136;
const SPAN_LEN: usize = 56;

/// An index of six spans: the first and the fourth begin members, the others have windows.
fn index() -> Vec<u8> {
    let plain = text(120_000);
    let stored = [gzip(&plain[..60_000], 6), gzip(&plain[60_000..], 6)].concat();
    let index = build(&stored, &small(30_000));
    let begins = index.spans().iter().map(Span::begins_member);
    assert_eq!(
        begins.collect::<Vec<_>>(),
        [true, false, false, true, false, false]
    );
    assert!(index.spans()[1].bits != 0);
    index.encode()
}

/// An index of two members whose windows are short, as they compress well.
fn short_index() -> Vec<u8> {
    let mut state = 1_u32;
    let line = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("line {}\n", (state >> 8) % 50)
    };
    let plain: String = (0..100_000).map(line).collect();
    let (first, second) = plain.as_bytes().split_at(plain.len() / 2);
    let index = build(&[gzip(first, 6), gzip(second, 6)].concat(), &small(1_000));
    let inside = |span: &&Span| !span.begins_member() && span.bits != 0;
    assert!(index.spans().iter().filter(inside).count() >= 2);
    index.encode()
}

/// An index with a digest that is right.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = Sha256::default();
    hasher.update(&bytes[..DIGEST]);
    hasher.update(&bytes[HEADER_LEN..]);
    bytes[DIGEST..HEADER_LEN].copy_from_slice(&hasher.finalize());
    bytes
}

fn refused(bytes: &[u8]) -> DecodeError {
    GzipIndex::decode(bytes, &Limits::default()).unwrap_err()
}

/// What is said of the index with `bytes` at `at`.
fn patched(at: usize, bytes: &[u8]) -> DecodeError {
    let mut index = index();
    index[at..at + bytes.len()].copy_from_slice(bytes);
    refused(&sealed(index))
}

#[test]
fn every_flipped_bit_is_found() {
    let mut index = short_index();
    for bit in 0..8 * index.len() {
        let at = bit / 8;
        index[at] ^= 1 << (bit % 8);
        let error = refused(&index);
        index[at] ^= 1 << (bit % 8);
        let expected = match at {
            0..8 => matches!(error, DecodeError::Magic),
            8..12 => matches!(error, DecodeError::Version { .. }),
            // An index need not have the digest of the layer.
            12 if bit % 8 == 1 => error == DecodeError::Digest,
            12..16 => matches!(error, DecodeError::Flags { .. }),
            16..24 | 56..64 | 80..88 | 96..104 => matches!(error, DecodeError::Length { .. }),
            _ => error == DecodeError::Digest,
        };
        assert!(expected, "bit {bit}: {error}");
    }
}

#[test]
fn every_cut_is_found() {
    let index = index();
    for len in 0..index.len() {
        let error = refused(&index[..len]);
        match len {
            0..8 => assert_eq!(error, DecodeError::Magic),
            _ => assert!(matches!(error, DecodeError::Length { found, .. } if found == len as u64)),
        }
    }
    let longer = [&index[..], &[0]].concat();
    assert!(matches!(refused(&longer), DecodeError::Length { .. }));
}

#[test]
fn spans_that_break_a_rule_are_refused() {
    let record = |nth: usize| HEADER_LEN + nth * SPAN_LEN;
    let far = u64::MAX.to_le_bytes();
    for (nth, field, bytes, fault) in [
        // A gap inside a member; a member far away; lengths that leave the stream.
        (1, 0, &[1][..], SpanFault::Shared),
        (3, 0, &far, SpanFault::Outside),
        (1, 8, &[0xff; 4], SpanFault::Outside),
        (5, 11, &[0x10], SpanFault::Outside),
        // What is stored and decoded.
        (0, 8, &[0; 4], SpanFault::Empty),
        (0, 12, &[0; 4], SpanFault::Empty),
        (1, 15, &[0xff], SpanFault::TooLong),
        // Windows.
        (0, 16, &[1], SpanFault::Window),
        (1, 16, &[0xff; 4], SpanFault::Runs),
        (1, 18, &[1], SpanFault::Runs),
        // Bits.
        (1, 20, &[8], SpanFault::Bits { bits: 8 }),
        (5, 20, &[255], SpanFault::Bits { bits: 255 }),
        (3, 20, &[1], SpanFault::Member),
        // Kinds.
        (0, 21, &[1], SpanFault::Shared),
        (1, 21, &[2], SpanFault::Kind { kind: 2 }),
        (1, 22, &[1], SpanFault::Reserved),
        (1, 23, &[1], SpanFault::Reserved),
    ] {
        let index = nth as u64;
        assert_eq!(
            patched(record(nth) + field, bytes),
            DecodeError::Span { index, fault }
        );
    }
    assert_eq!(patched(record(1) + 15, &[0xff]).fault(), Fault::Limit,);
}

/// The frame of the ranges, the last part of an index that keeps nothing, by a compressor that adds a checksum.
#[test]
fn what_another_compressor_made_is_written_as_it_was() {
    let mut bytes = index();
    let stored_len = u64::from_le_bytes(bytes[80..88].try_into().unwrap());
    bytes.truncate(bytes.len() - stored_len as usize);
    let mut other = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    other.include_checksum(true).unwrap();
    let other = other.finish().unwrap();
    assert_ne!(other.len() as u64, stored_len);
    bytes[80..88].copy_from_slice(&(other.len() as u64).to_le_bytes());
    bytes.extend(other);
    let bytes = sealed(bytes);
    let index = GzipIndex::decode(&bytes, &Limits::default()).unwrap();
    assert!(index.encode() == bytes);
}

#[test]
fn spans_cover_the_stream() {
    let error = patched(32, &120_001_u64.to_le_bytes());
    let expected = DecodeError::Cover {
        side: "decoded",
        expected: 120_001,
        found: 120_000,
    };
    assert_eq!(error, expected);
    let error = patched(24, &[5, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        error,
        DecodeError::Span {
            index: 0,
            fault: SpanFault::Outside
        }
    );
}

#[test]
fn declared_sizes_are_bounded() {
    let most = u64::MAX.to_le_bytes();
    for (field, what) in [
        (32, "decoded bytes"),
        (40, "bytes of windows"),
        (48, "bytes of windows"),
        (72, "bytes of kept ranges"),
        (88, "kept bytes"),
    ] {
        let error = patched(field, &most);
        assert!(
            matches!(error, DecodeError::Limit { what: found, .. } if found == what),
            "{field}: {error}"
        );
        assert_eq!(error.fault(), Fault::Limit);
    }
    for field in [16, 56, 80, 96] {
        let error = patched(field, &most);
        assert!(
            matches!(error, DecodeError::Length { .. }),
            "{field}: {error}"
        );
    }
    // More than there is, but not too much.
    for (field, part) in [(40, "windows"), (48, "windows"), (72, "kept ranges")] {
        let mut bytes = index();
        bytes[field] ^= 1;
        let error = refused(&sealed(bytes));
        assert!(
            matches!(error, DecodeError::Part { part: found, .. } if found == part),
            "{field}: {error}"
        );
    }
    let kept = patched(64, &[1]);
    assert_eq!(kept, DecodeError::Kept { index: 0 });
    let kept = patched(88, &[1]);
    assert_eq!(kept, DecodeError::Kept { index: 0 });
}

#[test]
fn versions_and_flags_are_known_or_refused() {
    assert_eq!(patched(8, &[2, 0, 0, 0]), DecodeError::Version { found: 2 });
    assert_eq!(patched(8, &[2, 0, 0, 0]).fault(), Fault::Unsupported);
    assert_eq!(patched(12, &[4, 0, 0, 0]), DecodeError::Flags { flags: 4 });
    assert_eq!(patched(14, &[1]), DecodeError::Flags { flags: 0x1_0003 });
    // The digest is there, but the flag is not.
    assert_eq!(patched(12, &[0]), DecodeError::Flags { flags: 0 });
    assert_eq!(patched(12, &[2]), DecodeError::Flags { flags: 2 });
    // No span has a digest.
    let mut empty = build(&gzip(b"", 6), &small(30_000)).encode();
    empty[12] |= 2;
    assert_eq!(refused(&sealed(empty)), DecodeError::Flags { flags: 3 });
}
