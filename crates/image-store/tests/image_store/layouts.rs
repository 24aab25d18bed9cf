//! Images in layouts.

use std::fs;
use std::sync::Arc;

use image_model::{Blame as _, Fault};
use image_read::{Format, OpenImage};
use lazyoci_image_store::oci_image::{
    DocumentError, Family, LayerCompression, LayerType, MediaType, Platform,
};
use lazyoci_image_store::{ImageStore, ImageStoreError, Layout, resolve};
use verify::Profile;

use crate::support::{FILES, Images, layers, tar};

pub(crate) fn digest(image: &OpenImage) -> String {
    let digest = image.tree_digest(Profile::Content, &mut ()).unwrap();
    digest.to_string()
}

/// The digest of the tree of the three layers.
pub(crate) fn expected() -> String {
    let flat: Arc<bytes::Bytes> = Arc::new(tar(&FILES).into());
    let image = image_read::open_source(flat, None, image_read::NoBlobs, &Default::default());
    digest(&image.unwrap())
}

fn store(images: &Images) -> Arc<dyn ImageStore> {
    Arc::new(Layout::open(images.path()).unwrap())
}

/// Opens the image named `name`.
fn open(images: &Images, name: Option<&str>) -> Result<OpenImage, ImageStoreError> {
    let store = store(images);
    let image = resolve(&*store, name, None)?;
    image.open(&store, &Default::default(), &mut ())
}

fn refused(images: &Images, name: Option<&str>) -> ImageStoreError {
    match open(images, name) {
        Err(ImageStoreError::InLayer { source, .. }) => *source,
        Err(error) => error,
        Ok(_) => panic!("it is refused"),
    }
}

#[test]
fn the_layers_are_one_tree() {
    let mut images = Images::new();
    let mut plain = images.plain(&layers());
    let gzip = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
    #[cfg(feature = "gzip")]
    {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &layers()[1]).unwrap();
        plain[1] = images.object(gzip, &encoder.finish().unwrap());
    }
    // The compression of a layer is detected from its content.
    plain[2].media_type = gzip.to_string();
    let image = images.image(plain);
    images.name(image, "v1");
    for name in [None, Some("v1")] {
        let image = open(&images, name).unwrap();
        assert_eq!(image.format(), Format::Stack);
        assert_eq!(digest(&image), expected());
        assert_eq!(image.read("/etc/motd", 100).unwrap(), b"good bye");
        let mut findings = Vec::new();
        let summary = image.verify(&Default::default(), &mut (), &mut |found| {
            findings.push(found.to_string());
        });
        assert!(summary.unwrap().is_sound(), "{findings:?}");
    }
    let store = store(&images);
    let image = resolve(&*store, None, None).unwrap();
    let lowest = image.open_layer(&*store, 0, &Default::default()).unwrap();
    assert_eq!(lowest.read("/etc/gone", 100).unwrap(), b"x");
    for layer in 0..3 {
        image.check_layer(&*store, layer, &mut ()).unwrap();
    }
    for missing in [
        image
            .open_layer(&*store, 3, &Default::default())
            .map(|_| ()),
        image.check_layer(&*store, 3, &mut ()),
    ] {
        let error = missing.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image has 3 layers; layers are counted from 0"
        );
        assert_eq!(error.fault(), Fault::Misuse);
    }
}

#[test]
fn names_and_platforms_lead_to_an_image() {
    let mut images = Images::new();
    let [lower, ..] = &layers();
    let image = |images: &Images, platform: &str, content: &[u8]| {
        let layers = images.plain(&[lower.clone(), tar(&[("id", content)])]);
        let mut manifest = images.manifest(layers, platform, 2);
        manifest.platform = Some(platform.parse().unwrap());
        manifest
    };
    let arm = image(&images, "linux/arm64", b"arm");
    let other = image(&images, "linux/riscv64", b"riscv");
    let inner = images.index_of(vec![other.clone(), arm.clone()]);
    let nested = images.index_of(vec![inner]);
    images.name(nested, "nested");
    images.name(arm.clone(), "arm");
    images.name(other, "docker.io/library/x:other");
    let id = |name: &str, platform: &str| {
        let store = store(&images);
        let platform: Platform = platform.parse().unwrap();
        let image = resolve(&*store, Some(name), Some(&platform))?;
        assert_eq!(image.config.as_ref().unwrap().platform(), platform);
        let opened = image.open(&store, &Default::default(), &mut ())?;
        Ok::<_, ImageStoreError>(opened.read("/id", 100).unwrap())
    };
    assert_eq!(id("nested", "linux/arm64").unwrap(), b"arm");
    assert_eq!(id("nested", "linux/riscv64").unwrap(), b"riscv");
    assert_eq!(id("other", "linux/riscv64").unwrap(), b"riscv");
    for (name, platform, expected) in [
        (
            "nested",
            "linux/s390x",
            "there is no image for linux/s390x; available: linux/riscv64, linux/arm64",
        ),
        (
            "arm",
            "linux/amd64",
            "there is no image for linux/amd64; available: linux/arm64",
        ),
        (
            "none",
            "linux/arm64",
            "there is no image named `none`; available: arm, docker.io/library/x:other, nested",
        ),
    ] {
        let error = id(name, platform).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.fault()),
            (expected, Fault::Misuse)
        );
    }
    let error = refused(&images, None);
    assert!(matches!(&error, ImageStoreError::SeveralImages { there } if there.len() == 3));

    let mut deep = images.index_of(vec![arm]);
    for _ in 0..4 {
        deep = images.index_of(vec![deep]);
    }
    images.name(deep, "deep");
    let error = refused(&images, Some("deep"));
    assert!(
        matches!(error, ImageStoreError::Nested { limit: 4 }),
        "{error}"
    );
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    let damage = |what: fn(&Images, &mut Vec<lazyoci_image_store::oci_image::Descriptor>)| {
        let mut images = Images::new();
        let mut layers = images.plain(&layers());
        what(&images, &mut layers);
        let image = images.image(layers);
        images.name(image, "v1");
        refused(&images, None)
    };
    let path = |images: &Images, digest: &str| {
        let hex = digest.strip_prefix("sha256:").unwrap();
        images.path().join("blobs/sha256").join(hex)
    };
    let flipped = damage(|images, layers| {
        let hex = layers[1].digest.strip_prefix("sha256:").unwrap();
        let path = images.path().join("blobs/sha256").join(hex);
        let mut bytes = fs::read(&path).unwrap();
        bytes[600] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert!(
        matches!(flipped, ImageStoreError::Digest { .. }),
        "{flipped}"
    );
    assert_eq!(flipped.fault(), Fault::Corrupt);
    let size = damage(|_, layers| layers[0].size += 1);
    assert!(matches!(size, ImageStoreError::Size { .. }), "{size}");
    let missing = damage(|_, layers| layers[2].digest = format!("sha256:{}", "1".repeat(64)));
    assert!(
        matches!(missing, ImageStoreError::NoObject { .. }),
        "{missing}"
    );
    let outside = damage(|_, layers| layers[2].digest = "sha256:../../../index.json".into());
    assert!(
        matches!(outside, ImageStoreError::BadDigest { .. }),
        "{outside}"
    );
    let encrypted = damage(|_, layers| layers[0].media_type += "+encrypted");
    assert!(
        matches!(encrypted, ImageStoreError::Encrypted),
        "{encrypted}"
    );
    let unknown = damage(|_, layers| layers[0].media_type = "application/x".into());
    assert_eq!(unknown.to_string(), "not a layer, but `application/x`");

    let mut images = Images::new();
    let layers = images.plain(&layers());
    let image = images.manifest(layers, "linux/amd64", 2);
    images.name(image.clone(), "v1");
    let count = refused(&images, None);
    assert_eq!(
        count.to_string(),
        "the configuration lists 2 layers, but the manifest 3"
    );
    fs::write(path(&images, &image.digest), b"{}").unwrap();
    assert!(matches!(
        refused(&images, None),
        ImageStoreError::Size { .. }
    ));
}

#[test]
fn what_is_no_layout_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Layout::open(directory.path()).unwrap_err();
    let missing = |file: &str| {
        let error = open();
        assert!(matches!(&error, ImageStoreError::Missing { file: found, .. } if *found == file));
    };
    missing("oci-layout");
    let write = |file: &str, text: &str| fs::write(directory.path().join(file), text).unwrap();
    write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    assert!(matches!(open(), ImageStoreError::LayoutVersion { version } if version == "2.0.0"));
    write("oci-layout", r#"{"imageLayoutVersion":"1.1.0"}"#);
    missing("index.json");
    write(
        "index.json",
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
    );
    let ImageStoreError::Document { name, source } = open() else {
        panic!("it is refused")
    };
    assert_eq!(
        (name.as_str(), source),
        ("index.json", DocumentError::Ambiguous)
    );

    let mut images = Images::new();
    let artifact = images.object(MediaType::Empty, b"{}");
    images.list(artifact);
    let error = refused(&images, None);
    assert!(matches!(error, ImageStoreError::NotImage { .. }), "{error}");
    let mut images = Images::new();
    let mut image = images.image(Vec::new());
    image.media_type = MediaType::Manifest(Family::Docker).to_string();
    images.list(image);
    let error = refused(&images, None);
    assert!(
        matches!(
            &error,
            ImageStoreError::Document {
                source: DocumentError::MediaType { .. },
                ..
            }
        ),
        "{error}"
    );
}
