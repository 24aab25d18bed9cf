//! The walk over a directory: names, metadata, links, holes; no content.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use image_model::tree::{Span, Spans};
use image_model::{
    Device, FileKind, InodeId, Limits, Metadata, Name, NameRef, Node, Timestamp, Tree, Xattrs,
};
use rustix::fs::{AtFlags, Dir, SeekFrom, Stat};
use rustix::io::Errno;

use super::error::DirectoryError;
use super::places::{PlaceId, Places, Trail};
use super::source::{DirectorySource, Files, io_error, open_file};
use super::xattrs;

/// Walks the directory at `path`.
pub(super) fn walk(
    path: &Path,
    limits: &Limits,
) -> Result<(Tree<Spans>, DirectorySource), DirectoryError> {
    let places = Places::open(path.into()).map_err(|source| DirectoryError::Io {
        path: path.into(),
        action: "open the directory",
        source,
    })?;
    let mut walk = Walk {
        by_path: !Path::new("/proc/self/fd").is_dir(),
        places,
        limits,
        files: Files::default(),
        linked: HashMap::new(),
    };
    let tree = walk.run()?;
    Ok((tree, DirectorySource::new(walk.places, walk.files)))
}

struct Walk<'a> {
    limits: &'a Limits,
    places: Places,
    files: Files,
    /// Inodes with several names, by device and inode number.
    linked: HashMap<(u64, u64), InodeId>,
    /// Whether entries have to be named by their path, since there is no `/proc`.
    by_path: bool,
}

/// A directory whose entries are still to be read.
struct Pending {
    place: PlaceId,
    inode: InodeId,
    depth: u32,
}

/// One entry of an open directory.
struct Entry<'a> {
    parent: PlaceId,
    directory: BorrowedFd<'a>,
    name: &'a [u8],
    stat: Stat,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<Tree<Spans>, DirectoryError> {
        let mut trail = Trail::default();
        let mut tree = Tree::new(self.root_metadata(&mut trail)?);
        let mut pending = vec![Pending {
            place: Places::ROOT,
            inode: InodeId::ROOT,
            depth: 0,
        }];
        while let Some(at) = pending.pop() {
            let below = pending.len();
            self.enter(&mut trail, &at, &mut tree, &mut pending)?;
            // The stack gives the last one first.
            pending[below..].reverse();
        }
        Ok(tree)
    }

    fn root_metadata(&self, trail: &mut Trail) -> Result<Metadata, DirectoryError> {
        let directory = self.places.open_directory(trail, Places::ROOT)?;
        self.metadata(&self.entry(Places::ROOT, directory, b".")?)
    }

    /// Adds the entries of one directory; its subdirectories become pending.
    fn enter(
        &mut self,
        trail: &mut Trail,
        at: &Pending,
        tree: &mut Tree<Spans>,
        pending: &mut Vec<Pending>,
    ) -> Result<(), DirectoryError> {
        let directory = self.places.open_directory(trail, at.place)?;
        // The trail lends its descriptor while directories are added below.
        let directory = directory.try_clone_to_owned().map_err(|error| {
            let path = self.places.path(at.place, b"");
            io_error(path, "open the directory", error)
        })?;
        for name in self.names(at.place, directory.as_fd(), tree.len())? {
            let path = || self.places.path(at.place, &name);
            let name = Name::new(name.as_slice()).map_err(|source| DirectoryError::Name {
                path: path(),
                source,
            })?;
            let entry = self.entry(at.place, directory.as_fd(), name.as_bytes())?;
            let inode = match self.known_inode(&entry.stat) {
                Some(inode) => inode,
                None => {
                    let metadata = self.metadata(&entry)?;
                    let node = self.node(&entry, name.as_ref())?;
                    let inode = tree.add(metadata, node);
                    if entry.stat.st_nlink > 1 && tree.directory(inode).is_none() {
                        self.linked.insert(identity(&entry.stat), inode);
                    }
                    inode
                }
            };
            if tree.directory(inode).is_some() {
                pending.push(self.below(at, inode, name.as_ref())?);
            }
            tree.link(at.inode, name, inode)
                .expect("only directories become pending");
        }
        Ok(())
    }

    /// The names in a directory, sorted, without `.` and `..`.
    fn names(
        &self,
        place: PlaceId,
        directory: BorrowedFd<'_>,
        inodes: usize,
    ) -> Result<Vec<Vec<u8>>, DirectoryError> {
        let failed = |error: Errno| {
            let path = self.places.path(place, b"");
            io_error(path, "list the directory", error.into())
        };
        let max = (self.limits.max_inodes as usize).saturating_sub(inodes);
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                _ if names.len() == max => {
                    return Err(DirectoryError::Limit {
                        path: self.places.path(place, b""),
                        what: "inodes",
                        limit: self.limits.max_inodes.into(),
                    });
                }
                name => names.push(name.to_vec()),
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn entry<'e>(
        &self,
        parent: PlaceId,
        directory: BorrowedFd<'e>,
        name: &'e [u8],
    ) -> Result<Entry<'e>, DirectoryError> {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| io_error(self.places.path(parent, name), "lstat", error.into()))?;
        Ok(Entry {
            parent,
            directory,
            name,
            stat,
        })
    }

    fn known_inode(&self, stat: &Stat) -> Option<InodeId> {
        if stat.st_nlink > 1 {
            self.linked.get(&identity(stat)).copied()
        } else {
            None
        }
    }

    /// What is to be read once a new subdirectory is linked.
    fn below(
        &mut self,
        at: &Pending,
        inode: InodeId,
        name: NameRef<'_>,
    ) -> Result<Pending, DirectoryError> {
        let limit = |what, limit: u32| DirectoryError::Limit {
            path: self.places.path(at.place, name.as_bytes()),
            what,
            limit: limit.into(),
        };
        let depth = at.depth + 1;
        if depth > self.limits.max_depth {
            return Err(limit("nested directories", self.limits.max_depth));
        }
        let place = self.places.add(at.place, name);
        Ok(Pending {
            place,
            inode,
            depth,
        })
    }

    fn metadata(&self, entry: &Entry<'_>) -> Result<Metadata, DirectoryError> {
        let stat = &entry.stat;
        Ok(Metadata {
            mode: mode_bits(stat) & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Timestamp {
                seconds: stat.st_mtime,
                nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
            },
            xattrs: self.xattrs(entry)?,
        })
    }

    fn node(
        &mut self,
        entry: &Entry<'_>,
        name: NameRef<'_>,
    ) -> Result<Node<Spans>, DirectoryError> {
        let stat = &entry.stat;
        let device = || Device {
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        };
        let kind = FileKind::from_mode(mode_bits(stat)).ok_or_else(|| DirectoryError::Kind {
            path: self.path(entry),
            mode: stat.st_mode,
        })?;
        Ok(match kind {
            FileKind::Directory => Node::empty_directory(),
            FileKind::Symlink => Node::Symlink(self.symlink_target(entry)?),
            FileKind::CharDevice => Node::CharDevice(device()),
            FileKind::BlockDevice => Node::BlockDevice(device()),
            FileKind::Fifo => Node::Fifo,
            FileKind::Socket => Node::Socket,
            FileKind::File => self.file(entry, name)?,
        })
    }

    fn symlink_target(&self, entry: &Entry<'_>) -> Result<Box<[u8]>, DirectoryError> {
        let target = rustix::fs::readlinkat(entry.directory, entry.name, Vec::new())
            .map_err(|error| io_error(self.path(entry), "read the link", error.into()))?
            .into_bytes();
        let limit = self.limits.max_symlink_len;
        if target.len() > limit as usize {
            return Err(DirectoryError::Limit {
                path: self.path(entry),
                what: "bytes of link target",
                limit: limit.into(),
            });
        }
        Ok(target.into())
    }

    fn file(
        &mut self,
        entry: &Entry<'_>,
        name: NameRef<'_>,
    ) -> Result<Node<Spans>, DirectoryError> {
        let stat = &entry.stat;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let allocated = u64::try_from(stat.st_blocks).unwrap_or(0);
        let path = || self.places.path(entry.parent, entry.name);
        let start = self.files.end();
        let end = start
            .checked_add(size)
            .ok_or_else(|| DirectoryError::Limit {
                path: path(),
                what: "bytes of content",
                limit: u64::MAX,
            })?;
        // Fewer blocks than bytes: there are holes, or the file system compresses.
        let content = if allocated.saturating_mul(512) < size {
            self.data_spans(entry, start, size)
                .map_err(|error| io_error(path(), "find the holes", error))?
        } else {
            Spans::contiguous(start, size)
        };
        if size > 0 {
            let name = self.places.add_name(name);
            self.files.push(entry.parent, name, end);
        }
        Ok(Node::File { size, content })
    }

    /// Where the data of a sparse file are.
    fn data_spans(&self, entry: &Entry<'_>, start: u64, size: u64) -> io::Result<Spans> {
        let file = open_file(entry.directory, entry.name)?;
        let mut spans = Vec::new();
        let mut at = 0;
        while at < size {
            let data = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
                Ok(data) => data.max(at),
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error.into()),
            };
            // Too many regions: the rest counts as data, whose holes read as zeros all the same.
            let last = spans.len() + 1 >= self.limits.max_sparse_regions as usize;
            let hole = match rustix::fs::seek(&file, SeekFrom::Hole(data))? {
                hole if hole > data && !last => hole.min(size),
                _ => size,
            };
            if data >= size {
                break;
            }
            spans.push(Span {
                file_offset: data,
                source_offset: start + data,
                len: hole - data,
            });
            at = hole;
        }
        Ok(Spans::sparse(spans).expect("regions are found in order"))
    }

    fn xattrs(&self, entry: &Entry<'_>) -> Result<Xattrs, DirectoryError> {
        let limit = self.limits.max_xattr_len;
        xattrs::read(&self.entry_path(entry), limit as usize).map_err(|fault| {
            let path = self.path(entry);
            match fault {
                xattrs::Fault::Io(error) => io_error(path, "read the extended attributes", error),
                xattrs::Fault::TooLong => DirectoryError::Limit {
                    path,
                    what: "bytes of extended attributes",
                    limit: limit.into(),
                },
                xattrs::Fault::Invalid(source) => DirectoryError::Xattrs { path, source },
            }
        })
    }

    /// A path that leads to the entry itself: the calls for attributes of links take no directory
    /// descriptor.
    fn entry_path(&self, entry: &Entry<'_>) -> PathBuf {
        if self.by_path {
            return self.path(entry);
        }
        let directory = entry.directory.as_raw_fd();
        Path::new("/proc/self/fd")
            .join(directory.to_string())
            .join(OsStr::from_bytes(entry.name))
    }

    fn path(&self, entry: &Entry<'_>) -> PathBuf {
        self.places.path(entry.parent, entry.name)
    }
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// The 16 bits of `st_mode` that POSIX defines.
fn mode_bits(stat: &Stat) -> u16 {
    (stat.st_mode & 0xffff) as u16
}
