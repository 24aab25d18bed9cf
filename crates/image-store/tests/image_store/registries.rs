//! Images written to registries and read back.

use std::fs;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use image_model::{Blame as _, Fault};
use lazyoci_image_store::blob_io::registry::{Client, ClientOptions, RegistryErrorKind};
use lazyoci_image_store::oci_image::{Descriptor, Document, Platform};
#[cfg(feature = "gzip")]
use lazyoci_image_store::oci_image::{
    EstargzLayer, ExternalToc, Family, LayerCompression, LayerType, Manifest, MediaType,
};
use lazyoci_image_store::{
    Arrival, ImageStore, ImageStoreError, ImageTarget as _, Layout, Location, RegistryStore,
    RegistryTarget, Transport, copy, fetch, resolve,
};
#[cfg(feature = "gzip")]
use lazyoci_image_store::{TocImage, put_bytes, put_document};
use registry_double::Registry;

use crate::support::{FILES, Images, layers};

fn client(registry: &Registry) -> Client {
    Client::new(ClientOptions::default().plain_http(registry.host())).unwrap()
}

pub(crate) fn target(registry: &Registry, name: &str) -> RegistryTarget {
    let reference = format!("{}/{name}", registry.host()).parse().unwrap();
    RegistryTarget::new(client(registry).repository(&reference).unwrap())
}

pub(crate) fn store(registry: &Registry, name: &str) -> Arc<dyn ImageStore> {
    let reference = format!("{}/{name}", registry.host()).parse().unwrap();
    Arc::new(RegistryStore::open(&client(registry), &reference).unwrap())
}

/// Copies everything that `image` refers to, then `image` itself.
pub(crate) fn copy_all(
    store: &dyn ImageStore,
    target: &RegistryTarget,
    image: &Descriptor,
) -> Result<(), ImageStoreError> {
    let bytes = fetch(store, image)?;
    let objects = match Document::parse(&bytes, Some(&image.media_type)).unwrap() {
        Document::Index(index) => {
            for manifest in &index.manifests {
                copy_all(store, target, manifest)?;
            }
            Vec::new()
        }
        Document::Manifest(manifest) => {
            let mut objects = manifest.layers.clone();
            objects.push(manifest.config.clone());
            objects
        }
    };
    for object in &objects {
        copy(store, target, object, &mut ())?;
    }
    copy(store, target, image, &mut ())
}

/// A layout with one index of an image of three layers for this machine, and one for another platform.
fn images() -> (Images, Descriptor) {
    let mut images = Images::new();
    let mut here = images.image(images.plain(&layers()));
    here.platform = Some(Platform::host());
    let mut there = images.manifest(images.plain(&layers()[..1]), "linux/mips64le", 1);
    there.platform = Some("linux/mips64le".parse().unwrap());
    let index = images.index_of(vec![there, here]);
    images.name(index.clone(), "v1");
    (images, index)
}

/// Methods, and the kinds of objects.
fn short(lines: &[String]) -> Vec<String> {
    let kind = |line: &String| {
        let method = line.split(' ').next().unwrap_or_default();
        let kind = ["manifests", "uploads", "blobs"];
        let kind = kind.into_iter().find(|kind| line.contains(kind));
        format!("{method} {}", kind.unwrap_or_default())
    };
    lines.iter().map(kind).collect()
}

#[test]
fn an_image_goes_there_and_back() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let registry = Registry::new();
    let target = target(&registry, "team/app");
    copy_all(&layout, &target, &index).unwrap();
    assert_eq!(registry.tags("team/app"), [""; 0]);
    target.publish(Some("v1"), &index).unwrap();
    assert_eq!(registry.tags("team/app"), ["v1"]);
    let (media_type, bytes) = registry.manifest("team/app", "v1").unwrap();
    assert_eq!(media_type, index.media_type);
    assert_eq!(verify::sha256(&bytes).to_string(), index.digest);
    // Both images share one layer.
    let stats = target.stats();
    assert_eq!(
        (stats.uploaded.0, stats.mounted.0, stats.there.0),
        (5, 0, 1)
    );
    assert_eq!(stats.there.1, layers()[0].len() as u64);
    // What was uploaded first was there later.
    let shared = verify::sha256(&layers()[0]);
    assert_eq!(target.arrival(&shared), Some(Arrival::Uploaded));
    assert_eq!(target.arrival(&verify::sha256(b"")), None);

    let before = registry.lines().len();
    let store = store(&registry, "team/app:v1");
    let image = resolve(&*store, None, None).unwrap();
    let opened = image.open(&store, &Default::default(), &mut ()).unwrap();
    for (path, content) in FILES {
        assert_eq!(opened.read(path, 100).unwrap(), content);
    }
    assert!(opened.read("opt/a", 100).is_err());
    // Index, manifest, configuration, three layers, each once.
    let expected = [
        "GET manifests",
        "GET manifests",
        "GET blobs",
        "GET blobs",
        "GET blobs",
        "GET blobs",
    ];
    assert_eq!(short(&registry.lines()[before..]), expected);
    let other = resolve(&*store, None, Some(&"linux/mips64le".parse().unwrap())).unwrap();
    assert_eq!(other.manifest.layers.len(), 1);
    let by_digest = format!("team/app@{}", index.digest);
    let by_digest = self::store(&registry, &by_digest);
    assert_eq!(by_digest.index().manifests[0].digest, index.digest);
}

#[test]
fn what_is_there_is_not_sent_again() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let registry = Registry::new();
    copy_all(&layout, &target(&registry, "team/app"), &index).unwrap();
    let before = registry.lines().len();
    let target = target(&registry, "team/app");
    copy_all(&layout, &target, &index).unwrap();
    let again = registry.lines()[before..].to_vec();
    assert!(
        again.iter().all(|line| line.starts_with("HEAD ")),
        "{again:?}"
    );
    assert_eq!(target.stats().uploaded, (0, 0));
    let layer = verify::sha256(&layers()[1]);
    assert_eq!(target.arrival(&layer), Some(Arrival::There));
    // A tag for an object that this target did not write.
    target.publish(Some("v2"), &index).unwrap();
    assert_eq!(registry.tags("team/app"), ["v2"]);
}

#[test]
fn what_another_repository_has_is_mounted() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let registry = Registry::new();
    copy_all(&layout, &target(&registry, "base"), &index).unwrap();
    let target = target(&registry, "team/app").mount_from("base");
    copy_all(&layout, &target, &index).unwrap();
    target.publish(Some("v1"), &index).unwrap();
    let stats = target.stats();
    assert_eq!(
        (stats.uploaded.0, stats.mounted.0, stats.there.0),
        (0, 5, 1)
    );
    assert_eq!(registry.blobs("team/app"), registry.blobs("base"));
    let layer = verify::sha256(&layers()[1]);
    assert_eq!(target.arrival(&layer), Some(Arrival::Mounted));
}

#[test]
fn what_is_damaged_is_neither_sent_nor_tagged() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let layer = verify::sha256(&layers()[1]);
    let path = images.path().join("blobs/sha256").join(layer.hex());
    let mut bytes = fs::read(&path).unwrap();
    bytes[600] ^= 1;
    fs::write(&path, bytes).unwrap();
    let registry = Registry::new();
    let target = target(&registry, "app");
    let error = copy_all(&layout, &target, &index).unwrap_err();
    assert!(matches!(error, ImageStoreError::Digest { digest, .. } if digest == layer.to_string()));
    assert!(!registry.blobs("app").contains(&layer.to_string()));
    assert_eq!(registry.manifest("app", &index.digest), None);
    assert_eq!(registry.tags("app"), [""; 0]);
    // An index whose manifests are missing is rejected, too.
    let error = copy(&layout, &target, &index, &mut ()).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let error = target.publish(Some("v1"), &index).unwrap_err();
    assert!(matches!(error, ImageStoreError::Registry(_)));
    assert_eq!(registry.tags("app"), [""; 0]);
}

#[test]
fn wrong_bytes_of_a_registry_pass_nowhere() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let registry = Registry::new();
    let target = target(&registry, "app");
    copy_all(&layout, &target, &index).unwrap();
    target.publish(Some("v1"), &index).unwrap();
    let layer = verify::sha256(&layers()[2]).to_string();
    registry.damage("app", &layer, |bytes| bytes[600] ^= 1);
    let store = store(&registry, "app:v1");
    let image = resolve(&*store, None, None).unwrap();
    let in_layer = |error: ImageStoreError| match error {
        ImageStoreError::InLayer { layer: 2, source } => *source,
        error => panic!("{error:?}"),
    };
    let error = image
        .open(&store, &Default::default(), &mut ())
        .unwrap_err();
    assert!(matches!(in_layer(error), ImageStoreError::Digest { digest, .. } if digest == layer));
    let error = image.check_layer(&*store, 2, &mut ()).unwrap_err();
    assert!(matches!(in_layer(error), ImageStoreError::Digest { .. }));
    image.check_layer(&*store, 1, &mut ()).unwrap();
    let mut stream = image.stream_layer(&*store, 2).unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.get_ref().unwrap().is::<ImageStoreError>());

    // A shorter layer is rejected, too.
    registry.damage("app", &layer, |bytes| bytes.truncate(600));
    let error = image.check_layer(&*store, 2, &mut ()).unwrap_err();
    let ImageStoreError::Read { source, .. } = in_layer(error) else {
        panic!("no error of reading");
    };
    assert_eq!(source.fault(), Fault::Corrupt);
}

#[test]
fn a_layer_streamed_from_front_to_end_takes_one_request() {
    let (images, index) = images();
    let layout = Layout::open(images.path()).unwrap();
    let registry = Registry::new();
    let target = target(&registry, "app");
    copy_all(&layout, &target, &index).unwrap();
    target.publish(Some("v1"), &index).unwrap();
    let store = store(&registry, "app:v1");
    let image = resolve(&*store, None, None).unwrap();
    let before = registry.lines().len();
    let mut bytes = Vec::new();
    let mut stream = image.stream_layer(&*store, 1).unwrap();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, layers()[1]);
    assert_eq!(registry.lines().len(), before + 1);
    assert!(!registry.lines()[before].contains("bytes="));
}

/// The TOC is in the image of the same tag with a suffix; it is looked for once, and when it is needed.
#[cfg(feature = "gzip")]
#[test]
fn an_external_toc_is_found_by_the_tag() {
    let registry = Registry::new();
    let target = target(&registry, "app");
    let (layer, toc, toc_digest) = crate::toc_images::layer_and_toc();
    let gzip = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
    let mut layer = put_bytes(&target, gzip, &layer).unwrap();
    EstargzLayer::new(toc_digest).write(&mut layer.annotations);
    let mut toc = put_bytes(&target, gzip, &toc).unwrap();
    let of = ExternalToc {
        layer: layer.parse_digest().unwrap(),
    };
    of.write(&mut toc.annotations);
    let publish = |name: &str, config: &str, layers: Vec<Descriptor>| {
        let config = put_bytes(&target, MediaType::Config(Family::Oci), config.as_bytes());
        let manifest = Manifest::new(config.unwrap(), layers);
        let manifest = put_document(&target, MediaType::Manifest(Family::Oci), &manifest).unwrap();
        target.publish(Some(name), &manifest).unwrap();
    };
    let config = r#"{"os":"linux","rootfs":{"type":"layers","diff_ids":["a","b"]}}"#;
    publish("v1", config, vec![layer.clone(), layer]);
    let open = || {
        let store = store(&registry, "app:v1");
        let image = resolve(&*store, None, None).unwrap();
        let opened = image.open(&store, &Default::default(), &mut ()).unwrap();
        assert_eq!(opened.read("d/a", 100).unwrap(), b"hello");
        image
    };
    // Without it, the layers are read whole.
    assert_eq!(target.published_tocs(Some("v1")).unwrap(), None);
    open();
    publish("v1-esgztoc", "{}", vec![toc]);
    let before = registry.lines().len();
    let image = open();
    let lines = registry.lines()[before..].to_vec();
    let of_tocs = |line: &&String| line.contains("manifests/v1-esgztoc");
    assert_eq!(lines.iter().filter(of_tocs).count(), 1, "{lines:?}");
    let there = self::store(&registry, "app:v1");
    let layer = image.open_layer(&*there, 1, &Default::default()).unwrap();
    assert_eq!(layer.format(), image_read::Format::ExternalToc);
    let tocs = target.published_tocs(Some("v1")).unwrap().unwrap();
    assert!(tocs.toc_of(&image.manifest.layers[1]).is_some());
    assert_eq!(target.published_tocs(None).unwrap(), None);
    // A digest has no suffix.
    let by_digest = format!("app@{}", image.descriptor.digest);
    let by_digest = self::store(&registry, &by_digest);
    assert_eq!(TocImage::find(&*by_digest, None).unwrap(), None);
}

#[test]
fn an_object_that_is_given_up_is_not_sent() {
    let registry = Registry::new();
    let target = target(&registry, "app");
    let mut object = target.begin().unwrap();
    object.write_all(b"half of").unwrap();
    drop(object);
    assert_eq!(registry.lines(), [""; 0]);
}

#[test]
fn a_tag_that_is_not_there_is_said_to_be() {
    let registry = Registry::new();
    let reference = format!("{}/app:v9", registry.host()).parse().unwrap();
    let error = RegistryStore::open(&client(&registry), &reference).unwrap_err();
    let ImageStoreError::Registry(error) = &error else {
        panic!("{error:?}");
    };
    let kind = error.kind();
    assert!(matches!(
        kind,
        RegistryErrorKind::Status { status: 404, .. }
    ));
    assert_eq!(error.fault(), Fault::Misuse);
}

#[test]
fn locations_name_images_in_registries() {
    let location = Location::parse("docker://example.org:5000/team/app:v1").unwrap();
    assert_eq!(location.transport, Transport::Docker);
    let reference = location.reference().unwrap().unwrap();
    assert_eq!(reference.to_string(), "example.org:5000/team/app:v1");
    let location = Location::parse("docker://example.org/App").unwrap();
    let error = location.reference().unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    let layout = Location::parse("oci:dir").unwrap();
    assert_eq!(layout.reference().unwrap(), None);
}
