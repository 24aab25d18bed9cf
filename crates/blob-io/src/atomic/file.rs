//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{PREFIX, WriteError, parent, resolve, without_name};

/// A file that gets its name, replacing any file of that name, when it is committed.
///
/// Dropped before that, it is removed. Writes are not buffered.
///
/// ```
/// use std::io::Write;
/// use lazyoci_blob_io::AtomicFile;
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("image.boot");
/// let mut file = AtomicFile::create(&path)?;
/// file.write_all(b"whole")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"whole");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    /// The directory of the temporary file.
    directory: PathBuf,
    target: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will be at `target`. Its parent must exist.
    ///
    /// # Errors
    /// [`WriteError`] if the target exists and is not a file, or nothing can be created beside it.
    pub fn create(target: impl Into<PathBuf>) -> Result<Self, WriteError> {
        let target = resolve(target.into());
        if fs::symlink_metadata(&target).is_ok_and(|there| !there.is_file()) {
            return Err(WriteError::Exists { path: target });
        }
        let directory = parent(&target)?.to_owned();
        Self::begin(directory, target)
    }

    /// Starts a file in `directory` without a name; [`renamed`](Self::renamed) gives it one.
    ///
    /// # Errors
    /// [`WriteError`] if nothing can be created there.
    pub fn create_in(directory: impl Into<PathBuf>) -> Result<Self, WriteError> {
        let directory = directory.into();
        Self::begin(directory.clone(), directory)
    }

    fn begin(directory: PathBuf, target: PathBuf) -> Result<Self, WriteError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The mode of other new files, subject to the umask. Temporary files are private by default.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        match builder.tempfile_in(&directory) {
            Ok(temporary) => Ok(Self {
                temporary,
                directory,
                target,
            }),
            Err(error) => Err(WriteError::Create {
                path: target,
                source: without_name(error),
            }),
        }
    }

    /// The final path of the file.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The open file.
    #[must_use]
    pub fn as_file(&self) -> &fs::File {
        self.temporary.as_file()
    }

    /// Gives the file its name.
    ///
    /// After a system crash the file may be incomplete: see [`commit_synced`](Self::commit_synced).
    ///
    /// # Errors
    /// [`WriteError::Commit`]; the target is then unchanged.
    pub fn commit(self) -> Result<(), WriteError> {
        match self.temporary.persist(&self.target) {
            Ok(_) => Ok(()),
            Err(error) => Err(WriteError::Commit {
                path: self.target,
                source: error.error,
            }),
        }
    }

    /// Changes the target's name, within the directory in which the file was created or one below it: for
    /// names that depend on the content.
    ///
    /// ```
    /// use std::io::Write;
    /// use lazyoci_blob_io::AtomicFile;
    /// # let dir = tempfile::tempdir()?;
    /// let mut file = AtomicFile::create_in(dir.path())?;
    /// file.write_all(b"hello")?;
    /// file.renamed("2cf24dba").commit()?;
    /// assert_eq!(std::fs::read(dir.path().join("2cf24dba"))?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn renamed(mut self, name: impl AsRef<Path>) -> Self {
        self.target = self.directory.join(name.as_ref());
        self
    }

    /// Syncs the file to disk, gives it its name, and syncs the directory: for caches that treat any existing
    /// file as complete.
    ///
    /// ```
    /// use std::io::Write;
    /// use lazyoci_blob_io::AtomicFile;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("blob");
    /// let mut blob = AtomicFile::create(&path)?;
    /// blob.write_all(b"verified bytes")?;
    /// blob.commit_synced()?;
    /// assert_eq!(std::fs::read(&path)?, b"verified bytes");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Commit`]; the target is then unchanged, or complete.
    pub fn commit_synced(self) -> Result<(), WriteError> {
        let target = self.target.clone();
        let failed = |source| WriteError::Commit {
            path: target.clone(),
            source,
        };
        self.as_file().sync_all().map_err(failed)?;
        self.commit()?;
        sync_directory(parent(&target)?).map_err(failed)
    }
}

/// Syncs a directory to disk, where the system supports it.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.temporary.as_file_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.temporary.as_file_mut().seek(position)
    }
}
