//! Blobs in local files.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::read::{ReadAt, ReadError, check_range};

/// A local file, read with `pread`: threads share it without a lock.
///
/// ```no_run
/// use lazyoci_blob_io::{LocalFile, ReadAt};
/// let blob = LocalFile::open("blobs/0123abcd".as_ref())?;
/// let mut header = [0; 1024];
/// blob.read_at(0, &mut header)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    #[cfg(not(unix))]
    position: std::sync::Mutex<()>,
}

impl LocalFile {
    /// Opens the file at `path` for reading.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self::from)
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read as _, Seek as _};
        let _position = self
            .position
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        (&self.file).seek(io::SeekFrom::Start(offset))?;
        (&self.file).read_exact(buf)
    }
}

impl From<File> for LocalFile {
    /// Reads from an open file. Its position does not matter.
    fn from(file: File) -> Self {
        Self {
            file,
            #[cfg(not(unix))]
            position: std::sync::Mutex::default(),
        }
    }
}

impl ReadAt for LocalFile {
    fn len(&self) -> Result<u64, ReadError> {
        match self.file.metadata() {
            Ok(metadata) => Ok(metadata.len()),
            Err(source) => Err(ReadError::Len { source }),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        if buf.is_empty() {
            // The system call does not report an offset beyond the end.
            return check_range(offset, 0, self.len()?);
        }
        self.read_exact_at(buf, offset).or_else(|source| {
            // Distinguish a blob that is too short from a file that cannot be read.
            check_range(offset, buf.len(), self.len()?)?;
            Err(ReadError::Io {
                offset,
                len: buf.len() as u64,
                source,
            })
        })
    }
}
