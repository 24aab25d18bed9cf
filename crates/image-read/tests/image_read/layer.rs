//! Layers as images.

use std::fs;
use std::sync::Arc;

use blob_io::ReadAt;
use frame_codec::{Compression as Codec, Encoder};
use image_model::{Blame, Cancelled, Fault};
use lazyoci_image_read::{
    BlobStore, Follow, Format, LayerImage, LayerImageError, LayerImageOptions, OpenError,
    OpenOptions, Reader, format_at, open, open_with_progress,
};
#[cfg(target_os = "linux")]
use rustix::fs::FileType;
use tar_stream::Compression;
use verify::Profile;

use crate::open::{A4, digest, open_default};
use crate::support::tar;

/// The vector, plain and compressed with what there is.
fn layers() -> Vec<(Vec<u8>, Compression)> {
    let codecs: &[(Codec, Compression)] = &[
        (Codec::None, Compression::None),
        #[cfg(feature = "gzip")]
        (Codec::Gzip { level: 6 }, Compression::Gzip),
        #[cfg(feature = "zstd")]
        (Codec::Zstd { level: 3 }, Compression::Zstd),
    ];
    let encode = |&(codec, compression)| {
        let mut layer = Vec::new();
        let mut encoder = Encoder::new(codec).unwrap();
        encoder.encode_frame(&tar::vector(), &mut layer).unwrap();
        (layer, compression)
    };
    codecs.iter().map(encode).collect()
}

#[test]
fn layers_are_found_whatever_their_compression() {
    let directory = tempfile::tempdir().unwrap();
    for (layer, compression) in layers() {
        let path = directory.path().join("misleading.boot");
        fs::write(&path, layer).unwrap();
        let options = OpenOptions::default().spool_directory(directory.path());
        let image = open(&path, &options).unwrap();
        assert_eq!(image.format(), Format::Tar(compression));
        assert_eq!(digest(&image), A4);
        assert!(image.tree().is_some());
        drop(image);
        assert_eq!(
            fs::read_dir(&directory).unwrap().count(),
            1,
            "nothing is left behind"
        );
    }
}

#[test]
fn a_plain_tar_is_indexed_without_its_payloads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer.tar");
    let mut tar = tar::Builder::new();
    for i in 0..20 {
        tar.file(&format!("f{i}"), &vec![i; 1_000_000]);
    }
    fs::write(&path, tar.finish()).unwrap();
    let image = open_default(&path).unwrap();
    assert!(
        image.metadata_stats().bytes < 1_000_000,
        "{:?}",
        image.metadata_stats()
    );
    let f = image.resolve(b"f7", Follow::All).unwrap();
    let mut content = Vec::new();
    image
        .read_range(f, 999_999..u64::MAX, &mut content)
        .unwrap();
    assert_eq!(content, [7]);
    let read = image.stats();
    assert_eq!((read.requests, read.bytes), (1, 1));
    // Of a file that is longer than any request, too.
    content.clear();
    image.read_range(f, 499_990..500_010, &mut content).unwrap();
    assert_eq!(content, [7; 20]);
    let read = image.stats();
    assert_eq!((read.requests, read.bytes), (2, 21));
}

#[test]
fn a_cut_layer_is_named_with_its_offset() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let mut tar = tar::Builder::new();
    tar.file("f", &[1; 2_000]);
    let tar = tar.finish();
    fs::write(&path, &tar[..1_500]).unwrap();
    let error = open_default(&path).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::Tar(tar_stream::TarError::Cut {
                offset: 1_500,
                ..
            }))
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);

    #[cfg(feature = "gzip")]
    {
        let mut layer = Vec::new();
        let mut encoder = Encoder::new(Codec::Gzip { level: 6 }).unwrap();
        encoder.encode_frame(&tar, &mut layer).unwrap();
        layer.pop();
        fs::write(&path, &layer).unwrap();
        let error = open_default(&path).unwrap_err();
        assert!(
            matches!(
                error,
                OpenError::Layer(LayerImageError::Stream(tar_stream::LayerError::Cut { .. }))
            ),
            "{error:?}"
        );
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_bomb_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let mut layer = Vec::new();
    let mut encoder = Encoder::new(Codec::Gzip { level: 6 }).unwrap();
    encoder.encode_frame(&vec![0; 1 << 20], &mut layer).unwrap();
    fs::write(&path, &layer).unwrap();
    let limits = image_model::Limits::default().max_layer_len(1 << 19);
    let options = OpenOptions::default().limits(limits);
    let error = open(&path, &options).unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Layer(LayerImageError::Stream(tar_stream::LayerError::TooLarge { limit })) if limit == 1 << 19
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
}

#[test]
fn a_stream_is_spooled_whatever_its_compression() {
    let directory = tempfile::tempdir().unwrap();
    let options = LayerImageOptions::default().spool_directory(directory.path());
    for (stream, expected) in layers() {
        let mut seen = Vec::new();
        let mut progress = |done, total: Option<u64>| {
            seen.push((done, total));
            Ok(())
        };
        let layer = LayerImage::from_stream(&stream[..], &options, &mut progress).unwrap();
        assert_eq!(layer.compression, expected);
        assert_eq!(seen.last(), Some(&(stream.len() as u64, None)));
        assert_eq!(layer.source.len().unwrap(), tar::vector().len() as u64);
        let blobs = BlobStore::single(layer.source);
        let mut reader = Reader::new(Arc::new(layer.image), blobs, Default::default());
        let image = Arc::clone(reader.image());
        let digest = verify::tree_digest(&*image, &mut reader, Profile::Default, &mut ());
        assert_eq!(digest.unwrap().to_string(), A4);
    }
    let cut = &tar::vector()[..1500];
    let error = LayerImage::from_stream(cut, &options, &mut ()).unwrap_err();
    assert!(
        matches!(
            error,
            LayerImageError::Tar(tar_stream::TarError::Cut { offset: 1_500, .. })
        ),
        "{error:?}"
    );
}

#[test]
fn spooling_tells_how_far_it_is_and_ends_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    for (layer, compression) in layers() {
        fs::write(&path, &layer).unwrap();
        let len = layer.len() as u64;
        let mut seen = Vec::new();
        let mut progress = |done, total: Option<u64>| {
            seen.push((done, total));
            Ok(())
        };
        let options = OpenOptions::default();
        let image = open_with_progress(&path, &options, &mut progress).unwrap();
        let cancelled = open_with_progress(&path, &options, &mut |_, _| Err(Cancelled));
        if compression == Compression::None {
            // It is read where it is.
            assert_eq!(seen, []);
            cancelled.unwrap();
            continue;
        }
        assert!(seen.is_sorted());
        assert_eq!(seen.last(), Some(&(len, Some(len))));
        // What told its compression is not read again.
        let read = image.metadata_stats();
        assert_eq!((read.requests, read.bytes), (1, len));
        let error = cancelled.unwrap_err();
        assert!(
            matches!(error, OpenError::Layer(LayerImageError::Cancelled(_))),
            "{error:?}"
        );
        assert_eq!(error.fault(), Fault::Cancelled);
    }
}

#[test]
fn an_error_of_spooling_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    let options = LayerImageOptions::default().spool_directory(&gone);
    let error = LayerImage::from_stream(&tar::vector()[..], &options, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
    assert_eq!(
        error.to_string(),
        format!("cannot spool the layer in {}", gone.display())
    );
}

#[test]
fn a_layer_that_is_said_to_be_compressed_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    for (layer, found) in layers() {
        fs::write(&path, &layer).unwrap();
        for said in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let options = OpenOptions::default().format(Format::Tar(said));
            match open(&path, &options) {
                Ok(image) => assert_eq!((digest(&image), said), (A4.into(), found)),
                Err(OpenError::NotFormat {
                    expected: Format::Tar(expected),
                }) => {
                    assert_eq!(expected, said);
                    assert_ne!(expected, found);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn strict_and_lenient_reading_differ() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let mut tar = tar::Builder::new();
    tar.directory("etc");
    tar.symlink("bin", "usr");
    tar.file("bin/sh", b"#!");
    fs::write(&path, tar.finish()).unwrap();
    let error = open_default(&path).unwrap_err();
    let OpenError::Layer(LayerImageError::Entry {
        offset, path: at, ..
    }) = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((*offset, at.as_bytes()), (1024, &b"bin/sh"[..]));

    let options = OpenOptions::default().lenient(true);
    let image = open(&path, &options).unwrap();
    assert_eq!(image.read(b"usr/sh", 2).unwrap(), b"#!");
}

#[test]
fn empty_layers_are_empty_trees() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    // The first has no bytes at all: an empty stream is an empty archive, as Go has it.
    for len in [0, 1_024, 10_240] {
        fs::write(&path, vec![0; len]).unwrap();
        let image = open_default(&path).unwrap();
        assert_eq!(image.format(), Format::Tar(Compression::None));
        assert!(image.tree().unwrap().tree().is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_and_devices_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, mode, 0).unwrap();
    // Nobody writes to it: opening it would block.
    for path in [&*pipe, "/dev/null".as_ref()] {
        let error = open_default(path).unwrap_err();
        assert!(matches!(&error, OpenError::NotAFile { path: named } if named == path));
        assert_eq!(error.fault(), Fault::Misuse);
        assert!(matches!(format_at(path), Err(OpenError::NotAFile { .. })));
    }
    assert_eq!(format_at(directory.path()).unwrap(), Format::Directory);
}

#[test]
fn whiteouts_are_files_of_a_layer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let mut tar = tar::Builder::new();
    tar.file("d/.wh.gone", b"");
    fs::write(&path, tar.finish()).unwrap();
    let image = open_default(&path).unwrap();
    assert!(image.resolve(b"d/.wh.gone", Follow::Never).is_ok());
}

#[test]
fn a_stargz_footer_does_not_hide_the_layer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    let chunked = [&tar::vector()[..], b"GNUlInUx"].concat();
    // Plain tars have no footer, whatever follows their end.
    fs::write(&path, chunked).unwrap();
    assert_eq!(
        open_default(&path).unwrap().format(),
        Format::Tar(Compression::None)
    );

    #[cfg(feature = "gzip")]
    {
        let mut layer = Vec::new();
        let mut encoder = Encoder::new(Codec::Gzip { level: 6 }).unwrap();
        encoder.encode_frame(&tar::vector(), &mut layer).unwrap();
        layer.extend(estargz_toc::footer::encode(3));
        fs::write(&path, layer).unwrap();
        let options = OpenOptions::default().as_layer(true);
        let image = open(&path, &options).unwrap();
        assert_eq!(image.format(), Format::Estargz);
        assert_eq!(digest(&image), A4);
    }
}

/// What cannot be opened as its own format is a layer that every runtime unpacks.
#[test]
fn other_lazy_formats_are_layers_too() {
    let footer = |extra: &[u8]| {
        let len = (extra.len() as u16).to_le_bytes();
        let head = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
        let empty = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
        [&head[..], &len, extra, &empty].concat()
    };
    let external = [&b"SG\x11\0"[..], b"STARGZEXTERNALTOC"].concat();
    let chunked = [
        &0x184d_2a50_u32.to_le_bytes()[..],
        &64_u32.to_le_bytes(),
        &[0; 56],
        b"GNUlInUx",
    ];
    let mut cases: Vec<(Codec, Vec<u8>, Format)> = Vec::new();
    if cfg!(feature = "gzip") {
        let gzip = Codec::Gzip { level: 6 };
        let before = footer(b"0000000000000003STARGZ");
        cases.push((gzip, before, Format::Stargz));
        cases.push((gzip, footer(&external), Format::ExternalToc));
    }
    if cfg!(feature = "zstd") {
        let zstd = Codec::Zstd { level: 3 };
        cases.push((zstd, chunked.concat(), Format::ZstdChunked));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layer");
    for (codec, footer, format) in cases {
        let mut layer = Vec::new();
        let mut encoder = Encoder::new(codec).unwrap();
        encoder.encode_frame(&tar::vector(), &mut layer).unwrap();
        layer.extend(footer);
        fs::write(&path, layer).unwrap();
        let error = open_default(&path).unwrap_err();
        assert!(matches!(error, OpenError::Estargz(_)), "{error:?}");
        assert!(error.may_be_layer());
        let options = OpenOptions::default().as_layer(true);
        let image = open(&path, &options).unwrap();
        assert_eq!((image.format(), digest(&image)), (format, A4.into()));
    }
}
