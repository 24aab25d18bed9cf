//! LZ4 blocks.

use image_model::Codec;
use lazyoci_frame_codec::CodecError;

use crate::{PLAIN, decode};

/// 5 literals, a match of 19 bytes at distance 5, 5 literals.
const BLOCK: [u8; 15] = *b"\x5flazy \x05\x00\x00\x50 lazy";

const CODEC: Codec = Codec::Lz4Block;

#[test]
fn a_block_decodes() {
    assert_eq!(decode(CODEC, &BLOCK, 29), Ok(PLAIN.to_vec()));
}

#[test]
fn a_block_that_holds_more_is_corrupt() {
    for expected in [0, 1, 28] {
        assert_eq!(
            decode(CODEC, &BLOCK, expected),
            Err(CodecError::TooLong {
                codec: CODEC,
                expected: expected as u64
            })
        );
    }
}

#[test]
fn a_block_that_holds_less_is_corrupt() {
    for expected in [30, 4096] {
        assert_eq!(
            decode(CODEC, &BLOCK, expected),
            Err(CodecError::Length {
                codec: CODEC,
                expected: expected as u64,
                found: 29
            })
        );
    }
}

#[test]
fn a_cut_block_is_corrupt() {
    for len in 0..BLOCK.len() {
        let expected = match len {
            // Cut after the first sequence's literals, it looks like a shorter block.
            6 => CodecError::Length {
                codec: CODEC,
                expected: 29,
                found: 5,
            },
            _ => CodecError::Truncated {
                codec: CODEC,
                stored_len: len as u64,
            },
        };
        assert_eq!(decode(CODEC, &BLOCK[..len], 29), Err(expected), "{len}");
    }
}

#[test]
fn bytes_after_the_block_are_corrupt() {
    for garbage in [&b"\0"[..], b"\x10", b"garbage"] {
        let stored = [&BLOCK, garbage].concat();
        assert!(decode(CODEC, &stored, 29).is_err());
    }
}

#[test]
fn matches_must_point_into_the_block() {
    for (distance, detail) in [
        (0, "match with offset 0"),
        (6, "match before the start of the block"),
    ] {
        let mut stored = BLOCK;
        stored[6] = distance;
        assert_eq!(
            decode(CODEC, &stored, 29),
            Err(CodecError::Malformed {
                codec: CODEC,
                detail
            })
        );
    }
}

#[test]
fn a_length_beyond_the_buffer_is_corrupt() {
    // A match of 19 + 255 * 1000 bytes.
    let mut stored = b"\x1fa\x01\x00".to_vec();
    stored.extend([255; 1000]);
    stored.extend(b"\0\x50aaaaa");
    assert_eq!(
        decode(CODEC, &stored, 4096),
        Err(CodecError::TooLong {
            codec: CODEC,
            expected: 4096
        })
    );
}
