//! Length checks for reads of third-party blobs.

use bytes::Bytes;

use crate::read::{ReadAt, ReadError};

/// Wraps a third-party [`ReadAt`] and checks that each read returns the requested length.
///
/// ```
/// use lazyoci_blob_io::{Checked, ReadAt, ReadError, bytes::Bytes};
///
/// /// Answers with what it has, as if it was asked for that.
/// struct Short;
///
/// impl ReadAt for Short {
///     fn len(&self) -> Result<u64, ReadError> {
///         Ok(10)
///     }
///
///     fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), ReadError> {
///         Ok(())
///     }
///
///     fn read_bytes(&self, _offset: u64, _len: usize) -> Result<Bytes, ReadError> {
///         Ok(Bytes::from_static(b"0123"))
///     }
/// }
///
/// assert!(Short.read_bytes(0, 10).is_ok());
/// let error = Checked::new(Short).read_bytes(0, 10).unwrap_err();
/// assert!(matches!(error, ReadError::Given { offset: 0, len: 10, given: 4 }));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Checked<R> {
    inner: R,
}

impl<R> Checked<R> {
    /// Checks the reads of `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner }
    }
}

impl<R: ReadAt> ReadAt for Checked<R> {
    fn len(&self) -> Result<u64, ReadError> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.inner.read_at(offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        let bytes = self.inner.read_bytes(offset, len)?;
        check_given(offset, len, &bytes)?;
        Ok(bytes)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        let found = self.inner.in_memory(offset, len)?;
        if let Some(bytes) = &found {
            check_given(offset, len, bytes)?;
        }
        Ok(found)
    }
}

fn check_given(offset: u64, len: usize, bytes: &Bytes) -> Result<(), ReadError> {
    if bytes.len() == len {
        return Ok(());
    }
    Err(ReadError::Given {
        offset,
        len: len as u64,
        given: bytes.len() as u64,
    })
}
