//! The stored bytes of a layer, buffered and counted.

use std::io::{self, BufRead, Read};

use image_model::width::u64_from;

const BUFFER_LEN: usize = 128 << 10;

pub(crate) struct Source<R> {
    inner: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes taken.
    position: u64,
    /// Whether the last error came from `inner`.
    failed: bool,
}

impl<R> Source<R> {
    /// What is in the buffer and not taken yet.
    fn at_hand(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }
}

impl<R: Read> Source<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: vec![0; BUFFER_LEN].into(),
            start: 0,
            end: 0,
            position: 0,
            failed: false,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether an error that came up was the source's own.
    #[cfg_attr(
        not(feature = "gzip"),
        expect(dead_code, reason = "only flate2 mixes errors")
    )]
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
    }

    /// The first bytes, up to `len` of them, without taking them.
    pub(crate) fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.at_hand().len() < len {
            let read = self.read_more()?;
            if read == 0 {
                break;
            }
        }
        Ok(self.at_hand())
    }

    /// Reads behind what is in the buffer.
    fn read_more(&mut self) -> io::Result<usize> {
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.failed = true;
                    return Err(e);
                }
                Ok(read) => {
                    self.end = self.end.saturating_add(read);
                    return Ok(read);
                }
            }
        }
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.read_more()?;
        }
        Ok(self.at_hand())
    }

    fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len);
        self.position = self.position.saturating_add(u64_from(len));
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && buf.len() >= BUFFER_LEN {
            let read = self.inner.read(buf)?;
            self.position = self.position.saturating_add(u64_from(read));
            return Ok(read);
        }
        let at_hand = self.fill_buf()?;
        let len = at_hand.len().min(buf.len());
        buf[..len].copy_from_slice(&at_hand[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R> std::fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("position", &self.position)
            .field("buffered", &self.at_hand().len())
            .finish_non_exhaustive()
    }
}
