//! Bytes of a source that were read and are not decoded yet.

use std::io::{self, Read};

/// Bytes that a source is asked for at once.
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

    /// What is read and not taken.
    pub(super) fn at_hand(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(super) fn take(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
        if self.start >= self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Where more may be read to.
    pub(super) fn free(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Says that `len` bytes were read to where they may.
    pub(super) fn put(&mut self, len: usize) {
        self.end = self.end.saturating_add(len);
    }

    /// Reads more behind what is at hand; how much, 0 at the end.
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
