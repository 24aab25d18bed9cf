//! Removing what was unpacked.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes all that the directory `root` holds, which nobody else may enter. Directories in it may have
/// any modes.
///
/// Each is moved up into `root` before it is emptied: so the depth does not matter, neither for the time nor
/// for the descriptors it takes, and nothing outside of `root` is ever touched.
pub(super) fn clear(root: &Path) -> io::Result<()> {
    let root = rustix::fs::open(root, flags(), Mode::empty())?;
    let mut moved = 0;
    loop {
        let entries = entries(root.as_fd())?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, kind) in entries {
            if kind == FileType::Directory {
                let directory = open(root.as_fd(), &name)?;
                empty(directory.as_fd(), root.as_fd(), &mut moved)?;
                rustix::fs::unlinkat(&root, &name, AtFlags::REMOVEDIR)?;
            } else {
                rustix::fs::unlinkat(&root, &name, AtFlags::empty())?;
            }
        }
    }
}

/// Removes the files of `directory`, and moves its directories into `root`.
fn empty(directory: BorrowedFd<'_>, root: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    for (name, kind) in entries(directory)? {
        if kind != FileType::Directory {
            rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
            continue;
        }
        // A directory can be moved by anyone who may write to it.
        make_accessible(directory, &name)?;
        loop {
            *moved += 1;
            match rustix::fs::renameat(directory, &name, root, format!("moved-{moved}")) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                other => break other?,
            }
        }
    }
    Ok(())
}

fn open(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    make_accessible(parent, name)?;
    Ok(rustix::fs::openat(parent, name, flags(), Mode::empty())?)
}

/// Nobody else reaches into the tree, so that what was a directory is still one.
fn make_accessible(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::chmodat(
        parent,
        name,
        Mode::RWXU,
        AtFlags::empty(),
    )?)
}

fn entries(directory: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, FileType)>> {
    let mut list = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        list.push((name.to_vec(), kind));
    }
    Ok(list)
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn everything_goes_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let (root, other) = (base.path().join("root"), base.path().join("other"));
        for directory in [&root, &other] {
            std::fs::create_dir(directory).unwrap();
        }
        std::fs::write(other.join("kept"), b"kept").unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        std::fs::write(root.join("moved-1"), b"a file with such a name").unwrap();
        std::fs::create_dir_all(root.join("a/b/c")).unwrap();
        std::os::unix::fs::symlink(&other, root.join("a/b/link")).unwrap();
        std::fs::write(root.join("a/b/c/f"), b"x").unwrap();
        for locked in ["a/b/c", "a/b", "a"] {
            let mode = std::fs::Permissions::from_mode(0o000);
            std::fs::set_permissions(root.join(locked), mode).unwrap();
        }
        clear(&root).unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        assert_eq!(std::fs::read(other.join("kept")).unwrap(), b"kept");
    }

    #[test]
    fn depth_takes_neither_descriptors_nor_names() {
        let base = tempfile::tempdir().unwrap();
        let mut at = rustix::fs::open(base.path(), flags(), Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "d", Mode::empty()).unwrap();
            make_accessible(at.as_fd(), b"d").unwrap();
            at = rustix::fs::openat(&at, "d", flags(), Mode::empty()).unwrap();
        }
        drop(at);
        clear(base.path()).unwrap();
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
