//! External TOCs, found in an image beside that of their layers.

use std::sync::Arc;

use image_model::{Digest, Limits};
use image_read::estargz_toc::footer::external;
use image_read::estargz_toc::open::OpenError as TocOpenError;
use image_read::{Format, OpenError, OpenImage, OpenOptions, read_toc};
use lazyoci_image_store::oci_image::{
    Descriptor, EstargzLayer, ExternalToc, Family, LayerCompression, LayerType, Manifest, MediaType,
};
use lazyoci_image_store::{
    DockerArchiveWriter, ImageStore, ImageStoreError, ImageTarget as _, Layout, Location, TocImage,
    put_bytes, put_document, resolve, resolve_all,
};
use verify::sha256;

use crate::support::Images;

const GZIP: MediaType = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));

/// A layer with an external TOC, and that.
pub(crate) fn layer_and_toc() -> (Vec<u8>, Vec<u8>, Digest) {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/vector1.esgz");
    let inline = bytes::Bytes::from(std::fs::read(golden).unwrap());
    let opened = read_toc(&inline, &Limits::default()).unwrap();
    let toc_offset = usize::try_from(opened.toc_offset).unwrap();
    let mut layer = inline[..toc_offset].to_vec();
    layer.extend(external::encode());
    let toc = inline[toc_offset..inline.len() - 51].to_vec();
    (layer, toc, opened.digest)
}

/// An image with such a layer, and the one with its TOC, which says that it is that of `of`.
fn images(of: impl FnOnce(&Descriptor) -> Digest, toc_digest: Option<Digest>) -> Images {
    let mut images = Images::new();
    let (layer, toc, found) = layer_and_toc();
    let mut layer = images.object(GZIP, &layer);
    EstargzLayer::new(toc_digest.unwrap_or(found)).write(&mut layer.annotations);
    let mut toc = images.object(GZIP, &toc);
    let of = ExternalToc { layer: of(&layer) };
    of.write(&mut toc.annotations);
    let config = images.object(MediaType::Config(Family::Oci), b"{}");
    let tocs = serde_json::to_vec(&Manifest::new(config, vec![toc])).unwrap();
    let tocs = images.object(MediaType::Manifest(Family::Oci), &tocs);
    let image = images.image(vec![layer]);
    images.name(tocs, "v1-esgztoc");
    images.name(image, "v1");
    images
}

fn of_it(layer: &Descriptor) -> Digest {
    layer.parse_digest().unwrap()
}

fn open(images: &Images, options: &OpenOptions) -> Result<OpenImage, ImageStoreError> {
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(images.path()).unwrap());
    resolve(&*store, Some("v1"), None)?.open(&store, options, &mut ())
}

/// The error of the only layer.
fn in_layer(opened: Result<OpenImage, ImageStoreError>) -> ImageStoreError {
    match opened.unwrap_err() {
        ImageStoreError::InLayer { layer: 0, source } => *source,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_layer_is_read_lazily_by_its_external_toc() {
    let images = images(of_it, None);
    let opened = open(&images, &OpenOptions::default()).unwrap();
    assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
    // As a plain layer it would have a landmark.
    assert!(opened.read(".no.prefetch.landmark", 10).is_err());
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(images.path()).unwrap());
    let image = resolve(&*store, Some("v1"), None).unwrap();
    let layer = image
        .open_layer(&*store, 0, &OpenOptions::default())
        .unwrap();
    assert_eq!(layer.format(), Format::ExternalToc);
    let lazily = image.open_layer_lazily(&*store, 0, &OpenOptions::default());
    assert_eq!(
        lazily.unwrap().map(|layer| layer.format()),
        Some(Format::ExternalToc)
    );
    let as_layer = OpenOptions::default().as_layer(true);
    assert!(
        image
            .open_layer_lazily(&*store, 0, &as_layer)
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_toc_of_another_layer_is_not_taken() {
    let images = images(|_| sha256(b""), None);
    let opened = open(&images, &OpenOptions::default()).unwrap();
    assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(images.path()).unwrap());
    let image = resolve(&*store, Some("v1"), None).unwrap();
    let error = image.open_layer(&*store, 0, &OpenOptions::default());
    let ImageStoreError::Open(OpenError::Estargz(error)) = in_layer(error) else {
        panic!("another error");
    };
    assert!(matches!(error, TocOpenError::External), "{error:?}");
    let lazily = image.open_layer_lazily(&*store, 0, &OpenOptions::default());
    assert!(lazily.unwrap().is_none());
}

#[test]
fn a_toc_that_the_annotations_do_not_vouch_for_is_refused() {
    let images = images(of_it, Some(sha256(b"")));
    let error = in_layer(open(&images, &OpenOptions::default()));
    assert!(
        matches!(error, ImageStoreError::Open(OpenError::Metadata(_))),
        "{error:?}"
    );
}

#[test]
fn a_toc_with_another_digest_than_listed_is_refused() {
    let images = images(of_it, None);
    let (_, toc, _) = layer_and_toc();
    let path = images.path().join("blobs/sha256").join(sha256(&toc).hex());
    let mut damaged = toc;
    damaged[30] ^= 1;
    std::fs::write(path, damaged).unwrap();
    let error = in_layer(open(&images, &OpenOptions::default()));
    assert!(matches!(error, ImageStoreError::Digest { .. }), "{error:?}");
}

#[test]
fn a_toc_above_the_limit_is_not_read() {
    let images = images(of_it, None);
    let (_, toc, _) = layer_and_toc();
    let limit = toc.len() as u64 - 1;
    let limits = Limits::default().max_toc_len(limit);
    let error = in_layer(open(&images, &OpenOptions::default().limits(limits)));
    let ImageStoreError::Open(OpenError::Limit { len, limit: found }) = error else {
        panic!("{error:?}");
    };
    assert_eq!((len, found), (toc.len() as u64, limit));
}

/// Its configuration is that of no image.
#[test]
fn an_image_of_tocs_is_none_that_runs() {
    let images = images(of_it, None);
    let layout = Layout::open(images.path()).unwrap();
    let tocs = resolve(&layout, Some("v1-esgztoc"), None).unwrap();
    assert_eq!(tocs.config, None);
    let found = resolve_all(&layout, Some("v1-esgztoc")).unwrap();
    assert_eq!((found.images.len(), found.others.len()), (0, 1));
    // Without a name the other one is meant.
    let image = resolve(&layout, None, None).unwrap();
    assert_eq!(image.name.as_deref(), Some("v1"));
    let found = TocImage::find(&layout, Some("v1")).unwrap().unwrap();
    assert_eq!(found.manifest, tocs.manifest);
    assert_eq!(TocImage::find(&layout, Some("v2")).unwrap(), None);
    assert_eq!(TocImage::find(&layout, None).unwrap(), None);
}

/// An index of images of TOCs, one for each platform, as stargz-snapshotter would read it.
#[test]
fn the_image_for_this_machine_is_taken_from_an_index() {
    let mut images = images(of_it, None);
    let mut tocs = images.index.manifests.remove(0);
    tocs.annotations = Default::default();
    tocs.platform = Some(lazyoci_image_store::oci_image::Platform::host());
    let index = images.index_of(vec![tocs]);
    images.name(index, "v1-esgztoc");
    let opened = open(&images, &OpenOptions::default()).unwrap();
    assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
    assert!(opened.stats().bytes < 400, "{:?}", opened.stats());
}

#[test]
fn a_docker_archive_has_no_tocs() {
    let directory = tempfile::tempdir().unwrap();
    let archive = DockerArchiveWriter::create(directory.path().join("a.tar")).unwrap();
    let (layer, toc, _) = layer_and_toc();
    let mut toc = put_bytes(&archive, GZIP, &toc).unwrap();
    let layer = sha256(&layer);
    ExternalToc { layer }.write(&mut toc.annotations);
    let config = put_bytes(&archive, MediaType::Config(Family::Oci), b"{}").unwrap();
    let manifest = Manifest::new(config, vec![toc]);
    let manifest = put_document(&archive, MediaType::Manifest(Family::Oci), &manifest).unwrap();
    let error = archive.publish(Some("v1"), &manifest).unwrap_err();
    assert!(
        matches!(error, ImageStoreError::TocsInDockerArchive),
        "{error:?}"
    );
}

/// The image and the one of its TOCs, as ctr-remote 0.14 made, called and exported them.
#[test]
fn the_images_of_ctr_remote_are_read_lazily() {
    let golden = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/goldens/vector-external.oci.tar"
    );
    let location = Location::parse(&format!("oci-archive:{golden}")).unwrap();
    let store = location.open(&Default::default()).unwrap();
    for name in ["out", "example.org/vector-external:out"] {
        let tocs = TocImage::find(&*store, Some(name)).unwrap().unwrap();
        assert!(TocImage::is_one(&tocs.manifest));
        let image = resolve(&*store, Some(name), None).unwrap();
        let [layer] = &image.manifest.layers[..] else {
            panic!("{:?}", image.manifest);
        };
        let toc_digest = EstargzLayer::read(&layer.annotations).unwrap().unwrap();
        let toc = tocs.toc_of(layer).unwrap();
        assert_eq!(toc.size, 469);
        let layer = image
            .open_layer(&*store, 0, &OpenOptions::default())
            .unwrap();
        assert_eq!(layer.format(), Format::ExternalToc);
        assert_eq!(layer.estargz().unwrap().toc.digest, toc_digest.toc_digest);
        let opened = image
            .open(&store, &OpenOptions::default(), &mut ())
            .unwrap();
        assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
        // As a plain layer it would have a landmark.
        assert!(opened.read(".no.prefetch.landmark", 10).is_err());
    }
}
