//! Layers to RAFS v6, whole.

use std::path::Path;
use std::sync::Arc;

use lazyoci::convert::{ConvertError, RafsOptions, Seekable, Streaming, to_rafs_v6};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blame, Fault, Limits};
use lazyoci::read::{
    BlobStore, Frames, LayerImage, LayerImageOptions, OpenOptions, ReadOptions, open,
};
use lazyoci::verify::{self, Profile, TreeDigest, TreeDigestOptions};

use super::memory::Memory;
use super::tar::repair_checksums;

/// Takes the bytes, with the checksums of tar headers made right, as a layer; what can be read is
/// converted, streaming and seekable, and must be the same tree.
pub fn convert_layer(data: &[u8]) {
    let mut layer = data.to_vec();
    repair_checksums(&mut layer);
    let limits = Limits::small();
    let options = LayerImageOptions {
        limits: limits.clone(),
        ..LayerImageOptions::default()
    };
    let directory = tempfile::tempdir().expect("there is room for temporary files");
    let output = directory.path();
    let streamed = Streaming::new(&layer[..]).limits(limits.clone());
    let streamed = to_rafs_v6(streamed, &output.join("streamed"), &rafs(1), &mut ());
    let opened = match LayerImage::open(Arc::new(Memory(layer.clone())), &options) {
        Ok(opened) => opened,
        Err(_) => {
            assert!(streamed.is_err(), "what cannot be opened was converted");
            return;
        }
    };
    let LayerImage { image, source, .. } = opened;
    let store = BlobStore::single(source.clone());
    let mut frames = Frames::new(&image, &store, ReadOptions::new(&limits));
    let expected = verify::tree_digest(&image, &mut frames, digest_options(), &mut ());
    match expected {
        Ok(expected) => {
            compare(&streamed, &output.join("streamed"), expected);
            let seekable = Seekable::tar(&image, &*source).limits(limits);
            let sought = to_rafs_v6(seekable, &output.join("sought"), &rafs(2), &mut ());
            compare(&sought, &output.join("sought"), expected);
        }
        Err(error) => assert!(
            matches!(error.fault(), Fault::Limit | Fault::Corrupt),
            "an open layer has no digest: {error:?}"
        ),
    }
}

fn rafs(threads: usize) -> RafsOptions {
    RafsOptions {
        compression: Compression::Lz4Block,
        chunk_size: 4096,
        threads,
        ..RafsOptions::default()
    }
}

fn digest_options() -> TreeDigestOptions {
    TreeDigestOptions {
        profile: Profile::Layer,
        limits: Limits::small(),
    }
}

fn compare<T>(converted: &Result<T, ConvertError>, output: &Path, expected: TreeDigest) {
    match converted {
        Err(error) => {
            let allowed = matches!(error.fault(), Fault::Unsupported | Fault::Limit);
            assert!(allowed, "an open layer cannot be converted: {error:?}");
            assert!(!output.exists(), "nothing is left of a failed conversion");
        }
        Ok(_) => {
            let image = open(&output.join("image.boot"), &OpenOptions::default())
                .expect("it was written by us");
            let bootstrap = image.bootstrap().expect("it is one");
            bootstrap.check(&mut |finding| panic!("wrong: {finding}"));
            let found =
                verify::tree_digest(image.image(), &mut image.frames(), Profile::Layer, &mut ())
                    .expect("it was written by us");
            assert_eq!(found, expected);
        }
    }
}
