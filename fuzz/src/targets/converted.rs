//! What was converted is the same tree.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::convert::{ConvertError, EstargzReport, TarOptions, to_tar};
use lazyoci::estargz_toc::compare::{CompareOptions, compare};
use lazyoci::model::{Blame, BlobId, DigestAlgorithm, Fault, Image};
use lazyoci::read::{
    BlobStore, Format, Frames, LayerImage, LayerImageOptions, OpenImage, OpenOptions, ReadOptions,
    open, open_source,
};
use lazyoci::verify::{self, AuditFault, FrameSource, Profile, TreeDigest};

use super::memory::Memory;
use super::open_image::Same;

/// A sound image may be refused for what its target cannot carry, and for its size.
pub(super) fn check_refusal(error: &ConvertError) {
    let allowed = matches!(error.fault(), Fault::Unsupported | Fault::Limit);
    assert!(allowed, "a sound image cannot be converted: {error:?}");
}

/// The directory that was made of a sound image of this digest, if one was made.
pub(super) fn check_rafs<T>(
    converted: &Result<T, ConvertError>,
    output: &Path,
    expected: TreeDigest,
) -> Option<OpenImage> {
    if let Err(error) = converted {
        check_refusal(error);
        assert!(!output.exists(), "nothing is left of a failed conversion");
        return None;
    }
    let beside = open_rafs(&output.join("image.boot"), expected);
    for blob in fs::read_dir(output.join("blobs")).into_iter().flatten() {
        let blob = blob.expect("it was written by us").path();
        // Most hold no bootstrap.
        let bytes = fs::read(&blob).expect("it was written by us");
        if Format::detect(&bytes, &bytes) == Some(Format::RafsBlob) {
            open_rafs(&blob, expected);
        }
    }
    Some(beside)
}

fn open_rafs(path: &Path, expected: TreeDigest) -> OpenImage {
    let image = open(path, &OpenOptions::default()).expect("it was written by us");
    let bootstrap = image.bootstrap().expect("it is one");
    bootstrap.check(&mut |finding| panic!("wrong: {finding}"));
    assert_eq!(digest(&image), expected);
    image
}

fn digest(image: &OpenImage) -> TreeDigest {
    verify::tree_digest(image.image(), &mut image.frames(), Profile::Layer, &mut ())
        .expect("it was written by us")
}

/// The layer that was made of an image of this digest.
pub(super) fn check_estargz(blob: &[u8], report: &EstargzReport, expected: TreeDigest) {
    let source = Memory(blob.to_vec());
    let id = BlobId::new(b"fuzz").expect("it is a name");
    let image = |as_layer| {
        let options = OpenOptions::default().as_layer(as_layer);
        let shared: Arc<dyn ReadAt> = Arc::new(source.clone());
        open_source(shared, Some(&id), Same(source.clone()), &options)
            .expect("it was written by us")
    };
    // TOC and landmark are files then.
    image(true);
    let image = image(false);
    assert_eq!(image.format(), Format::Estargz);
    let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
    let limits = OpenOptions::default().limits;
    verify::audit(image.image(), &mut image.frames(), &limits, &mut tell).expect("nobody cancels");
    let toc = &image.estargz().expect("it is eStargz").toc;
    toc.check_landmarks(&mut image.frames())
        .expect("they are where they were written");
    let mut disagree = |found| panic!("{found}");
    compare(toc, blob, &CompareOptions::default(), &mut disagree).expect("it was written by us");
    assert_eq!(digest(&image), expected);
    let digest = verify::digest(DigestAlgorithm::Sha256, blob).expect("SHA-256 is always there");
    assert_eq!(digest, report.blob.digest);
    assert_eq!(report.blob.len, blob.len() as u64);
}

/// Writes the image of this digest as a tar, and reads that.
pub(super) fn check_tar(image: &dyn Image, frames: &mut dyn FrameSource, expected: TreeDigest) {
    let options = TarOptions {
        threads: 1,
        ..TarOptions::default()
    };
    let mut tar = Vec::new();
    if let Err(error) = to_tar(image, frames, &mut tar, &options, &mut ()) {
        return check_refusal(&error);
    }
    let LayerImage { image, source, .. } =
        LayerImage::open(Arc::new(Memory(tar)), &LayerImageOptions::default())
            .expect("it was written by us");
    let store = BlobStore::single(source);
    let mut frames = Frames::new(&image, &store, ReadOptions::default());
    let found = verify::tree_digest(&image, &mut frames, Profile::Layer, &mut ());
    assert_eq!(found.expect("it was written by us"), expected);
}
