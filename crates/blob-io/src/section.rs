//! Part of a blob.

use std::sync::Arc;

use bytes::Bytes;

use crate::read::{ReadAt, ReadError, check_range};

/// A range of another blob, as a blob of its own: for files in an archive.
///
/// ```
/// use std::sync::Arc;
/// use bytes::Bytes;
/// use lazyoci_blob_io::{ReadAt, Section};
///
/// let section = Section::new(Arc::new(Bytes::from_static(b"abcdef")), 2, 3)?;
/// assert_eq!(section.len()?, 3);
/// assert_eq!(section.read_bytes(1, 2)?, &b"de"[..]);
/// assert!(section.read_bytes(2, 2).is_err());
/// # Ok::<(), lazyoci_blob_io::ReadError>(())
/// ```
#[derive(Clone)]
pub struct Section {
    source: Arc<dyn ReadAt>,
    offset: u64,
    len: u64,
}

impl std::fmt::Debug for Section {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Section")
            .field("offset", &self.offset)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Section {
    /// The `len` bytes of `source` that start at byte `offset`.
    ///
    /// # Errors
    /// [`ReadError::OutOfBounds`] if the source is shorter, [`ReadError::Len`] if its length cannot be
    /// determined.
    pub fn new(source: Arc<dyn ReadAt>, offset: u64, len: u64) -> Result<Self, ReadError> {
        let blob_len = source.len()?;
        if offset.checked_add(len).is_none_or(|end| end > blob_len) {
            return Err(ReadError::OutOfBounds {
                offset,
                len,
                blob_len,
            });
        }
        Ok(Self {
            source,
            offset,
            len,
        })
    }

    /// The position in the source of `offset`, if the section has `len` bytes from there.
    fn at(&self, offset: u64, len: usize) -> Result<u64, ReadError> {
        check_range(offset, len, self.len)?;
        Ok(self.offset + offset)
    }
}

impl ReadAt for Section {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.len)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.source.read_at(self.at(offset, buf.len())?, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        self.source.read_bytes(self.at(offset, len)?, len)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        self.source.in_memory(self.at(offset, len)?, len)
    }
}
