//! Where the blobs of an image are.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use blob_io::{Checked, Counted, LocalFile, MemoryOutput, ObjectRole, ReadAt, ReadStats};
use bytes::Bytes;
use image_model::{Blame, Blob, BlobId, BlobIndex, Fault};

use crate::content::StoredRange;

/// Opens the blobs of an image: a directory, a cache, a registry. A [`BlobStore`] opens each blob when its first byte
/// is needed, on one thread at a time, until that succeeds.
pub trait OpenBlob: Send + Sync {
    /// Opens `blob`, which is number `index` of its image, or the file that describes that one: it has another id, its
    /// digest.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such blob, or it cannot be opened.
    fn open_blob(&self, index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError>;
}

/// A blob cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The image has no blob of this number.
    #[error("there is no blob {}: the image has {count}", index.0)]
    NoSuchBlob {
        /// The number.
        index: BlobIndex,
        /// How many blobs the image has.
        count: usize,
    },
    /// The image has this blob, but its location is unknown.
    #[error("blob `{id}` is missing")]
    Missing {
        /// The blob.
        id: BlobId,
    },
    /// The blob is a layer as it was, and the image does not know the file that describes it.
    #[error("the image does not say what describes the layer `{id}`")]
    Undescribed {
        /// The blob.
        id: BlobId,
    },
    /// The blob's file cannot be opened.
    #[error("blob `{id}`: cannot open {}", path.display())]
    Open {
        /// The blob.
        id: BlobId,
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A custom [`OpenBlob`] failed.
    #[error("cannot open blob `{id}`")]
    Other {
        /// The blob.
        id: BlobId,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Blame for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::NoSuchBlob { .. } => Fault::Corrupt,
            Self::Missing { .. }
            | Self::Undescribed { .. }
            | Self::Open { .. }
            | Self::Other { .. } => Fault::Io,
        }
    }
}

/// The blobs of one image, opened on demand, with statistics of the reads.
///
/// ```
/// use std::sync::Arc;
/// use image_model::BlobIndex;
/// use lazyoci_image_read::BlobStore;
///
/// let store = BlobStore::single(Arc::new(bytes::Bytes::from_static(b"the only blob")));
/// let mut only = [0; 4];
/// store.blob(BlobIndex(0))?.read_at(4, &mut only)?;
/// assert_eq!(&only, b"only");
/// assert_eq!(store.stats().bytes, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BlobStore {
    blobs: Vec<Slot>,
    opener: Box<dyn OpenBlob>,
}

struct Slot {
    blob: Blob,
    /// Held by whoever opens it.
    opening: Mutex<()>,
    source: OnceLock<Counted<Checked<Arc<dyn ReadAt>>>>,
}

impl BlobStore {
    /// The blobs that `opener` opens; `blobs` are those of the image, in its order.
    #[must_use]
    pub fn new(blobs: &[Blob], opener: impl OpenBlob + 'static) -> Self {
        let slot = |blob: &Blob| Slot {
            blob: blob.clone(),
            opening: Mutex::default(),
            source: OnceLock::new(),
        };
        Self {
            blobs: blobs.iter().map(slot).collect(),
            opener: Box::new(opener),
        }
    }

    /// The blobs as files of `directory`, named by their ids.
    #[must_use]
    pub fn directory(blobs: &[Blob], directory: impl Into<PathBuf>) -> Self {
        let files = BlobFiles {
            directories: vec![directory.into()],
            #[cfg(feature = "mmap")]
            map: false,
        };
        Self::new(blobs, files)
    }

    /// One blob, number 0, whatever its id.
    #[must_use]
    pub fn single(source: Arc<dyn ReadAt>) -> Self {
        let id = BlobId::new(b"blob").expect("a valid id");
        Self::new(&[Blob::new(id)], NoBlobs).with_source(BlobIndex(0), source)
    }

    /// Takes the blob number `index` from `source`. A number beyond the last blob is ignored.
    #[must_use]
    pub fn with_source(mut self, index: BlobIndex, source: Arc<dyn ReadAt>) -> Self {
        if let Some(slot) = self.blobs.get_mut(index.0 as usize) {
            slot.source = OnceLock::from(Counted::new(Checked::new(source)));
        }
        self
    }

    /// The blob number `index`, opened if it is not yet.
    ///
    /// # Errors
    /// [`StoreError`] if there is no such blob, or it cannot be opened.
    pub fn blob(&self, index: BlobIndex) -> Result<&dyn ReadAt, StoreError> {
        let slot = self.slot(index)?;
        if let Some(source) = slot.source.get() {
            return Ok(source);
        }
        let _opening = slot.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = slot.source.get() {
            return Ok(source);
        }
        let source = self.opener.open_blob(index, &slot.blob)?;
        Ok(slot
            .source
            .get_or_init(|| Counted::new(Checked::new(source))))
    }

    /// The file `id` that describes blob number `index`, opened anew.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened.
    pub fn open_beside(
        &self,
        index: BlobIndex,
        id: &BlobId,
    ) -> Result<Arc<dyn ReadAt>, StoreError> {
        self.slot(index)?;
        let source = self.opener.open_blob(index, &Blob::new(id.clone()))?;
        Ok(Arc::new(Checked::new(source)))
    }

    /// The id of the blob number `index`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBlob`] if there is none.
    pub fn id(&self, index: BlobIndex) -> Result<&BlobId, StoreError> {
        Ok(&self.slot(index)?.blob.id)
    }

    /// Requests and bytes so far, of all blobs together.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        let opened = self.blobs.iter().filter_map(|slot| slot.source.get());
        opened.map(Counted::stats).sum()
    }

    /// The bytes of `range`, if they are already in memory; not counted.
    pub(crate) fn lent(&self, range: &StoredRange) -> Option<Bytes> {
        let source = self.slot(range.blob).ok()?.source.get()?;
        let len = usize::try_from(range.len).ok()?;
        source.inner().in_memory(range.offset, len).ok()?
    }

    fn slot(&self, index: BlobIndex) -> Result<&Slot, StoreError> {
        let count = self.blobs.len();
        let slot = self.blobs.get(index.0 as usize);
        slot.ok_or(StoreError::NoSuchBlob { index, count })
    }
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStore")
            .field("blobs", &self.blobs.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Blobs as files named by their ids.
#[derive(Debug, Clone)]
pub(crate) struct BlobFiles {
    /// Where they are looked for; the first file counts.
    pub(crate) directories: Vec<PathBuf>,
    /// Whether they are mapped rather than read.
    #[cfg(feature = "mmap")]
    pub(crate) map: bool,
}

impl BlobFiles {
    /// Opens one file, whatever its name. Nothing else is opened: a pipe would block, and has no
    /// offsets.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<Arc<dyn ReadAt>> {
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        #[cfg(feature = "mmap")]
        if self.map {
            return Ok(Arc::new(blob_io::Mapped::open(path)?));
        }
        Ok(Arc::new(LocalFile::open(path)?))
    }
}

impl OpenBlob for BlobFiles {
    fn open_blob(&self, _index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let mut missing = None;
        for directory in &self.directories {
            let path = directory.join(blob.id.as_str());
            match self.open_file(&path) {
                Ok(file) => return Ok(file),
                Err(source) => {
                    let absent = source.kind() == io::ErrorKind::NotFound;
                    let id = blob.id.clone();
                    let error = StoreError::Open { id, path, source };
                    if !absent {
                        return Err(error);
                    }
                    missing.get_or_insert(error);
                }
            }
        }
        let id = blob.id.clone();
        Err(missing.unwrap_or(StoreError::Missing { id }))
    }
}

/// No blobs: for an image that needs none besides the file that contains it.
#[derive(Debug, Clone, Copy)]
pub struct NoBlobs;

impl OpenBlob for NoBlobs {
    fn open_blob(&self, _index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Err(StoreError::Missing {
            id: blob.id.clone(),
        })
    }
}

/// The committed blobs, named by their digests.
impl OpenBlob for MemoryOutput {
    fn open_blob(&self, _index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let mut blobs = (self.objects().iter()).filter(|object| object.role == ObjectRole::Blob);
        let found = blobs.find(|object| object.digest.hex() == blob.id.as_str());
        let found = found.ok_or_else(|| StoreError::Missing {
            id: blob.id.clone(),
        })?;
        Ok(Arc::new(found.bytes.clone()))
    }
}
