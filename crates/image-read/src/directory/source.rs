//! The contents of a directory's files as one source.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use blob_io::{ReadAt, ReadError};
use rustix::fs::{FileType, Mode, OFlags};

use super::error::DirectoryError;
use super::places::{NameAt, PlaceId, Places, Trail};

/// The contents of a directory's files, one after the other.
///
/// A file is opened when it is read, below the root and through no symbolic link, and kept open
/// until another one is read. Can be read from several threads at once.
#[derive(Debug)]
pub struct DirectorySource {
    places: Places,
    files: Files,
    open: Mutex<Open>,
}

/// What was opened last.
#[derive(Debug, Default)]
struct Open {
    trail: Trail,
    file: Option<(usize, Arc<File>)>,
}

/// The files that have content, in the order of their bytes in the source; 24 bytes each.
#[derive(Debug, Default)]
pub(super) struct Files(Vec<FileAt>);

#[derive(Debug)]
struct FileAt {
    /// One past the last byte in the source; the first is where the file before ends.
    end: u64,
    directory: PlaceId,
    name: NameAt,
}

impl Files {
    /// Length of all files so far,, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.0.last().map_or(0, |file| file.end)
    }

    /// Appends a file whose content continues to byte `end` of the source.
    pub(super) fn push(&mut self, directory: PlaceId, name: NameAt, end: u64) {
        self.0.push(FileAt {
            end,
            directory,
            name,
        });
    }

    fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.0[before].end)
    }
}

impl DirectorySource {
    pub(super) fn new(places: Places, files: Files) -> Self {
        Self {
            places,
            files,
            open: Mutex::default(),
        }
    }

    /// Length of all files together, including holes, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.files.end()
    }

    /// Fills `buf` from byte `offset` of the source on, which must not end before `buf` does.
    fn read(&self, offset: u64, mut buf: &mut [u8]) -> Result<(), DirectoryError> {
        let mut at = offset;
        let mut index = self.files.0.partition_point(|file| file.end <= at);
        while !buf.is_empty() {
            let start = self.files.start(index);
            let end = self.files.0[index].end;
            let here = usize::try_from(end - at).unwrap_or(usize::MAX);
            let (now, rest) = buf.split_at_mut(here.min(buf.len()));
            self.read_file(index, end - start, at - start, now)?;
            at = end;
            index += 1;
            buf = rest;
        }
        Ok(())
    }

    fn read_file(
        &self,
        index: usize,
        len: u64,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), DirectoryError> {
        let file = self.file(index, len)?;
        file.read_exact_at(buf, offset).map_err(|error| {
            let path = self.path(index);
            match (error.kind(), file.metadata()) {
                (io::ErrorKind::UnexpectedEof, Ok(now)) => DirectoryError::Changed {
                    path,
                    expected: len,
                    found: now.len(),
                },
                _ => io_error(path, "read", error),
            }
        })
    }

    /// Opens the file, or takes it if it is open.
    fn file(&self, index: usize, len: u64) -> Result<Arc<File>, DirectoryError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, file)) = &open.file
            && *at == index
        {
            return Ok(Arc::clone(file));
        }
        let FileAt {
            directory, name, ..
        } = self.files.0[index];
        let parent = self.places.open_directory(&mut open.trail, directory)?;
        let name = self.places.name(name);
        let path = || self.places.path(directory, name);
        let file = open_file(parent, name).map_err(|error| io_error(path(), "open", error))?;
        let stat = rustix::fs::fstat(&file).map_err(|e| io_error(path(), "stat", e.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(DirectoryError::Replaced { path: path() });
        }
        let found = u64::try_from(stat.st_size).unwrap_or(0);
        if found != len {
            return Err(DirectoryError::Changed {
                path: path(),
                expected: len,
                found,
            });
        }
        let file = Arc::new(file);
        open.file = Some((index, Arc::clone(&file)));
        Ok(file)
    }

    fn path(&self, index: usize) -> PathBuf {
        let file = &self.files.0[index];
        self.places
            .path(file.directory, self.places.name(file.name))
    }
}

/// The error of a file is the `source()` of the [`ReadError::Io`].
impl ReadAt for DirectorySource {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.files.end())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let len = buf.len() as u64;
        let blob_len = self.files.end();
        if offset.checked_add(len).is_none_or(|end| end > blob_len) {
            return Err(ReadError::OutOfBounds {
                offset,
                len,
                blob_len,
            });
        }
        self.read(offset, buf).map_err(|error| ReadError::Io {
            offset,
            len,
            source: io::Error::other(error),
        })
    }
}

/// Opens what is called `name` if it is a file, without waiting for anybody if it is a FIFO.
pub(super) fn open_file(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::openat(directory, name, flags | OFlags::NOCTTY, Mode::empty())?;
    Ok(fd.into())
}

pub(super) fn io_error(path: PathBuf, action: &'static str, source: io::Error) -> DirectoryError {
    DirectoryError::Io {
        path,
        action,
        source,
    }
}
