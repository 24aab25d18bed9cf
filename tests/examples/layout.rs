//! Layouts of images, as tests need them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use lazyoci::model::Digest;
use lazyoci::oci_image::{Annotations, Descriptor, Index, MediaType};
use lazyoci::verify::sha256;
use serde_json::{Value, json};

/// A layout whose image is called `v1`.
pub(crate) struct Layout(pub(crate) PathBuf);

impl Layout {
    pub(crate) fn new(path: PathBuf) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self(path)
    }

    pub(crate) fn object(&self, media_type: &str, bytes: &[u8]) -> Descriptor {
        let digest = sha256(bytes);
        fs::write(self.0.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        Descriptor {
            media_type: media_type.into(),
            ..Descriptor::new(MediaType::Empty, &digest, bytes.len() as u64)
        }
    }

    /// What a conversion has described.
    pub(crate) fn made(&self, said: &Value, file: &Path, media_type: &str) -> Descriptor {
        let mut layer = self.object(media_type, &fs::read(file).unwrap());
        layer.annotations = annotations(said);
        layer
    }

    pub(crate) fn image(&self, layers: &[Descriptor]) {
        self.publish(vec![self.manifest("amd64", layers)]);
    }

    pub(crate) fn manifest(&self, architecture: &str, layers: &[Descriptor]) -> Descriptor {
        let diff_ids: Vec<_> = layers.iter().map(|layer| self.diff_id(layer)).collect();
        let config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = self.object(
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.object(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().as_bytes(),
        )
    }

    /// The digest of the tar in `layer`.
    fn diff_id(&self, layer: &Descriptor) -> Digest {
        let digest = layer.parse_digest().unwrap();
        if layer.media_type != GZIP {
            return digest;
        }
        let stored = fs::read(self.0.join("blobs/sha256").join(digest.hex())).unwrap();
        let mut tar = Vec::new();
        let decoder = &mut MultiGzDecoder::new(&*stored);
        decoder.read_to_end(&mut tar).unwrap();
        sha256(&tar)
    }

    pub(crate) fn publish(&self, mut manifests: Vec<Descriptor>) {
        for manifest in &mut manifests {
            let annotations = &mut manifest.annotations;
            annotations.set("org.opencontainers.image.ref.name", "v1");
        }
        let index = serde_json::to_vec(&Index::new(manifests)).unwrap();
        fs::write(self.0.join("index.json"), index).unwrap();
    }

    pub(crate) fn name(&self) -> String {
        format!("oci:{}:v1", self.0.display())
    }
}

pub(crate) fn annotations(said: &Value) -> Annotations {
    serde_json::from_value(said["annotations"].clone()).unwrap()
}

pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
