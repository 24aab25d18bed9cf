//! Layers to RAFS v6, eStargz and tar, whole.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::convert::{
    ConvertError, EstargzOptions, EstargzReport, RafsOptions, Seekable, Source, Streaming,
    TarOptions, recompress, to_estargz, to_rafs_v6,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blame, Fault, Limits};
use lazyoci::read::{BlobStore, Frames, LayerImage, LayerImageOptions, ReadOptions};
use lazyoci::tar_stream::LayerStream;
use lazyoci::verify::{self, Profile, TreeDigest, TreeDigestOptions};

use super::converted::{check_estargz, check_rafs, check_refusal, check_tar};
use super::memory::Memory;
use super::tar::repair_checksums;

/// Takes the bytes, with the checksums of tar headers made right, as a layer; what can be read is
/// converted, streaming and seekable, with one thread and two, and must be the same tree.
pub fn convert_layer(data: &[u8]) {
    let mut layer = data.to_vec();
    repair_checksums(&mut layer);
    let limits = Limits::small();
    let options = LayerImageOptions::default().limits(limits.clone());
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let output = directory.path();
    let streamed = Streaming::new(&layer[..]).limits(limits.clone());
    let streamed = to_rafs_v6(streamed, &output.join("streamed"), &rafs(1), &mut ());
    let opened = match LayerImage::open(Arc::new(Memory(layer.clone())), &options) {
        Ok(opened) => opened,
        Err(_) => {
            assert!(streamed.is_err(), "what cannot be opened was converted");
            let stargz = to_stargz(Streaming::new(&layer[..]).limits(limits), 1);
            assert!(stargz.is_err(), "what cannot be opened was converted");
            return;
        }
    };
    let LayerImage { image, source, .. } = opened;
    recompressed(&layer, &*source);
    let store = BlobStore::single(source.clone());
    let mut frames = Frames::new(&image, &store, ReadOptions::new(&limits));
    let expected = verify::tree_digest(&image, &mut frames, digest_options(), &mut ());
    match expected {
        Ok(expected) => {
            check_rafs(&streamed, &output.join("streamed"), expected);
            let seekable = || Seekable::tar(&image, &*source).limits(limits.clone());
            let sought = to_rafs_v6(seekable(), &output.join("sought"), &rafs(2), &mut ());
            check_rafs(&sought, &output.join("sought"), expected);
            let stargz = [
                to_stargz(Streaming::new(&layer[..]).limits(limits.clone()), 2),
                to_stargz(seekable(), 1),
            ];
            compare_stargz(&stargz, expected);
            check_tar(&image, &mut frames, expected);
        }
        Err(error) => assert!(
            matches!(error.fault(), Fault::Limit | Fault::Corrupt),
            "an open layer has no digest: {error:?}"
        ),
    }
}

/// With one thread the plain form; with two, blobs that hold the bootstrap.
fn rafs(threads: usize) -> RafsOptions {
    RafsOptions {
        compression: Compression::Lz4Block,
        chunk_size: 4096,
        threads,
        toc: threads > 1,
        inline_meta: threads > 1,
        ..RafsOptions::default()
    }
}

fn digest_options() -> TreeDigestOptions {
    TreeDigestOptions {
        profile: Profile::Layer,
        limits: Limits::small(),
    }
}

pub(super) fn to_stargz<'a>(
    source: impl Into<Source<'a>>,
    threads: usize,
) -> Result<(Vec<u8>, EstargzReport), ConvertError> {
    let options = EstargzOptions {
        compression: Compression::Gzip { level: 1 },
        chunk_size: NonZeroU32::new(4096).expect("it is not 0"),
        threads,
        ..EstargzOptions::default()
    };
    let mut layer = Vec::new();
    let report = to_estargz(source, &mut layer, &options, &mut ())?;
    Ok((layer, report))
}

fn compare_stargz(
    converted: &[Result<(Vec<u8>, EstargzReport), ConvertError>; 2],
    expected: TreeDigest,
) {
    match converted {
        [Ok(streamed), Ok(sought)] => {
            assert!(streamed == sought, "streaming and seekable differ");
            check_estargz(&streamed.0, &streamed.1, expected);
        }
        [Err(streamed), Err(sought)] => {
            check_refusal(streamed);
            check_refusal(sought);
        }
        [streamed, sought] => panic!("streaming and seekable differ: {streamed:?}, {sought:?}"),
    }
}

/// Compressed otherwise the layer is the same tar.
fn recompressed(layer: &[u8], plain: &dyn ReadAt) {
    let compression = match layer.len() / 512 % 3 {
        0 => Compression::None,
        1 => Compression::Gzip { level: 1 },
        _ => Compression::Zstd { level: 1 },
    };
    let options = TarOptions {
        compression,
        threads: 1 + layer.len() / 512 % 2,
        limits: Limits::small(),
        ..TarOptions::default()
    };
    let mut out = Vec::new();
    let source = Streaming::new(layer).limits(Limits::small());
    recompress(source, &mut out, &options, &mut ()).expect("an open layer is read to its end");
    let mut stream = LayerStream::open(&out[..], &Limits::default()).expect("it was written by us");
    let mut found = Vec::new();
    stream
        .read_to_end(&mut found)
        .expect("it was written by us");
    let mut expected = vec![0; plain.len().expect("it is in memory") as usize];
    plain.read_at(0, &mut expected).expect("it is in memory");
    assert!(found == expected, "it is another tar");
}
