//! zstd frames.

use image_model::{Blame, Codec, Fault};
use lazyoci_frame_codec::{CodecError, Compression, Decoder, Encoder};
use proptest::prelude::*;

use crate::{PLAIN, decode, decode_frames, decode_prefix};

const CODEC: Codec = Codec::Zstd;

/// `zstd -3 --no-check` (1.5) of [`PLAIN`]: content size in the header, one compressed block.
const FRAME: [u8; 20] = [
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x1d, 0x5d, 0x00, 0x00, 0x28, 0x6c, 0x61, 0x7a, 0x79, 0x20, 0x01,
    0x00, 0x00, 0x8b, 0x16,
];

/// The same with `--check`.
const CHECKED: [u8; 24] = [
    0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x1d, 0x5d, 0x00, 0x00, 0x28, 0x6c, 0x61, 0x7a, 0x79, 0x20, 0x01,
    0x00, 0x00, 0x8b, 0x16, 0x09, 0x56, 0xa4, 0x5c,
];

/// A skippable frame with four bytes.
const SKIPPABLE: [u8; 12] = *b"\x50\x2a\x4d\x18\x04\0\0\0skip";

/// A frame without content size: window descriptor, one raw block of `abc`.
fn unsized_frame(window_descriptor: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window_descriptor];
    frame.extend([3 << 3 | 1, 0, 0]);
    frame.extend(b"abc");
    frame
}

fn malformed<T>(detail: &'static str) -> Result<T, CodecError> {
    Err(CodecError::Malformed {
        codec: CODEC,
        detail,
    })
}

#[test]
fn a_frame_decodes() {
    assert_eq!(decode(CODEC, &FRAME, 29), Ok(PLAIN.to_vec()));
    assert_eq!(decode(CODEC, &CHECKED, 29), Ok(PLAIN.to_vec()));
    assert_eq!(decode(CODEC, &unsized_frame(0), 3), Ok(b"abc".to_vec()));
}

#[test]
fn a_declared_size_must_be_the_expected_one() {
    for expected in [0, 28, 30] {
        assert_eq!(
            decode(CODEC, &FRAME, expected),
            Err(CodecError::Length {
                codec: CODEC,
                expected: expected as u64,
                found: 29
            })
        );
    }
}

#[test]
fn a_frame_without_declared_size_must_hold_the_expected_one() {
    assert_eq!(
        decode(CODEC, &unsized_frame(0), 4),
        Err(CodecError::Length {
            codec: CODEC,
            expected: 4,
            found: 3
        })
    );
    assert_eq!(
        decode(CODEC, &unsized_frame(0), 2),
        Err(CodecError::TooLong {
            codec: CODEC,
            expected: 2
        })
    );
}

#[test]
fn a_bomb_does_not_leave_the_buffer() {
    // A thousand blocks that repeat one byte 128 Ki times.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x40];
    for i in 0..1000_u32 {
        let header = 0x2_0000 << 3 | 1 << 1 | u32::from(i == 999);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b'a');
    }
    assert_eq!(
        decode(CODEC, &frame, 4096),
        Err(CodecError::TooLong {
            codec: CODEC,
            expected: 4096
        })
    );
    assert_eq!(decode_prefix(CODEC, &frame, 4096), Ok(vec![b'a'; 4096]));
}

#[test]
fn a_cut_frame_is_corrupt() {
    for len in 0..CHECKED.len() {
        let truncated = Err(CodecError::Truncated {
            codec: CODEC,
            stored_len: len as u64,
        });
        assert_eq!(decode(CODEC, &CHECKED[..len], 29), truncated, "{len}");
    }
    for len in 0..FRAME.len() {
        let truncated = Err(CodecError::Truncated {
            codec: CODEC,
            stored_len: len as u64,
        });
        assert_eq!(decode_prefix(CODEC, &FRAME[..len], 29), truncated, "{len}");
    }
}

#[test]
fn bytes_after_the_frame_are_corrupt() {
    for garbage in [&b"\0"[..], &FRAME, &SKIPPABLE] {
        let stored = [&FRAME, garbage].concat();
        assert_eq!(
            decode(CODEC, &stored, 29),
            Err(CodecError::TrailingBytes {
                codec: CODEC,
                end: 20,
                stored_len: stored.len() as u64
            })
        );
        assert_eq!(decode_prefix(CODEC, &stored, 29), Ok(PLAIN.to_vec()));
    }
}

#[test]
fn other_bytes_are_no_frame() {
    let no_magic = malformed("no zstd magic number");
    assert_eq!(decode(CODEC, &SKIPPABLE, 0), no_magic);
    assert_eq!(decode(CODEC, b"garbage", 0), no_magic);
    assert_eq!(
        decode_prefix(CODEC, b"garbage", 1),
        malformed("Unknown frame descriptor")
    );
}

#[test]
fn a_wrong_checksum_is_corrupt() {
    let mut frame = CHECKED;
    frame[20] ^= 1;
    let expected = malformed("Restored data doesn't match checksum");
    assert_eq!(decode(CODEC, &frame, 29), expected);
}

#[test]
fn a_reserved_block_type_is_corrupt() {
    let mut frame = unsized_frame(0);
    frame[6] |= 3 << 1;
    let expected = malformed("Data corruption detected");
    assert_eq!(decode(CODEC, &frame, 3), expected);
    assert_eq!(decode_prefix(CODEC, &frame, 3), expected);
}

#[test]
fn a_reserved_header_bit_is_refused() {
    let mut frame = FRAME;
    frame[4] |= 8;
    let expected = malformed("Unsupported frame parameter");
    assert_eq!(decode(CODEC, &frame, 29), expected);
}

#[test]
fn a_frame_that_needs_a_dictionary_is_refused() {
    let mut frame = FRAME.to_vec();
    frame[4] |= 1;
    frame.insert(5, 7);
    assert_eq!(decode(CODEC, &frame, 29), malformed("Dictionary mismatch"));
}

#[test]
fn a_window_beyond_the_limit_is_refused_where_it_would_be_allocated() {
    // Exponents 15 (32 MiB) and 16, 21 (2 GiB).
    assert_eq!(
        decode_prefix(CODEC, &unsized_frame(15 << 3), 3),
        Ok(b"abc".to_vec())
    );
    for descriptor in [15 << 3 | 1, 16 << 3, 21 << 3] {
        let frame = unsized_frame(descriptor);
        assert_eq!(decode(CODEC, &frame, 3), Ok(b"abc".to_vec()));
        let error = decode_prefix(CODEC, &frame, 3).unwrap_err();
        assert_eq!(
            error,
            CodecError::Window {
                codec: CODEC,
                limit: 32 << 20
            }
        );
        assert_eq!(error.fault(), Fault::Limit);
    }
}

#[test]
fn a_prefix_runs_through_frames() {
    let stored = [&SKIPPABLE[..], &unsized_frame(0), &SKIPPABLE, &FRAME].concat();
    let plain = [b"abc", &PLAIN[..]].concat();
    for len in 0..=plain.len() {
        assert_eq!(
            decode_prefix(CODEC, &stored, len),
            Ok(plain[..len].to_vec())
        );
    }
    assert_eq!(
        decode_prefix(CODEC, &stored, plain.len() + 1),
        Err(CodecError::Truncated {
            codec: CODEC,
            stored_len: stored.len() as u64
        })
    );
}

#[test]
fn a_decoder_survives_errors() {
    let mut decoder = Decoder::new();
    let mut out = [0; 29];
    for _ in 0..2 {
        assert!(decoder.decode(CODEC, &FRAME[..19], &mut out).is_err());
        assert!(
            decoder
                .decode_prefix(CODEC, &FRAME[..19], &mut out)
                .is_err()
        );
        decoder.decode_prefix(CODEC, &FRAME, &mut out[..7]).unwrap();
        decoder.decode(CODEC, &FRAME, &mut out).unwrap();
        assert_eq!(out, *PLAIN);
        decoder.decode_prefix(CODEC, &FRAME, &mut out).unwrap();
        assert_eq!(out, *PLAIN);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_prefix_of_any_frames(
        plains in proptest::collection::vec(proptest::collection::vec(0..4_u8, 0..2000), 1..4),
        len in any::<proptest::sample::Index>(),
    ) {
        let mut encoder = Encoder::new(Compression::Zstd { level: 1 }).unwrap();
        let mut stored = Vec::new();
        for plain in &plains {
            encoder.encode_frame(plain, &mut stored).unwrap();
        }
        let plain = plains.concat();
        let len = len.index(plain.len() + 1);
        prop_assert_eq!(decode_prefix(CODEC, &stored, len), Ok(plain[..len].to_vec()));
    }
}

#[test]
fn several_are_decoded_to_their_end() {
    let stored = [FRAME, FRAME].concat();
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
    let skipped = [&FRAME[..], &SKIPPABLE, &FRAME].concat();
    assert_eq!(decode_frames(CODEC, &skipped, 58), Ok(twice.clone()));
    let garbage = [&FRAME[..], b"garb"].concat();
    let unknown = malformed("Unknown frame descriptor");
    assert_eq!(decode_frames(CODEC, &garbage, 29), unknown);
    let half = decode_frames(CODEC, &FRAME[..19], 29);
    let stored_len = 19;
    let cut = CodecError::Truncated {
        codec: CODEC,
        stored_len,
    };
    assert_eq!(half, Err(cut));
    let mut flipped = [CHECKED, CHECKED].concat();
    flipped[44] ^= 1;
    let wrong = malformed("Restored data doesn't match checksum");
    assert_eq!(decode_frames(CODEC, &flipped, 58), wrong);
}

#[test]
fn the_first_of_several_and_what_it_declares() {
    let stored = [&FRAME[..], &CHECKED].concat();
    assert_eq!(Decoder::first_frame(CODEC, &stored), FRAME);
    assert_eq!(Decoder::first_frame(CODEC, &FRAME), FRAME);
    // Damaged, and of another codec: all of it.
    assert_eq!(Decoder::first_frame(CODEC, &FRAME[..9]), &FRAME[..9]);
    assert_eq!(Decoder::first_frame(Codec::Gzip, &stored), stored);
    assert_eq!(Decoder::declared_len(CODEC, &stored[..18]), Some(29));
    assert_eq!(Decoder::declared_len(CODEC, &unsized_frame(0)), None);
    for none in [&FRAME[..5], &SKIPPABLE, b""] {
        assert_eq!(Decoder::declared_len(CODEC, none), None);
    }
    assert_eq!(Decoder::declared_len(Codec::Gzip, &FRAME), None);
}

#[test]
fn windows_are_those_of_decoders_in_pieces() {
    let frame = |descriptor: u8, window: u8| {
        // An empty raw block, the last one.
        [
            &[0x28, 0xb5, 0x2f, 0xfd, descriptor, window][..],
            &[1, 0, 0],
        ]
        .concat()
    };
    let fits = |stored: &[u8]| Decoder::window_fits(Codec::Zstd, stored);
    assert!(fits(&frame(0, 15 << 3)));
    assert!(!fits(&frame(0, (15 << 3) + 1)));
    // A single segment of 200 bytes has no window.
    assert!(fits(&frame(1 << 5, 200)));
    assert!(!fits(&[frame(0, 0), frame(0, 255)].concat()));
    assert!(Decoder::window_fits(Codec::Gzip, &frame(0, 255)));
}
