//! Layers: compression by content, several members and frames, cut and corrupt streams, bombs.

use std::io::{self, Read, Write};

use image_model::{Blame, Fault, Limits};
use lazyoci_tar_stream::{
    Compression, LayerError, LayerStream, StreamOptions, TarError, TarReader, TarWriter,
};

use crate::tape::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

fn skippable(payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_le_bytes();
    [&0x184d_2a50u32.to_le_bytes()[..], &len, payload].concat()
}

/// A layer in every form that is compiled in.
fn forms(tar: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![tar.to_vec()];
    if cfg!(feature = "gzip") {
        forms.push(gzip(tar));
    }
    if cfg!(any(feature = "zstd", feature = "ruzstd")) {
        forms.push(zstd(tar));
    }
    forms
}

fn tar() -> Vec<u8> {
    let noise: Vec<u8> = (0..9000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as u8)
        .collect();
    Tape::new().file("a", b"hello").file("b", &noise).end()
}

fn decode(layer: &[u8], limits: &Limits) -> Result<(Compression, Vec<u8>), LayerError> {
    let mut stream = LayerStream::open(layer, &limits.into())?;
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {
            assert_eq!(stream.position(), bytes.len() as u64);
            assert_eq!(stream.stored_position(), layer.len() as u64);
            let compression = stream.compression().expect("it was read");
            Ok((compression, bytes))
        }
        Err(error) => Err(error.downcast().expect("only the layer can be wrong")),
    }
}

#[test]
fn plain_layers_are_passed_on() {
    let tar = tar();
    let plain = (Compression::None, tar.clone());
    assert_eq!(decode(&tar, &Limits::default()).unwrap(), plain);
    let empty = (Compression::None, vec![]);
    assert_eq!(decode(b"", &Limits::default()).unwrap(), empty);
    let short = (Compression::None, vec![0x1f]);
    assert_eq!(decode(&[0x1f], &Limits::default()).unwrap(), short);
}

#[test]
fn other_compressions_are_recognised_and_refused() {
    let bzip2 = *b"BZh91AY&SY";
    let xz = *b"\xfd7zXZ\0\0\x04\xe6\xd6";
    for (layer, expected) in [(bzip2, Compression::Bzip2), (xz, Compression::Xz)] {
        match LayerStream::open(&layer[..], &StreamOptions::default()) {
            Err(error @ LayerError::Unsupported { compression }) => {
                assert_eq!((compression, error.fault()), (expected, Fault::Unsupported));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn tars_are_bounded_by_their_length() {
    let limits = Limits::small().max_layer_len(1 << 20);
    let exact = vec![0; 1 << 20];
    let beyond = vec![0; (1 << 20) + 1];
    for (exact_layer, layer) in forms(&exact).into_iter().zip(forms(&beyond)) {
        assert_eq!(decode(&exact_layer, &limits).unwrap().1, exact);
        // Where a frame announces its length, that is a window too large as well.
        let error = decode(&layer, &limits).unwrap_err();
        let (LayerError::TooLarge { limit } | LayerError::Window { limit, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!((limit, error.fault()), (1 << 20, Fault::Limit));
    }
}

/// Fails after some bytes.
struct Broken<R>(R);

impl<R: Read> Read for Broken<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            read => Ok(read),
        }
    }
}

#[test]
fn errors_of_the_source_stay_its_own() {
    for form in forms(&tar()) {
        let half = Broken(&form[..form.len() / 2]);
        let stream = LayerStream::open(half, &StreamOptions::default()).unwrap();
        let mut reader = TarReader::new(stream, strict());
        let error = loop {
            if let Err(error) = reader.next_entry().map(|entry| entry.unwrap()) {
                break error;
            }
        };
        match &error {
            TarError::Io { source, .. } => {
                assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(error.fault(), Fault::Io);
    }
    let nothing = LayerStream::open(Broken(&b""[..]), &StreamOptions::default());
    assert!(matches!(nothing, Err(LayerError::Io { .. })));
}

#[cfg(feature = "gzip")]
mod gzip_layers {
    use super::*;

    #[test]
    fn all_members_are_read() {
        let tar = tar();
        let (first, rest) = tar.split_at(3000);
        let expected = (Compression::Gzip, tar.clone());
        let empty = gzip(b"");
        let layers = [
            gzip(&tar),
            [gzip(first), gzip(rest)].concat(),
            [&empty[..], &gzip(first), &empty, &gzip(rest), &empty].concat(),
        ];
        for layer in layers {
            assert_eq!(decode(&layer, &Limits::default()).unwrap(), expected);
        }
    }

    #[test]
    fn a_cut_layer_says_where() {
        let (tar, one) = (tar(), gzip(&tar()));
        let layer = [&one[..], &one].concat();
        let limits = Limits::default();
        for len in 3..layer.len() {
            let whole = if len < one.len() { 0 } else { tar.len() };
            match decode(&layer[..len], &limits) {
                Err(LayerError::Cut {
                    compression: Compression::Gzip,
                    stored,
                    decoded,
                }) => {
                    assert_eq!(stored, len as u64);
                    assert!((whole..=whole + tar.len()).contains(&(decoded as usize)));
                }
                Ok(_) => assert_eq!(len, one.len()),
                other => panic!("{len}: {other:?}"),
            }
        }
    }

    /// As Go's `compress/gzip`, and so containerd: an error, zeros included.
    #[test]
    fn what_follows_the_last_member_is_an_error() {
        for garbage in [&[0; 512][..], b"garbage behind the end"] {
            let layer = [&gzip(&tar())[..], garbage].concat();
            match decode(&layer, &Limits::default()) {
                Err(LayerError::Trailing {
                    compression: Compression::Gzip,
                    stored,
                    decoded,
                }) => {
                    assert_eq!(decoded, tar().len() as u64);
                    assert_eq!(stored, gzip(&tar()).len() as u64);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_an_error() {
        let mut layer = gzip(&tar());
        let crc = layer.len() - 8;
        layer[crc] ^= 1;
        let error = decode(&layer, &Limits::default()).unwrap_err();
        assert!(matches!(error, LayerError::Corrupt { .. }));
        assert_eq!(error.fault(), Fault::Corrupt);
    }

    #[test]
    fn flipped_bytes_never_give_other_bytes() {
        flip_everywhere(&gzip(&tar()));
    }

    /// A reader that stops at the end blocks has not seen the checksum; `finish` does.
    #[test]
    fn the_end_of_the_stream_is_checked_by_finish() {
        let mut layer = gzip(&tar());
        layer.truncate(layer.len() - 1);
        let stream = LayerStream::open(&layer[..], &StreamOptions::default()).unwrap();
        let mut reader = TarReader::new(stream, strict());
        while reader.next_entry().unwrap().is_some() {}
        match reader.finish() {
            Err(TarError::Layer {
                source: LayerError::Cut {
                    stored, decoded, ..
                },
                ..
            }) => assert_eq!((stored, decoded), (layer.len() as u64, tar().len() as u64)),
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
}

#[cfg(any(feature = "zstd", feature = "ruzstd"))]
mod zstd_layers {
    use super::*;

    #[test]
    fn all_frames_are_read_and_skippable_ones_are_not() {
        let tar = tar();
        let (first, rest) = tar.split_at(3000);
        let expected = (Compression::Zstd, tar.clone());
        let manifest = skippable(&[7; 300_000]);
        let layers = [
            zstd(&tar),
            [zstd(first), zstd(rest)].concat(),
            [
                &skippable(b"")[..],
                &zstd(first),
                &manifest,
                &zstd(b""),
                &zstd(rest),
                &manifest,
            ]
            .concat(),
        ];
        for layer in layers {
            assert_eq!(decode(&layer, &Limits::default()).unwrap(), expected);
        }
        let nothing = (Compression::Zstd, vec![]);
        assert_eq!(decode(&manifest, &Limits::default()).unwrap(), nothing);
    }

    #[test]
    fn a_cut_layer_says_where() {
        let frames = [zstd(&tar()), skippable(b"skipped"), zstd(&tar())];
        let layer = frames.concat();
        let ends = [frames[0].len(), frames[0].len() + frames[1].len()];
        for len in 4..layer.len() {
            match decode(&layer[..len], &Limits::default()) {
                Err(LayerError::Cut {
                    compression: Compression::Zstd,
                    stored,
                    ..
                }) => assert_eq!(stored, len as u64),
                Ok(_) => assert!(ends.contains(&len)),
                other => panic!("{len}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_follows_the_last_frame_is_an_error() {
        for garbage in [&[0; 512][..], b"garbage behind the end", b"g"] {
            let layer = [&zstd(&tar())[..], garbage].concat();
            let error = decode(&layer, &Limits::default()).unwrap_err();
            let LayerError::Trailing {
                stored, decoded, ..
            } = error
            else {
                panic!("{error:?}");
            };
            assert_eq!(decoded, tar().len() as u64);
            assert_eq!(stored, zstd(&tar()).len() as u64);
        }
    }

    #[test]
    fn windows_are_bounded() {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(25).unwrap();
        encoder.write_all(&tar()).unwrap();
        let layer = encoder.finish().unwrap();
        assert!(decode(&layer, &Limits::default()).is_ok());
        match decode(&layer, &Limits::small()) {
            Err(
                error @ LayerError::Window {
                    stored: 0,
                    window: 0x200_0000,
                    limit: 0x100_0000,
                },
            ) => {
                assert_eq!(error.fault(), Fault::Limit);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(&tar()).unwrap();
        flip_everywhere(&encoder.finish().unwrap());
    }
}

/// For layers with a checksum: what comes out is an error or right.
#[cfg(any(feature = "gzip", feature = "zstd", feature = "ruzstd"))]
fn flip_everywhere(layer: &[u8]) {
    let limits = Limits::small();
    for at in (0..layer.len()).step_by(7).chain(0..20) {
        let mut layer = layer.to_vec();
        layer[at] ^= 0x10;
        if let Ok((compression, bytes)) = decode(&layer, &limits) {
            assert!(
                bytes == tar() || compression == Compression::None,
                "byte {at}"
            );
        }
    }
}

#[cfg(not(feature = "gzip"))]
#[test]
fn gzip_needs_its_feature() {
    let error = LayerStream::open(&gzip(b"")[..], &StreamOptions::default()).unwrap_err();
    assert!(matches!(
        error,
        LayerError::Unsupported {
            compression: Compression::Gzip
        }
    ));
}

#[cfg(not(any(feature = "zstd", feature = "ruzstd")))]
#[test]
fn zstd_needs_its_feature() {
    for layer in [zstd(b""), skippable(b"")] {
        let error = LayerStream::open(&layer[..], &StreamOptions::default()).unwrap_err();
        assert!(matches!(
            error,
            LayerError::Unsupported {
                compression: Compression::Zstd
            }
        ));
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_trailer_that_cannot_be_read_is_not_the_destinations_fault() {
    let tar = Tape::new().file("a", b"1").end();
    let mut gzip = gzip(&tar);
    gzip.truncate(gzip.len() - 8);
    let layer = LayerStream::open(&gzip[..], &StreamOptions::default()).unwrap();
    let mut reader = TarReader::new(layer, strict());
    while reader.next_entry().unwrap().is_some() {}
    let error = TarWriter::new(Vec::new())
        .finish_raw(&mut reader.trailer().unwrap())
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
}
