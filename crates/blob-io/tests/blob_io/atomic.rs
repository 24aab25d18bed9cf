//! Output appears whole or not at all.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use image_model::{Blame, Fault};
use lazyoci_blob_io::{AtomicDir, AtomicFile, WriteError};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .expect("the directory is there")
        .map(|entry| entry.expect("it can be read").file_name())
        .map(|name| name.into_string().expect("names are text"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_appears_at_commit() {
    let dir = tempfile::tempdir().unwrap();
    for synced in [false, true] {
        let target = dir.path().join(format!("image-{synced}"));
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"0123").unwrap();
        file.seek(SeekFrom::Start(1)).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(file.target(), target);
        assert!(!target.exists());
        if synced {
            file.commit_synced().unwrap();
        } else {
            file.commit().unwrap();
        }
        assert_eq!(fs::read(&target).unwrap(), b"0x23");
    }
    assert_eq!(names(dir.path()), ["image-false", "image-true"]);
}

#[test]
fn a_dropped_file_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("image");
    let mut file = AtomicFile::create(&target).unwrap();
    file.write_all(b"part").unwrap();
    drop(file);
    assert_eq!(names(dir.path()), [""; 0]);

    fs::write(&target, b"old").unwrap();
    let mut file = AtomicFile::create(&target).unwrap();
    file.write_all(b"part").unwrap();
    drop(file);
    assert_eq!(fs::read(&target).unwrap(), b"old");

    let mut file = AtomicFile::create(&target).unwrap();
    file.write_all(b"new").unwrap();
    file.commit().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["image"]);
}

#[test]
fn only_files_are_replaced_by_files() {
    let dir = tempfile::tempdir().unwrap();
    for target in [dir.path(), Path::new("/dev/null")] {
        let error = AtomicFile::create(target).unwrap_err();
        assert!(matches!(&error, WriteError::Exists { path } if path == target));
        assert_eq!(error.fault(), Fault::Misuse);
    }
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_target_needs_a_name_and_a_directory() {
    for target in ["", "/.."] {
        assert!(matches!(
            AtomicFile::create(target),
            Err(WriteError::NoName { .. } | WriteError::Exists { .. })
        ));
    }
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("missing/image");
    let error = AtomicFile::create(&target).unwrap_err();
    assert!(matches!(&error, WriteError::Create { path, source }
        if *path == target && source.kind() == std::io::ErrorKind::NotFound));
    assert_eq!(error.fault(), Fault::Io);
    assert!(matches!(
        AtomicDir::create(&target),
        Err(WriteError::Create { .. })
    ));
}

#[test]
fn the_longest_name_is_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("n".repeat(255));
    AtomicFile::create(&target).unwrap().commit().unwrap();
    assert!(target.exists());
}

#[cfg(unix)]
#[test]
fn output_gets_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;

    fs::write(dir.path().join("file"), b"").unwrap();
    let atomic = dir.path().join("atomic-file");
    AtomicFile::create(&atomic).unwrap().commit().unwrap();
    assert_eq!(mode(&atomic), mode(&dir.path().join("file")));

    fs::create_dir(dir.path().join("dir")).unwrap();
    let atomic = dir.path().join("atomic-dir");
    AtomicDir::create(&atomic).unwrap().commit().unwrap();
    assert_eq!(mode(&atomic), mode(&dir.path().join("dir")));
}

#[cfg(unix)]
#[test]
fn links_are_followed_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::write(&real, b"old").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let mut file = AtomicFile::create(&link).unwrap();
    file.write_all(b"new").unwrap();
    file.commit().unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::read(&real).unwrap(), b"new");

    let dangling = dir.path().join("dangling");
    std::os::unix::fs::symlink("nothing", &dangling).unwrap();
    assert!(matches!(
        AtomicFile::create(&dangling),
        Err(WriteError::Exists { .. })
    ));
    assert!(matches!(
        AtomicDir::create(&dangling),
        Err(WriteError::Exists { .. })
    ));
}

#[test]
fn a_directory_appears_at_commit() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("image");
    for existing in [false, true] {
        if existing {
            fs::remove_dir_all(&target).unwrap();
            fs::create_dir(&target).unwrap();
        }
        let output = AtomicDir::create(&target).unwrap();
        assert_eq!(output.target(), target);
        fs::create_dir(output.path().join("blobs")).unwrap();
        fs::write(output.path().join("blobs/id"), b"blob").unwrap();
        fs::write(output.path().join("image.boot"), b"boot").unwrap();
        assert_eq!(target.exists(), existing);
        output.commit().unwrap();
        assert_eq!(names(&target), ["blobs", "image.boot"]);
        assert_eq!(fs::read(target.join("blobs/id")).unwrap(), b"blob");
    }
    assert_eq!(names(dir.path()), ["image"]);
}

#[test]
fn a_dropped_directory_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let output = AtomicDir::create(dir.path().join("image")).unwrap();
    fs::create_dir(output.path().join("blobs")).unwrap();
    fs::write(output.path().join("blobs/id"), b"blob").unwrap();
    drop(output);
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn only_empty_directories_are_replaced_by_directories() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("image");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), b"").unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    for path in [&target, &dir.path().join("file")] {
        let error = AtomicDir::create(path).unwrap_err();
        assert!(matches!(&error, WriteError::Exists { path: there } if there == path));
    }
    assert_eq!(names(dir.path()), ["file", "image"]);
}

#[test]
fn what_came_to_the_target_meanwhile_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("image");
    let output = AtomicDir::create(&target).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("precious"), b"").unwrap();
    assert!(matches!(output.commit(), Err(WriteError::Exists { .. })));
    assert_eq!(names(&target), ["precious"]);
    assert_eq!(names(dir.path()), ["image"]);

    let target = dir.path().join("other");
    let output = AtomicDir::create(&target).unwrap();
    fs::write(&target, b"precious").unwrap();
    assert!(matches!(output.commit(), Err(WriteError::Exists { .. })));
    assert_eq!(names(dir.path()), ["image", "other"]);
}

#[test]
fn an_output_that_cannot_be_created_names_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let errors = [
        AtomicDir::create(file.join("output")).unwrap_err(),
        AtomicFile::create(file.join("output")).unwrap_err(),
    ];
    for error in errors {
        let WriteError::Create { source, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), io::ErrorKind::NotADirectory);
        assert!(!source.to_string().contains(".lazyoci-"), "{source}");
    }
}
