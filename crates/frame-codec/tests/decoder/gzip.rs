//! gzip members.

use image_model::Codec;
use lazyoci_frame_codec::{CodecError, Compression, Decoder, Encoder};
use proptest::prelude::*;

use crate::{PLAIN, decode, decode_frames, decode_prefix};

const CODEC: Codec = Codec::Gzip;

/// `gzip -n9` of [`PLAIN`].
const MEMBER: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xcb, 0x49, 0xac, 0xaa, 0x54, 0xc8,
    0xc1, 0x41, 0x00, 0x00, 0xba, 0xa9, 0xc0, 0x56, 0x1d, 0x00, 0x00, 0x00,
];

/// The same with every optional header field, by Python's zlib: FTEXT, FHCRC, FEXTRA (5 bytes),
/// FNAME `name`, FCOMMENT `comment`.
const DECORATED: [u8; 50] = *b"\x1f\x8b\x08\x1f\x01\x02\x03\x04\x00\x03\
    \x05\x00AB\x01\x00xname\0comment\0\xc5\xeb\
    \xcb\x49\xac\xaa\x54\xc8\xc1\x41\x00\x00\xba\xa9\xc0\x56\x1d\x00\x00\x00";

/// An eStargz footer: a member that holds nothing, with an extra field.
const FOOTER: [u8; 51] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0\
    0000000000000400STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";

fn malformed<T>(detail: &'static str) -> Result<T, CodecError> {
    Err(CodecError::Malformed {
        codec: CODEC,
        detail,
    })
}

fn truncated<T>(stored: &[u8]) -> Result<T, CodecError> {
    Err(CodecError::Truncated {
        codec: CODEC,
        stored_len: stored.len() as u64,
    })
}

#[test]
fn a_member_decodes() {
    assert_eq!(decode(CODEC, &MEMBER, 29), Ok(PLAIN.to_vec()));
    assert_eq!(decode(CODEC, &DECORATED, 29), Ok(PLAIN.to_vec()));
    assert_eq!(decode(CODEC, &FOOTER, 0), Ok(vec![]));
}

#[test]
fn a_member_that_holds_more_is_corrupt() {
    for expected in [0, 1, 28] {
        assert_eq!(
            decode(CODEC, &MEMBER, expected),
            Err(CodecError::TooLong {
                codec: CODEC,
                expected: expected as u64
            })
        );
    }
}

#[test]
fn a_member_that_holds_less_is_corrupt() {
    for expected in [30, 4096] {
        assert_eq!(
            decode(CODEC, &MEMBER, expected),
            Err(CodecError::Length {
                codec: CODEC,
                expected: expected as u64,
                found: 29
            })
        );
    }
}

#[test]
fn a_cut_member_is_corrupt() {
    for len in 0..DECORATED.len() {
        let stored = &DECORATED[..len];
        assert_eq!(decode(CODEC, stored, 29), truncated(stored), "{len}");
        assert_eq!(decode_prefix(CODEC, stored, 30), truncated(stored), "{len}");
    }
}

#[test]
fn bytes_after_the_member_are_corrupt() {
    for garbage in [&b"\0"[..], &MEMBER, &FOOTER] {
        let stored = [&MEMBER, garbage].concat();
        assert_eq!(
            decode(CODEC, &stored, 29),
            Err(CodecError::TrailingBytes {
                codec: CODEC,
                end: 28,
                stored_len: stored.len() as u64
            })
        );
        assert_eq!(decode_prefix(CODEC, &stored, 29), Ok(PLAIN.to_vec()));
    }
}

#[test]
fn bytes_between_the_data_and_the_trailer_are_corrupt() {
    let mut stored = MEMBER.to_vec();
    stored.insert(20, 0);
    assert_eq!(
        decode(CODEC, &stored, 29),
        Err(CodecError::Checksum {
            codec: CODEC,
            expected: 0xc0a9_ba00,
            found: 0x56c0_a9ba
        })
    );
}

#[test]
fn damaged_headers_are_refused() {
    for (offset, value, detail) in [
        (0, 0x1e, "no gzip magic number"),
        (1, 0x8c, "no gzip magic number"),
        (2, 7, "compression method other than deflate"),
        (3, 0x3f, "reserved header flag"),
        (4, 0, "header checksum"),
        (30, 0, "header checksum"),
        (32, 0xfe, "invalid deflate stream"),
    ] {
        let mut stored = DECORATED;
        stored[offset] = value;
        assert_eq!(decode(CODEC, &stored, 29), malformed(detail), "{offset}");
        assert_eq!(decode_prefix(CODEC, &stored, 1), malformed(detail));
    }
}

#[test]
fn a_wrong_checksum_is_corrupt() {
    let mut stored = MEMBER;
    stored[20] ^= 1;
    let expected = Err(CodecError::Checksum {
        codec: CODEC,
        expected: 0x56c0_a9bb,
        found: 0x56c0_a9ba,
    });
    assert_eq!(decode(CODEC, &stored, 29), expected);
    // Once the trailer is behind it, a prefix checks it too.
    assert_eq!(decode_prefix(CODEC, &stored, 30), expected);
    assert_eq!(decode_prefix(CODEC, &stored, 28), Ok(PLAIN[..28].to_vec()));
}

#[test]
fn a_wrong_length_in_the_trailer_is_corrupt() {
    let mut stored = MEMBER;
    stored[24] ^= 1;
    assert_eq!(
        decode(CODEC, &stored, 29),
        malformed("trailer gives another length")
    );
}

#[test]
fn a_bomb_does_not_leave_the_buffer() {
    let mut bomb = Vec::new();
    Encoder::new(Compression::Gzip { level: 9 })
        .unwrap()
        .encode_frame(&vec![0; 16 << 20], &mut bomb)
        .unwrap();
    assert!(bomb.len() < 20_000);
    assert_eq!(
        decode(CODEC, &bomb, 4096),
        Err(CodecError::TooLong {
            codec: CODEC,
            expected: 4096
        })
    );
    assert_eq!(decode_prefix(CODEC, &bomb, 4096), Ok(vec![0; 4096]));
}

#[test]
fn a_prefix_runs_through_members() {
    let stored = [&FOOTER[..], &MEMBER, &FOOTER, &DECORATED, b"garbage"].concat();
    let plain = [&PLAIN[..], PLAIN].concat();
    for len in 0..=plain.len() {
        assert_eq!(
            decode_prefix(CODEC, &stored, len),
            Ok(plain[..len].to_vec())
        );
    }
    assert_eq!(
        decode_prefix(CODEC, &stored, plain.len() + 1),
        truncated(&stored)
    );
}

#[test]
fn a_decoder_survives_errors() {
    let mut decoder = Decoder::new();
    let mut out = [0; 29];
    for _ in 0..2 {
        assert!(decoder.decode(CODEC, &MEMBER[..19], &mut out).is_err());
        decoder
            .decode_prefix(CODEC, &MEMBER, &mut out[..7])
            .unwrap();
        decoder.decode(CODEC, &MEMBER, &mut out).unwrap();
        assert_eq!(out, *PLAIN);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_prefix_of_any_members(
        plains in proptest::collection::vec(proptest::collection::vec(0..4_u8, 0..2000), 1..4),
        len in any::<proptest::sample::Index>(),
    ) {
        let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
        let mut stored = Vec::new();
        for plain in &plains {
            encoder.encode_frame(plain, &mut stored).unwrap();
        }
        let plain = plains.concat();
        let len = len.index(plain.len() + 1);
        prop_assert_eq!(decode_prefix(CODEC, &stored, len), Ok(plain[..len].to_vec()));
    }

    #[test]
    fn a_flipped_bit_never_changes_the_content_unnoticed(bit in 0..MEMBER.len() * 8) {
        let mut stored = MEMBER;
        stored[bit / 8] ^= 1 << (bit % 8);
        if let Ok(plain) = decode(CODEC, &stored, 29) {
            prop_assert_eq!(plain, PLAIN);
        }
    }
}

#[test]
fn several_are_decoded_to_their_end() {
    let stored = [MEMBER, MEMBER].concat();
    let twice = [*PLAIN, *PLAIN].concat();
    assert_eq!(decode_frames(CODEC, &stored, 58), Ok(twice.clone()));
    assert_eq!(decode_frames(CODEC, b"", 0), Ok(vec![]));
    let long = CodecError::TooLong {
        codec: CODEC,
        expected: 57,
    };
    assert_eq!(decode_frames(CODEC, &stored, 57), Err(long));
    let short = CodecError::Length {
        codec: CODEC,
        expected: 59,
        found: 58,
    };
    assert_eq!(decode_frames(CODEC, &stored, 59), Err(short));
    let mixed = [&DECORATED[..], &FOOTER, &MEMBER].concat();
    assert_eq!(decode_frames(CODEC, &mixed, 58), Ok(twice.clone()));
    let half = decode_frames(CODEC, &stored[..40], 58);
    assert_eq!(half, truncated(&stored[..40]));
    let mut flipped = stored.clone();
    flipped[50] ^= 1;
    assert!(matches!(
        decode_frames(CODEC, &flipped, 58),
        Err(CodecError::Checksum { .. })
    ));
}
