//! Layers with a TOC, opened by what their annotations say of it.

use std::path::PathBuf;
use std::sync::Arc;

use image_model::{Digest, StoredPiece};
use image_read::{Format, OpenError, OpenOptions};
use lazyoci_image_store::oci_image::{
    Descriptor, EstargzLayer, LayerCompression, LayerType, MediaType, ZstdChunkedLayer,
};
use lazyoci_image_store::{ImageStore, ImageStoreError, Layout, resolve};
use verify::sha256;

use crate::support::Images;

fn golden(name: &str) -> Vec<u8> {
    let goldens = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    std::fs::read(goldens.join(name)).unwrap()
}

fn digest(text: &str) -> Digest {
    format!("sha256:{text}").parse().unwrap()
}

fn stargz() -> EstargzLayer {
    EstargzLayer::new(digest(
        "fd913dbce41fea99002df991d0665cac206839ae131a313e0f035f72e1a53901",
    ))
}

/// As stargz-snapshotter and skopeo describe their layers.
fn layers(images: &Images) -> [Descriptor; 2] {
    let media_type = MediaType::Layer(LayerType::oci(LayerCompression::Zstd));
    let [mut a, mut b] = ["vector-a.tar.zst", "vector-b.tar.zst"]
        .map(|name| images.object(media_type, &golden(name)));
    let checksum = digest("0332b867de1be1c39784bb0c2abdc9af9a080c761dd2317c01e49875bac9975e");
    let toc = StoredPiece::new(336, 410, 1063);
    ZstdChunkedLayer::stargz(checksum, toc, stargz()).write(&mut a.annotations);
    let checksum = digest("0686ec0eb331387870bba68b79594dbb60f2a2f3a44f2431dc3d84b6f5b75738");
    let toc = StoredPiece::new(364, 539, 1298);
    ZstdChunkedLayer::containers(checksum, toc)
        .tar_split(StoredPiece::new(911, 483, 11_564))
        .write(&mut b.annotations);
    [a, b]
}

fn store(images: &mut Images, layers: Vec<Descriptor>) -> Arc<dyn ImageStore> {
    let manifest = images.image(layers);
    images.list(manifest);
    Arc::new(Layout::open(images.path()).unwrap())
}

#[test]
fn both_kinds_of_zstd_chunked_are_read_lazily() {
    for position in 0..2 {
        let mut images = Images::new();
        let layer = layers(&images)[position].clone();
        let stored = layer.size;
        let store = store(&mut images, vec![layer]);
        let image = resolve(&*store, None, None).unwrap();
        let opened = image
            .open(&store, &OpenOptions::default(), &mut ())
            .unwrap();
        assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
        // Of the layer's bytes only those of the file.
        assert!(opened.stats().bytes < stored / 4, "{:?}", opened.stats());
        let alone = image
            .open_layer(&*store, 0, &OpenOptions::default())
            .unwrap();
        assert_eq!(alone.format(), Format::ZstdChunked);
        assert_eq!(alone.metadata_stats().requests, 1);
    }
}

#[test]
fn a_checksum_that_the_toc_does_not_have() {
    let mut images = Images::new();
    let [_, mut layer] = layers(&images);
    let toc = StoredPiece::new(364, 539, 1298);
    ZstdChunkedLayer::containers(sha256(b""), toc).write(&mut layer.annotations);
    let store = store(&mut images, vec![layer]);
    let image = resolve(&*store, None, None).unwrap();
    let error = image
        .open(&store, &OpenOptions::default(), &mut ())
        .unwrap_err();
    let ImageStoreError::InLayer { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*source, ImageStoreError::Open(OpenError::Estargz(_))),
        "{source:?}"
    );
    // As what it is to everybody else it is sound.
    let opened = image.open(&store, &OpenOptions::default().as_layer(true), &mut ());
    assert_eq!(opened.unwrap().read("d/a", 10).unwrap(), b"hello");
}

/// Podman refuses it as well.
#[test]
fn annotations_of_both_kinds_are_refused() {
    let mut images = Images::new();
    let [_, mut layer] = layers(&images);
    layer.annotations.set(
        lazyoci_image_store::oci_image::estargz::TOC_DIGEST,
        sha256(b"").to_string(),
    );
    let store = store(&mut images, vec![layer]);
    let image = resolve(&*store, None, None).unwrap();
    let error = image
        .open(&store, &OpenOptions::default(), &mut ())
        .unwrap_err();
    let ImageStoreError::InLayer { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*source, ImageStoreError::Annotations(_)),
        "{source:?}"
    );
}

/// A layer whose TOC is another blob, which is not looked for, is read whole.
#[test]
fn an_external_toc_is_not_needed() {
    let blob = golden("vector1.esgz");
    let mut layer = blob[..325].to_vec();
    layer.extend(image_read::estargz_toc::footer::external::encode());
    let mut images = Images::new();
    let media_type = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
    let mut layer = images.object(media_type, &layer);
    EstargzLayer::new(sha256(b"")).write(&mut layer.annotations);
    let store = store(&mut images, vec![layer]);
    let image = resolve(&*store, None, None).unwrap();
    let opened = image
        .open(&store, &OpenOptions::default(), &mut ())
        .unwrap();
    assert_eq!(opened.read("d/a", 10).unwrap(), b"hello");
}
