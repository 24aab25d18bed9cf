//! One inode of an unpacked tree: made, filled, given its attributes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use image_model::{
    Attributes, FileKind, Image, ImageError, ImagePath, Ino, Limits, Timestamp, Xattrs,
};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use verify::ExtentBytes;

use super::{Ownership, UnpackOptions};
use crate::ConvertError;
use crate::report::{Allowed, LOSS_LEN, LossKind, Report};

/// Makes inodes and keeps count.
pub(super) struct NodeWriter<'u> {
    pub(super) image: &'u dyn Image,
    /// Bounds on the image.
    pub(super) limits: &'u Limits,
    pub(super) options: &'u UnpackOptions,
    /// Where the tree is to be, for messages.
    pub(super) output: &'u Path,
    pub(super) report: Report,
    /// As long as files have no names.
    pub(super) unnamed: Option<Unnamed>,
}

/// What files lost that have no name yet.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    losses: HashMap<Ino, Vec<LossKind>>,
    count: u64,
}

fn allowed<'a>(options: &UnpackOptions, limits: &'a Limits) -> Allowed<'a> {
    Allowed {
        lossy: options.lossy,
        limits,
        target: "this file system",
    }
}

/// An inode of the image.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// Tells its path, which only errors and losses need.
    pub(super) path: PathOf<'a>,
    pub(super) ino: Ino,
    pub(super) attributes: &'a Attributes,
}

type PathOf<'a> = &'a dyn Fn() -> ImagePath;

/// An inode that was made.
#[derive(Clone, Copy)]
enum Made<'a> {
    Open(BorrowedFd<'a>),
    Named {
        directory: BorrowedFd<'a>,
        name: &'a [u8],
    },
}

impl NodeWriter<'_> {
    /// Makes the inode `source`, which is neither a directory nor a file with content, as `name` in
    /// `directory`. Returns false if it is a loss.
    pub(super) fn make(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        source: Source<'_>,
    ) -> Result<bool, ConvertError> {
        self.report.inodes += 1;
        let kind = match source.attributes.kind {
            FileKind::File => {
                let file = create(directory, name)
                    .map_err(|error| self.failed(source.path, "create the file", error))?;
                self.finish(Made::Open(file.as_fd()), source)?;
                return Ok(true);
            }
            FileKind::Symlink => {
                let target = self
                    .image
                    .symlink_target(source.ino)
                    .map_err(|error| image_error(source.path, error))?;
                rustix::fs::symlinkat(&*target, directory, name)
                    .map_err(|error| self.failed(source.path, "create the symlink", error))?;
                return self
                    .finish(Made::Named { directory, name }, source)
                    .map(|()| true);
            }
            FileKind::CharDevice => FileType::CharacterDevice,
            FileKind::BlockDevice => FileType::BlockDevice,
            FileKind::Fifo => FileType::Fifo,
            FileKind::Socket => FileType::Socket,
            FileKind::Directory => unreachable!("directories are made by the caller"),
        };
        let device = source.attributes.device;
        let number = rustix::fs::makedev(device.major, device.minor);
        let private = Mode::RUSR | Mode::WUSR;
        match rustix::fs::mknodat(directory, name, kind, private, number) {
            Ok(()) => self.finish(Made::Named { directory, name }, source)?,
            Err(Errno::PERM) if kind != FileType::Fifo && kind != FileType::Socket => {
                self.lose(source, LossKind::Device { device })?;
                return Ok(false);
            }
            Err(error) => return Err(self.failed(source.path, "create the node", error)),
        }
        Ok(true)
    }

    /// Gives the directory `fd`, in which everything is there, its attributes.
    pub(super) fn finish_directory(
        &mut self,
        fd: BorrowedFd<'_>,
        source: Source<'_>,
    ) -> Result<(), ConvertError> {
        self.report.inodes += 1;
        self.finish(Made::Open(fd), source)
    }

    /// Makes a file that will be filled, as `name` in `directory`.
    pub(super) fn create_file(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        source: Source<'_>,
    ) -> Result<File, ConvertError> {
        self.report.inodes += 1;
        let file = create(directory, name)
            .map_err(|error| self.failed(source.path, "create the file", error))?;
        file.set_len(source.attributes.size)
            .map_err(|error| self.failed(source.path, "set the length of the file", error))?;
        Ok(file)
    }

    /// Writes a piece of a file; zeros stay holes.
    pub(super) fn write(
        &mut self,
        file: &File,
        offset: u64,
        bytes: ExtentBytes<'_>,
        source: Source<'_>,
    ) -> Result<(), ConvertError> {
        self.report.content_bytes += bytes.len();
        match bytes {
            ExtentBytes::Data(data) if !chunk_dedup::is_zero(data) => file
                .write_all_at(data, offset)
                .map_err(|error| self.failed(source.path, "write the file", error)),
            _ => Ok(()),
        }
    }

    /// Gives the file, which is filled, its attributes.
    pub(super) fn finish_file(
        &mut self,
        file: &File,
        source: Source<'_>,
    ) -> Result<(), ConvertError> {
        self.finish(Made::Open(file.as_fd()), source)
    }

    /// Owner, extended attributes, mode and time, in the order in which none undoes or forbids another:
    /// a new owner clears capabilities, an ACL sets mode bits, and a mode may forbid its owner to set
    /// attributes.
    fn finish(&mut self, made: Made<'_>, source: Source<'_>) -> Result<(), ConvertError> {
        let Source {
            path, attributes, ..
        } = source;
        let mut mode = attributes.mode;
        match self.options.ownership {
            // To the kernel this means that the owner stays as it is: the unpacking user, who is usually root.
            Ownership::Image if attributes.uid == u32::MAX || attributes.gid == u32::MAX => {
                return Err(ConvertError::Owner {
                    path: path(),
                    uid: attributes.uid,
                    gid: attributes.gid,
                });
            }
            Ownership::Image => made
                .set_owner(attributes)
                .map_err(|error| self.failed(path, "change the owner", error))?,
            Ownership::Caller => mode &= 0o1777,
        }
        let xattrs = self
            .image
            .xattrs(source.ino)
            .map_err(|error| image_error(path, error))?;
        self.set_xattrs(made, source, &xattrs)?;
        if attributes.kind != FileKind::Symlink {
            made.set_mode(mode)
                .map_err(|error| self.failed(path, "change the mode", error))?;
        }
        made.set_time(attributes.mtime)
            .map_err(|error| self.failed(path, "set the time", error))?;
        self.check_time(made, source)
    }

    /// File systems cut times that they cannot hold, without a word.
    fn check_time(&mut self, made: Made<'_>, source: Source<'_>) -> Result<(), ConvertError> {
        let time = source.attributes.mtime;
        if i32::try_from(time.seconds).is_ok() {
            return Ok(());
        }
        let kept = made
            .mtime()
            .map_err(|error| self.failed(source.path, "read the time", error))?;
        if kept == time.seconds {
            return Ok(());
        }
        self.lose(source, LossKind::Time { time, kept })
    }

    fn set_xattrs(
        &mut self,
        made: Made<'_>,
        source: Source<'_>,
        xattrs: &Xattrs,
    ) -> Result<(), ConvertError> {
        for xattr in xattrs {
            let Err(errno) = made.set_xattr(&xattr.name, &xattr.value) else {
                continue;
            };
            match errno {
                Errno::PERM
                | Errno::ACCESS
                | Errno::NOTSUP
                | Errno::INVAL
                | Errno::RANGE
                | Errno::TOOBIG => {}
                _ => return Err(self.failed(source.path, "set an extended attribute", errno)),
            }
            let name = xattr.name.clone();
            let errno = errno.raw_os_error();
            self.lose(source, LossKind::Xattr { name, errno })?;
        }
        Ok(())
    }

    fn lose(&mut self, source: Source<'_>, what: LossKind) -> Result<(), ConvertError> {
        if self.unnamed.is_some() && self.options.lossy {
            self.lose_later(source.ino, what);
            return Ok(());
        }
        self.report
            .lose(source.path, what, &allowed(self.options, self.limits))
    }

    /// A loss of a file that has no name yet: to look for each by a walk would take for ever.
    fn lose_later(&mut self, ino: Ino, what: LossKind) {
        let Some(unnamed) = &mut self.unnamed else {
            return;
        };
        let limit = self.limits.max_report_len;
        match (unnamed.count + 1).saturating_mul(LOSS_LEN) > limit {
            true => self.report.losses_untold += 1,
            false => {
                unnamed.count += 1;
                unnamed.losses.entry(ino).or_default().push(what);
            }
        }
    }

    /// Names are given from now on; what files without one lost.
    pub(super) fn begin_names(&mut self) -> Unnamed {
        self.unnamed.take().unwrap_or_default()
    }

    /// Takes note of what the inode at `path` lost before it had a name.
    pub(super) fn name_losses(
        &mut self,
        unnamed: &mut Unnamed,
        ino: Ino,
        path: PathOf<'_>,
    ) -> Result<(), ConvertError> {
        for what in unnamed.losses.remove(&ino).into_iter().flatten() {
            self.report
                .lose(path, what, &allowed(self.options, self.limits))?;
        }
        Ok(())
    }

    pub(super) fn failed(
        &self,
        path: PathOf<'_>,
        action: &'static str,
        source: impl Into<io::Error>,
    ) -> ConvertError {
        ConvertError::Unpack {
            path: path(),
            action,
            output: self.output.to_owned(),
            source: source.into(),
        }
    }
}

fn image_error(path: PathOf<'_>, source: ImageError) -> ConvertError {
    ConvertError::Image {
        path: path(),
        source,
    }
}

fn create(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(fd.into())
}

impl Made<'_> {
    fn set_owner(self, attributes: &Attributes) -> Result<(), Errno> {
        let owner = Some(Uid::from_raw(attributes.uid));
        let group = Some(Gid::from_raw(attributes.gid));
        match self {
            Self::Open(fd) => rustix::fs::fchown(fd, owner, group),
            Self::Named { directory, name } => {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(directory, name, owner, group, flags)
            }
        }
    }

    fn set_mode(self, mode: u16) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode.into());
        match self {
            Self::Open(fd) => rustix::fs::fchmod(fd, mode),
            Self::Named { directory, name } => {
                rustix::fs::chmodat(directory, name, mode, AtFlags::empty())
            }
        }
    }

    fn set_xattr(self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Named {
                directory,
                name: file,
            } => {
                // No such call is relative to a directory, and a device node must not be opened.
                let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
                path.extend_from_slice(file);
                rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
            }
        }
    }

    /// Seconds since 1970.
    fn mtime(self) -> Result<i64, Errno> {
        let stat = match self {
            Self::Open(fd) => rustix::fs::fstat(fd)?,
            Self::Named { directory, name } => {
                rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?
            }
        };
        Ok(stat.st_mtime)
    }

    fn set_time(self, mtime: Timestamp) -> Result<(), Errno> {
        let time = Timespec {
            tv_sec: mtime.seconds,
            tv_nsec: mtime.nanoseconds.into(),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        match self {
            Self::Open(fd) => rustix::fs::futimens(fd, &times),
            Self::Named { directory, name } => {
                rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}
