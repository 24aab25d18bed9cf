//! The bootstrap layer of a nydus image.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use image_model::{Digest, Progress};
use image_read::rafs_format::blob::{BlobError, BlobMeta};
use image_read::rafs_format::v6::BlobEntry;
use image_read::{BlobStore, Follow, LayerImage, OpenOptions, ReadError, Reader, resolve};
use oci_image::nydus::BootstrapFile;
use oci_image::{Descriptor, NydusLayer};

use crate::error::ImageStoreError;
use crate::open::{REQUEST, known, layer_options};
use crate::resolve::ResolvedImage;
use crate::store::{Digested, ImageStore};

/// Where all files of the layer are.
const DIRECTORY: &str = "image";

/// What the last layer of a nydus image holds: a tar, compressed with gzip as a rule.
///
/// | file | content |
/// |---|---|
/// | `image/image.boot` | the bootstrap of the whole image |
/// | `image/HEX.blob.meta` | chunk information of the blob layer with the digest `HEX` ([`BlobMeta::decode_file`]); RAFS v6 |
/// | `image/backend.json` | a storage backend that has the blobs |
/// | `image/prefetch.files` | the prefetch list of `nydusify optimize` |
///
/// Source: nydus-snapshotter, `pkg/converter` (`Merge`, `packToTar`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootstrapLayer {
    /// The bootstrap.
    pub bootstrap: Bytes,
    /// Files with chunk information, by the digest of the blob layer.
    pub blob_metas: BTreeMap<Digest, Bytes>,
    /// The description of a storage backend: JSON, as nydusd reads it.
    pub backend: Option<Bytes>,
    /// The prefetch list.
    pub prefetch_files: Option<Bytes>,
}

impl BootstrapLayer {
    /// Reads `layer` from `store`, and compares it with its digest. Other files are ignored.
    fn read(
        store: &dyn ImageStore,
        layer: &Descriptor,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, ImageStoreError> {
        let mut files = Files::open(store, layer, options, progress)?;
        let mut layer = Self {
            bootstrap: files.bootstrap()?,
            blob_metas: BTreeMap::new(),
            backend: files.read(BootstrapFile::Backend)?,
            prefetch_files: files.read(BootstrapFile::PrefetchFiles)?,
        };
        for digest in files.blob_metas(options.limits.max_blobs)? {
            if let Some(bytes) = files.read(BootstrapFile::BlobMeta(digest))? {
                layer.blob_metas.insert(digest, bytes);
            }
        }
        Ok(layer)
    }

    /// The chunk information of `blob`, an entry of the bootstrap's blob table; `None` if the layer has none of it.
    ///
    /// # Errors
    /// Those of [`BlobMeta::decode_file`].
    pub fn blob_meta(
        &self,
        blob: &BlobEntry,
        options: &OpenOptions,
    ) -> Result<Option<BlobMeta>, BlobError> {
        let digest = format!("sha256:{}", blob.id).parse::<Digest>().ok();
        let file = digest.and_then(|digest| self.blob_metas.get(&digest));
        let meta = file.map(|file| BlobMeta::decode_file(blob, file, &options.limits));
        meta.transpose()
    }
}

/// Reads the bootstrap in `layer`, whatever else is there.
pub(crate) fn read_bootstrap(
    store: &dyn ImageStore,
    layer: &Descriptor,
    options: &OpenOptions,
    progress: &mut dyn Progress,
) -> Result<Bytes, ImageStoreError> {
    Files::open(store, layer, options, progress)?.bootstrap()
}

/// The files of a bootstrap layer.
struct Files {
    reader: Reader,
    /// Bytes that may still be read, of `limit` in all.
    left: u64,
    limit: u64,
}

impl Files {
    fn open(
        store: &dyn ImageStore,
        layer: &Descriptor,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, ImageStoreError> {
        known(layer)?;
        let mut stream = Digested::open(store, layer)?;
        let buffered = BufReader::with_capacity(REQUEST, stream.by_ref());
        let opened = LayerImage::from_stream(buffered, &layer_options(options), progress)?;
        stream.finish()?;
        let blobs = BlobStore::single(opened.source);
        let limit = options.limits.max_metadata_len;
        Ok(Self {
            reader: Reader::new(Arc::new(opened.image), blobs, Default::default()),
            left: limit,
            limit,
        })
    }

    fn bootstrap(&mut self) -> Result<Bytes, ImageStoreError> {
        let path = oci_image::nydus::BOOTSTRAP_PATH;
        let bootstrap = self.read(BootstrapFile::Bootstrap)?;
        bootstrap.ok_or(ImageStoreError::NoBootstrap { path })
    }

    fn read(&mut self, file: BootstrapFile) -> Result<Option<Bytes>, ReadError> {
        let image = self.reader.image();
        let Ok(ino) = resolve(&**image, file.path().as_bytes(), Follow::Never) else {
            return Ok(None);
        };
        let size = image.attributes(ino)?.size;
        if size > self.left {
            let limit = self.limit;
            return Err(ReadError::TooLong { ino, size, limit });
        }
        self.left -= size;
        let mut bytes = Vec::new();
        self.reader.read_range(ino, 0..size, &mut bytes)?;
        Ok(Some(Bytes::from(bytes)))
    }

    /// The blob layers of which there is chunk information, at most `limit`.
    fn blob_metas(&self, limit: u32) -> Result<Vec<Digest>, ImageStoreError> {
        let image = self.reader.image();
        let mut digests = Vec::new();
        // Not reached: the bootstrap is there.
        let Ok(directory) = resolve(&**image, DIRECTORY.as_bytes(), Follow::Never) else {
            return Ok(digests);
        };
        let read = image.read_directory(directory, &mut |entry| {
            let name = std::str::from_utf8(entry.name.as_bytes()).unwrap_or_default();
            let file = BootstrapFile::of_path(&format!("{DIRECTORY}/{name}"));
            if let Some(BootstrapFile::BlobMeta(digest)) = file {
                digests.push(digest);
            }
            match digests.len() > limit as usize {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        read.map_err(ReadError::from)?;
        match digests.len() > limit as usize {
            true => Err(ImageStoreError::BlobMetas { limit }),
            false => Ok(digests),
        }
    }
}

impl ResolvedImage {
    /// Reads the bootstrap layer, the last one of a nydus image; `None` if it is an image of another kind.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    pub fn bootstrap_layer(
        &self,
        store: &dyn ImageStore,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<Option<BootstrapLayer>, ImageStoreError> {
        let layers = &self.manifest.layers;
        let Some(last) = layers.last() else {
            return Ok(None);
        };
        match NydusLayer::read(&last.annotations)? {
            Some(NydusLayer::Bootstrap { .. }) => {}
            _ => return Ok(None),
        }
        let read = BootstrapLayer::read(store, last, options, progress);
        let read = read.map_err(ImageStoreError::in_layer(layers.len() - 1));
        read.map(Some)
    }
}
