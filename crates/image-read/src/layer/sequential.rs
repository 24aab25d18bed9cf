//! A file as a stream.

use std::io::{self, Read, Seek, SeekFrom};

use blob_io::ReadAt;

/// A source read from its start on.
pub(crate) struct Sequential<'a> {
    source: &'a dyn ReadAt,
    position: u64,
    len: u64,
}

impl<'a> Sequential<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Result<Self, blob_io::ReadError> {
        Ok(Self {
            source,
            position: 0,
            len: source.len()?,
        })
    }

    /// Length of the source in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.source.read_at(self.position, &mut buf[..len])?;
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Sequential<'_> {
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
