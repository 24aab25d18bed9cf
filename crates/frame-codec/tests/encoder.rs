//! What encoders write, and that decoders read it back.

use std::io::Write as _;

use image_model::{Blame, Codec, Fault};
use lazyoci_frame_codec::{CodecError, Compression, Decoder, Encoder, FrameWriter};
use proptest::prelude::*;

/// Every compression that is built in, at its lowest, default and highest level.
fn compressions() -> Vec<Compression> {
    let mut all = vec!["none"];
    if cfg!(feature = "lz4") {
        all.push("lz4");
    }
    if cfg!(feature = "zstd") {
        all.extend(["zstd:-7", "zstd", "zstd:19"]);
    }
    if cfg!(feature = "gzip") {
        all.extend(["gzip:0", "gzip:1", "gzip", "gzip:9"]);
    }
    if cfg!(feature = "libdeflate") {
        all.extend([
            "libdeflate:0",
            "libdeflate:1",
            "libdeflate",
            "libdeflate:12",
        ]);
    }
    all.into_iter()
        .map(|text| text.parse().expect("a compression"))
        .collect()
}

fn encode_frame(encoder: &mut Encoder, plain: &[u8]) -> Vec<u8> {
    let mut stored = Vec::new();
    encoder.encode_frame(plain, &mut stored).expect("encodes");
    stored
}

/// Bytes that compress to about a third, as text does.
fn text(len: usize) -> Vec<u8> {
    let words = [&b"layer "[..], b"chunk ", b"frame ", b"blob\n", b"inode "];
    let mut state = 1_u32;
    let mut text = Vec::new();
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(words[state as usize >> 16 & 3]);
        text.push((state >> 24) as u8);
    }
    text.truncate(len);
    text
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn frames_of_all_sizes_decode_to_what_was_encoded() {
    for compression in compressions() {
        let mut encoder = Encoder::new(compression).unwrap();
        let mut decoder = Decoder::new();
        for len in [0, 1, 2, 16, 4095, 4096, 4097, 65_534, 65_535, 1 << 20] {
            for plain in [vec![0; len], text(len), noise(len)] {
                let stored = encode_frame(&mut encoder, &plain);
                let mut decoded = vec![0xaa; len];
                decoder
                    .decode(compression.codec(), &stored, &mut decoded)
                    .unwrap();
                assert_eq!(decoded, plain, "{compression}, {len} bytes");
            }
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored_as_it_is() {
    for compression in compressions() {
        let mut encoder = Encoder::new(compression).unwrap();
        for plain in [vec![], b"a".to_vec(), noise(4096)] {
            let mut stored = b"before".to_vec();
            let codec = encoder.encode(&plain, &mut stored).unwrap();
            assert_eq!(codec, Codec::None, "{compression}");
            assert_eq!(stored, [b"before", &plain[..]].concat());
        }
    }
}

#[test]
fn what_shrinks_is_appended_as_one_frame() {
    for compression in compressions() {
        let plain = text(4096);
        let mut encoder = Encoder::new(compression).unwrap();
        let frame = encode_frame(&mut encoder, &plain);
        let mut stored = b"before".to_vec();
        let codec = encoder.encode(&plain, &mut stored).unwrap();
        if frame.len() < plain.len() {
            assert_eq!(codec, compression.codec());
            assert_eq!(stored, [b"before", &frame[..]].concat());
        } else {
            assert_eq!(codec, Codec::None);
        }
    }
}

#[test]
fn a_frame_depends_on_nothing_before_it() {
    for compression in compressions() {
        let mut reused = Encoder::new(compression).unwrap();
        for plain in [
            text(100),
            text(200_000),
            text(100),
            noise(70_000),
            text(4096),
            vec![],
            vec![0; 1 << 20],
            text(65_534),
            text(65_535),
        ] {
            let fresh = encode_frame(&mut Encoder::new(compression).unwrap(), &plain);
            let stored = encode_frame(&mut reused, &plain);
            assert_eq!(stored, fresh, "{compression}, {} bytes", plain.len());
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_frames_are_those_of_the_one_shot_function() {
    for level in [-7, 0, 1, 3, 9, 19] {
        let mut encoder = Encoder::new(Compression::Zstd { level }).unwrap();
        for plain in [text(0), text(100), text(4097), text(300_000), noise(70_000)] {
            let mut expected = Vec::with_capacity(plain.len() + 1024);
            zstd::zstd_safe::compress(&mut expected, &plain, level).unwrap();
            assert_eq!(encode_frame(&mut encoder, &plain), expected);
            assert_eq!(
                zstd::zstd_safe::get_frame_content_size(&expected).unwrap(),
                Some(plain.len() as u64)
            );
        }
    }
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_level_0_is_level_3() {
    let plain = text(100_000);
    let [zero, three] = [0, 3].map(|level| {
        encode_frame(
            &mut Encoder::new(Compression::Zstd { level }).unwrap(),
            &plain,
        )
    });
    assert_eq!(zero, three);
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_headers_depend_on_the_level_alone() {
    for compression in compressions() {
        let (level, trailer) = match compression {
            Compression::Gzip { level } | Compression::Libdeflate { level } => {
                (level, [0xc2, 0x41, 0x24, 0x35, 3, 0, 0, 0])
            }
            _ => continue,
        };
        let xfl = match level {
            1 => 4,
            9 => 2,
            _ => 0,
        };
        let stored = encode_frame(&mut Encoder::new(compression).unwrap(), b"abc");
        assert_eq!(stored[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, xfl, 0xff]);
        assert_eq!(stored[stored.len() - 8..], trailer, "{compression}");
    }
}

#[test]
fn levels_that_do_not_exist_are_refused() {
    let mut cases = Vec::new();
    if cfg!(feature = "zstd") {
        cases.extend([("zstd:23", -131_072, 22), ("zstd:-131073", -131_072, 22)]);
    }
    if cfg!(feature = "gzip") {
        cases.extend([("gzip:10", 0, 9), ("gzip:4294967295", 0, 9)]);
    }
    if cfg!(feature = "libdeflate") {
        cases.extend([("libdeflate:13", 0, 12), ("libdeflate:4294967295", 0, 12)]);
    }
    for (text, min, max) in cases {
        let compression = text.parse().unwrap();
        let error = Encoder::new(compression).unwrap_err();
        assert_eq!(
            error,
            CodecError::Level {
                compression,
                min,
                max
            }
        );
        assert_eq!(error.fault(), Fault::Misuse);
    }
}

#[test]
fn what_is_not_built_in_names_its_feature() {
    for (built_in, text, codec, feature) in [
        (cfg!(feature = "lz4"), "lz4", Codec::Lz4Block, "lz4"),
        (cfg!(feature = "zstd"), "zstd", Codec::Zstd, "zstd"),
        (cfg!(feature = "gzip"), "gzip", Codec::Gzip, "gzip"),
        (
            cfg!(feature = "libdeflate"),
            "libdeflate",
            Codec::Gzip,
            "libdeflate",
        ),
    ] {
        let encoder = Encoder::new(text.parse().unwrap());
        if built_in {
            assert_eq!(encoder.unwrap().compression().codec(), codec);
        } else {
            let error = encoder.unwrap_err();
            assert_eq!(error, CodecError::Unsupported { codec, feature });
            assert_eq!(error.fault(), Fault::Unsupported);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_come_back(
        plains in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(0_u8), 0..4_u8, any::<u8>()], 0..3000),
            1..4,
        ),
    ) {
        let mut decoder = Decoder::new();
        for compression in compressions() {
            let mut encoder = Encoder::new(compression).unwrap();
            for plain in &plains {
                let mut stored = Vec::new();
                let codec = encoder.encode(plain, &mut stored).unwrap();
                prop_assert!(stored.len() <= plain.len());
                let mut decoded = vec![0xaa; plain.len()];
                decoder.decode(codec, &stored, &mut decoded).unwrap();
                prop_assert_eq!(&decoded, plain);
            }
        }
    }
}

#[test]
fn a_vector_with_room_for_the_longest_frame_does_not_grow() {
    for compression in compressions() {
        let mut encoder = Encoder::new(compression).unwrap();
        for len in [
            0,
            1,
            100,
            4096,
            65_534,
            65_535,
            131_072,
            1 << 20,
            (4 << 20) + 700,
        ] {
            let mut out = Vec::with_capacity(compression.max_frame_len(len));
            let room = out.capacity();
            encoder.encode_frame(&noise(len), &mut out).unwrap();
            assert_eq!(out.capacity(), room, "{compression}, {len} bytes");
            assert!(out.len() <= compression.max_frame_len(len));
        }
    }
}

/// Bytes that compress a little, a function of their number.
#[cfg(any(feature = "zstd", feature = "gzip"))]
fn letters(len: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 20
    };
    (0..len).map(|_| next()).collect()
}

/// What a frame writer makes of `plain` in pieces of `piece` bytes.
#[cfg(any(feature = "zstd", feature = "gzip"))]
fn in_pieces(compression: Compression, plain: &[u8], piece: usize) -> Vec<u8> {
    let mut frame = FrameWriter::new(compression, Vec::new()).expect("it is built in");
    for piece in plain.chunks(piece) {
        frame.write_all(piece).expect("memory takes it");
    }
    frame.finish().expect("memory takes it")
}

#[cfg(feature = "zstd")]
#[test]
fn a_frame_in_pieces_has_no_window_longer_than_its_content() {
    // A level whose own window is longer.
    let compression = Compression::Zstd { level: 10 };
    for len in [0, 1, 1000, 2 << 20, (2 << 20) + 1, 3_000_000] {
        let plain = letters(len);
        let stored = in_pieces(compression, &plain, 70_000);
        let mut decoded = vec![0; len];
        Decoder::new()
            .decode(Codec::Zstd, &stored, &mut decoded)
            .unwrap();
        assert!(decoded == plain);
        let mut whole = Vec::new();
        Encoder::new(compression)
            .unwrap()
            .encode_frame(&plain, &mut whole)
            .unwrap();
        assert_eq!(stored == whole, len <= 2 << 20, "{len}");
        if len > 2 << 20 {
            // No single segment, no content size, no dictionary, no checksum; 2^(10 + 11) bytes of window.
            assert_eq!(stored[4..6], [0, 11 << 3]);
        }
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_member_in_pieces_is_a_member() {
    for level in [0, 1, 6, 9] {
        let plain = letters(100_000);
        let stored = in_pieces(Compression::Gzip { level }, &plain, 7000);
        let mut decoded = vec![0; plain.len()];
        Decoder::new()
            .decode(Codec::Gzip, &stored, &mut decoded)
            .unwrap();
        assert!(decoded == plain);
        assert_eq!(
            stored,
            in_pieces(Compression::Libdeflate { level }, &plain, 7000)
        );
    }
    let empty = in_pieces(Compression::Gzip { level: 6 }, b"", 1);
    Decoder::new().decode(Codec::Gzip, &empty, &mut []).unwrap();
}

#[test]
fn what_cannot_be_written_in_pieces() {
    for (compression, codec) in [
        (Compression::None, Codec::None),
        (Compression::Lz4Block, Codec::Lz4Block),
    ] {
        let error = FrameWriter::new(compression, Vec::new()).unwrap_err();
        assert_eq!(error, CodecError::NoStream { codec });
        assert_eq!(error.fault(), Fault::Unsupported);
    }
}

#[cfg(feature = "zstd")]
#[test]
fn a_frame_in_pieces_fails_where_it_is_written() {
    let compression = Compression::Zstd { level: 1 };
    let mut room = [0; 10];
    let mut frame = FrameWriter::new(compression, &mut room[..]).unwrap();
    frame.write_all(&letters(1000)).unwrap();
    assert_eq!(
        frame.finish().unwrap_err().kind(),
        std::io::ErrorKind::WriteZero
    );
    let error = FrameWriter::new(Compression::Zstd { level: 23 }, Vec::new()).unwrap_err();
    assert!(
        matches!(error, CodecError::Level { max: 22, .. }),
        "{error:?}"
    );
}
