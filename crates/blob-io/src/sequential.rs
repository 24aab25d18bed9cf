//! A blob as a stream.

use std::io::{self, Read, Seek, SeekFrom};

use crate::read::{ReadAt, ReadError};

/// A blob that is read from its start on, and can be sought in.
///
/// ```
/// use std::io::{Read, Seek, SeekFrom};
/// use lazyoci_blob_io::Sequential;
///
/// let mut blob = Sequential::new(&b"header, frames"[..])?;
/// blob.seek(SeekFrom::Start(8))?;
/// let mut frames = String::new();
/// blob.read_to_string(&mut frames)?;
/// assert_eq!((frames.as_str(), blob.len()), ("frames", 14));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[allow(
    clippy::len_without_is_empty,
    reason = "a blob is asked for its length to bound what is in it"
)]
pub struct Sequential<S> {
    source: S,
    position: u64,
    len: u64,
}

impl<S: ReadAt> Sequential<S> {
    /// All of `source`.
    ///
    /// # Errors
    /// [`ReadError::Len`] if its length cannot be determined.
    pub fn new(source: S) -> Result<Self, ReadError> {
        Ok(Self {
            position: 0,
            len: source.len()?,
            source,
        })
    }

    /// Length of the blob in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }
}

impl<S: ReadAt> Read for Sequential<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        if len == 0 {
            return Ok(0);
        }
        self.source.read_at(self.position, &mut buf[..len])?;
        self.position += len as u64;
        Ok(len)
    }
}

impl<S: ReadAt> Seek for Sequential<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
