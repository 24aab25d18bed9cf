//! Objects on their way to an output.

use std::io::{self, BufWriter, Write};

use blob_io::{DigestWriter, ObjectRole, ObjectWriter, Output, Written};

use crate::ConvertError;

/// Bytes gathered before they are written.
pub(crate) const BUFFER_LEN: usize = 256 << 10;

/// An object that is written from front to end, buffered, and called by the digest of what is written;
/// dropped, it leaves nothing.
pub(crate) struct DigestedObject<'o>(BufWriter<DigestWriter<Box<dyn ObjectWriter + 'o>>>);

impl<'o> DigestedObject<'o> {
    /// Begins an object of `output`.
    pub(crate) fn begin(
        output: &'o mut dyn Output,
        role: ObjectRole,
    ) -> Result<Self, ConvertError> {
        let object = DigestWriter::new(output.begin(role)?);
        Ok(Self(BufWriter::with_capacity(BUFFER_LEN, object)))
    }

    /// Completes the object.
    pub(crate) fn finish(self) -> Result<Written, ConvertError> {
        let (mut object, written) = self.0.into_inner().map_err(io::Error::from)?.finish();
        object.flush()?;
        object.finish(&written)?;
        Ok(written)
    }
}

impl Write for DigestedObject<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.0.write_all(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
