//! Directories that change after they were walked.

use std::error::Error as _;
use std::fs::{self, File};
use std::os::unix::fs::symlink;

use image_model::{Blame, Fault};
use lazyoci_image_read::{DirectoryError, ReadError};
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use crate::directory::{ino, into_parts, opened, read};

/// The error of the directory that made a read fail.
fn cause(error: &ReadError) -> &DirectoryError {
    let frame = error.source().unwrap();
    let io = frame.source().unwrap().source().unwrap();
    let io: &std::io::Error = io.downcast_ref().unwrap();
    io.get_ref().unwrap().downcast_ref().unwrap()
}

#[test]
fn a_file_that_changed_its_length_is_an_error() {
    for now in [&b"short"[..], b"this is longer than it was"] {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("f");
        fs::write(&path, b"as it was").unwrap();
        let (image, reader) = into_parts(opened(top.path()));
        fs::write(&path, now).unwrap();
        let error = read(&image, &reader, b"f").unwrap_err();
        assert_eq!(error.fault(), Fault::Io);
        let DirectoryError::Changed {
            path: at,
            expected: 9,
            found,
        } = cause(&error)
        else {
            panic!("{error:?}");
        };
        assert_eq!((at, *found), (&path, now.len() as u64));
    }
    // While it is open.
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("f");
    fs::write(&path, vec![1; 3_000_000]).unwrap();
    let (image, reader) = into_parts(opened(top.path()));
    let f = ino(&image, b"f");
    reader.read_range(f, 0..1, &mut Vec::new()).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(2_000_000)
        .unwrap();
    let error = reader
        .read_range(f, 2_999_999..3_000_000, &mut Vec::new())
        .unwrap_err();
    assert!(
        matches!(
            cause(&error),
            DirectoryError::Changed {
                expected: 3_000_000,
                found: 2_000_000,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn what_took_a_files_place_is_not_read() {
    let secret = TempDir::new().unwrap();
    fs::write(secret.path().join("f"), b"secret...").unwrap();
    let setup = || {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("d")).unwrap();
        fs::write(top.path().join("d/f"), b"as it was").unwrap();
        let parts = into_parts(opened(top.path()));
        (top, parts)
    };
    // A link instead of the file.
    let (top, (image, reader)) = setup();
    fs::remove_file(top.path().join("d/f")).unwrap();
    symlink(secret.path().join("f"), top.path().join("d/f")).unwrap();
    let error = read(&image, &reader, b"d/f").unwrap_err();
    assert!(
        matches!(cause(&error), DirectoryError::Io { action: "open", .. }),
        "{error:?}"
    );

    // A link instead of its directory.
    let (top, (image, reader)) = setup();
    fs::remove_dir_all(top.path().join("d")).unwrap();
    symlink(secret.path(), top.path().join("d")).unwrap();
    let error = read(&image, &reader, b"d/f").unwrap_err();
    let DirectoryError::Io {
        path,
        action: "open the directory",
        ..
    } = cause(&error)
    else {
        panic!("{error:?}");
    };
    assert_eq!(path, &top.path().join("d"));

    // A FIFO that nobody writes to.
    let (top, (image, reader)) = setup();
    let path = top.path().join("d/f");
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let error = read(&image, &reader, b"d/f").unwrap_err();
    assert!(
        matches!(cause(&error), DirectoryError::Replaced { path: at } if *at == path),
        "{error:?}"
    );

    // Nothing.
    let (top, (image, reader)) = setup();
    fs::remove_file(top.path().join("d/f")).unwrap();
    let error = read(&image, &reader, b"d/f").unwrap_err();
    let DirectoryError::Io { source, .. } = cause(&error) else {
        panic!("{error:?}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}
