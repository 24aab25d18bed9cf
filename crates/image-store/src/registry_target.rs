//! Writing images to registries.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blob_io::registry::{Pushed, Repository};
use blob_io::{LocalFile, ObjectWriter, WriteError, Written};
use bytes::Bytes;
use image_model::Digest;
use oci_image::{Descriptor, MediaType};

use crate::error::ImageStoreError;
use crate::platforms::{ResolvedImages, resolve_all};
use crate::registry_store::RegistryStore;
use crate::store::digest_of;
use crate::target::{Arrival, ImageTarget};
use crate::toc_image::{TocImage, toc_image_name};

/// Writes images to a repository of a registry; their names are tags.
///
/// An object is written to a temporary file and sent once it is complete, unless the registry has it or can
/// mount it from another repository. The tag is written last: it never refers to an incomplete image.
///
/// ```no_run
/// use lazyoci_image_store::{RegistryTarget, copy};
/// use lazyoci_image_store::blob_io::registry::{Client, ClientOptions};
///
/// let client = Client::new(ClientOptions::default())?;
/// let repository = client.repository(&"example.org/app".parse()?)?;
/// let target = RegistryTarget::new(repository).mount_from("base");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RegistryTarget {
    repository: Repository,
    mount_from: Vec<String>,
    spool_directory: Option<PathBuf>,
    manifests: Mutex<HashMap<String, (MediaType, Bytes)>>,
    arrivals: Mutex<Arrivals>,
}

/// How objects came to be in the registry.
#[derive(Debug, Default)]
struct Arrivals {
    stats: PushStats,
    /// The first answer for each object: that it exists is only said later.
    of_objects: HashMap<Digest, Arrival>,
}

/// Statistics of the objects written to a [`RegistryTarget`], not counting documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushStats {
    /// Objects that were uploaded, and their bytes.
    pub uploaded: (u64, u64),
    /// Objects that were mounted from another repository, and their bytes.
    pub mounted: (u64, u64),
    /// Objects that existed already, and their bytes.
    pub there: (u64, u64),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RegistryTarget {
    /// Writes images to `repository`.
    #[must_use]
    pub fn new(repository: Repository) -> Self {
        Self {
            repository,
            mount_from: Vec::new(),
            spool_directory: None,
            manifests: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    /// Asks the registry to mount objects from its repository of that name before sending them.
    #[must_use]
    pub fn mount_from(mut self, repository: impl Into<String>) -> Self {
        self.mount_from.push(repository.into());
        self
    }

    /// Directory for objects until they are sent. Default: the system's temporary directory.
    #[must_use]
    pub fn spool_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_directory = Some(directory.into());
        self
    }

    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Statistics of the objects so far.
    #[must_use]
    pub fn stats(&self) -> PushStats {
        lock(&self.arrivals).stats
    }

    fn push(&self, file: File, written: &Written) -> Result<(), WriteError> {
        let source = LocalFile::from(file);
        let from: Vec<&str> = self.mount_from.iter().map(String::as_str).collect();
        let pushed = self.repository.push_blob(&source, &written.digest, &from)?;
        let arrival = match pushed {
            Pushed::There => Arrival::There,
            Pushed::Mounted => Arrival::Mounted,
            _ => Arrival::Uploaded,
        };
        self.count(written.digest, arrival, written.len);
        Ok(())
    }

    fn count(&self, object: Digest, arrival: Arrival, len: u64) {
        let mut arrivals = lock(&self.arrivals);
        let stats = &mut arrivals.stats;
        let (objects, bytes) = match arrival {
            Arrival::There => &mut stats.there,
            Arrival::Mounted => &mut stats.mounted,
            Arrival::Uploaded => &mut stats.uploaded,
        };
        *objects += 1;
        *bytes += len;
        arrivals.of_objects.entry(object).or_insert(arrival);
    }
}

impl ImageTarget for RegistryTarget {
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        let digest = digest_of(object)?;
        let kind = object.parse_media_type();
        let is_manifest = kind.is_ok_and(MediaType::is_index_or_manifest);
        let found = match is_manifest {
            true => self.repository.find_manifest(&digest.to_string())?,
            false => self.repository.find_blob(&digest)?,
        };
        let has = found.is_some_and(|found| found.len.is_none_or(|len| len == object.size));
        if has && !is_manifest {
            self.count(digest, Arrival::There, object.size);
        }
        Ok(has)
    }

    fn arrival(&self, object: &Digest) -> Option<Arrival> {
        lock(&self.arrivals).of_objects.get(object).copied()
    }

    fn published(&self, name: Option<&str>) -> Result<Option<ResolvedImages>, ImageStoreError> {
        let Some(tag) = name else {
            return Ok(None);
        };
        if self.repository.find_manifest(tag)?.is_none() {
            return Ok(None);
        }
        let there = RegistryStore::of(self.repository.clone(), tag)?;
        resolve_all(&there, None).map(Some)
    }

    fn published_tocs(&self, name: Option<&str>) -> Result<Option<TocImage>, ImageStoreError> {
        let Some(tag) = name else {
            return Ok(None);
        };
        let there = RegistryStore::find(self.repository.clone(), &toc_image_name(tag))?;
        there.map_or(Ok(None), |there| TocImage::only(&there))
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        let file = match &self.spool_directory {
            Some(directory) => tempfile::tempfile_in(directory),
            None => tempfile::tempfile(),
        };
        let file = file.map_err(|source| WriteError::Create {
            path: self.spool_directory.clone().unwrap_or_default(),
            source,
        })?;
        Ok(Box::new(Spooled { file, target: self }))
    }

    fn put_manifest(&self, media_type: MediaType, bytes: &[u8]) -> Result<(), ImageStoreError> {
        let digest = verify::sha256(bytes).to_string();
        let kind = media_type.to_string();
        self.repository.push_manifest(&digest, &kind, bytes)?;
        let kept = (media_type, Bytes::copy_from_slice(bytes));
        lock(&self.manifests).insert(digest, kept);
        Ok(())
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let Some(tag) = name else {
            // It has been pushed by its digest.
            return Ok(());
        };
        let digest = digest_of(image)?.to_string();
        let kept = lock(&self.manifests).get(&digest).cloned();
        let (media_type, bytes) = match kept {
            Some((media_type, bytes)) => (media_type.to_string(), bytes),
            None => {
                let manifest = self.repository.manifest(&digest)?;
                (image.media_type.clone(), manifest.bytes)
            }
        };
        self.repository.push_manifest(tag, &media_type, &bytes)?;
        Ok(())
    }
}

/// An object that has not been sent yet.
struct Spooled<'t> {
    file: File,
    target: &'t RegistryTarget,
}

impl Write for Spooled<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for Spooled<'_> {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let Self { file, target } = *self;
        target.push(file, written)
    }
}
