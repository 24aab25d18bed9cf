//! Metadata that is compressed while it is made, within the bounds of its readers.

use std::io::{self, Write};

use estargz_toc::containers_toc::MAX_LEN;
use frame_codec::FrameWriter;

use crate::ConvertError;

/// Counts the bytes that are written to a `W`, and refuses more than readers accept.
#[derive(Debug)]
pub(crate) struct Bounded<W> {
    out: W,
    len: u64,
}

/// Metadata, compressed.
#[derive(Debug)]
pub(crate) struct Compressed {
    pub(crate) stored: Vec<u8>,
    /// Bytes before compression.
    pub(crate) len: u64,
}

impl<W> Bounded<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, len: 0 }
    }

    /// Why `what` cannot be written to it.
    pub(crate) fn failure(error: io::Error, what: &'static str) -> ConvertError {
        match error.kind() {
            io::ErrorKind::FileTooLarge => ConvertError::MetadataTooLong {
                what,
                limit: MAX_LEN,
            },
            _ => error.into(),
        }
    }
}

impl Bounded<FrameWriter<Vec<u8>>> {
    /// Ends the frame.
    pub(crate) fn finish(self, what: &'static str) -> Result<Compressed, ConvertError> {
        let stored = self.out.finish()?;
        if stored.len() as u64 > MAX_LEN {
            return Err(Self::failure(io::ErrorKind::FileTooLarge.into(), what));
        }
        let len = self.len;
        Ok(Compressed { stored, len })
    }
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.len.saturating_add(buf.len() as u64) > MAX_LEN {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.out.write(buf)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
