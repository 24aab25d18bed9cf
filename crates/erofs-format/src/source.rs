//! Where the bytes of an image come from.

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};

use crate::error::ReadFault;

/// Provides the bytes of an image's metadata: memory, a file, a cache of one. EROFS keeps metadata anywhere between the
/// content of files, so it is not read as a whole. Implementations do the I/O, and should cache what they read:
/// neighbouring bytes are requested soon after.
#[allow(
    clippy::len_without_is_empty,
    reason = "an image is asked for its length to bound what is in it"
)]
pub trait MetadataBytes: Send + Sync {
    /// Length of the image in bytes.
    ///
    /// # Errors
    /// [`ReadFault`] if it is not known.
    fn len(&self) -> Result<u64, ReadFault>;

    /// The `len` bytes at `offset`, which the image has: no fewer, no more.
    ///
    /// # Errors
    /// [`ReadFault`] if they cannot be read.
    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadFault>;
}

/// An image in memory.
impl MetadataBytes for Bytes {
    fn len(&self) -> Result<u64, ReadFault> {
        Ok(u64_from(self.as_ref().len()))
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadFault> {
        let start = usize_up_to(offset).min(self.as_ref().len());
        let end = start.saturating_add(len).min(self.as_ref().len());
        Ok(self.slice(start..end))
    }
}
