//! What decoders accept, and how they refuse the rest.

use image_model::{Blame, Codec, Decode, Fault};
use lazyoci_frame_codec::{CodecError, Decoder};
use proptest::prelude::*;

#[cfg(feature = "gzip")]
mod deflate;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "zstd")]
mod zstd;

/// What every codec's known answer decodes to.
#[cfg(any(feature = "lz4", feature = "zstd", feature = "gzip"))]
const PLAIN: &[u8; 29] = b"lazy lazy lazy lazy lazy lazy";

/// By the codec; by a recipe the same comes out.
fn decode(codec: Codec, stored: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0xaa; len];
    let decoded = Decoder::new().decode(codec, stored, &mut out);
    let decoded = decoded.map(|()| out);
    assert_eq!(decode_frame(&Decode::Exact(codec), stored, len), decoded);
    decoded
}

/// By the codec; by a recipe the same comes out.
fn decode_prefix(codec: Codec, stored: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0xaa; len];
    let decoded = Decoder::new().decode_prefix(codec, stored, &mut out);
    let decoded = decoded.map(|()| out);
    assert_eq!(decode_frame(&Decode::Prefix(codec), stored, len), decoded);
    decoded
}

/// All frames of the codec.
fn decode_frames(codec: Codec, stored: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0xaa; len];
    let decoded = Decoder::new().decode_frames(codec, stored, &mut out);
    decoded.map(|()| out)
}

fn decode_frame(how: &Decode, stored: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    let mut out = vec![0xaa; len];
    let decoded = Decoder::new().decode_frame(how, stored, &mut out);
    decoded.map(|()| out)
}

#[test]
fn stored_bytes_are_copied() {
    assert_eq!(decode(Codec::None, b"", 0), Ok(vec![]));
    assert_eq!(decode(Codec::None, b"abc", 3), Ok(b"abc".to_vec()));
    assert_eq!(decode_prefix(Codec::None, b"abc", 2), Ok(b"ab".to_vec()));
    assert_eq!(decode_frames(Codec::None, b"abc", 3), Ok(b"abc".to_vec()));
    let none = CodecError::NoPrefix {
        codec: Codec::Lz4Block,
    };
    assert_eq!(decode_frames(Codec::Lz4Block, b"abc", 3), Err(none));
}

#[test]
fn stored_bytes_of_another_length_are_corrupt() {
    for (stored, found) in [(&b"ab"[..], 2), (b"abcd", 4)] {
        let error = decode(Codec::None, stored, 3).unwrap_err();
        assert_eq!(
            error,
            CodecError::Length {
                codec: Codec::None,
                expected: 3,
                found
            }
        );
        assert_eq!(error.fault(), Fault::Corrupt);
    }
    assert_eq!(
        decode_prefix(Codec::None, b"ab", 3),
        Err(CodecError::Truncated {
            codec: Codec::None,
            stored_len: 2
        })
    );
}

#[test]
fn what_is_not_built_in_names_its_feature() {
    for (built_in, codec, feature) in [
        (cfg!(feature = "lz4"), Codec::Lz4Block, "lz4"),
        (cfg!(feature = "zstd"), Codec::Zstd, "zstd"),
        (cfg!(feature = "gzip"), Codec::Gzip, "gzip"),
    ] {
        let expected = CodecError::Unsupported { codec, feature };
        assert_eq!(decode(codec, b"", 1) == Err(expected.clone()), !built_in);
        if codec != Codec::Lz4Block {
            assert_eq!(decode_prefix(codec, b"", 1) == Err(expected), !built_in);
        }
    }
}

#[test]
fn recipes_say_how_much_is_wanted() {
    let codec = Codec::None;
    let (exact, prefix) = (Decode::Exact(codec), Decode::Prefix(codec));
    let two = Ok(b"ab".to_vec());
    assert_eq!(decode_frame(&prefix, b"abc", 2), two);
    let longer = CodecError::Length {
        codec,
        expected: 2,
        found: 3,
    };
    assert_eq!(decode_frame(&exact, b"abc", 2), Err(longer));
    assert_eq!(decode_frame(&exact, b"ab", 2), two);
    let codec = Codec::Lz4Block;
    assert_eq!(
        decode_frame(&Decode::Prefix(codec), b"abc", 2),
        Err(CodecError::NoPrefix { codec })
    );
}

#[test]
fn lz4_has_no_prefixes() {
    let codec = Codec::Lz4Block;
    let error = decode_prefix(codec, b"", 1).unwrap_err();
    assert_eq!(error, CodecError::NoPrefix { codec });
    assert_eq!(error.fault(), Fault::Unsupported);
}

const CODECS: [Codec; 4] = [Codec::None, Codec::Lz4Block, Codec::Zstd, Codec::Gzip];

proptest! {
    #[test]
    fn no_bytes_break_a_decoder(
        stored in proptest::collection::vec(any::<u8>(), 0..200),
        magic in 0..3_usize,
        len in 0..300_usize,
    ) {
        let magic = [&b""[..], &[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b, 8]][magic];
        let stored = [magic, &stored].concat();
        let mut decoder = Decoder::new();
        let mut out = vec![0; len];
        for codec in CODECS {
            let _ = decoder.decode(codec, &stored, &mut out);
            let _ = decoder.decode_prefix(codec, &stored, &mut out);
        }
    }
}
