//! Where the directories of a walked tree are, compactly, and how to open them again.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use image_model::NameRef;
use rustix::fs::{Mode, OFlags};

use super::error::DirectoryError;

/// How many directories of the way down to the current one are kept open.
const TRAIL_LEN: usize = 32;

/// Position of a directory in [`Places`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceId(u32);

/// The directories below a root, each as its parent and its name.
///
/// Takes 16 bytes and the name per directory. Directories are opened by walking down from the root
/// one name at a time, never through a symbolic link, so that neither a swapped directory nor a
/// path beyond `PATH_MAX` is a problem.
#[derive(Debug)]
pub(super) struct Places {
    path: PathBuf,
    root: OwnedFd,
    directories: Vec<Place>,
    names: Names,
}

#[derive(Debug)]
struct Place {
    parent: PlaceId,
    name: NameAt,
}

/// Directories that are open: some of those on the way to the one opened last, outermost first.
#[derive(Debug, Default)]
pub(super) struct Trail(Vec<(PlaceId, OwnedFd)>);

impl Places {
    pub(super) const ROOT: PlaceId = PlaceId(0);

    /// Opens the directory `path`, through symbolic links if there are.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let root = rustix::fs::open(&path, directory_flags() - OFlags::NOFOLLOW, Mode::empty())?;
        let mut names = Names::default();
        let place = Place {
            parent: Self::ROOT,
            name: names.push(&[]),
        };
        Ok(Self {
            path,
            root,
            directories: vec![place],
            names,
        })
    }

    /// Adds the directory `name` of `parent`.
    pub(super) fn add(&mut self, parent: PlaceId, name: NameRef<'_>) -> PlaceId {
        let count = u32::try_from(self.directories.len());
        let id = PlaceId(count.expect("a tree has fewer than 2^32 inodes"));
        let name = self.names.push(name.as_bytes());
        self.directories.push(Place { parent, name });
        id
    }

    /// Keeps the name of a file.
    pub(super) fn add_name(&mut self, name: NameRef<'_>) -> NameAt {
        self.names.push(name.as_bytes())
    }

    pub(super) fn name(&self, at: NameAt) -> &[u8] {
        self.names.get(at)
    }

    /// The path of `name` in `directory`, for messages.
    pub(super) fn path(&self, directory: PlaceId, name: &[u8]) -> PathBuf {
        let mut names = vec![name];
        let mut at = directory;
        while at != Self::ROOT {
            let place = &self.directories[at.0 as usize];
            names.push(self.names.get(place.name));
            at = place.parent;
        }
        let mut path = self.path.clone();
        let below = names.iter().rev().filter(|name| !name.is_empty());
        path.extend(below.map(|name| OsStr::from_bytes(name)));
        path
    }

    /// Opens `directory`, from the nearest directory of `trail` downwards.
    pub(super) fn open_directory<'a>(
        &'a self,
        trail: &'a mut Trail,
        directory: PlaceId,
    ) -> Result<BorrowedFd<'a>, DirectoryError> {
        let mut below = Vec::new();
        let mut at = directory;
        loop {
            if let Some(found) = trail.0.iter().rposition(|(place, _)| *place == at) {
                trail.0.truncate(found + 1);
                break;
            }
            if at == Self::ROOT {
                trail.0.clear();
                break;
            }
            below.push(at);
            at = self.directories[at.0 as usize].parent;
        }
        for place in below.into_iter().rev() {
            let name = self.names.get(self.directories[place.0 as usize].name);
            let parent = trail.0.last().map_or(&self.root, |(_, fd)| fd);
            let fd = rustix::fs::openat(parent, name, directory_flags(), Mode::empty()).map_err(
                |error| DirectoryError::Io {
                    path: self.path(place, b""),
                    action: "open the directory",
                    source: error.into(),
                },
            )?;
            if trail.0.len() == TRAIL_LEN {
                trail.0.remove(0);
            }
            trail.0.push((place, fd));
        }
        Ok(trail.0.last().map_or(&self.root, |(_, fd)| fd).as_fd())
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// Names one after the other, each after a byte with its length.
#[derive(Debug, Default)]
struct Names(Vec<u8>);

/// Position of a name in [`Names`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NameAt(usize);

impl Names {
    fn push(&mut self, name: &[u8]) -> NameAt {
        let at = NameAt(self.0.len());
        self.0
            .push(u8::try_from(name.len()).expect("names have at most 255 bytes"));
        self.0.extend_from_slice(name);
        at
    }

    fn get(&self, NameAt(at): NameAt) -> &[u8] {
        &self.0[at + 1..][..usize::from(self.0[at])]
    }
}
