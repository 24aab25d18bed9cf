//! Blobs of existing images.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::Arc;

use image_convert::ChunkDictionary;
use image_convert::chunk_dedup::{DictionaryFile, Policy};
use image_convert::rafs_format::BlobPool;
use image_model::{BlobId, BlobIndex, Digest, DigestAlgorithm, Progress};
use image_read::OpenOptions;
use image_store::bytes::Bytes;
use image_store::{ImageStore, ImageTarget, ResolvedImage, copy};
use oci_image::{Descriptor, MediaType, NydusLayer};

use crate::error::TranscodeError;

/// Existing nydus images whose chunks a new image does not store again: it lists their blobs among its layers and
/// refers to them, so a new version adds only the chunks that it does not share. Images are added one by one, or as files
/// that list the chunks of any number of them.
///
/// The metadata of an image does not list files that upper layers hide: their chunks are stored again.
///
/// If several images or files have a chunk, the one added first is used. The bytes of the new image depend on what is
/// known.
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
    /// What was added before the images of the pool.
    dictionary: ChunkDictionary,
    pool: BlobPool,
    /// Where their blobs are.
    blobs: HashMap<BlobId, Known>,
    /// Digests of manifests and files.
    names: Vec<String>,
    pub(crate) policy: Policy,
}

/// Where a blob is.
#[derive(Clone)]
struct Known {
    store: Arc<dyn ImageStore>,
    place: Place,
}

#[derive(Clone)]
enum Place {
    /// A manifest says this of it.
    Listed(Box<Descriptor>),
    /// Nobody has asked yet how long it is.
    Named(Digest),
}

impl fmt::Debug for KnownImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = (self.policy != Policy::default()).then_some(&self.policy);
        f.debug_list().entries(&self.names).entries(policy).finish()
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
                    let known = Known {
                        store: Arc::clone(store),
                        place: Place::Listed(Box::new(layer.clone())),
                    };
                    self.blobs.insert(id, known);
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
        self.names.push(digest.clone());
        Ok(self)
    }

    /// Adds the images whose chunks the dictionary `file` lists. `store_of` opens the place that the file calls the origin
    /// of blobs, once for each; of the blobs nothing is read until an image refers to them. All of `file` is digested.
    ///
    /// # Errors
    /// That of `store_of`, and [`TranscodeError`] if the file is damaged, or not one of nydus images made like those that
    /// were added before.
    pub fn add_file<E: From<TranscodeError>>(
        mut self,
        file: DictionaryFile<Bytes>,
        mut store_of: impl FnMut(&str) -> Result<Arc<dyn ImageStore>, E>,
    ) -> Result<Self, E> {
        let digest = verify::sha256(file.bytes()).to_string();
        let failed = |source| TranscodeError::KnownFile {
            digest: digest.clone(),
            source: Box::new(source),
        };
        let mut stores: HashMap<String, Arc<dyn ImageStore>> = HashMap::new();
        for index in 0..file.blob_count() {
            let record = file.blob_record(BlobIndex(index));
            let record = record.map_err(|error| failed(error.into()))?;
            let name = format!("{}:{}", DigestAlgorithm::Sha256, record.id.as_str());
            let place = name.parse().map(Place::Named);
            let place = place.map_err(|_| TranscodeError::NamelessBlob {
                id: record.id.clone(),
            })?;
            let store = match stores.get(&record.origin) {
                Some(store) => Arc::clone(store),
                None => {
                    let store = store_of(&record.origin)?;
                    stores.insert(record.origin, Arc::clone(&store));
                    store
                }
            };
            // What a manifest says is more.
            self.blobs
                .entry(record.id)
                .or_insert(Known { store, place });
        }
        let before = mem::take(&mut self.dictionary).and_pool(mem::take(&mut self.pool));
        let added = before.and_then(|before| before.and_file(file));
        self.dictionary = added.map_err(failed)?;
        self.names.push(digest);
        Ok(self)
    }

    /// The same images, of whose chunks only those are used that `policy` allows. If that depends on what the image
    /// shares, all of its layers are read once more, before the conversion.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The chunks of their blobs: a copy, which the conversions of all platforms share.
    pub(crate) fn dictionary(&self) -> Result<Arc<ChunkDictionary>, TranscodeError> {
        let whole = self.dictionary.clone().and_pool(self.pool.clone());
        let whole = whole.map_err(TranscodeError::Layers)?;
        let listed: Vec<BlobId> = self.blobs.keys().cloned().collect();
        Ok(Arc::new(whole.only(&listed).policy(&self.policy)))
    }

    /// Copies the blob to `target`, unless it has it, and returns its descriptor; `None` if no known image has the blob.
    pub(crate) fn put(
        &self,
        id: &BlobId,
        target: &dyn ImageTarget,
        progress: &mut dyn Progress,
    ) -> Result<Option<Descriptor>, TranscodeError> {
        let Some(Known { store, place }) = self.blobs.get(id) else {
            return Ok(None);
        };
        let layer = match place {
            Place::Listed(layer) => *layer.clone(),
            Place::Named(digest) => {
                let len = store.object_len(digest)?;
                let mut layer = Descriptor::new(MediaType::NydusBlob, digest, len);
                let kind = NydusLayer::Blob {
                    reference: None,
                    encrypted: false,
                };
                kind.write(&mut layer.annotations);
                layer
            }
        };
        copy(&**store, target, &layer, progress)?;
        Ok(Some(layer))
    }
}
