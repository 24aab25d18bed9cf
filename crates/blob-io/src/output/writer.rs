//! One object to a writer.

use std::io::Write;

use super::file::{Single, SingleObject};
use super::{ObjectRole, ObjectWriter, Output};
use crate::WriteError;

/// Writes one object to any [`Write`]: a pipe, an upload, a `&mut Vec<u8>`. What was written cannot be
/// taken back if something fails.
///
/// ```
/// # use std::io::Write;
/// use lazyoci_blob_io::{ObjectRole, Output, WriterOutput};
/// let mut bytes = Vec::new();
/// let mut output = WriterOutput::new(&mut bytes);
/// output.begin(ObjectRole::Layer)?.write_all(b"layer")?;
/// assert_eq!(bytes, b"layer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct WriterOutput<W>(Single<W>);

impl<W: Write> WriterOutput<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(Single::Empty(writer))
    }
}

impl<W: Write> Output for WriterOutput<W> {
    fn begin(&mut self, _role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        let place = self.0.begin()?;
        let output = &mut self.0;
        Ok(Box::new(SingleObject { place, output }))
    }

    fn is_single(&self) -> bool {
        true
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        let mut writer = self.0.commit()?;
        writer
            .flush()
            .map_err(|source| WriteError::Flush { source })
    }
}
