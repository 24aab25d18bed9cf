//! Blobs of existing images.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use image_convert::ChunkDictionary;
use image_convert::rafs_format::BlobPool;
use image_model::{BlobId, Progress};
use image_read::OpenOptions;
use image_store::{ImageStore, ImageTarget, ResolvedImage, copy};
use oci_image::{Descriptor, NydusLayer};

use crate::error::TranscodeError;

/// Existing nydus images whose chunks a new image does not store again: it lists their blobs among its layers and
/// refers to them, so a new version adds only the chunks that it does not share.
///
/// The metadata of an image does not list files that upper layers hide: their chunks are stored again.
///
/// If several images have a chunk, the one added first is used. The bytes of the new image depend on the known
/// images.
///
/// ```no_run
/// use std::sync::Arc;
/// use lazyoci_image_transcode::store::{ImageStore, Layout, resolve};
/// use lazyoci_image_transcode::{ImageFormat, KnownImages, TranscodeOptions};
///
/// let store: Arc<dyn ImageStore> = Arc::new(Layout::open("lazy-images")?);
/// let v1 = resolve(&*store, Some("v1"), None)?;
/// let known = KnownImages::default().add(&v1, &store, &Default::default())?;
/// let nydus = ImageFormat::Nydus(Default::default());
/// let options = TranscodeOptions::new(nydus).known(Some(known));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct KnownImages {
    pool: BlobPool,
    /// Descriptors of their blobs, and the stores that have them.
    blobs: HashMap<BlobId, (Descriptor, Arc<dyn ImageStore>)>,
    /// Digests of their manifests.
    manifests: Vec<String>,
}

impl fmt::Debug for KnownImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.manifests).finish()
    }
}

impl KnownImages {
    /// Adds the nydus image `image` from `store`. Only its metadata is read.
    ///
    /// # Errors
    /// [`TranscodeError`] if it cannot be opened, or is not a nydus image whose blobs contain their content.
    pub fn add(
        mut self,
        image: &ResolvedImage,
        store: &Arc<dyn ImageStore>,
        options: &OpenOptions,
    ) -> Result<Self, TranscodeError> {
        let digest = &image.descriptor.digest;
        let unfit = || TranscodeError::NotKnown {
            digest: digest.clone(),
        };
        for layer in &image.manifest.layers {
            let kind = NydusLayer::read(&layer.annotations);
            let kind = kind.map_err(image_store::ImageStoreError::from)?;
            match kind {
                Some(NydusLayer::Bootstrap { .. }) => {}
                Some(NydusLayer::Blob {
                    reference: None,
                    encrypted: false,
                }) => {
                    let digest = layer.parse_digest().map_err(|_| unfit())?;
                    let id = BlobId::new(digest.hex().as_bytes()).map_err(|_| unfit())?;
                    self.blobs.insert(id, (layer.clone(), Arc::clone(store)));
                }
                _ => return Err(unfit()),
            }
        }
        let opened = image.open(store, options, &mut ())?;
        let bootstrap = opened.bootstrap().ok_or_else(unfit)?;
        let added = self.pool.add(bootstrap, None);
        added.map_err(|source| TranscodeError::KnownImage {
            digest: digest.clone(),
            source,
        })?;
        self.manifests.push(digest.clone());
        Ok(self)
    }

    /// The chunks of their blobs: a copy, which the conversions of all platforms share.
    pub(crate) fn dictionary(&self) -> Arc<ChunkDictionary> {
        let listed = |id: &BlobId| self.blobs.contains_key(id);
        let dictionary = ChunkDictionary::of_blobs(self.pool.clone(), |blob| listed(&blob.id));
        Arc::new(dictionary)
    }

    /// Copies the blob to `target`, unless it has it, and returns its descriptor; `None` if no known image has the blob.
    pub(crate) fn put(
        &self,
        id: &BlobId,
        target: &dyn ImageTarget,
        progress: &mut dyn Progress,
    ) -> Result<Option<Descriptor>, TranscodeError> {
        let Some((layer, store)) = self.blobs.get(id) else {
            return Ok(None);
        };
        copy(&**store, target, layer, progress)?;
        Ok(Some(layer.clone()))
    }
}
