//! A blob in memory.

use lazyoci::blob_io::{ReadAt, ReadError};
use lazyoci::model::Need;
use lazyoci::rafs_format::bytes::Bytes;

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

/// What a machine asks for out of `blob`, a few times.
pub(super) fn asked<E>(blob: &[u8]) -> impl FnMut(Need) -> Result<Bytes, E> {
    let mut steps = 0;
    move |need| {
        assert!(steps < 4, "it asks again and again");
        steps += 1;
        let bytes = &blob[need.range.start as usize..need.range.end as usize];
        Ok(Bytes::copy_from_slice(bytes))
    }
}
