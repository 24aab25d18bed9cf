//! An image target as the output of conversions.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use blob_io::{ObjectRole, ObjectWriter, Output, WriteError, Written};
use image_model::{Blame as _, Fault};
use image_store::{ImageStoreError, ImageTarget};

/// Writes layers to an image target, where each exists once it is finished.
pub(crate) struct LayerOutput<'t>(pub(crate) &'t dyn ImageTarget);

impl Output for LayerOutput<'_> {
    fn begin(&mut self, _: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        Ok(begin(self.0)?)
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

pub(crate) fn begin(
    target: &dyn ImageTarget,
) -> Result<Box<dyn ObjectWriter + Send + '_>, WriteError> {
    target.begin().map_err(|error| match error {
        ImageStoreError::Write(error) => error,
        error => WriteError::Target {
            fault: error.fault(),
            source: error.into(),
        },
    })
}

/// Writes the blobs of a stack of layers to an image target, one blob for each layer with content of its own, and
/// keeps the bootstrap in a temporary file.
///
/// A blob is [finished](Finisher), which may mean to send it, by another thread while the next one is written.
pub(crate) struct StackOutput<'t> {
    target: &'t dyn ImageTarget,
    to_finish: SyncSender<Unfinished<'t>>,
    /// When the layers began, and then the bootstrap.
    begun: Vec<Instant>,
    /// Directory for the bootstrap. Default: the system's temporary directory.
    spool_directory: Option<PathBuf>,
    bootstrap: Option<File>,
}

/// Finishes blobs, one at a time.
pub(crate) struct Finisher<'t>(Receiver<Unfinished<'t>>);

/// A blob that lacks its name.
struct Unfinished<'t> {
    layer: usize,
    begun: Instant,
    object: Box<dyn ObjectWriter + Send + 't>,
    written: Written,
}

/// Why a blob does not exist.
#[derive(Debug)]
pub(crate) struct Failed {
    /// The position of its layer.
    pub(crate) layer: usize,
    pub(crate) error: WriteError,
}

impl<'t> StackOutput<'t> {
    /// The output, and what has to run on another thread.
    pub(crate) fn new(
        target: &'t dyn ImageTarget,
        spool_directory: Option<&Path>,
    ) -> (Self, Finisher<'t>) {
        // Nothing waits in it: one blob is finished while another one is written.
        let (to_finish, unfinished) = sync_channel(0);
        let output = Self {
            target,
            to_finish,
            begun: Vec::new(),
            spool_directory: spool_directory.map(Into::into),
            bootstrap: None,
        };
        (output, Finisher(unfinished))
    }

    /// The written bootstrap, rewound to its start, and how long each layer took until the next one began. Lets the
    /// finisher end.
    pub(crate) fn into_bootstrap(self) -> io::Result<(File, Vec<Duration>)> {
        let mut file = self
            .bootstrap
            .ok_or_else(|| io::Error::other("no bootstrap was written"))?;
        file.rewind()?;
        let pairs = self.begun.iter().zip(self.begun.iter().skip(1));
        let times = pairs.map(|(begun, next)| next.duration_since(*begun));
        Ok((file, times.collect()))
    }
}

impl Finisher<'_> {
    /// Finishes blobs until the output is dropped, and calls `done` with the position of each layer and the time since
    /// it began. After a failure, the output fails as well.
    pub(crate) fn run(self, mut done: impl FnMut(usize, Duration)) -> Result<(), Failed> {
        for blob in self.0 {
            let layer = blob.layer;
            let finished = blob.object.finish(&blob.written);
            finished.map_err(|error| Failed { layer, error })?;
            done(layer, blob.begun.elapsed());
        }
        Ok(())
    }
}

impl Output for StackOutput<'_> {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        let (layer, begun) = (self.begun.len(), Instant::now());
        self.begun.push(begun);
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
        Ok(Box::new(Handed {
            layer,
            begun,
            object: begin(self.target)?,
            to_finish: &self.to_finish,
        }))
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        Ok(())
    }
}

/// A blob that another thread finishes.
struct Handed<'o, 't> {
    layer: usize,
    begun: Instant,
    object: Box<dyn ObjectWriter + Send + 't>,
    to_finish: &'o SyncSender<Unfinished<'t>>,
}

impl Write for Handed<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.object.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}

impl ObjectWriter for Handed<'_, '_> {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let Self {
            layer,
            begun,
            object,
            to_finish,
        } = *self;
        let blob = Unfinished {
            layer,
            begun,
            object,
            written: *written,
        };
        // The finisher says why it has ended.
        to_finish.send(blob).map_err(|_| WriteError::Target {
            fault: Fault::Io,
            source: "an earlier blob could not be finished".into(),
        })
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
