//! The directories between the root of an unpacked tree and the current one, few of them open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use image_model::{ImagePath, Name, NameRef};
use rustix::fs::{Mode, OFlags};

/// How many directories are kept open besides the root.
const MAX_OPEN: usize = 32;

/// A cursor in a directory tree that moves one level at a time and follows no symbolic link, so
/// that it never leaves the tree and paths may be longer than `PATH_MAX`.
#[derive(Debug)]
pub(super) struct Trail {
    root: OwnedFd,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    name: Name,
    fd: Option<OwnedFd>,
}

impl Trail {
    /// Begins at the directory `root`.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self {
            root: rustix::fs::open(root, directory_flags(), Mode::empty())?,
            levels: Vec::new(),
        })
    }

    /// The root.
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Where the cursor is, seen from the root.
    pub(super) fn path(&self) -> ImagePath {
        let mut path = ImagePath::root();
        for level in &self.levels {
            path.push(level.name.as_ref());
        }
        path
    }

    /// The current directory.
    pub(super) fn current(&mut self) -> io::Result<BorrowedFd<'_>> {
        let open = self.levels.iter().rposition(|level| level.fd.is_some());
        for index in open.map_or(0, |index| index + 1)..self.levels.len() {
            let fd = self.open_child(index)?;
            self.keep(index, fd);
        }
        let last = self.levels.last().and_then(|level| level.fd.as_ref());
        Ok(last.unwrap_or(&self.root).as_fd())
    }

    /// Opens the directory `name` of the current one, which becomes the current one.
    pub(super) fn descend(&mut self, name: NameRef<'_>) -> io::Result<()> {
        self.current()?;
        self.levels.push(Level {
            name: name.to_name(),
            fd: None,
        });
        self.current().map(drop)
    }

    /// Goes back to the parent.
    pub(super) fn ascend(&mut self) {
        self.levels.pop();
    }

    fn open_child(&self, index: usize) -> io::Result<OwnedFd> {
        let above = index.checked_sub(1);
        let parent = above.and_then(|above| self.levels[above].fd.as_ref());
        let parent = parent.unwrap_or(&self.root);
        let name = self.levels[index].name.as_bytes();
        Ok(rustix::fs::openat(
            parent,
            name,
            directory_flags(),
            Mode::empty(),
        )?)
    }

    fn keep(&mut self, index: usize, fd: OwnedFd) {
        self.levels[index].fd = Some(fd);
        if let Some(far) = index.checked_sub(MAX_OPEN) {
            self.levels[far].fd = None;
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_trees_need_few_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let mut trail = Trail::new(root.path()).unwrap();
        let name = Name::new(vec![b'x'; 200]).unwrap();
        for depth in 0..100 {
            let here = trail.current().unwrap();
            rustix::fs::mkdirat(here, name.as_bytes(), Mode::RWXU).unwrap();
            trail.descend(name.as_ref()).unwrap();
            assert_eq!(trail.path().depth(), depth + 1);
        }
        let open = |trail: &Trail| trail.levels.iter().filter(|l| l.fd.is_some()).count();
        assert_eq!(open(&trail), MAX_OPEN);
        for _ in 0..90 {
            trail.ascend();
        }
        assert_eq!(open(&trail), 0);
        let here = trail.current().unwrap();
        rustix::fs::mkdirat(here, &b"mark"[..], Mode::RWXU).unwrap();
        let mut path = root.path().to_owned();
        path.extend(std::iter::repeat_n("x".repeat(200), 10));
        assert!(path.join("mark").is_dir());
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", root.path().join("up")).unwrap();
        let mut trail = Trail::new(root.path()).unwrap();
        let error = trail.descend(NameRef::new(b"up").unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
