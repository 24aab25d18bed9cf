//! Generated layouts and archives.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use image_model::{ImagePath, Metadata, Node};
use lazyoci_image_store::oci_image::index::REF_NAME;
use lazyoci_image_store::oci_image::{
    Descriptor, Family, Index, LayerCompression, LayerType, Manifest, MediaType, Platform,
};
use tar_stream::TarWriter;

/// A tar with these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (name, content) in files {
        let (path, size) = (
            ImagePath::clean(name.as_bytes()).unwrap(),
            content.len() as u64,
        );
        let node = Node::File { size, content: () };
        tar.append(&path, &Metadata::default(), &node).unwrap();
        tar.write_all(content).unwrap();
    }
    tar.finish().unwrap()
}

/// Three layers, each of which hides something in those below.
pub(crate) fn layers() -> [Vec<u8>; 3] {
    [
        tar(&[("etc/motd", b"hello"), ("etc/gone", b"x"), ("opt/a", b"a")]),
        tar(&[("etc/.wh.gone", b""), ("opt/b", b"b")]),
        tar(&[
            ("opt/.wh..wh..opq", b""),
            ("opt/c", b"c"),
            ("etc/motd", b"good bye"),
        ]),
    ]
}

/// The files of the three layers together.
pub(crate) const FILES: [(&str, &[u8]); 2] = [("etc/motd", b"good bye"), ("opt/c", b"c")];

/// A layout under construction.
pub(crate) struct Images {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) index: Index,
}

impl Images {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        let header = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(directory.path().join("oci-layout"), header).unwrap();
        Self {
            directory,
            index: Index::new(Vec::new()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes an object.
    pub(crate) fn object(&self, media_type: MediaType, bytes: &[u8]) -> Descriptor {
        let digest = verify::sha256(bytes);
        let path = self.path().join("blobs/sha256").join(digest.hex());
        fs::write(path, bytes).unwrap();
        Descriptor::new(media_type, &digest, bytes.len() as u64)
    }

    /// Plain layers.
    pub(crate) fn plain(&self, layers: &[Vec<u8>]) -> Vec<Descriptor> {
        let media_type = MediaType::Layer(LayerType::oci(LayerCompression::None));
        let object = |layer: &Vec<u8>| self.object(media_type, layer);
        layers.iter().map(object).collect()
    }

    /// The manifest of an image for `platform`, with that many layers in its configuration.
    pub(crate) fn manifest(
        &self,
        layers: Vec<Descriptor>,
        platform: &str,
        count: usize,
    ) -> Descriptor {
        let platform: Platform = platform.parse().unwrap();
        let diff_ids = vec![format!(r#""sha256:{}""#, "0".repeat(64)); count];
        let config = format!(
            r#"{{"architecture":"{}","os":"{}","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            platform.architecture,
            platform.os,
            diff_ids.join(",")
        );
        let config = self.object(MediaType::Config(Family::Oci), config.as_bytes());
        let manifest = serde_json::to_vec(&Manifest::new(config, layers)).unwrap();
        self.object(MediaType::Manifest(Family::Oci), &manifest)
    }

    /// An image of `layers`.
    pub(crate) fn image(&self, layers: Vec<Descriptor>) -> Descriptor {
        let count = layers.len();
        self.manifest(layers, &Platform::host().to_string(), count)
    }

    pub(crate) fn index_of(&self, manifests: Vec<Descriptor>) -> Descriptor {
        let bytes = serde_json::to_vec(&Index::new(manifests)).unwrap();
        self.object(MediaType::Index(Family::Oci), &bytes)
    }

    /// Publishes `descriptor` as `name`.
    pub(crate) fn name(&mut self, mut descriptor: Descriptor, name: &str) {
        descriptor.annotations.set(REF_NAME, name);
        self.list(descriptor);
    }

    pub(crate) fn list(&mut self, descriptor: Descriptor) {
        self.index.manifests.push(descriptor);
        let index = serde_json::to_vec(&self.index).unwrap();
        fs::write(self.path().join("index.json"), index).unwrap();
    }
}
