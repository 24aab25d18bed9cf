//! Reading at an offset.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use image_model::{Blame, Fault};

/// A blob that can be read at any offset, by any number of threads at once.
///
/// The blob must not change while it is read.
#[allow(
    clippy::len_without_is_empty,
    reason = "a blob is asked for its length to find its footer, never whether it is empty"
)]
pub trait ReadAt: Send + Sync {
    /// Length of the blob in bytes.
    ///
    /// # Errors
    /// [`ReadError::Len`] if the length cannot be determined.
    fn len(&self) -> Result<u64, ReadError>;

    /// Fills `buf` with the bytes that start at byte `offset`. Never reads less; after an error the content
    /// of `buf` is unspecified.
    ///
    /// # Errors
    /// [`ReadError`] if the blob ends within the range, or the source fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError>;

    /// The `len` bytes that start at byte `offset`, never more or fewer: [`Checked`](crate::Checked) enforces
    /// that for any implementation. Bytes that are in memory already are not copied.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at); nothing is allocated for bytes beyond the end of the blob.
    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        check_range(offset, len, self.len()?)?;
        let mut buf = vec![0; len];
        self.read_at(offset, &mut buf)?;
        Ok(buf.into())
    }

    /// The `len` bytes that start at byte `offset`, without reading or copying, if they are in memory
    /// already. `None` for all other blobs.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    fn in_memory(&self, _offset: u64, _len: usize) -> Result<Option<Bytes>, ReadError> {
        Ok(None)
    }
}

/// Why bytes of a blob cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The blob is shorter than what refers to it states.
    #[error("{len} bytes at byte {offset} are outside the blob of {blob_len} bytes")]
    OutOfBounds {
        /// First byte requested.
        offset: u64,
        /// Bytes requested.
        len: u64,
        /// Length of the blob.
        blob_len: u64,
    },
    /// The source failed.
    #[error("cannot read {len} bytes at byte {offset} of the blob")]
    Io {
        /// First byte requested.
        offset: u64,
        /// Bytes requested.
        len: u64,
        /// What happened.
        source: io::Error,
    },
    /// The source returned more or fewer bytes than requested: its [`ReadAt`] is incorrect.
    #[error("got {given} bytes instead of {len} at byte {offset} of the blob")]
    Given {
        /// First byte requested.
        offset: u64,
        /// Bytes requested.
        len: u64,
        /// Bytes returned.
        given: u64,
    },
    /// The source failed, and states the fault itself.
    #[error("cannot read {len} bytes at byte {offset} of the blob")]
    Source {
        /// First byte requested.
        offset: u64,
        /// Bytes requested.
        len: u64,
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Whose fault it is.
        fault: Fault,
    },
    /// The length of the source cannot be determined.
    #[error("cannot determine the length of the blob")]
    Len {
        /// What happened.
        source: io::Error,
    },
}

impl Blame for ReadError {
    fn fault(&self) -> Fault {
        match self {
            Self::OutOfBounds { .. } => Fault::Corrupt,
            Self::Io { .. } | Self::Len { .. } => Fault::Io,
            Self::Given { .. } => Fault::Misuse,
            Self::Source { fault, .. } => *fault,
        }
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match &error {
            ReadError::OutOfBounds { .. } => io::ErrorKind::UnexpectedEof,
            ReadError::Given { .. } | ReadError::Source { .. } => io::ErrorKind::Other,
            ReadError::Io { source, .. } | ReadError::Len { source } => source.kind(),
        };
        Self::new(kind, error)
    }
}

/// Checks that a blob of `blob_len` bytes has `len` bytes at `offset`.
pub(crate) fn check_range(offset: u64, len: usize, blob_len: u64) -> Result<(), ReadError> {
    let len = len as u64;
    match offset.checked_add(len) {
        Some(end) if end <= blob_len => Ok(()),
        _ => Err(ReadError::OutOfBounds {
            offset,
            len,
            blob_len,
        }),
    }
}

/// The `len` bytes of `memory` at `offset`, as a range of `memory`.
fn range_of(memory: &[u8], offset: u64, len: usize) -> Result<std::ops::Range<usize>, ReadError> {
    check_range(offset, len, memory.len() as u64)?;
    let start = usize::try_from(offset).expect("the offset is within a slice");
    Ok(start..start + len)
}

impl ReadAt for [u8] {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        buf.copy_from_slice(&self[range_of(self, offset, buf.len())?]);
        Ok(())
    }
}

impl ReadAt for Bytes {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        ReadAt::read_at(&**self, offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        Ok(self.slice(range_of(self, offset, len)?))
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        self.read_bytes(offset, len).map(Some)
    }
}

macro_rules! read_through_pointer {
    ($($pointer:ty),*) => {$(
        impl<R: ReadAt + ?Sized> ReadAt for $pointer {
            fn len(&self) -> Result<u64, ReadError> {
                (**self).len()
            }

            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
                (**self).read_at(offset, buf)
            }

            fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
                (**self).read_bytes(offset, len)
            }

            fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
                (**self).in_memory(offset, len)
            }
        }
    )*};
}

read_through_pointer!(&R, Arc<R>, Box<R>);
