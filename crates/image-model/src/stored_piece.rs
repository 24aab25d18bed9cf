//! Where a compressed piece of a blob is.

/// A compressed piece of a blob that is not a frame of the image: a table of contents, or other metadata.
///
/// ```
/// use lazyoci_image_model::StoredPiece;
/// let toc = StoredPiece::new(364, 539, 1298);
/// assert_eq!(toc.end(), Some(903));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StoredPiece {
    /// Its first byte, from the start of the blob.
    pub offset: u64,
    /// Bytes in the blob.
    pub stored_len: u64,
    /// Bytes after decompression.
    pub len: u64,
}

impl StoredPiece {
    /// A piece of `len` bytes, which take `stored_len` bytes from `offset`.
    #[must_use]
    pub const fn new(offset: u64, stored_len: u64, len: u64) -> Self {
        Self {
            offset,
            stored_len,
            len,
        }
    }

    /// One past its last byte in the blob; `None` if that is beyond 2^64.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.stored_len)
    }
}
