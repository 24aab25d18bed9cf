//! Outputs for one object.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{ObjectRole, ObjectWriter, Output};
use crate::{AtomicFile, WriteError, Written};

/// An output for one object, written to a `P`: a [`FileOutput`] or a [`WriterOutput`].
#[derive(Debug)]
pub struct SingleOutput<P>(State<P>);

/// One file that appears whole.
pub type FileOutput = SingleOutput<AtomicFile>;

/// Writes one object to any [`Write`]: a pipe, an upload, a `&mut Vec<u8>`. Written bytes cannot be taken
/// back if something fails.
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
pub type WriterOutput<W> = SingleOutput<Flushed<W>>;

impl FileOutput {
    /// Starts a file that will be at `target`, as [`AtomicFile::create`] does.
    ///
    /// # Errors
    /// [`WriteError`] if the target exists and is not a file, or nothing can be created beside it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, WriteError> {
        AtomicFile::create(target).map(|file| Self(State::Empty(file)))
    }
}

impl<W: Write> WriterOutput<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(State::Empty(Flushed(writer)))
    }
}

/// The destination of the object.
pub trait Place: Write {
    /// Makes the object appear.
    fn commit(self) -> Result<(), WriteError>;
}

impl Place for AtomicFile {
    fn commit(self) -> Result<(), WriteError> {
        Self::commit(self)
    }
}

/// A writer that is flushed at the end.
#[derive(Debug)]
pub struct Flushed<W>(W);

impl<W: Write> Write for Flushed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Place for Flushed<W> {
    fn commit(mut self) -> Result<(), WriteError> {
        self.flush().map_err(|source| WriteError::Flush { source })
    }
}

/// State of the output.
#[derive(Debug)]
enum State<P> {
    /// No object was begun.
    Empty(P),
    /// The object is complete.
    Complete(P),
    /// An object was begun and dropped, or all was committed.
    Gone,
}

impl<P: Place> Output for SingleOutput<P> {
    fn begin(&mut self, _role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        // The place is lost unless the object is finished.
        match std::mem::replace(&mut self.0, State::Gone) {
            State::Empty(place) => {
                let output = &mut self.0;
                Ok(Box::new(SingleObject { place, output }))
            }
            other => {
                self.0 = other;
                Err(WriteError::SingleObject)
            }
        }
    }

    fn is_single(&self) -> bool {
        true
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        match std::mem::replace(&mut self.0, State::Gone) {
            State::Complete(place) | State::Empty(place) => place.commit(),
            State::Gone => Err(WriteError::Committed),
        }
    }
}

/// The only object.
struct SingleObject<'o, P> {
    place: P,
    output: &'o mut State<P>,
}

impl<P: Place> Write for SingleObject<'_, P> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.place.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }
}

impl<P: Place> ObjectWriter for SingleObject<'_, P> {
    fn finish(self: Box<Self>, _written: &Written) -> Result<(), WriteError> {
        let Self { place, output } = *self;
        *output = State::Complete(place);
        Ok(())
    }
}
