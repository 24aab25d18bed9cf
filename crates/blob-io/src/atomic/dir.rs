//! Directories that appear whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{PREFIX, WriteError, parent, resolve};

/// A directory that gets its name when it is committed. Dropped before that, it leaves nothing.
///
/// Until then it lies in a directory that nobody but its owner may enter: whatever owners and modes it is
/// given, no other user reaches into what is not complete. The target may be an empty directory, which
/// it replaces. It is filled by path:
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
    /// Private; holds `path` and nothing else.
    temporary: TempDir,
    path: PathBuf,
    target: PathBuf,
}

impl AtomicDir {
    /// Starts a directory that is to be at `target`, in a directory that exists.
    ///
    /// # Errors
    /// [`WriteError`] if something other than an empty directory is there, or nothing can be
    /// created beside it.
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
            Err(source) => Err(WriteError::Create {
                path: target,
                source,
            }),
        }
    }

    /// The directory to fill, under its temporary name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The private directory that holds it, where there is room for what is needed while it is filled.
    #[must_use]
    pub fn private(&self) -> &Path {
        self.temporary.path()
    }

    /// Where the directory is to be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the directory its name.
    ///
    /// # Errors
    /// [`WriteError`], also if something came to be at the target since [`create`](Self::create);
    /// the target is then as it was.
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

    /// Removes what is there. Dropping does the same, but cannot say that something remains.
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
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
