//! Images with a few small layers.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use image_model::{ImagePath, Metadata, Node};
use lazyoci_image_transcode::convert::TarOptions;
use lazyoci_image_transcode::oci_image::{
    Family, LayerCompression, LayerType, Manifest, MediaType,
};
use lazyoci_image_transcode::store::{
    ImageStore, ImageTarget as _, Layout, LayoutWriter, ResolvedImage, put_bytes, put_document,
    resolve,
};
use lazyoci_image_transcode::{
    ImageFormat, TranscodeError, TranscodeOptions, TranscodeReport, transcode,
};
use tar_stream::TarWriter;
use verify::Profile;

/// The name of the images.
pub(crate) const NAME: &str = "v1";

pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (name, content) in files {
        let path = ImagePath::clean(name.as_bytes()).unwrap();
        let size = content.len() as u64;
        let node = Node::File { size, content: () };
        tar.append(&path, &Metadata::default(), &node).unwrap();
        tar.write_all(content).unwrap();
    }
    tar.finish().unwrap()
}

/// The same, with a hard link to a file of a lower layer.
pub(crate) fn with_link(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar(files);
    tar.truncate(tar.len() - 1024);
    let mut writer = TarWriter::new(tar);
    let path = |path: &[u8]| ImagePath::clean(path).unwrap();
    let (link, target) = (path(b"link"), path(b"etc/motd"));
    writer
        .append_link(&link, &Metadata::default(), &target)
        .unwrap();
    writer.finish().unwrap()
}

/// Layers with whiteouts; one without content, with a hard link to the one below; and the lowest layer a
/// second time.
pub(crate) fn layers() -> Vec<Vec<u8>> {
    let base = tar(&[
        ("etc/motd", b"hello"),
        ("etc/gone", &[7; 5000]),
        ("opt/a", b"a"),
    ]);
    vec![
        base.clone(),
        with_link(&[("etc/.wh.gone", b""), ("empty", b"")]),
        tar(&[
            ("opt/.wh..wh..opq", b""),
            ("opt/c", b"c"),
            ("etc/motd", b"good bye"),
        ]),
        base,
    ]
}

/// Incompressible bytes.
pub(crate) fn noise(len: usize, mut seed: u32) -> Vec<u8> {
    let next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// A layout with an image of gzip-compressed [`layers`], whose configuration must be preserved.
pub(crate) fn source(directory: &Path) -> (Arc<dyn ImageStore>, ResolvedImage) {
    source_with(directory, |config| config)
}

/// The same with another configuration.
pub(crate) fn source_with(
    directory: &Path,
    change: impl FnOnce(String) -> String,
) -> (Arc<dyn ImageStore>, ResolvedImage) {
    source_of(directory, &layers(), change)
}

/// An image of four other layers.
pub(crate) fn source_of(
    directory: &Path,
    layers: &[Vec<u8>],
    change: impl FnOnce(String) -> String,
) -> (Arc<dyn ImageStore>, ResolvedImage) {
    let layout = LayoutWriter::open(directory).unwrap();
    let mut descriptors = Vec::new();
    for layer in layers {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(layer).unwrap();
        let gzip = gzip.finish().unwrap();
        let media_type = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
        let mut descriptor = put_bytes(&layout, media_type, &gzip).unwrap();
        descriptor.annotations.set("com.example.team", "base");
        descriptor.annotations.set("com.amazon.soci.span-size", "1");
        descriptors.push(descriptor);
    }
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|layer| format!("\"{}\"", verify::sha256(layer)))
        .collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"Healthcheck":{{"Test":["NONE"]}}}},"rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{{"created_by":"a"}},{{"created_by":"env","empty_layer":true}},{{"created_by":"b"}},{{"created_by":"c"}},{{"created_by":"d"}}]}}"#,
        diff_ids.join(",")
    );
    let config = change(config);
    let config = put_bytes(&layout, MediaType::Config(Family::Oci), config.as_bytes()).unwrap();
    let mut manifest = Manifest::new(config, descriptors);
    manifest.annotations.set("com.example.image", "yes");
    manifest
        .annotations
        .set("com.amazon.soci.index-digest", "sha256:00");
    let media_type = MediaType::Manifest(Family::Oci);
    let image = put_document(&layout, media_type, &manifest).unwrap();
    layout.publish(Some(NAME), &image).unwrap();
    find(directory)
}

pub(crate) fn find(directory: &Path) -> (Arc<dyn ImageStore>, ResolvedImage) {
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(directory).unwrap());
    let image = resolve(&*store, Some(NAME), None).unwrap();
    (store, image)
}

pub(crate) fn digest((store, image): &(Arc<dyn ImageStore>, ResolvedImage)) -> String {
    let opened = image.open(store, &Default::default(), &mut ()).unwrap();
    let mut faults = Vec::new();
    let mut found = |finding| faults.push(format!("{finding}"));
    opened
        .verify(&Default::default(), &mut (), &mut found)
        .unwrap();
    assert_eq!(faults, [""; 0]);
    let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
    digest.to_string()
}

/// Converts the image in `from` to an image in `to`.
pub(crate) fn make(
    from: &Path,
    to: &Path,
    format: ImageFormat,
) -> Result<TranscodeReport, TranscodeError> {
    let (store, image) = find(from);
    let target = LayoutWriter::open(to).unwrap();
    let options = TranscodeOptions::new(format);
    let done = transcode(
        &image.into(),
        &store,
        &target,
        Some(NAME),
        &options,
        &mut (),
    );
    done.map(|mut done| done.images.remove(0))
}

pub(crate) fn oci() -> ImageFormat {
    let gzip = frame_codec::Compression::Gzip { level: 6 };
    ImageFormat::Oci(TarOptions::default().compression(gzip))
}
