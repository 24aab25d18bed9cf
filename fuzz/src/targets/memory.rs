//! A blob in memory.

use lazyoci::blob_io::{ReadAt, ReadError};

/// Bytes that are read like a file.
#[derive(Debug, Clone)]
pub(super) struct Memory(pub(super) Vec<u8>);

impl ReadAt for Memory {
    fn len(&self) -> Result<u64, ReadError> {
        ReadAt::len(&*self.0)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.0.as_slice().read_at(offset, buf)
    }
}
