//! The machine: equal results whatever the pieces and the zstd decoder, odd members and frames.
#![cfg(all(feature = "gzip", any(feature = "zstd", feature = "ruzstd")))]

mod damage;

use std::io::{Read, Write};

use image_model::{Blame, Fault, Limits};
use lazyoci_tar_stream::{
    Compression, Corruption, LayerDecoder, LayerError, LayerStream, LayerSummary, StreamOptions,
    ZstdDecoder,
};

use crate::tape::Tape;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame with its length and a checksum, as zstd's own tool makes them of files.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
    compressor.include_checksum(true).unwrap();
    compressor.compress(bytes).unwrap()
}

/// A frame without either, as tools make them of streams.
fn zstd_of_stream(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn skippable(low: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_le_bytes();
    [&[0x50 | low, 0x2a, 0x4d, 0x18], &len[..], payload].concat()
}

fn tar() -> Vec<u8> {
    let text = b"all work and no play ".repeat(40);
    Tape::new().file("a", b"hello").file("b", &text).end()
}

/// One gzip member for each tar member, and a last one, as eStargz has them.
pub(crate) fn estargz_shaped(tar: &[u8]) -> Vec<u8> {
    let (a, rest) = tar.split_at(1024);
    let (b, end) = rest.split_at(512);
    [gzip(a), gzip(b), gzip(end), gzip(b"")].concat()
}

/// Frames with skippable ones before, between and behind, as zstd:chunked has them, and more of them.
fn zstd_shaped(tar: &[u8]) -> Vec<u8> {
    let (a, rest) = tar.split_at(700);
    let (b, end) = rest.split_at(5);
    [
        skippable(3, b"first"),
        zstd(b""),
        zstd(a),
        skippable(0, b""),
        zstd_of_stream(b),
        zstd(end),
        skippable(15, &[7; 60]),
        skippable(10, b"GNUlInUx"),
    ]
    .concat()
}

/// The options for every decoder that is compiled in.
fn decoders() -> Vec<StreamOptions> {
    let mut all = vec![];
    if cfg!(feature = "zstd") {
        all.push(StreamOptions::default().zstd(ZstdDecoder::Libzstd));
    }
    if cfg!(feature = "ruzstd") {
        all.push(StreamOptions::default().zstd(ZstdDecoder::Ruzstd));
    }
    all
}

type Decoded = (Vec<u8>, Result<LayerSummary, LayerError>);

/// Decodes pieces into outputs of `room` bytes.
fn decode<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    room: usize,
    options: &StreamOptions,
) -> Decoded {
    let mut decoder = LayerDecoder::new(options);
    let mut tar = Vec::new();
    let mut output = vec![0; room];
    for mut piece in pieces {
        while !piece.is_empty() {
            match decoder.decode(piece, &mut output) {
                Ok(step) => {
                    assert!(step.taken > 0 || step.written > 0, "it goes on");
                    piece = &piece[step.taken..];
                    tar.extend_from_slice(&output[..step.written]);
                }
                Err(error) => return (tar, Err(error)),
            }
        }
    }
    loop {
        match decoder.finish(&mut output) {
            Ok(0) => return (tar, Ok(decoder.summary().unwrap())),
            Ok(len) => tar.extend_from_slice(&output[..len]),
            Err(error) => return (tar, Err(error)),
        }
    }
}

fn whole(layer: &[u8], options: &StreamOptions) -> Decoded {
    decode([layer], 1 << 16, options)
}

#[test]
fn pieces_do_not_matter() {
    let tar = tar();
    let layers = [
        (Compression::None, tar.clone()),
        (Compression::Gzip, gzip(&tar)),
        (Compression::Gzip, estargz_shaped(&tar)),
        (Compression::Zstd, zstd(&tar)),
        (Compression::Zstd, zstd_of_stream(&tar)),
        (Compression::Zstd, zstd_shaped(&tar)),
    ];
    for options in decoders() {
        for (compression, layer) in &layers {
            let check = |(decoded, end): Decoded, how: &str| {
                let summary = end.unwrap();
                assert!(decoded == tar, "{compression}: {how}: other bytes");
                assert_eq!(summary.compression, *compression);
                assert_eq!(summary.stored.len, layer.len() as u64);
                assert_eq!(summary.decoded.len, tar.len() as u64);
                assert_eq!(summary.trailing, 0);
            };
            for room in [1, 7, 512, 1 << 16] {
                check(whole_into(layer, room, &options), "whole");
                check(decode(layer.chunks(1), room, &options), "byte by byte");
            }
            for split in 0..=layer.len() {
                let (one, other) = layer.split_at(split);
                check(decode([one, other], 1 << 16, &options), "split");
            }
        }
    }
}

fn whole_into(layer: &[u8], room: usize, options: &StreamOptions) -> Decoded {
    decode([layer], room, options)
}

#[test]
fn members_of_another_kind_are_trailing() {
    let tar = tar();
    let (one, two) = (gzip(&tar), zstd(&tar));
    for options in decoders() {
        let lenient = options.clone().ignore_trailing(true);
        for (first, then) in [
            (&one, &two[..]),
            (&two, &one),
            (&one, &tar),
            (&one, &[0; 10_000]),
            (&one, b"\n"),
            (&one, &[0x1f, 0x8b, 7, 0]),
            (&two, &[0x28, 0xb5, 0x2f, 0xfe]),
            (&two, &[0x60]),
        ] {
            let layer = [first, then].concat();
            for pieces in [1, 13, layer.len()] {
                let (decoded, end) = decode(layer.chunks(pieces), 1 << 16, &options);
                assert!(decoded == tar, "what precedes comes out");
                match end {
                    Err(
                        error @ LayerError::Trailing {
                            stored, decoded, ..
                        },
                    ) => {
                        assert_eq!(stored, first.len() as u64);
                        assert_eq!(decoded, tar.len() as u64);
                        assert_eq!(error.fault(), Fault::Corrupt);
                    }
                    other => panic!("{other:?}"),
                }
                let (decoded, end) = decode(layer.chunks(pieces), 1 << 16, &lenient);
                let summary = end.unwrap();
                assert!(decoded == tar);
                assert_eq!(summary.trailing, then.len() as u64);
                assert_eq!(summary.stored.len, layer.len() as u64);
            }
        }
    }
}

/// What might have begun a member and is cut is ignored too; a begun member is not.
#[test]
fn a_magic_number_that_is_cut_may_be_ignored() {
    let (tar, options) = (tar(), StreamOptions::default().ignore_trailing(true));
    for (layer, magic) in [
        (gzip(&tar), &[0x1f, 0x8b, 8, 0][..]),
        (zstd(&tar), &[0x28, 0xb5, 0x2f, 0xfd]),
    ] {
        let whole_magic = magic.len() - usize::from(magic[0] == 0x1f);
        for len in 1..=magic.len() {
            let layer = [&layer, &magic[..len]].concat();
            match whole(&layer, &options).1 {
                Ok(summary) => {
                    assert!(len < whole_magic);
                    assert_eq!(summary.trailing, len as u64);
                }
                Err(LayerError::Cut { .. }) => assert!(len >= whole_magic),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// Nothing at all, and nothing compressed: a layer without members (Go and podman read all of them).
#[test]
fn empty_layers_are_layers() {
    for options in decoders() {
        for (layer, compression) in [
            (vec![], Compression::None),
            (gzip(b""), Compression::Gzip),
            (zstd(b""), Compression::Zstd),
            (skippable(0, b"x"), Compression::Zstd),
        ] {
            let (tar, end) = whole(&layer, &options);
            assert!(tar.is_empty());
            assert_eq!(end.unwrap().compression, compression);
        }
    }
}

/// A frame that says how long its content is, and has empty blocks: libzstd takes it when it comes in
/// pieces.
#[test]
fn empty_blocks_are_no_content() {
    for options in decoders() {
        for (content_len, sound) in [(0, true), (1, false)] {
            let layer = [
                &[0x28, 0xb5, 0x2f, 0xfd, 0x20, content_len][..],
                &[0, 0, 0],
                &[1, 0, 0],
            ]
            .concat();
            for piece in [1, 5, layer.len()] {
                match decode(layer.chunks(piece), 100, &options).1 {
                    Ok(summary) => assert!(sound && summary.decoded.len == 0),
                    Err(LayerError::Corrupt { .. }) => assert!(!sound),
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
}

/// A member with every field that a header may have; its checksum is the CRC-32 of what precedes.
#[test]
fn headers_are_passed_over_whatever_they_hold() {
    let plain = gzip(b"content");
    let mut header = plain[..10].to_vec();
    header[3] = 0b1_1110;
    header.extend([3, 0, b'x', 0, b'y']);
    header.extend(b"a name\0a comment\0");
    let mut crc = flate2::Crc::new();
    crc.update(&header);
    header.extend(&crc.sum().to_le_bytes()[..2]);
    let layer = [&header, &plain[10..], &plain].concat();
    let options = StreamOptions::default();
    for piece in [1, 5, layer.len()] {
        let (decoded, end) = decode(layer.chunks(piece), 100, &options);
        assert_eq!(decoded, b"contentcontent");
        assert_eq!(end.unwrap().compression, Compression::Gzip);
    }
    let mut wrong = layer;
    wrong[header.len() - 1] ^= 1;
    match whole(&wrong, &options).1 {
        Err(LayerError::Corrupt { source, .. }) => assert_eq!(source, Corruption::HeaderChecksum),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_an_error_and_behind_the_end_nothing_comes() {
    let mut decoder = LayerDecoder::new(&StreamOptions::default());
    let broken = [&gzip(b"x")[..], b"no member"].concat();
    let mut output = [0; 64];
    assert_eq!(decoder.decode(&broken, &mut output).unwrap().written, 1);
    let error = decoder.decode(&[], &mut output).unwrap_err();
    assert!(matches!(error, LayerError::Trailing { .. }));
    for _ in 0..2 {
        let error = decoder.decode(&broken, &mut output).unwrap_err();
        assert!(matches!(error, LayerError::Failed));
        assert_eq!(error.fault(), Fault::Misuse);
        assert!(matches!(
            decoder.finish(&mut output),
            Err(LayerError::Failed)
        ));
    }
    assert!(decoder.summary().is_none());

    let mut decoder = LayerDecoder::new(&StreamOptions::default());
    assert_eq!(decoder.finish(&mut output).unwrap(), 0);
    assert_eq!(decoder.finish(&mut output).unwrap(), 0);
    assert!(decoder.decode(b"more", &mut output).is_err());
}

#[test]
fn the_source_comes_back() {
    let tar = tar();
    for layer in [tar.clone(), gzip(&tar)] {
        let layer = std::io::Cursor::new(layer);
        let mut stream = LayerStream::open(layer, &StreamOptions::default()).unwrap();
        let mut decoded = Vec::new();
        assert!(stream.summary().is_none());
        stream.read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, tar);
        assert_eq!(stream.get_ref().position(), stream.stored_position());
        let source = stream.into_inner();
        assert_eq!(source.position(), source.get_ref().len() as u64);
    }
}

#[cfg(feature = "sha256")]
#[test]
fn digests_of_both_sides_are_computed_on_the_way() {
    use image_model::{Digest, DigestAlgorithm};
    use sha2::Digest as _;

    let sha256 = |bytes: &[u8]| {
        let digest = sha2::Sha256::digest(bytes).into();
        Some(Digest::new(DigestAlgorithm::Sha256, digest))
    };
    // Long enough for reads past the stream's own buffer.
    let long = vec![5; 1 << 20];
    for options in decoders() {
        let options = options.digests(true).ignore_trailing(true);
        let trailing = [&gzip(&tar())[..], &[0; 300]].concat();
        for (layer, tar) in [
            (tar(), tar()),
            (long.clone(), long.clone()),
            (trailing, tar()),
            (zstd_shaped(&tar()), tar()),
        ] {
            let mut stream = LayerStream::open(&layer[..], &options).unwrap();
            let mut output = vec![0; 1 << 18];
            while stream.read(&mut output).unwrap() > 0 {}
            let summary = stream.summary().unwrap();
            assert_eq!(summary.stored.digest, sha256(&layer));
            assert_eq!(summary.decoded.digest, sha256(&tar));
        }
    }
    let without = whole(&tar(), &StreamOptions::default()).1.unwrap();
    assert_eq!(
        (without.stored.digest, without.decoded.digest),
        (None, None)
    );
}
