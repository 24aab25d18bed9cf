//! An image target as the output of conversions.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use blob_io::{ObjectRole, ObjectWriter, Output, WriteError, Written};
use image_model::Blame as _;
use image_store::{ImageStoreError, ImageTarget};

/// Writes blobs and layers to an image target, where each exists once it is finished, and keeps the bootstrap
/// in a temporary file.
pub(crate) struct TargetOutput<'t> {
    target: &'t dyn ImageTarget,
    /// Directory for the bootstrap. Default: the system's temporary directory.
    spool_directory: Option<PathBuf>,
    bootstrap: Option<File>,
}

impl<'t> TargetOutput<'t> {
    pub(crate) fn new(target: &'t dyn ImageTarget, spool_directory: Option<&Path>) -> Self {
        Self {
            target,
            spool_directory: spool_directory.map(Into::into),
            bootstrap: None,
        }
    }

    /// The written bootstrap, rewound to its start.
    pub(crate) fn into_bootstrap(self) -> io::Result<File> {
        let mut file = self
            .bootstrap
            .ok_or_else(|| io::Error::other("no bootstrap was written"))?;
        file.rewind()?;
        Ok(file)
    }
}

impl Output for TargetOutput<'_> {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        if role == ObjectRole::Bootstrap {
            let file = match &self.spool_directory {
                Some(directory) => tempfile::tempfile_in(directory),
                None => tempfile::tempfile(),
            };
            let file = file.map_err(|source| WriteError::Create {
                path: "bootstrap".into(),
                source,
            })?;
            return Ok(Box::new(Kept(self.bootstrap.insert(file))));
        }
        self.target.begin().map_err(|error| match error {
            ImageStoreError::Write(error) => error,
            error => WriteError::Target {
                fault: error.fault(),
                source: error.into(),
            },
        })
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A temporary file without a name.
struct Kept<'f>(&'f mut File);

impl Write for Kept<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ObjectWriter for Kept<'_> {
    fn finish(self: Box<Self>, _: &Written) -> Result<(), WriteError> {
        Ok(())
    }
}
