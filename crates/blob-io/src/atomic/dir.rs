//! Directories that appear whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{PREFIX, WriteError, parent, resolve, without_name};

/// A directory that gets its name when it is committed. Dropped before that, it is removed.
///
/// Until then it is inside a directory that only its owner may enter: whatever owners and modes its files are
/// given, no other user can reach incomplete output. The target may be an empty directory, which is replaced.
/// Fill it by path:
///
/// ```
/// use lazyoci_blob_io::AtomicDir;
/// # let dir = tempfile::tempdir()?;
/// # let target = dir.path().join("image");
/// let output = AtomicDir::create(&target)?;
/// std::fs::write(output.path().join("image.boot"), b"whole")?;
/// assert!(!target.exists());
/// output.commit()?;
/// assert_eq!(std::fs::read(target.join("image.boot"))?, b"whole");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicDir {
    /// Private; contains only `path`.
    temporary: TempDir,
    path: PathBuf,
    target: PathBuf,
}

impl AtomicDir {
    /// Starts a directory that will be at `target`. Its parent must exist.
    ///
    /// # Errors
    /// [`WriteError`] if the target exists and is not an empty directory, or nothing can be created beside
    /// it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, WriteError> {
        let target = resolve(target.into());
        if !absent_or_empty(&target) {
            return Err(WriteError::Exists { path: target });
        }
        let parent = parent(&target)?;
        let created = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(parent)
            .and_then(|temporary| {
                let path = temporary.path().join("output");
                fs::create_dir(&path)?;
                Ok((temporary, path))
            });
        match created {
            Ok((temporary, path)) => Ok(Self {
                temporary,
                path,
                target,
            }),
            Err(error) => Err(WriteError::Create {
                path: target,
                source: without_name(error),
            }),
        }
    }

    /// The directory to fill, under its temporary name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The private directory around it, for temporary files while it is filled.
    #[must_use]
    pub fn private(&self) -> &Path {
        self.temporary.path()
    }

    /// The final path of the directory.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the directory its name.
    ///
    /// # Errors
    /// [`WriteError`], also if something was created at the target since [`create`](Self::create); the target
    /// is then unchanged.
    pub fn commit(self) -> Result<(), WriteError> {
        match fs::rename(&self.path, &self.target) {
            Ok(()) => Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
                ) =>
            {
                Err(WriteError::Exists { path: self.target })
            }
            Err(source) => Err(WriteError::Commit {
                path: self.target,
                source,
            }),
        }
    }

    /// Removes the directory. Dropping does the same, but cannot report a failure.
    ///
    /// # Errors
    /// [`WriteError::Remains`] with the path of what could not be removed.
    pub fn discard(self) -> Result<(), WriteError> {
        let path = self.temporary.path().to_owned();
        self.temporary
            .close()
            .map_err(|source| WriteError::Remains { path, source })
    }
}

fn absent_or_empty(target: &Path) -> bool {
    match fs::symlink_metadata(target) {
        Ok(_) => fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none()),
        // Where nobody may look, nothing can be created either, and that error says why.
        Err(_) => true,
    }
}
