//! Multi-platform images, and recognition of earlier conversions.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use image_model::Progress;
use lazyoci_image_transcode::before::{CONVERSION, SOURCE_DIGEST};
use lazyoci_image_transcode::convert::{EstargzOptions, RafsOptions};
use lazyoci_image_transcode::oci_image::{Descriptor, Family, Index, MediaType, nydus};
use lazyoci_image_transcode::store::{
    ImageStore, ImageTarget as _, Layout, LayoutWriter, fetch, put_bytes, put_document, resolve_all,
};
use lazyoci_image_transcode::{
    ImageFormat, TranscodeError, TranscodeOptions, Transcoded, made_before, transcode,
};

use crate::support::*;

/// A layout with an index of two images and an attestation.
pub(crate) fn two_platforms(directory: &Path) {
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let (_, image) = source_with(directory, |config| config.replace("amd64", architecture));
        let mut listed = image.descriptor.clone();
        listed.annotations = Default::default();
        listed.platform = image.config.map(|config| config.platform());
        manifests.push(listed);
    }
    let layout = LayoutWriter::open(directory).unwrap();
    let media_type = MediaType::Manifest(Family::Oci);
    let mut attestation = put_bytes(&layout, media_type, b"{}").unwrap();
    attestation.platform = Some("unknown/unknown".parse().unwrap());
    manifests.push(attestation);
    let index = Index::new(manifests);
    let index = put_document(&layout, MediaType::Index(Family::Oci), &index).unwrap();
    layout.publish(Some(NAME), &index).unwrap();
}

fn all(from: &Path, to: &Path, options: &TranscodeOptions) -> Result<Transcoded, TranscodeError> {
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(from).unwrap());
    let images = resolve_all(&*store, Some(NAME)).unwrap();
    let target = LayoutWriter::open(to).unwrap();
    transcode(&images, &store, &target, Some(NAME), options, &mut ())
}

fn before(from: &Path, to: &Path, options: &TranscodeOptions) -> Option<Transcoded> {
    let store = Layout::open(from).unwrap();
    let images = resolve_all(&store, Some(NAME)).unwrap();
    let target = LayoutWriter::open(to).unwrap();
    made_before(&images, &target, Some(NAME), options).unwrap()
}

/// The index named `v1`.
fn index(directory: &Path) -> Index {
    let layout = Layout::open(directory).unwrap();
    let mut named = layout.index().manifests.iter();
    let found = named.find(|image| image.is_called(NAME)).unwrap();
    serde_json::from_slice(&fetch(&layout, found).unwrap()).unwrap()
}

fn platforms(manifests: &[Descriptor]) -> Vec<String> {
    let platforms = manifests.iter().map(|image| image.platform.as_ref());
    platforms
        .map(|platform| platform.unwrap().to_string())
        .collect()
}

fn nydus_options() -> TranscodeOptions {
    TranscodeOptions::new(ImageFormat::Nydus(RafsOptions::default()))
}

#[test]
fn an_index_becomes_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    two_platforms(&from);
    let estargz = TranscodeOptions::new(ImageFormat::Estargz(EstargzOptions::default()));
    let done = all(&from, &to, &estargz).unwrap();
    let made = index(&to).manifests;
    let images: Vec<_> = done
        .images
        .iter()
        .map(|image| image.image.clone())
        .collect();
    assert_eq!(made, images);
    assert_eq!(platforms(&made), ["linux/amd64", "linux/arm64"]);
    let left_out = done.left_out.iter().map(|one| one.platform.as_ref());
    let left_out: Vec<_> = left_out.map(|one| one.unwrap().to_string()).collect();
    assert_eq!(left_out, ["unknown/unknown"]);
    // Including the one for another platform than this machine's.
    for platform in ["linux/amd64", "linux/arm64"] {
        let layout: Arc<dyn ImageStore> = Arc::new(Layout::open(&to).unwrap());
        let platform = platform.parse().unwrap();
        let image = lazyoci_image_transcode::store::resolve(&*layout, Some(NAME), Some(&platform));
        let image = image.unwrap();
        let (_, expected) = source(&directory.path().join("c"));
        assert_eq!(
            image.config.as_ref().unwrap().rootfs.diff_ids.len(),
            expected.manifest.layers.len()
        );
        assert_eq!(
            digest(&(layout, image)),
            digest(&find(&directory.path().join("c")))
        );
    }
}

#[test]
fn the_original_comes_first_and_nydus_has_a_name_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (_, original) = source(&from);
    let done = all(&from, &to, &nydus_options().keep_original(true)).unwrap();
    let listed = index(&to).manifests;
    assert_eq!(listed[0].digest, original.descriptor.digest);
    assert_eq!(listed[1].digest, done.images[0].image.digest);
    let features = |at: usize| listed[at].platform.as_ref().unwrap().os_features.clone();
    assert_eq!(listed.len(), 2);
    assert_eq!(features(0), [""; 0]);
    assert_eq!(features(1), [nydus::OS_FEATURE]);
    // Clients take the first one.
    assert_eq!(find(&to).1.descriptor.digest, original.descriptor.digest);
    let layout = Layout::open(&to).unwrap();
    let own = lazyoci_image_transcode::store::resolve(&layout, Some("v1-nydus"), None).unwrap();
    assert_eq!(own.descriptor.digest, done.images[0].image.digest);
    // Converting the kept original again gives the same result.
    let again = directory.path().join("c");
    let done_again = all(&to, &again, &nydus_options()).unwrap();
    assert_eq!(
        done_again.images[0].image.digest,
        done.images[0].image.digest
    );
    assert_eq!(done_again.left_out[0].digest, done.images[0].image.digest);
}

#[test]
fn originals_of_several_platforms_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    two_platforms(&from);
    all(&from, &to, &nydus_options().keep_original(true)).unwrap();
    let listed = index(&to).manifests;
    let both = ["linux/amd64", "linux/arm64"];
    assert_eq!(platforms(&listed[..2]), both);
    assert_eq!(platforms(&listed[2..]), both);
    let layout = Layout::open(&to).unwrap();
    let names: Vec<_> = layout
        .index()
        .manifests
        .iter()
        .flat_map(Descriptor::name)
        .collect();
    assert_eq!(
        names,
        ["v1-nydus-linux-amd64", "v1-nydus-linux-arm64", "v1"]
    );
}

#[test]
fn what_nobody_would_take_is_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let options = TranscodeOptions::new(oci()).keep_original(true);
    let error = all(&from, &to, &options).unwrap_err();
    assert!(matches!(error, TranscodeError::KeepOriginal), "{error:?}");
    assert_eq!(fs::read_dir(to.join("blobs")).unwrap().count(), 0);
}

#[test]
fn what_was_made_before_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("a");
    source(&from);
    let several = directory.path().join("several");
    two_platforms(&several);
    let zstd = ImageFormat::Nydus(RafsOptions::default().threads(3));
    for (at, (from, options)) in [
        (&from, nydus_options()),
        (&from, nydus_options().keep_original(true)),
        (&several, TranscodeOptions::new(oci())),
        (&several, nydus_options().keep_original(true)),
    ]
    .into_iter()
    .enumerate()
    {
        let to = directory.path().join(at.to_string());
        assert_eq!(before(from, &to, &options), None);
        let done = all(from, &to, &options).unwrap();
        let found = before(from, &to, &options).unwrap();
        assert_eq!(found.published.digest, done.published.digest);
        assert!(found.made_before && !done.made_before);
        let layers = |done: &Transcoded| {
            let layers = done.images.iter().flat_map(|image| &image.layers);
            let layers = layers.map(|layer| (layer.descriptor.clone(), layer.diff_id.clone()));
            layers.collect::<Vec<_>>()
        };
        assert_eq!(layers(&found), layers(&done));
    }
    // The number of threads does not matter, other options do.
    let to = directory.path().join("0");
    assert!(before(&from, &to, &TranscodeOptions::new(zstd)).is_some());
    let other = RafsOptions::default().chunk_size(1 << 16);
    let other = TranscodeOptions::new(ImageFormat::Nydus(other));
    assert_eq!(before(&from, &to, &other), None);
    assert_eq!(
        before(&from, &to, &nydus_options().keep_original(true)),
        None
    );
    // So does the source.
    assert_eq!(before(&several, &to, &nydus_options()), None);
}

#[test]
fn what_is_not_complete_any_more_was_not_made_before() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let done = all(&from, &to, &nydus_options()).unwrap();
    let text = |key| done.images[0].manifest.annotations.text(key);
    assert!(
        text(CONVERSION)
            .unwrap()
            .starts_with(env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(text(SOURCE_DIGEST), Some(&*find(&from).1.descriptor.digest));
    for object in [
        &done.images[0].layers[0].descriptor.digest,
        &done.images[0].manifest.config.digest,
        &done.published.digest,
    ] {
        let path = to.join("blobs/sha256").join(&object["sha256:".len()..]);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(before(&from, &to, &nydus_options()), None);
        fs::write(&path, bytes).unwrap();
    }
    assert!(before(&from, &to, &nydus_options()).is_some());
}

/// Cancels immediately.
struct Stop;

impl Progress for Stop {
    fn advance(&mut self, _: u64, _: Option<u64>) -> Result<(), image_model::Cancelled> {
        Err(image_model::Cancelled)
    }
}

#[test]
fn one_image_that_fails_leaves_the_name_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    two_platforms(&from);
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(&from).unwrap());
    let images = resolve_all(&*store, Some(NAME)).unwrap();
    let target = LayoutWriter::open(&to).unwrap();
    let options = nydus_options().keep_original(true);
    transcode(&images, &store, &target, Some(NAME), &options, &mut Stop).unwrap_err();
    assert_eq!(Layout::open(&to).unwrap().index().manifests, []);
}
