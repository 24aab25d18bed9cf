//! Tars out of images, and layers compressed anew.

use blob_io::WriterOutput;
use frame_codec::Compression;
use image_model::{Blame, Cancelled, Fault, Limits, Metadata, Name, Node, Tree};
use image_read::{OpenImage, ReadError};
use lazyoci_image_convert::{
    ConvertError, FileContent, Loss, LossKind, Source, Streaming, TarOptions, TarReport,
    recompress, to_tar,
};
use tar_stream::{EntryKind, LayerStream, TarError, TarReadOptions, TarReader};

use crate::support::{
    Image, Tar, digest_of_tar, golden_tar, metadata, noise, path, plain_options, reader, sha256,
    with_xattr,
};

fn compressions() -> Vec<Compression> {
    vec![
        Compression::None,
        #[cfg(feature = "gzip")]
        Compression::Gzip { level: 6 },
        #[cfg(feature = "zstd")]
        Compression::Zstd { level: 3 },
    ]
}

fn decoded(layer: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut stream = LayerStream::open(layer, &Default::default()).unwrap();
    std::io::copy(&mut stream, &mut plain).unwrap();
    plain
}

fn open(image: &Image) -> OpenImage {
    image_read::open(image.bootstrap_path(), &Default::default()).unwrap()
}

fn tar_of(image: &Image, options: &TarOptions) -> (TarReport, Vec<u8>) {
    crate::support::tar_of(open(image), options).unwrap()
}

/// Names, and targets of hard links, in the order of the tar.
fn members(tar: &[u8]) -> Vec<(String, String)> {
    let mut reader = TarReader::new(tar, TarReadOptions::default());
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        found.push((text(entry.path), text(entry.link_target)));
    }
    found
}

#[test]
fn a_tar_is_canonical() {
    let image = Image::of_tar(&golden_tar(), &plain_options());
    let (report, tar) = tar_of(&image, &TarOptions::default());
    let expected = [
        ("./", ""),
        ("d/", ""),
        ("d/h", ""),
        ("d/l", "../f"),
        ("e", ""),
        ("f", "d/h"),
        ("z", ""),
    ];
    assert_eq!(members(&tar), expected.map(|(a, b)| (a.into(), b.into())));
    assert_eq!(
        (report.report.inodes, report.report.content_bytes),
        (6, 10_005)
    );
    assert_eq!(report.report.bytes_out, tar.len() as u64);
    assert_eq!(report.blob.digest.hex(), sha256(&tar));
    assert_eq!(
        (report.blob.len, report.diff_id),
        (tar.len() as u64, report.blob.digest)
    );
    assert_eq!(digest_of_tar(&tar), crate::support::GOLDEN_DIGEST);
    // From a tar of another order it is the same.
    let again = Image::of_tar(&tar, &plain_options());
    assert_eq!(tar_of(&again, &TarOptions::default()).1, tar);
}

/// A layer of several mebibytes, with something behind its end.
fn layer() -> Vec<u8> {
    let tar = (0..5).fold(Tar::new(), |tar, n| {
        let mut bytes = noise(n, 300_000);
        bytes.resize(700_000, b'x');
        tar.file(&format!("{n}"), &bytes)
    });
    let mut layer = tar.finish();
    layer.extend([0; 8192]);
    layer.extend(b"garbage");
    layer
}

#[test]
fn a_layer_keeps_its_bytes_whatever_the_compression() {
    let layer = layer();
    for compression in compressions() {
        let options = |threads| {
            TarOptions::default()
                .compression(compression)
                .threads(threads)
        };
        let compress = |layer: &[u8], threads| {
            let mut out = Vec::new();
            let mut output = WriterOutput::new(&mut out);
            let source = Streaming::new(layer);
            let done = recompress(source, &mut output, &options(threads), &mut ()).unwrap();
            assert_eq!(done.report.bytes_out, out.len() as u64);
            assert_eq!(done.blob.digest.hex(), sha256(&out));
            assert_eq!(done.diff_id.hex(), sha256(&decoded(layer)));
            out
        };
        let one = compress(&layer, 1);
        assert!(decoded(&one) == layer, "{compression}");
        for threads in [2, 3, 8] {
            assert!(compress(&layer, threads) == one, "{compression} {threads}");
        }
        // From the compressed one as well.
        assert!(compress(&one, 2) == one, "{compression}");
        let empty = compress(&[], 2);
        assert_eq!(decoded(&empty), b"");
        assert_eq!(empty.is_empty(), compression == Compression::None);
    }
}

#[test]
fn a_compressed_tar_does_not_depend_on_threads() {
    let image = Image::of_tar(&layer(), &plain_options());
    let plain = tar_of(&image, &TarOptions::default()).1;
    for compression in compressions() {
        let tar = |threads| {
            let options = TarOptions::default()
                .compression(compression)
                .threads(threads);
            tar_of(&image, &options).1
        };
        let one = tar(1);
        assert!(decoded(&one) == plain, "{compression}");
        assert!(tar(3) == one, "{compression}");
    }
}

#[test]
fn what_layers_cannot_have_is_refused_or_reported() {
    let mut tree = Tree::new(Metadata::implied_directory());
    let socket = tree.add(metadata(0o600), Node::Socket);
    let file = tree.add(
        metadata(0o644),
        Node::File {
            size: 0,
            content: image_model::tree::Spans::default(),
        },
    );
    // What unpackers of layers would take for whiteouts.
    let directory = tree.add(metadata(0o700), Node::empty_directory());
    let empty = tree.add(metadata(0o700), Node::empty_directory());
    let inside = Name::new(*b"inside").unwrap();
    tree.link(directory, inside, file).unwrap();
    let named = [(".wh.", file), (".wh.d", directory), (".wh.e", empty)];
    let others = [("a", socket), ("b", socket), ("c", file), ("d", file)];
    for (name, inode) in named.into_iter().chain(others) {
        let name = Name::new(name.as_bytes()).unwrap();
        tree.link(Tree::<()>::ROOT, name, inode).unwrap();
    }
    let id = image_model::BlobId::new(b"nothing").unwrap();
    let image = image_read::TreeImage::new(tree, id, 0);
    let reader = reader(image, std::sync::Arc::new(Box::<[u8]>::default()));
    let convert = |lossy| {
        let options = TarOptions::default().lossy(lossy);
        crate::support::tar_of(&reader, &options)
    };
    let loss = |at: &str, what| Loss {
        path: path(at),
        what,
    };
    match convert(false) {
        Err(ConvertError::NotCarried {
            target: "tar",
            loss: found,
        }) => assert_eq!(found, loss(".wh.", LossKind::Whiteout)),
        other => panic!("{other:?}"),
    }
    let (report, tar) = convert(true).unwrap();
    let lost = [".wh.", ".wh.d", ".wh.e"].map(|at| loss(at, LossKind::Whiteout));
    let [first, second, third] = lost;
    assert_eq!(
        report.report.losses,
        [first, second, third, loss("a", LossKind::Socket)]
    );
    let expected = [("./", ""), ("c", ""), ("d", "c")];
    assert_eq!(members(&tar), expected.map(|(a, b)| (a.into(), b.into())));
}

#[test]
fn a_cut_layer_is_not_compressed_anew() {
    let layer = layer();
    let result = recompress(
        Streaming::new(&layer[..700_000]),
        &mut WriterOutput::new(Vec::new()),
        &TarOptions::default(),
        &mut (),
    );
    assert!(matches!(
        result,
        Err(ConvertError::Tar(TarError::Cut {
            offset: 700_000,
            ..
        }))
    ));
}

#[test]
fn a_layer_is_compressed_anew_within_its_limits() {
    let layer = layer();
    let limits = Limits::default().max_layer_len(1 << 16);
    let result = recompress(
        Streaming::new(&layer[..]).limits(limits),
        &mut WriterOutput::new(Vec::new()),
        &TarOptions::default(),
        &mut (),
    );
    assert_eq!(result.unwrap_err().fault(), Fault::Limit);
}

#[test]
fn other_failures() {
    let image = Image::of_tar(&layer(), &plain_options());
    let opened = open(&image);
    let convert = |options: &TarOptions, limits, progress: &mut dyn image_model::Progress| {
        let source = Source::from(&opened).with_limits(limits);
        let mut output = WriterOutput::new(Vec::new());
        to_tar(source, &mut output, options, progress).unwrap_err()
    };
    let lz4 = TarOptions::default().compression(Compression::Lz4Block);
    let error = convert(&lz4, Limits::default(), &mut ());
    assert_eq!(error.fault(), Fault::Misuse);
    let short = Limits::default().max_layer_len(1_000_000);
    match convert(&TarOptions::default(), short, &mut ()) {
        ConvertError::TarTooLong { path: at, limit } => {
            assert_eq!((at, limit), (path("1"), 1_000_000));
        }
        other => panic!("{other:?}"),
    }
    let mut cancel = |done, _| if done > 0 { Err(Cancelled) } else { Ok(()) };
    let error = convert(&TarOptions::default(), Limits::default(), &mut cancel);
    assert!(matches!(error, ConvertError::Cancelled(_)), "{error:?}");
}

#[test]
fn a_total_is_known() {
    let image = Image::of_tar(&layer(), &plain_options());
    let mut seen = Vec::new();
    let mut progress = |done, total: Option<u64>| {
        seen.push((done, total));
        Ok(())
    };
    let mut output = WriterOutput::new(Vec::new());
    let options = TarOptions::default();
    let done = to_tar(open(&image), &mut output, &options, &mut progress).unwrap();
    let total = done.report.content_bytes;
    assert!(seen.is_sorted());
    assert_eq!(seen.last().map(|&(_, of)| of), Some(Some(total)));
    assert!(seen.iter().all(|&(done, _)| done <= total));
}

#[test]
fn damaged_content_is_found() {
    let image = Image::of_tar(&layer(), &plain_options());
    let blobs = image.output().join("blobs");
    let (name, mut bytes) = crate::support::files(&blobs).remove(0);
    bytes[5000] ^= 1;
    std::fs::write(blobs.join(name), bytes).unwrap();
    let result = crate::support::tar_of(open(&image), &TarOptions::default());
    match result {
        Err(error @ ConvertError::Content { .. }) => {
            assert_eq!(error.fault(), Fault::Corrupt);
            let ConvertError::Content {
                path: at,
                source: ReadError::Chunk { file_offset, .. },
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!((at, file_offset), (path("0"), 4096));
        }
        other => panic!("{other:?}"),
    }
}

/// Go and GNU tar do not find such attributes, or find them under other names.
#[test]
fn attributes_that_no_tar_can_hold_are_refused_or_reported() {
    let convert = |lossy| {
        let mut tree = Tree::new(Metadata::implied_directory());
        let metadata = with_xattr(b"user.a=b", b"1");
        let inode = tree.add(metadata, Node::Symlink((*b"target").into()));
        let name = Name::new(*b"a").unwrap();
        tree.link(Tree::<FileContent<'_>>::ROOT, name, inode)
            .unwrap();
        crate::support::tar_of(tree, &TarOptions::default().lossy(lossy))
    };
    let expected = Loss {
        path: path("a"),
        what: LossKind::XattrName {
            name: (*b"user.a=b").into(),
        },
    };
    match convert(false) {
        Err(ConvertError::NotCarried {
            target: "tar",
            loss,
        }) => assert_eq!(loss, expected),
        other => panic!("{other:?}"),
    }
    let (report, tar) = convert(true).unwrap();
    assert_eq!(report.report.losses, [expected]);
    let mut reader = TarReader::new(&tar[..], TarReadOptions::default());
    let root = reader.next_entry().unwrap().unwrap();
    assert_eq!(root.kind, EntryKind::Directory);
    let entry = reader.next_entry().unwrap().unwrap();
    assert!(entry.path == b"a" && entry.xattrs.is_empty());
}
