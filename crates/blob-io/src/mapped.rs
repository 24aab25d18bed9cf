//! Memory-mapped blobs.

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::read::{ReadAt, ReadError};

/// A memory-mapped local file: [`ReadAt::read_bytes`] copies nothing.
///
/// Only for files that are not changed while they are mapped: content-addressed blobs in a store, bootstraps
/// that are replaced by renaming. If another process writes to the file, the bytes change under the reader;
/// if it truncates the file, access beyond the new end raises `SIGBUS` and kills this process.
/// [`LocalFile`](crate::LocalFile) returns an error in these cases, and is fast enough wherever frames are
/// decompressed.
#[derive(Debug, Clone)]
pub struct Mapped {
    bytes: Bytes,
}

impl Mapped {
    /// Opens and maps the file at `path`.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::map(&File::open(path)?)
    }

    /// Maps all of `file`, which must be open for reading.
    ///
    /// # Errors
    /// The error of the operating system.
    #[allow(
        unsafe_code,
        reason = "mapping a file needs it; this is the only place of the workspace"
    )]
    pub fn map(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private to `Bytes`, read-only, and unmapped when the last clone
        // is dropped, so no reference outlives it and nothing in this process writes through it.
        // Rust cannot guarantee that no other process changes the file. If one does, the bytes that we see
        // are unspecified, but any value is a valid `u8`, and all callers treat the bytes of a blob as
        // hostile: they are bounds-checked and digest-checked as read, never trusted to be the same when read
        // twice. If one truncates the file, the kernel raises SIGBUS, which ends the process rather than
        // corrupting it. Mapping therefore requires a feature, and a separate type whose documentation states
        // this.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self {
            bytes: Bytes::from_owner(map),
        })
    }

    /// The whole file. Clones and slices share the mapping.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl ReadAt for Mapped {
    fn len(&self) -> Result<u64, ReadError> {
        ReadAt::len(&self.bytes)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.read_at(offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, ReadError> {
        self.bytes.read_bytes(offset, len)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, ReadError> {
        self.bytes.in_memory(offset, len)
    }
}
