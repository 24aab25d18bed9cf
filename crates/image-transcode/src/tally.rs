//! What is read of a layer.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blob_io::{ReadAt, ReadError};
use image_model::Digest;
use image_store::bytes::Bytes;
use image_store::{ImageStore, ImageStoreError};
use oci_image::{Descriptor, Index};

use crate::progress::LayerProgress;

/// How far a source is, told by any thread.
#[derive(Debug)]
pub(crate) struct Tally {
    digest: String,
    len: u64,
    read: AtomicU64,
    done: AtomicBool,
}

impl Tally {
    /// Of a source of `len` bytes.
    pub(crate) fn new(digest: &str, len: u64) -> Self {
        Self {
            digest: digest.into(),
            len,
            read: AtomicU64::new(0),
            done: AtomicBool::new(false),
        }
    }

    /// The store, every read of which is counted.
    pub(crate) fn count(self: &Arc<Self>, store: &Arc<dyn ImageStore>) -> Arc<dyn ImageStore> {
        Arc::new(CountedStore {
            store: Arc::clone(store),
            tally: Arc::clone(self),
        })
    }

    /// Bytes that were read so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Takes note that the source is converted.
    pub(crate) fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> LayerProgress {
        let mut progress = LayerProgress {
            digest: self.digest.clone(),
            len: self.len,
            read: 0,
            done: false,
        };
        self.update(&mut progress);
        progress
    }

    /// Brings what [`progress`](Self::progress) returned up to date.
    pub(crate) fn update(&self, progress: &mut LayerProgress) {
        progress.done = self.done.load(Ordering::Relaxed);
        progress.read = match progress.done {
            true => self.len,
            false => self.read().min(self.len),
        };
    }
}

/// A store that counts what is read.
#[derive(Debug)]
struct CountedStore {
    store: Arc<dyn ImageStore>,
    tally: Arc<Tally>,
}

impl CountedStore {
    fn counted<S>(&self, source: S) -> Counted<S> {
        Counted {
            source,
            tally: Arc::clone(&self.tally),
        }
    }
}

impl ImageStore for CountedStore {
    fn index(&self) -> &Index {
        self.store.index()
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Arc<dyn ReadAt>, ImageStoreError> {
        Ok(Arc::new(self.counted(self.store.open(descriptor)?)))
    }

    fn stream(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageStoreError> {
        Ok(Box::new(self.counted(self.store.stream(descriptor)?)))
    }

    fn object_len(&self, digest: &Digest) -> Result<u64, ImageStoreError> {
        self.store.object_len(digest)
    }

    fn with_suffix(&self, suffix: &str) -> Result<Option<Box<dyn ImageStore>>, ImageStoreError> {
        self.store.with_suffix(suffix)
    }

    fn is_remote(&self) -> bool {
        self.store.is_remote()
    }
}

/// Counts what is read of `source`.
struct Counted<S> {
    source: S,
    tally: Arc<Tally>,
}

impl<S> Counted<S> {
    fn add(&self, len: usize) {
        self.tally.read.fetch_add(len as u64, Ordering::Relaxed);
    }
}

impl Read for Counted<Box<dyn Read + Send>> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.source.read(buf)?;
        self.add(len);
        Ok(len)
    }
}

impl ReadAt for Counted<Arc<dyn ReadAt>> {
    fn len(&self) -> Result<u64, ReadError> {
        self.source.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.source.read_at(offset, buf)?;
        self.add(buf.len());
        Ok(())
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let bytes = self.source.read_bytes(offset, len)?;
        self.add(len);
        Ok(bytes)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        let found = self.source.in_memory(offset, len)?;
        if found.is_some() {
            self.add(len);
        }
        Ok(found)
    }
}
