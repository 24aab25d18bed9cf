//! Objects as files of a directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{ObjectRole, ObjectWriter, Output};
use crate::{AtomicDir, WriteError, Written};

/// Name of an object until its digest is known.
const INCOMPLETE: &str = ".incomplete";

/// A directory that appears whole: the bootstrap as `image.boot`, every other object in `blobs`, named by the
/// hex digits of its SHA-256.
///
/// ```
/// use lazyoci_blob_io::{DirectoryOutput, ObjectRole, Output, Written};
/// # let dir = tempfile::tempdir()?;
/// # let target = dir.path().join("image");
/// let mut output = DirectoryOutput::create(&target)?;
/// let mut blob = output.begin(ObjectRole::Blob)?;
/// blob.write_all(b"content")?;
/// # let digest = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [0xab; 32]);
/// blob.finish(&Written::new(digest, 7))?;
/// output.commit()?;
/// assert_eq!(std::fs::read(target.join("blobs").join(digest.hex()))?, b"content");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DirectoryOutput {
    /// `None` once it is committed.
    directory: Option<AtomicDir>,
    target: PathBuf,
}

impl DirectoryOutput {
    /// Name of the bootstrap.
    pub const BOOTSTRAP: &str = "image.boot";
    /// Name of the directory of all other objects.
    pub const BLOBS: &str = "blobs";

    /// Starts a directory that will be at `target`, as [`AtomicDir::create`] does.
    ///
    /// # Errors
    /// [`WriteError`] if the target exists and is not an empty directory, or nothing can be created beside
    /// it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, WriteError> {
        let directory = AtomicDir::create(target)?;
        Ok(Self {
            target: directory.target().into(),
            directory: Some(directory),
        })
    }

    /// The final path of the directory.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }
}

impl Output for DirectoryOutput {
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError> {
        let failed = |source| WriteError::Create {
            path: self.target.clone(),
            source,
        };
        let Some(directory) = &self.directory else {
            return Err(WriteError::Committed);
        };
        let (parent, name) = match role {
            ObjectRole::Bootstrap => (directory.path().into(), Self::BOOTSTRAP),
            ObjectRole::Blob | ObjectRole::Layer | ObjectRole::Toc => {
                (directory.path().join(Self::BLOBS), INCOMPLETE)
            }
        };
        fs::create_dir_all(&parent).map_err(failed)?;
        let path = parent.join(name);
        let file = File::create_new(&path).map_err(failed)?;
        Ok(Box::new(ObjectFile {
            file,
            path: Incomplete(Some(path)),
            parent: (role != ObjectRole::Bootstrap).then_some(parent),
        }))
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        self.directory.take().ok_or(WriteError::Committed)?.commit()
    }
}

struct ObjectFile {
    file: File,
    path: Incomplete,
    /// The directory in which it is named by its digest.
    parent: Option<PathBuf>,
}

/// A file that is removed unless it is finished, along with its directory if that is then empty.
struct Incomplete(Option<PathBuf>);

impl Drop for Incomplete {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Anything left is removed with the directory at the latest.
            let _ = fs::remove_file(path);
            if let (Some(parent), true) = (path.parent(), path.ends_with(INCOMPLETE)) {
                let _ = fs::remove_dir(parent);
            }
        }
    }
}

impl Write for ObjectFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for ObjectFile {
    fn finish(mut self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        if let (Some(parent), Some(path)) = (&self.parent, &self.path.0) {
            let name = parent.join(written.digest.hex());
            fs::rename(path, &name).map_err(|source| WriteError::Commit { path: name, source })?;
        }
        self.path.0 = None;
        Ok(())
    }
}
