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
    pub(crate) fn read(
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
        let reader = Reader::new(Arc::new(opened.image), blobs, Default::default());
        Self::of(&reader, options.limits.max_metadata_len)
    }

    /// The files that `reader` shows, of at most `limit` bytes in all.
    fn of(reader: &Reader, limit: u64) -> Result<Self, ImageStoreError> {
        let mut left = limit;
        let mut read = |file: BootstrapFile| {
            let ino = resolve(&**reader.image(), file.path().as_bytes(), Follow::Never);
            let Ok(ino) = ino else {
                return Ok(None);
            };
            let size = reader
                .image()
                .attributes(ino)
                .map_err(ReadError::from)?
                .size;
            if size > left {
                return Err(ReadError::TooLong { ino, size, limit });
            }
            left -= size;
            let mut bytes = Vec::new();
            reader.read_range(ino, 0..size, &mut bytes)?;
            Ok(Some(Bytes::from(bytes)))
        };
        let path = oci_image::nydus::BOOTSTRAP_PATH;
        let bootstrap = read(BootstrapFile::Bootstrap)?;
        let mut layer = Self {
            bootstrap: bootstrap.ok_or(ImageStoreError::NoBootstrap { path })?,
            blob_metas: BTreeMap::new(),
            backend: read(BootstrapFile::Backend)?,
            prefetch_files: read(BootstrapFile::PrefetchFiles)?,
        };
        for file in meta_files(reader)? {
            if let BootstrapFile::BlobMeta(digest) = file
                && let Some(bytes) = read(file)?
            {
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

/// The files with chunk information that `reader` shows.
fn meta_files(reader: &Reader) -> Result<Vec<BootstrapFile>, ReadError> {
    let image = reader.image();
    let directory = resolve(&**image, DIRECTORY.as_bytes(), Follow::Never);
    let mut files = Vec::new();
    // Not reached: the bootstrap is there.
    let Ok(directory) = directory else {
        return Ok(files);
    };
    image.read_directory(directory, &mut |entry| {
        let name = std::str::from_utf8(entry.name.as_bytes());
        let file = name
            .ok()
            .and_then(|name| BootstrapFile::of_path(&format!("{DIRECTORY}/{name}")));
        files.extend(file.filter(|file| matches!(file, BootstrapFile::BlobMeta(_))));
        ControlFlow::Continue(())
    })?;
    Ok(files)
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
