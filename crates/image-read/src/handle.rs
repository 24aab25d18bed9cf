//! A file of an image as `Read` and `Seek`.

use std::io::{self, Read, Seek, SeekFrom};

use image_model::{FileKind, Ino};

use crate::content::ReadError;
use crate::reader::Reader;

/// A file of an image: reads verified bytes, lazily. It owns its [`Reader`], so it can be kept for any time. Reads of
/// any length are served from the frames that all readers share.
///
/// ```no_run
/// use std::io::{Read, Seek, SeekFrom};
/// let image = lazyoci_image_read::open("image.boot", &Default::default())?;
/// let mut release = image.file("/etc/os-release")?;
/// release.seek(SeekFrom::End(-10))?;
/// let mut end = String::new();
/// release.read_to_string(&mut end)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FileHandle {
    reader: Reader,
    ino: Ino,
    len: u64,
    position: u64,
}

impl FileHandle {
    /// The file `ino` of the image of `reader`.
    ///
    /// # Errors
    /// [`ReadError::Image`] if it is not a file.
    pub fn new(reader: Reader, ino: Ino) -> Result<Self, ReadError> {
        let attributes = reader.image().attributes(ino)?;
        if attributes.kind != FileKind::File {
            let (expected, found) = (FileKind::File, attributes.kind);
            let wrong = image_model::image::WrongInode::Kind { expected, found };
            return Err(image_model::ImageError::new(ino, wrong).into());
        }
        Ok(Self {
            len: attributes.size,
            reader,
            ino,
            position: 0,
        })
    }

    /// Length of the file in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The inode.
    #[must_use]
    pub fn ino(&self) -> Ino {
        self.ino
    }
}

/// The error is a [`ReadError`] inside.
impl Read for FileHandle {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let end = self.position.saturating_add(buf.len() as u64).min(self.len);
        if end <= self.position {
            return Ok(0);
        }
        let range = self.position..end;
        let len = buf.len();
        let mut rest = buf;
        let read = self.reader.read_range(self.ino, range, &mut rest);
        // The bytes before a fault are returned; the next read reports it.
        let filled = len - rest.len();
        if filled == 0 {
            read?;
        }
        self.position += filled as u64;
        Ok(filled)
    }
}

impl Seek for FileHandle {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
