//! Archives of `docker save` and `docker load`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::Digest;
use image_read::LayerImageOptions;
use oci_image::index::IMAGE_NAME;
use oci_image::{
    Descriptor, DocumentError, Family, ImageConfig, Index, LayerCompression, LayerType, Manifest,
    MediaType,
};
use serde::{Deserialize, Serialize};
use tar_stream::Compression;

use crate::error::ImageStoreError;
use crate::files::{Archive, Files};
use crate::reference::normalised;
use crate::store::{ImageStore, read_document};

/// The list of the images.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name of the format.
const WHAT: &str = "a docker-archive";

/// Length of the prefix by which a layer's compression is detected.
const START_LEN: u64 = 6;

/// An archive written by `docker save` (any version of Docker), podman or skopeo.
///
/// `manifest.json` lists images: each has a configuration file, names, and one file per layer, an
/// uncompressed tar. The format has no digests: layer digests are taken from the configuration, and the
/// digest of the configuration is computed. A manifest is synthesised from them; the same archive always
/// yields the same manifest. Names are full references: `alpine:3` is `docker.io/library/alpine:3`.
///
/// Source: moby's `image/tarexport`, containers/image `docker/internal/tarfile`.
///
/// ```no_run
/// use lazyoci_image_store::{DockerArchive, ImageStore};
/// let archive = DockerArchive::open("saved.tar", &Default::default())?;
/// for image in &archive.index().manifests {
///     println!("{}", image.name().unwrap_or("without a name"));
/// }
/// # Ok::<(), lazyoci_image_store::ImageStoreError>(())
/// ```
#[derive(Debug)]
pub struct DockerArchive {
    files: Archive,
    index: Index,
    objects: HashMap<String, Object>,
}

#[derive(Debug)]
enum Object {
    Document(Bytes),
    File(String),
}

/// An image in `manifest.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) config: String,
    #[serde(default)]
    pub(crate) repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) layers: Option<Vec<String>>,
}

impl DockerArchive {
    /// Opens the archive, in place unless it is compressed.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it is not such an archive.
    pub fn open(
        path: impl AsRef<Path>,
        options: &LayerImageOptions,
    ) -> Result<Self, ImageStoreError> {
        Self::of(Archive::open(path.as_ref(), options)?)
    }

    /// Opens the archive in `source`, which errors call `path`.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it is not such an archive.
    pub fn of_source(
        source: Arc<dyn ReadAt>,
        path: impl AsRef<Path>,
        options: &LayerImageOptions,
    ) -> Result<Self, ImageStoreError> {
        Self::of(Archive::of(source, path.as_ref(), options)?)
    }

    fn of(files: Archive) -> Result<Self, ImageStoreError> {
        let mut archive = Self {
            files,
            index: Index::new(Vec::new()),
            objects: HashMap::new(),
        };
        let listed: Vec<Listed> = serde_json::from_slice(&archive.document(MANIFEST)?)
            .map_err(|error| not_json("a list of images", &error))?;
        for image in listed {
            let manifest = archive.add(&image)?;
            for tag in image.repo_tags.iter().flatten() {
                let mut named = manifest.clone();
                let whole = normalised(tag).unwrap_or_else(|| tag.clone());
                named.annotations.set(IMAGE_NAME, whole);
                archive.index.manifests.push(named);
            }
            if image.repo_tags.iter().flatten().next().is_none() {
                archive.index.manifests.push(manifest);
            }
        }
        Ok(archive)
    }

    /// Synthesises the manifest of an image.
    fn add(&mut self, image: &Listed) -> Result<Descriptor, ImageStoreError> {
        let config = self.document(&image.config)?;
        let parsed = ImageConfig::parse(&config).map_err(|source| ImageStoreError::Document {
            name: image.config.clone(),
            source,
        })?;
        let files = image.layers.as_deref().unwrap_or_default();
        let diff_ids = &parsed.rootfs.diff_ids;
        if files.len() != diff_ids.len() {
            let (listed, layers) = (diff_ids.len(), files.len());
            return Err(ImageStoreError::Layers { listed, layers });
        }
        let mut layers = Vec::with_capacity(files.len());
        for (position, (file, diff_id)) in files.iter().zip(diff_ids).enumerate() {
            let layer = self.layer(file, diff_id);
            layers.push(layer.map_err(ImageStoreError::in_layer(position))?);
        }
        let platform = parsed.platform();
        let config = self.keep(MediaType::Config(Family::Docker), config);
        let manifest = serde_json::to_vec(&Manifest::new(config, layers));
        let manifest = manifest.map_err(|error| not_json("a manifest", &error))?;
        let mut manifest = self.keep(MediaType::Manifest(Family::Oci), manifest.into());
        manifest.platform = Some(platform);
        Ok(manifest)
    }

    /// A layer in a file of the archive. Its digest is the DiffID from the configuration unless it is
    /// compressed.
    fn layer(&mut self, file: &str, diff_id: &str) -> Result<Descriptor, ImageStoreError> {
        let read = |source| ImageStoreError::Read {
            name: file.into(),
            source,
        };
        let source = self.file(file)?;
        let len = source.len().map_err(read)?;
        let start = source.read_bytes(0, len.min(START_LEN) as usize);
        let compression = match Compression::detect(&start.map_err(read)?) {
            Compression::None => LayerCompression::None,
            Compression::Zstd => LayerCompression::Zstd,
            _ => LayerCompression::Gzip,
        };
        let digest = match compression {
            LayerCompression::None => diff_id.to_owned(),
            _ => digest(&*source).map_err(read)?.to_string(),
        };
        let object = Object::File(file.into());
        self.objects.insert(digest.clone(), object);
        let layer = LayerType::new(Family::Docker, compression, true);
        let media_type = MediaType::Layer(layer.unwrap_or(LayerType::oci(compression)));
        Ok(Descriptor {
            digest,
            ..Descriptor::new(media_type, &verify::sha256(b""), len)
        })
    }

    fn keep(&mut self, media_type: MediaType, bytes: Bytes) -> Descriptor {
        let digest = verify::sha256(&bytes);
        let descriptor = Descriptor::new(media_type, &digest, bytes.len() as u64);
        let object = Object::Document(bytes);
        self.objects.insert(digest.to_string(), object);
        descriptor
    }

    fn document(&self, file: &str) -> Result<Bytes, ImageStoreError> {
        read_document(&*self.file(file)?, file)
    }

    fn file(&self, file: &str) -> Result<Arc<dyn ReadAt>, ImageStoreError> {
        let found = self.files.open(file)?;
        found.ok_or_else(|| match file {
            MANIFEST => ImageStoreError::Missing {
                path: self.files.place().into(),
                what: WHAT,
                file: MANIFEST,
            },
            file => ImageStoreError::NoObject {
                digest: file.into(),
            },
        })
    }
}

fn not_json(what: &'static str, error: &serde_json::Error) -> ImageStoreError {
    ImageStoreError::Document {
        name: MANIFEST.into(),
        source: DocumentError::Json {
            what,
            reason: error.to_string(),
        },
    }
}

/// The SHA-256 of all of `source`.
fn digest(source: &dyn ReadAt) -> Result<Digest, blob_io::ReadError> {
    const PIECE: u64 = 1 << 20;
    let (mut hasher, len) = (verify::Hasher::sha256(), source.len()?);
    let mut at = 0;
    while at < len {
        let piece = PIECE.min(len - at);
        hasher.update(&source.read_bytes(at, piece as usize)?);
        at += piece;
    }
    Ok(hasher.finish())
}

impl ImageStore for DockerArchive {
    fn index(&self) -> &Index {
        &self.index
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Arc<dyn ReadAt>, ImageStoreError> {
        match self.objects.get(&descriptor.digest) {
            Some(Object::Document(bytes)) => Ok(Arc::new(bytes.clone())),
            Some(Object::File(file)) => self.file(file),
            None => Err(ImageStoreError::NoObject {
                digest: descriptor.digest.clone(),
            }),
        }
    }
}
