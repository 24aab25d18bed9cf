//! Directories as images.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use image_model::{
    Attributes, Blame, Device, ExtentSource, Fault, FileKind, Image, Ino, Limits, Timestamp,
};
use lazyoci_image_read::{
    BlobStore, DirectoryError, DirectoryImage, Follow, Format, OpenOptions, ReadError, ReadOptions,
    Reader, TreeImage, open, resolve,
};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use verify::{Profile, tree_digest};

use crate::support::text;

pub(crate) fn opened(path: &Path) -> DirectoryImage {
    DirectoryImage::open(path, &Limits::default()).unwrap()
}

pub(crate) fn ino(image: &TreeImage, path: &[u8]) -> Ino {
    resolve(image, path, Follow::Never).unwrap()
}

fn attributes(image: &TreeImage, path: &[u8]) -> Attributes {
    image.attributes(ino(image, path)).unwrap()
}

/// Reads a file of an image that was opened before, perhaps long before.
pub(crate) fn read(image: &TreeImage, reader: &Reader, path: &[u8]) -> Result<Vec<u8>, ReadError> {
    let mut content = Vec::new();
    reader.read_range(ino(image, path), 0..u64::MAX, &mut content)?;
    Ok(content)
}

pub(crate) fn into_parts(directory: DirectoryImage) -> (Arc<TreeImage>, Reader) {
    let image = Arc::new(directory.image);
    let store = BlobStore::single(Arc::new(directory.source));
    let reader = Reader::new(Arc::clone(&image) as _, store, ReadOptions::default());
    (image, reader)
}

fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn the_vector_tree_has_its_digest() {
    let top = tempfile::tempdir().unwrap();
    let at = |name: &str| top.path().join(name);
    fs::create_dir(at("d")).unwrap();
    fs::write(at("f"), "hello").unwrap();
    fs::hard_link(at("f"), at("d/h")).unwrap();
    symlink("../f", at("d/l")).unwrap();
    fs::write(at("e"), "").unwrap();
    fs::write(at("z"), "A".repeat(10_000)).unwrap();

    let image = open(top.path(), &OpenOptions::default()).unwrap();
    assert_eq!(image.format(), Format::Directory);
    let digest = tree_digest(
        image.image(),
        &mut image.reader().clone(),
        Profile::Content,
        &mut (),
    );
    assert_eq!(
        digest.unwrap().to_string(),
        "tree1:0d3e2f339c36c5d5f8232fd0ea8d10d3206d2e812699ba3daa54c27b44a8c783"
    );
    // In the order of their names, whatever the file system's.
    let mut names = Vec::new();
    let image = image.tree().unwrap();
    let collect = &mut |entry: image_model::DirEntry<'_>| {
        names.push(entry.name.to_string());
        ControlFlow::Continue(())
    };
    image.read_directory(image.root(), collect).unwrap();
    assert_eq!(names, ["d", "e", "f", "z"]);
    assert_eq!(opened(top.path()).image.tree(), image.tree());
}

#[test]
fn every_kind_of_file_is_taken() {
    let top = tempfile::tempdir().unwrap();
    let at = |name: &str| top.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    fs::write(at("file"), "content").unwrap();
    symlink("x".repeat(4_000), at("symlink")).unwrap();
    rustix::fs::mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let device = rustix::fs::makedev(8, 0x12345);
    let made = rustix::fs::mknodat(CWD, at("block"), FileType::BlockDevice, Mode::RUSR, device);

    let DirectoryImage { image, .. } = opened(top.path());
    let kinds = [
        ("directory", FileKind::Directory),
        ("file", FileKind::File),
        ("symlink", FileKind::Symlink),
        ("fifo", FileKind::Fifo),
        ("socket", FileKind::Socket),
    ];
    for (name, kind) in kinds {
        assert_eq!(attributes(&image, name.as_bytes()).kind, kind);
    }
    let target = image.symlink_target(ino(&image, b"symlink")).unwrap();
    assert_eq!(*target, *"x".repeat(4_000).as_bytes());
    match made {
        Ok(()) => assert_eq!(
            attributes(&image, b"block").device,
            Device {
                major: 8,
                minor: 0x12345
            }
        ),
        // Devices need privileges; tests of layers have some that need none.
        Err(error) => {
            assert_eq!(error, Errno::PERM);
            assert!(resolve(&image, b"block", Follow::Never).is_err());
        }
    }
}

#[test]
fn metadata_are_those_of_the_inode() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("f");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    set_mtime(&path, -86_400, 123_456_789);
    let link = top.path().join("l");
    symlink("f", &link).unwrap();
    set_mtime(&link, 1, 2);
    fs::hard_link(&path, top.path().join("g")).unwrap();

    let DirectoryImage { image, .. } = opened(top.path());
    let stat = fs::symlink_metadata(&path).unwrap();
    let expected = Attributes {
        kind: FileKind::File,
        mode: 0o4751,
        uid: stat.uid(),
        gid: stat.gid(),
        mtime: Timestamp {
            seconds: -86_400,
            nanoseconds: 123_456_789,
        },
        size: 0,
        links: 2,
        device: Device::default(),
    };
    assert_eq!(attributes(&image, b"f"), expected);
    assert_eq!(ino(&image, b"f"), ino(&image, b"g"));
    assert_eq!(
        attributes(&image, b"l").mtime,
        Timestamp {
            seconds: 1,
            nanoseconds: 2
        }
    );
    let root = fs::metadata(top.path()).unwrap();
    let found = image.attributes(image.root()).unwrap();
    assert_eq!(
        (found.mode, found.uid),
        ((root.mode() & 0o7777) as u16, root.uid())
    );
    assert_eq!(found.mtime.seconds, root.mtime());
}

#[test]
fn names_are_bytes() {
    let top = tempfile::tempdir().unwrap();
    let names: [&[u8]; 4] = [b"new\nline", b"not-utf8-\xff\xfe", &[b'n'; 255], b" "];
    for name in names {
        fs::write(top.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let (image, reader) = into_parts(opened(top.path()));
    for name in names {
        assert_eq!(read(&image, &reader, name).unwrap(), name);
    }
}

#[test]
fn attributes_of_files_and_links_are_read() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("f");
    fs::write(&path, "").unwrap();
    symlink("f", top.path().join("l")).unwrap();
    let large = text(3_000, 1);
    let set =
        |name: &str, value: &[u8]| rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty());
    let made = set("user.large", &large).and_then(|()| set("user.empty", b""));
    let on_link = rustix::fs::lsetxattr(
        top.path().join("l"),
        "trusted.of-a-link",
        b"1\0\n",
        XattrFlags::empty(),
    );
    rustix::fs::lsetxattr(top.path(), "user.root", b"/", XattrFlags::empty()).ok();

    let DirectoryImage { image, .. } = opened(top.path());
    let xattrs = image.xattrs(ino(&image, b"f")).unwrap();
    match made {
        Ok(()) => {
            assert_eq!(xattrs.value(b"user.large"), Some(&large[..]));
            assert_eq!(xattrs.value(b"user.empty"), Some(&b""[..]));
            let of_root = image.xattrs(image.root()).unwrap();
            assert_eq!(of_root.value(b"user.root"), Some(&b"/"[..]));

            let limits = Limits::default().max_xattr_len(3_000);
            let error = DirectoryImage::open(top.path(), &limits).unwrap_err();
            assert!(
                matches!(&error, DirectoryError::Limit { path: at, limit: 3_000, .. } if *at == path),
                "{error:?}"
            );
        }
        // The file system has none.
        Err(error) => {
            assert_eq!(error, Errno::NOTSUP);
            assert!(xattrs.value(b"user.large").is_none());
        }
    }
    // Of links only root sees some; the file's must not be taken for the link's.
    let xattrs = image.xattrs(ino(&image, b"l")).unwrap();
    assert_eq!(
        xattrs.value(b"trusted.of-a-link").is_some(),
        on_link.is_ok()
    );
    assert!(xattrs.value(b"user.large").is_none());
}

#[test]
fn holes_are_zeros_and_content_is_right() {
    let top = tempfile::tempdir().unwrap();
    let mut file = File::create(top.path().join("sparse")).unwrap();
    let data = text(100_000, 7);
    file.seek(SeekFrom::Start(3 << 20)).unwrap();
    file.write_all(&data).unwrap();
    file.set_len(8 << 20).unwrap();
    File::create(top.path().join("hole"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let allocated = file.metadata().unwrap().blocks() * 512;

    let (image, reader) = into_parts(opened(top.path()));
    let mut expected = vec![0; 8 << 20];
    expected[3 << 20..][..data.len()].copy_from_slice(&data);
    assert!(read(&image, &reader, b"sparse").unwrap() == expected);
    // Only what is allocated is read, if the file system can tell.
    if allocated < 1 << 20 {
        assert!(
            reader.blobs().stats().bytes <= allocated + (1 << 20),
            "{:?}",
            reader.blobs().stats()
        );
        let mut extents = Vec::new();
        let whole = 0..1 << 40;
        image
            .extents(ino(&image, b"hole"), whole, &mut |extent| {
                extents.push((extent.len, extent.source));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(extents, [(1 << 40, ExtentSource::Zeros)]);
    }
}

#[test]
fn large_files_are_read_in_pieces() {
    let top = tempfile::tempdir().unwrap();
    let content = text(5_000_000, 3);
    fs::write(top.path().join("large"), &content).unwrap();
    fs::write(top.path().join("other"), b"other").unwrap();
    let (image, reader) = into_parts(opened(top.path()));
    assert!(read(&image, &reader, b"large").unwrap() == content);
    assert_eq!(read(&image, &reader, b"other").unwrap(), b"other");
    let before = reader.blobs().stats();
    let mut part = Vec::new();
    reader
        .read_range(ino(&image, b"large"), 2_000_000..2_200_000, &mut part)
        .unwrap();
    assert!(part == content[2_000_000..2_200_000]);
    // The range and nothing else, at once.
    let after = reader.blobs().stats();
    assert_eq!(after.bytes - before.bytes, 200_000);
    assert_eq!(after.requests - before.requests, 1);
}

/// Makes `depth` nested directories below `top` with a file in the last one; returns its path.
fn nest(top: &Path, depth: usize) -> Vec<u8> {
    let name = "d".repeat(100);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut at = rustix::fs::open(top, flags, Mode::empty()).unwrap();
    let mut path = Vec::new();
    for _ in 0..depth {
        rustix::fs::mkdirat(&at, &name, Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, &name, flags, Mode::empty()).unwrap();
        path.extend_from_slice(name.as_bytes());
        path.push(b'/');
    }
    let file = rustix::fs::openat(&at, "f", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
    File::from(file).write_all(b"deep").unwrap();
    path.push(b'f');
    path
}

#[test]
fn paths_may_be_longer_than_the_system_takes() {
    let top = tempfile::tempdir().unwrap();
    let deep = nest(top.path(), 100);
    fs::write(top.path().join("z"), "shallow").unwrap();
    let (image, reader) = into_parts(opened(top.path()));
    assert_eq!(read(&image, &reader, &deep).unwrap(), b"deep");
    assert_eq!(read(&image, &reader, b"z").unwrap(), b"shallow");
    assert_eq!(read(&image, &reader, &deep).unwrap(), b"deep");
}

#[test]
fn limits_hold() {
    let top = tempfile::tempdir().unwrap();
    nest(top.path(), 5);
    symlink("x".repeat(200), top.path().join("link")).unwrap();
    let cases = [
        Limits::default().max_depth(4),
        Limits::default().max_inodes(7),
        Limits::default().max_symlink_len(199),
    ];
    for limits in cases {
        let error = DirectoryImage::open(top.path(), &limits).unwrap_err();
        assert!(matches!(error, DirectoryError::Limit { .. }), "{error:?}");
        assert_eq!(error.fault(), Fault::Limit);
    }
    let enough = Limits::default()
        .max_depth(5)
        .max_inodes(8)
        .max_symlink_len(200);
    assert!(DirectoryImage::open(top.path(), &enough).is_ok());
}

#[test]
fn only_directories_are_opened() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("f");
    fs::write(&path, "").unwrap();
    let error = DirectoryImage::open(&path, &Limits::default()).unwrap_err();
    assert!(
        matches!(&error, DirectoryError::Io { path: at, action: "open the directory", .. } if *at == path),
        "{error:?}"
    );
    // The way to it may lead through links.
    symlink(top.path(), top.path().join("l")).unwrap();
    assert!(DirectoryImage::open(&top.path().join("l"), &Limits::default()).is_ok());
}

#[test]
fn threads_read_at_once() {
    let top = tempfile::tempdir().unwrap();
    for i in 0..20u64 {
        fs::create_dir(top.path().join(i.to_string())).unwrap();
        fs::write(top.path().join(format!("{i}/f")), text(10_000, i)).unwrap();
    }
    let (image, reader) = into_parts(opened(top.path()));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (image, reader) = (&image, &reader);
            scope.spawn(move || {
                for round in 0..100 {
                    let i = (round * 7 + thread * 3) % 20;
                    let content = read(image, reader, format!("{i}/f").as_bytes()).unwrap();
                    assert!(content == text(10_000, i));
                }
            });
        }
    });
}
