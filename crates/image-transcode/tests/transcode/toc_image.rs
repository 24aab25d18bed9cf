//! Images with external TOCs, and the images that hold these.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use image_model::{Blame as _, Fault};
use image_read::{Format, OpenOptions};
use lazyoci_image_transcode::convert::EstargzOptions;
use lazyoci_image_transcode::oci_image::{EstargzLayer, ExternalToc, Manifest};
use lazyoci_image_transcode::store::{
    ImageStore, ImageTarget as _, Layout, LayoutWriter, TocImage, fetch, resolve, resolve_all,
};
use lazyoci_image_transcode::{
    ImageFormat, TranscodeError, TranscodeOptions, Transcoded, made_before, transcode,
};

use crate::platforms::two_platforms;
use crate::support::*;

fn external() -> EstargzOptions {
    EstargzOptions::default().external_toc(true)
}

fn options() -> TranscodeOptions {
    TranscodeOptions::new(ImageFormat::Estargz(external()))
}

fn convert(
    from: &Path,
    to: &Path,
    name: Option<&str>,
    options: &TranscodeOptions,
) -> Result<Transcoded, TranscodeError> {
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(from).unwrap());
    let images = resolve_all(&*store, Some(NAME)).unwrap();
    let target = LayoutWriter::open(to).unwrap();
    transcode(&images, &store, &target, name, options, &mut ())
}

fn before(from: &Path, to: &Path, options: &TranscodeOptions) -> Option<Transcoded> {
    let images = resolve_all(&Layout::open(from).unwrap(), Some(NAME)).unwrap();
    let target = LayoutWriter::open(to).unwrap();
    made_before(&images, &target, Some(NAME), options).unwrap()
}

/// The image with the TOCs.
fn tocs(directory: &Path) -> TocImage {
    let layout = Layout::open(directory).unwrap();
    TocImage::find(&layout, Some(NAME)).unwrap().unwrap()
}

/// Of each layer with an external TOC, its digest and that of the TOC's JSON.
fn described(done: &Transcoded) -> BTreeMap<String, EstargzLayer> {
    let layers = done.images.iter().flat_map(|image| &image.layers);
    let with_toc = layers.filter(|layer| layer.toc.is_some());
    let described = with_toc.map(|layer| {
        let annotations = &layer.descriptor.annotations;
        let estargz = EstargzLayer::read(annotations).unwrap().unwrap();
        (layer.descriptor.digest.clone(), estargz)
    });
    described.collect()
}

#[test]
fn the_tocs_of_an_image_are_an_image_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let expected = digest(&source(&from));
    let done = convert(&from, &to, Some(NAME), &options()).unwrap();
    let layout = Layout::open(&to).unwrap();
    let names: Vec<_> = layout
        .index()
        .manifests
        .iter()
        .map(|image| image.name())
        .collect();
    assert_eq!(names, [Some("v1-esgztoc"), Some("v1")]);
    let image = tocs(&to);
    assert_eq!(
        Some(&image.descriptor.digest),
        done.toc_image.as_ref().map(|image| &image.digest)
    );
    assert_eq!(&fetch(&layout, &image.manifest.config).unwrap()[..], b"{}");
    // One layer has a link into a lower one, and stays plain; two are the same.
    let layers = described(&done);
    assert_eq!((done.images[0].layers.len(), layers.len()), (4, 2));
    let listed = image.manifest.layers.iter();
    let of = listed.map(|toc| ExternalToc::read(&toc.annotations).unwrap().unwrap());
    let mut of: Vec<_> = of.map(|toc| toc.layer.to_string()).collect();
    of.sort();
    assert!(of.iter().eq(layers.keys()), "{of:?}");
    let digests = image.manifest.layers.iter().map(|toc| &toc.digest);
    assert!(digests.is_sorted());
    let listed: Vec<_> = image.manifest.layers.iter().collect();
    let mut told: Vec<_> = done.images[0]
        .layers
        .iter()
        .filter_map(|layer| layer.toc.as_ref())
        .collect();
    told.sort_by(|a, b| a.digest.cmp(&b.digest));
    told.dedup();
    assert_eq!(listed, told);
    // Found by the name of the image, also if that is the only one.
    for name in [Some(NAME), None] {
        let store: Arc<dyn ImageStore> = Arc::new(Layout::open(&to).unwrap());
        let image = resolve(&*store, name, None).unwrap();
        assert_eq!(image.descriptor.digest, done.images[0].image.digest);
        for position in [0, 2, 3] {
            let layer = image
                .open_layer(&*store, position, &OpenOptions::default())
                .unwrap();
            assert_eq!(layer.format(), Format::ExternalToc);
            let expected = layers[&image.manifest.layers[position].digest].toc_digest;
            assert_eq!(layer.estargz().unwrap().toc.digest, expected);
        }
        assert_eq!(digest(&(store, image)), expected);
    }
}

/// Neither threads nor the order in which layers are converted show.
#[test]
fn the_same_layers_give_the_same_image_of_tocs() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("a");
    source(&from);
    let mut made = Vec::new();
    for (threads, at_once) in [(1, 1), (3, 4)] {
        let to = directory.path().join(threads.to_string());
        let options = TranscodeOptions::new(ImageFormat::Estargz(external().threads(threads)));
        let options = options.layers_at_once(at_once);
        let done = convert(&from, &to, Some(NAME), &options).unwrap();
        made.push((done.published, done.toc_image));
    }
    assert_eq!(made[0], made[1]);
}

#[test]
fn one_image_holds_the_tocs_of_all_platforms() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    two_platforms(&from);
    let done = convert(&from, &to, Some(NAME), &options()).unwrap();
    assert_eq!(done.images.len(), 2);
    assert_eq!(tocs(&to).manifest.layers.len(), described(&done).len());
    for platform in ["linux/amd64", "linux/arm64"] {
        let store: Arc<dyn ImageStore> = Arc::new(Layout::open(&to).unwrap());
        let platform = platform.parse().unwrap();
        let image = resolve(&*store, Some(NAME), Some(&platform)).unwrap();
        let layer = image.open_layer(&*store, 0, &OpenOptions::default());
        assert_eq!(layer.unwrap().format(), Format::ExternalToc);
    }
    assert!(before(&from, &to, &options()).is_some());
}

#[test]
fn an_image_was_made_before_with_all_of_its_tocs() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let done = convert(&from, &to, Some(NAME), &options()).unwrap();
    let found = before(&from, &to, &options()).unwrap();
    assert_eq!(found.toc_image, done.toc_image);
    let layers = |done: &Transcoded| {
        let layers = done.images.iter().flat_map(|image| &image.layers);
        let layers = layers.map(|layer| (layer.descriptor.clone(), layer.toc.clone()));
        layers.collect::<Vec<_>>()
    };
    assert_eq!(layers(&found), layers(&done));
    // Another kind of image with the same name.
    let inline = TranscodeOptions::new(ImageFormat::Estargz(EstargzOptions::default()));
    assert_eq!(before(&from, &to, &inline), None);
    let manifest = tocs(&to).manifest;
    for digest in [
        &manifest.layers[1].digest,
        &manifest.config.digest,
        &done.toc_image.as_ref().unwrap().digest,
    ] {
        let path = to.join("blobs/sha256").join(&digest["sha256:".len()..]);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(before(&from, &to, &options()), None);
        fs::write(&path, bytes).unwrap();
    }
    assert!(before(&from, &to, &options()).is_some());
    // The name means other TOCs.
    let target = LayoutWriter::open(&to).unwrap();
    let others = Manifest::new(manifest.config, vec![manifest.layers[0].clone()]);
    let media_type = done.toc_image.as_ref().unwrap().parse_media_type().unwrap();
    let others = lazyoci_image_transcode::store::put_document(&target, media_type, &others);
    target
        .publish(Some("v1-esgztoc"), &others.unwrap())
        .unwrap();
    assert_eq!(before(&from, &to, &options()), None);
}

#[test]
fn without_a_name_nobody_would_find_the_tocs() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    let error = convert(&from, &to, None, &options()).unwrap_err();
    assert!(matches!(error, TranscodeError::NoName), "{error:?}");
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(Layout::open(&to).unwrap().index().manifests, []);
}

#[test]
fn tars_that_are_kept_keep_their_diff_ids() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (_, image) = source(&from);
    let lossless = ImageFormat::Estargz(external().lossless(true));
    let lossless = TranscodeOptions::new(lossless);
    let done = convert(&from, &to, Some(NAME), &lossless).unwrap();
    let diff_ids: Vec<_> = done.images[0]
        .layers
        .iter()
        .map(|layer| layer.diff_id.clone())
        .collect();
    assert_eq!(diff_ids, image.config.unwrap().rootfs.diff_ids);
    assert_eq!(described(&done).len(), tocs(&to).manifest.layers.len());
    assert_eq!(digest(&find(&to)), digest(&find(&from)));
}

/// As a layer of its own kind if the TOC is found, else as the plain layer that it also is, with its landmark.
#[test]
fn layers_with_external_tocs_are_converted_by_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let expected = digest(&source(&at("a")));
    convert(&at("a"), &at("b"), Some(NAME), &options()).unwrap();
    make(&at("b"), &at("by-tocs"), oci()).unwrap();
    assert_eq!(digest(&find(&at("by-tocs"))), expected);
    let target = LayoutWriter::open(at("b")).unwrap();
    let (store, image) = find(&at("b"));
    target
        .publish(Some("v1-esgztoc"), &image.descriptor)
        .unwrap();
    drop(store);
    make(&at("b"), &at("plain"), oci()).unwrap();
    let (store, image) = find(&at("plain"));
    let opened = image.open(&store, &Default::default(), &mut ()).unwrap();
    assert_eq!(opened.read(".no.prefetch.landmark", 9).unwrap(), [15]);
}
