//! Images in registries.

use std::io::Read;
use std::sync::Arc;

use blob_io::ReadAt;
use blob_io::registry::{Client, ErrorClass, Reference, RemoteBlob, Repository};
use bytes::Bytes;
use image_model::Digest;
use oci_image::{Descriptor, Index, MediaType};

use crate::error::ImageStoreError;
use crate::store::{ImageStore, digest_of};

/// An image in a registry, as a store that contains this one image, without a name, and all objects of its repository.
///
/// The manifest or index is fetched when it is opened; everything else is fetched as it is read.
///
/// ```no_run
/// use std::sync::Arc;
/// use lazyoci_image_store::{ImageStore, RegistryStore, resolve};
/// use lazyoci_image_store::blob_io::registry::{Client, ClientOptions};
///
/// let client = Client::new(ClientOptions::default())?;
/// let store = RegistryStore::open(&client, &"example.org/app:v1".parse()?)?;
/// let store: Arc<dyn ImageStore> = Arc::new(store);
/// let image = resolve(&*store, None, None)?.open(&store, &Default::default(), &mut ())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RegistryStore {
    repository: Repository,
    /// The tag or digest by which it was found.
    name: String,
    index: Index,
    /// The manifest or index of the reference.
    root: Bytes,
}

impl RegistryStore {
    /// Fetches the manifest or index of `reference`.
    ///
    /// # Errors
    /// [`ImageStoreError::Registry`].
    pub fn open(client: &Client, reference: &Reference) -> Result<Self, ImageStoreError> {
        Self::of(client.repository(reference)?, &reference.name())
    }

    /// The objects of `repository`, and no image. Nothing is requested until one is opened.
    ///
    /// ```no_run
    /// use lazyoci_image_store::{ImageStore, RegistryStore};
    /// use lazyoci_image_store::blob_io::registry::{Client, ClientOptions};
    ///
    /// let client = Client::new(ClientOptions::default())?;
    /// let repository = client.repository(&"example.org/app".parse()?)?;
    /// let store = RegistryStore::without_image(repository);
    /// assert!(store.index().manifests.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn without_image(repository: Repository) -> Self {
        Self {
            repository,
            name: String::new(),
            index: Index::new(Vec::new()),
            root: Bytes::new(),
        }
    }

    /// Fetches the manifest or index named `name`, a tag or a digest, from `repository`.
    pub(crate) fn of(repository: Repository, name: &str) -> Result<Self, ImageStoreError> {
        let manifest = repository.manifest(name)?;
        let len = manifest.bytes.len() as u64;
        // If the registry states no media type, the document does.
        let kind = MediaType::Manifest(oci_image::Family::Oci);
        let descriptor = Descriptor {
            media_type: manifest.media_type.unwrap_or_default(),
            ..Descriptor::new(kind, &manifest.digest, len)
        };
        Ok(Self {
            repository,
            name: name.into(),
            index: Index::new(vec![descriptor]),
            root: manifest.bytes,
        })
    }

    /// The same; `None` if there is nothing of that name.
    pub(crate) fn find(
        repository: Repository,
        name: &str,
    ) -> Result<Option<Self>, ImageStoreError> {
        match Self::of(repository, name) {
            Err(ImageStoreError::Registry(error)) if error.class() == ErrorClass::Gone => Ok(None),
            found => found.map(Some),
        }
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The document of `descriptor`; `None` if it is not a manifest or index.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Bytes>, ImageStoreError> {
        let is_root = |root: &Descriptor| root.digest == descriptor.digest;
        if self.index.manifests.first().is_some_and(is_root) {
            return Ok(Some(self.root.clone()));
        }
        let kind = descriptor.parse_media_type();
        if !kind.is_ok_and(MediaType::is_index_or_manifest) {
            return Ok(None);
        }
        let digest = digest_of(descriptor)?;
        let manifest = self.repository.manifest(&digest.to_string())?;
        Ok(Some(manifest.bytes))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<RemoteBlob, ImageStoreError> {
        Ok(self
            .repository
            .blob(digest_of(descriptor)?, descriptor.size))
    }
}

impl ImageStore for RegistryStore {
    fn index(&self) -> &Index {
        &self.index
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Arc<dyn ReadAt>, ImageStoreError> {
        Ok(match self.document(descriptor)? {
            Some(bytes) => Arc::new(bytes),
            None => Arc::new(self.blob(descriptor)?),
        })
    }

    fn stream(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageStoreError> {
        if let Some(bytes) = self.document(descriptor)? {
            return Ok(Box::new(std::io::Cursor::new(bytes)));
        }
        let stream = self.blob(descriptor)?.stream_unverified(0);
        Ok(Box::new(stream.map_err(|source| {
            ImageStoreError::Read {
                name: descriptor.digest.clone(),
                source,
            }
        })?))
    }

    fn object_len(&self, digest: &Digest) -> Result<u64, ImageStoreError> {
        let found = self.repository.find_blob(digest)?;
        let len = found.and_then(|found| found.len);
        len.ok_or_else(|| ImageStoreError::NoObject {
            digest: digest.to_string(),
        })
    }

    fn with_suffix(&self, suffix: &str) -> Result<Option<Box<dyn ImageStore>>, ImageStoreError> {
        let is_digest = self.name.contains(':');
        if is_digest || self.name.is_empty() {
            return Ok(None);
        }
        let there = Self::find(self.repository.clone(), &format!("{}{suffix}", self.name))?;
        Ok(there.map(|there| Box::new(there) as _))
    }

    fn is_remote(&self) -> bool {
        true
    }
}
