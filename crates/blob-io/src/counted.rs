//! Counting reads.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::read::{ReadAt, ReadError};

/// A blob that counts its reads, including failed ones.
///
/// ```
/// use lazyoci_blob_io::{Counted, ReadAt, ReadStats};
/// let blob = Counted::new(&b"0123456789"[..]);
/// blob.read_bytes(2, 3)?;
/// blob.read_bytes(8, 2)?;
/// let ReadStats { requests, bytes, .. } = blob.stats();
/// assert_eq!((requests, bytes), (2, 5));
/// # Ok::<(), lazyoci_blob_io::ReadError>(())
/// ```
#[derive(Debug, Default)]
pub struct Counted<R> {
    inner: R,
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Reads of a [`Counted`] blob so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ReadStats {
    /// Reads.
    pub requests: u64,
    /// Bytes requested.
    pub bytes: u64,
}

/// The total over several blobs.
impl Sum for ReadStats {
    fn sum<I: Iterator<Item = Self>>(stats: I) -> Self {
        stats.fold(Self::default(), |sum, one| Self {
            requests: sum.requests + one.requests,
            bytes: sum.bytes + one.bytes,
        })
    }
}

impl<R> Counted<R> {
    /// Starts counting from 0.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// The counts so far.
    pub fn stats(&self) -> ReadStats {
        ReadStats {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// The wrapped blob.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    fn count(&self, len: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
    }
}

impl<R: ReadAt> ReadAt for Counted<R> {
    fn len(&self) -> Result<u64, ReadError> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.count(buf.len());
        self.inner.read_at(offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        self.count(len);
        self.inner.read_bytes(offset, len)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        let found = self.inner.in_memory(offset, len)?;
        if found.is_some() {
            self.count(len);
        }
        Ok(found)
    }
}
