//! Bytes of a source that have been read but not decoded.

use std::io::{self, Read};

/// Number of bytes to request from a source at once.
pub(super) const BUFFER_LEN: usize = 128 << 10;

pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER_LEN].into(),
            start: 0,
            end: 0,
        }
    }

    /// The bytes read but not consumed.
    pub(super) fn at_hand(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn take(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// The space for further bytes.
    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Records that `len` bytes were read into the space.
    pub(super) fn put(&mut self, len: usize) {
        self.end = self.end.saturating_add(len);
    }

    /// Reads more bytes; returns how many, 0 at the end.
    pub(super) fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        loop {
            match source.read(self.free()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(read) => {
                    self.put(read);
                    return Ok(read);
                }
            }
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("at_hand", &self.at_hand().len())
            .finish_non_exhaustive()
    }
}
