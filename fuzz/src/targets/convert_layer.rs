//! Layers to RAFS v6, eStargz and tar, whole.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::convert::{
    ConvertError, EstargzOptions, EstargzReport, RafsOptions, Seekable, Source, Streaming,
    TarOptions, to_estargz, to_rafs_v6, to_tar,
};
use lazyoci::frame_codec::Compression;
use lazyoci::model::{Blame, Blob, BlobId, BlobIndex, DigestAlgorithm, Fault, Image, Limits};
use lazyoci::read::{
    BlobStore, Format, Frames, LayerImage, LayerImageOptions, OpenBlob, OpenOptions, ReadOptions,
    StoreError, open, open_source,
};
use lazyoci::verify::{self, AuditFault, FrameSource, Profile, TreeDigest, TreeDigestOptions};

use super::memory::Memory;
use super::tar::repair_checksums;

/// Takes the bytes, with the checksums of tar headers made right, as a layer; what can be read is
/// converted, streaming and seekable, with one thread and two, and must be the same tree.
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
            let stargz = to_stargz(Streaming::new(&layer[..]).limits(limits), 1);
            assert!(stargz.is_err(), "what cannot be opened was converted");
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
            let seekable = || Seekable::tar(&image, &*source).limits(limits.clone());
            let sought = to_rafs_v6(seekable(), &output.join("sought"), &rafs(2), &mut ());
            compare(&sought, &output.join("sought"), expected);
            let stargz = [
                to_stargz(Streaming::new(&layer[..]).limits(limits.clone()), 2),
                to_stargz(seekable(), 1),
            ];
            compare_stargz(&stargz, expected);
            compare_tar(&image, &mut frames, expected);
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

fn to_stargz<'a>(
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
    let (blob, report) = match converted {
        [Ok(streamed), Ok(sought)] => {
            assert!(streamed == sought, "streaming and seekable differ");
            streamed
        }
        [Err(streamed), Err(sought)] => {
            for error in [streamed, sought] {
                let allowed = matches!(error.fault(), Fault::Unsupported | Fault::Limit);
                assert!(allowed, "an open layer cannot be converted: {error:?}");
            }
            return;
        }
        [streamed, sought] => panic!("streaming and seekable differ: {streamed:?}, {sought:?}"),
    };
    for as_layer in [false, true] {
        let options = OpenOptions {
            as_layer,
            ..OpenOptions::default()
        };
        let source: Arc<dyn ReadAt> = Arc::new(Memory(blob.clone()));
        let id = BlobId::new(b"fuzz").expect("it is a name");
        let image = open_source(source.clone(), Some(&id), Same(source), &options)
            .expect("it was written by us");
        if as_layer {
            // TOC and landmark are files then.
            continue;
        }
        assert_eq!(image.format(), Format::Estargz);
        let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
        verify::audit(
            image.image(),
            &mut image.frames(),
            &options.limits,
            &mut tell,
        )
        .expect("nobody cancels");
        let found =
            verify::tree_digest(image.image(), &mut image.frames(), Profile::Layer, &mut ());
        assert_eq!(found.expect("it was written by us"), expected);
    }
    let digest = verify::digest(DigestAlgorithm::Sha256, blob).expect("SHA-256 is always there");
    assert_eq!(digest, report.blob.digest);
    assert_eq!(report.blob.len, blob.len() as u64);
}

/// Opens every blob as the one there is.
struct Same(Arc<dyn ReadAt>);

impl OpenBlob for Same {
    fn open_blob(&self, _: BlobIndex, _: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(self.0.clone())
    }
}

fn compare_tar(image: &dyn Image, frames: &mut dyn FrameSource, expected: TreeDigest) {
    let options = TarOptions {
        threads: 1,
        ..TarOptions::default()
    };
    let mut tar = Vec::new();
    if let Err(error) = to_tar(image, frames, &mut tar, &options, &mut ()) {
        assert_eq!(error.fault(), Fault::Unsupported, "{error:?}");
        return;
    }
    let LayerImage { image, source, .. } =
        LayerImage::open(Arc::new(Memory(tar)), &LayerImageOptions::default())
            .expect("it was written by us");
    let store = BlobStore::single(source);
    let mut frames = Frames::new(&image, &store, ReadOptions::default());
    let found = verify::tree_digest(&image, &mut frames, digest_options(), &mut ());
    assert_eq!(found.expect("it was written by us"), expected);
}
