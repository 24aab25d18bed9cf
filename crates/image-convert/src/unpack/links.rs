//! Inodes with several names.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use image_model::Ino;
use rustix::fs::AtFlags;
use tempfile::TempDir;

use super::trail::Trail;

/// A directory beside the output in which inodes with several names are made, under a number. Each
/// name is then a link to that number: so no name has to be found again, and none is followed.
#[derive(Debug)]
pub(super) struct Links {
    trail: Trail,
    /// The number of each inode; `None` for one that could not be made and is a loss.
    made: HashMap<Ino, Option<usize>>,
    _directory: TempDir,
}

impl Links {
    /// An empty directory in `parent`, removed when this is dropped.
    pub(super) fn new(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(".lazyoci-")
            .tempdir_in(parent)?;
        Ok(Self {
            trail: Trail::new(directory.path())?,
            made: HashMap::new(),
            _directory: directory,
        })
    }

    /// Makes the inode unless it was made before; `make` gets the directory and the name, and says
    /// whether the inode is there.
    pub(super) fn made<E: From<io::Error>>(
        &mut self,
        ino: Ino,
        make: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<bool, E>,
    ) -> Result<Option<usize>, E> {
        if let Some(&number) = self.made.get(&ino) {
            return Ok(number);
        }
        let number = self.made.len();
        let there = make(self.trail.current()?, number.to_string().as_bytes())?;
        let number = there.then_some(number);
        self.made.insert(ino, number);
        Ok(number)
    }

    /// Gives the inode with this number the name `name` in `directory`.
    pub(super) fn link(
        &mut self,
        number: usize,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> io::Result<()> {
        let from = self.trail.current()?;
        let number = number.to_string();
        rustix::fs::linkat(from, number, directory, name, AtFlags::empty())?;
        Ok(())
    }
}
