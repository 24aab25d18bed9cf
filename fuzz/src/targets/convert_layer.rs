//! Layers to RAFS v6, eStargz and tar, whole.

use std::io::Read as _;
use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::blob_io::bytes::Bytes;
use lazyoci::convert::{
    ConvertError, EstargzOptions, EstargzReport, RafsOptions, Source, Streaming, TarOptions,
    recompress,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blame, Fault, Limits};
use lazyoci::read::{LayerImage, LayerImageOptions, NoBlobs, OpenImage, SharedImage, open_source};
use lazyoci::tar_stream::LayerStream;
use lazyoci::verify::{self, Profile, TreeDigest, TreeDigestOptions};

use super::converted::{
    check_estargz, check_rafs, check_refusal, check_tar, into_layer, to_rafs_directory, to_stargz,
};
use super::memory::Memory;
use super::reading::{open_options, reader};
use super::tar::repair_checksums;

/// Takes the bytes, with the checksums of tar headers made right, as a layer; what can be read is
/// converted, streamed, opened and by a reader alone, with one thread and two, and must be the same
/// tree.
pub fn convert_layer(data: &[u8]) {
    let mut layer = data.to_vec();
    repair_checksums(&mut layer);
    let limits = Limits::small();
    let options = LayerImageOptions::default().limits(limits.clone());
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let output = directory.path();
    let streaming = || Streaming::new(&layer[..]).limits(limits.clone());
    let streamed = to_rafs_directory(streaming(), &output.join("streamed"), &rafs(1));
    let opened = match LayerImage::open(Arc::new(Memory(layer.clone())), &options) {
        Ok(opened) => opened,
        Err(_) => {
            assert!(streamed.is_err(), "what cannot be opened was converted");
            let stargz = to_stargz(streaming(), &stargz_options(1));
            assert!(stargz.is_err(), "what cannot be opened was converted");
            return;
        }
    };
    let LayerImage { image, source, .. } = opened;
    recompressed(&layer, &*source);
    let image: SharedImage = Arc::new(image);
    let mut reader = reader(&image, source);
    let expected = verify::tree_digest(&*image, &mut reader, digest_options(), &mut ());
    match expected {
        Ok(expected) => {
            check_rafs(&streamed, &output.join("streamed"), expected);
            // What was opened keeps the order of the tar; a reader has the tree alone.
            let opened = open(&layer).filter(|_| (layer.len() / 512).is_multiple_of(2));
            let known = || match &opened {
                Some(image) => Source::from(image),
                None => Source::from(&reader).with_limits(limits.clone()),
            };
            let sought = to_rafs_directory(known(), &output.join("known"), &rafs(2));
            check_rafs(&sought, &output.join("known"), expected);
            let stargz = [
                to_stargz(streaming(), &stargz_options(2)),
                to_stargz(known(), &stargz_options(1)),
            ];
            compare_stargz(&stargz, opened.is_some(), expected);
            check_tar(&reader, expected);
        }
        Err(error) => assert!(
            matches!(error.fault(), Fault::Limit | Fault::Corrupt),
            "an open layer has no digest: {error:?}"
        ),
    }
}

/// The layer, found by its content, if that is a layer and nothing else.
fn open(layer: &[u8]) -> Option<OpenImage> {
    let layer = Arc::new(Memory(layer.to_vec()));
    let opened = open_source(layer, None, NoBlobs, &open_options(false, true));
    opened.ok().filter(|image| image.tree().is_some())
}

/// With one thread the plain form; with two, blobs that hold the bootstrap.
fn rafs(threads: usize) -> RafsOptions {
    RafsOptions::default()
        .compression(Compression::Lz4Block)
        .chunk_size(4096)
        .threads(threads)
        .toc(threads > 1)
        .inline_meta(threads > 1)
}

pub(super) fn stargz_options(threads: usize) -> EstargzOptions {
    EstargzOptions::default()
        .compression(Compression::Gzip { level: 1 })
        .chunk_size(4096)
        .threads(threads)
}

fn digest_options() -> TreeDigestOptions {
    TreeDigestOptions::default()
        .profile(Profile::Layer)
        .limits(Limits::small())
}

fn compare_stargz(
    converted: &[Result<(Bytes, EstargzReport), ConvertError>; 2],
    same_order: bool,
    expected: TreeDigest,
) {
    match converted {
        [Ok(streamed), Ok(known)] => {
            check_estargz(&streamed.0, &streamed.1, expected);
            match same_order {
                true => assert!(streamed == known, "it depends on the source"),
                false => check_estargz(&known.0, &known.1, expected),
            }
        }
        [Err(streamed), Err(known)] => {
            check_refusal(streamed);
            check_refusal(known);
        }
        [streamed, known] => panic!("it depends on the source: {streamed:?}, {known:?}"),
    }
}

/// Compressed otherwise the layer is the same tar.
fn recompressed(layer: &[u8], plain: &dyn ReadAt) {
    let compression = match layer.len() / 512 % 3 {
        0 => Compression::None,
        1 => Compression::Gzip { level: 1 },
        _ => Compression::Zstd { level: 1 },
    };
    let options = TarOptions::default()
        .compression(compression)
        .threads(1 + layer.len() / 512 % 2);
    let source = Streaming::new(layer).limits(Limits::small());
    let recompress = into_layer(|output| recompress(source, output, &options, &mut ()));
    let (out, report) = recompress.expect("an open layer is read to its end");
    let mut stream =
        LayerStream::open(&out[..], &Default::default()).expect("it was written by us");
    let mut found = Vec::new();
    stream
        .read_to_end(&mut found)
        .expect("it was written by us");
    let mut expected = vec![0; plain.len().expect("it is in memory") as usize];
    plain.read_at(0, &mut expected).expect("it is in memory");
    assert!(found == expected, "it is another tar");
    assert_eq!(verify::sha256(&found), report.diff_id);
}
