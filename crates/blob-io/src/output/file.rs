//! One object as a file.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{ObjectRole, ObjectWriter, Output};
use crate::{AtomicFile, WriteError, Written};

/// One file, which appears whole.
#[derive(Debug)]
pub struct FileOutput(Single<AtomicFile>);

/// Room for one object.
#[derive(Debug)]
pub(super) enum Single<W> {
    /// Nothing was begun.
    Empty(W),
    /// The object is complete.
    Complete(W),
    /// An object was begun and dropped, or all was committed.
    Gone,
}

impl<W> Single<W> {
    /// The place of the object; it is gone unless it is put back.
    pub(super) fn begin(&mut self) -> Result<W, WriteError> {
        match std::mem::replace(self, Self::Gone) {
            Self::Empty(place) => Ok(place),
            other => {
                *self = other;
                Err(WriteError::SingleObject)
            }
        }
    }

    /// What is complete.
    pub(super) fn commit(&mut self) -> Result<W, WriteError> {
        match std::mem::replace(self, Self::Gone) {
            Self::Complete(place) | Self::Empty(place) => Ok(place),
            Self::Gone => Err(WriteError::Committed),
        }
    }
}

impl FileOutput {
    /// Starts a file that is to be at `target`, as [`AtomicFile::create`] does.
    ///
    /// # Errors
    /// [`WriteError`] if something other than a file is there, or nothing can be created beside it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, WriteError> {
        AtomicFile::create(target).map(|file| Self(Single::Empty(file)))
    }
}

impl Output for FileOutput {
    fn begin(&mut self, _role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        let place = self.0.begin()?;
        let output = &mut self.0;
        Ok(Box::new(SingleObject { place, output }))
    }

    fn is_single(&self) -> bool {
        true
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        self.0.commit()?.commit()
    }
}

/// The only object.
pub(super) struct SingleObject<'o, W> {
    pub(super) place: W,
    pub(super) output: &'o mut Single<W>,
}

impl<W: Write> Write for SingleObject<'_, W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.place.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.place.flush()
    }
}

impl<W: Write> ObjectWriter for SingleObject<'_, W> {
    fn finish(self: Box<Self>, _written: &Written) -> Result<(), WriteError> {
        let Self { place, output } = *self;
        *output = Single::Complete(place);
        Ok(())
    }
}
