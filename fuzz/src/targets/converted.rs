//! What was converted is the same tree.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lazyoci::blob_io::bytes::Bytes;
use lazyoci::blob_io::{DirectoryOutput, MemoryOutput, ObjectRole, Output};
use lazyoci::convert::{
    ConvertError, DescribedObject, EstargzOptions, EstargzReport, RafsOptions, RafsReport, Source,
    TarOptions, to_estargz, to_rafs, to_tar,
};
use lazyoci::model::{Blame, DigestAlgorithm, Fault};
use lazyoci::read::{
    Finding, Format, LayerImage, LayerImageOptions, NoBlobs, OpenImage, OpenOptions, SharedImage,
    VerifyOptions, open, open_source,
};
use lazyoci::verify::{self, Profile, TreeDigest};

use super::reading::reader;

/// A sound image may be refused for what its target cannot carry, and for its size.
pub(super) fn check_refusal(error: &ConvertError) {
    let allowed = matches!(error.fault(), Fault::Unsupported | Fault::Limit);
    assert!(allowed, "a sound image cannot be converted: {error:?}");
}

/// Converts to a new directory, of which nothing is left if that fails.
pub(super) fn to_rafs_directory<'a>(
    source: impl Into<Source<'a>>,
    output: &Path,
    options: &RafsOptions,
) -> Result<RafsReport, ConvertError> {
    let mut directory = DirectoryOutput::create(output).expect("nothing is there");
    let converted = to_rafs(source, &mut directory, options, &mut ());
    drop(directory);
    assert_eq!(output.exists(), converted.is_ok());
    converted
}

/// Converts to a layer in memory, which is empty if that fails.
pub(super) fn to_stargz<'a>(
    source: impl Into<Source<'a>>,
    options: &EstargzOptions,
) -> Result<(Bytes, EstargzReport), ConvertError> {
    into_layer(|output| to_estargz(source, output, options, &mut ()))
}

/// What a conversion writes as a layer.
pub(super) fn into_layer<T>(
    convert: impl FnOnce(&mut dyn Output) -> Result<T, ConvertError>,
) -> Result<(Bytes, T), ConvertError> {
    let mut output = MemoryOutput::default();
    let converted = convert(&mut output);
    let layer = output.object(ObjectRole::Layer);
    assert_eq!(layer.is_some(), converted.is_ok());
    let layer = layer.map(|layer| layer.bytes.clone());
    Ok((layer.unwrap_or_default(), converted?))
}

/// The directory that was made of a sound image of this digest, if one was made.
pub(super) fn check_rafs(
    converted: &Result<RafsReport, ConvertError>,
    output: &Path,
    expected: TreeDigest,
) -> Option<OpenImage> {
    let report = match converted {
        Ok(report) => report,
        Err(error) => {
            check_refusal(error);
            return None;
        }
    };
    let beside = open_rafs(&output.join("image.boot"), expected);
    verify_all(&beside, &report.bootstrap);
    let mut blobs = report.blobs.iter();
    for blob in fs::read_dir(output.join("blobs")).into_iter().flatten() {
        let blob = blob.expect("it was written by us").path();
        let bytes = fs::read(&blob).expect("it was written by us");
        let reported = blobs.next().expect("it is reported");
        check_written(&bytes, &reported.object);
        // Most hold no bootstrap.
        if Format::detect(&bytes, &bytes) == Some(Format::RafsBlob) {
            let inlined = open_rafs(&blob, expected);
            verify_all(&inlined, &reported.object);
        }
    }
    assert_eq!(blobs.next(), None, "what is reported is there");
    Some(beside)
}

fn open_rafs(path: &Path, expected: TreeDigest) -> OpenImage {
    let image = open(path, &OpenOptions::default()).expect("it was written by us");
    image.bootstrap().expect("it is one");
    assert_eq!(digest(&image), expected);
    image
}

/// Nothing is wrong with the image, and the file has the digest that was reported.
fn verify_all(image: &OpenImage, written: &DescribedObject) {
    let options = VerifyOptions::default().expect(written.digest).threads(1);
    let mut tell = |found: Finding| panic!("{found}");
    let summary = image.verify(&options, &mut (), &mut tell);
    assert!(summary.expect("nobody cancels").is_sound());
}

fn check_written(bytes: &[u8], written: &DescribedObject) {
    let digest = verify::digest(DigestAlgorithm::Sha256, bytes).expect("SHA-256 is always there");
    assert_eq!(digest, written.digest);
    assert_eq!(bytes.len() as u64, written.len);
}

fn digest(image: &OpenImage) -> TreeDigest {
    let digest = image.tree_digest(Profile::Layer, &mut ());
    digest.expect("it was written by us")
}

/// The layer that was made of an image of this digest.
pub(super) fn check_estargz(blob: &Bytes, report: &EstargzReport, expected: TreeDigest) {
    let image = |as_layer| {
        let options = OpenOptions::default().as_layer(as_layer);
        open_source(Arc::new(blob.clone()), None, NoBlobs, &options).expect("it was written by us")
    };
    // TOC and landmark are files then.
    image(true);
    let image = image(false);
    assert_eq!(image.format(), Format::Estargz);
    verify_all(&image, &report.blob);
    let toc = &image.estargz().expect("it is eStargz").toc;
    assert_eq!(toc.digest, report.toc_digest);
    assert_eq!(digest(&image), expected);
    check_written(blob, &report.blob);
}

/// Writes the image of this digest as a tar, and reads that.
pub(super) fn check_tar<'a>(source: impl Into<Source<'a>>, expected: TreeDigest) {
    let options = TarOptions::default().threads(1);
    let written = into_layer(|output| to_tar(source, output, &options, &mut ()));
    let (tar, report) = match written {
        Ok(written) => written,
        Err(error) => return check_refusal(&error),
    };
    check_written(&tar, &report.blob);
    assert_eq!(report.diff_id, report.blob.digest);
    let opened = LayerImage::open(Arc::new(tar), &LayerImageOptions::default());
    let LayerImage { image, source, .. } = opened.expect("it was written by us");
    let image: SharedImage = Arc::new(image);
    let found = verify::tree_digest(
        &*image,
        &mut reader(&image, source),
        Profile::Layer,
        &mut (),
    );
    assert_eq!(found.expect("it was written by us"), expected);
}
