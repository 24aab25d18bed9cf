//! What is asked of a library that opens bootstraps.

use std::path::Path;

/// A bootstrap, opened by one of the libraries. What it is asked for is there: anything else is a panic.
pub(crate) trait Library: Sized {
    /// What the library is called.
    const NAME: &'static str;

    /// Opens the bootstrap, of either version, at `path`.
    fn open(path: &Path) -> Self;

    /// From a path without links to an inode: its number in version 5, its nid in version 6.
    fn inode(&self, path: &[u8]) -> u64;

    /// From a path and the position of a chunk in the file there to where the chunk is stored.
    fn chunk(&self, path: &[u8], number: u32) -> Place;
}

/// Where a chunk is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position of its blob.
    pub(crate) blob: u32,
    /// Offset in the blob.
    pub(crate) offset: u64,
    /// Bytes there.
    pub(crate) stored_len: u32,
}
