//! Destinations of output.
#![allow(clippy::unwrap_used, reason = "a test that unwraps has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;

use image_model::{Blame, Fault};
use lazyoci_blob_io::{
    DigestWriter, DirectoryOutput, FileOutput, MemoryOutput, ObjectRole, Output, WriteError,
    WriterOutput, Written,
};

/// Writes an object; drops it unless `finish` is set.
fn put(output: &mut dyn Output, role: ObjectRole, bytes: &[u8], finish: bool) -> Written {
    let mut object = DigestWriter::new(output.begin(role).unwrap());
    object.write_all(bytes).unwrap();
    object.flush().unwrap();
    let (object, written) = object.finish();
    if finish {
        object.finish(&written).unwrap();
    }
    written
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_directory_holds_what_was_finished() {
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("image");
    let mut output = DirectoryOutput::create(&target).unwrap();
    assert!(!output.is_single());
    assert_eq!(output.target(), target);
    put(&mut output, ObjectRole::Blob, b"dropped", false);
    let first = put(&mut output, ObjectRole::Blob, b"first", true);
    let second = put(&mut output, ObjectRole::Layer, b"second", true);
    put(&mut output, ObjectRole::Bootstrap, b"boot", true);
    assert!(!target.exists());
    output.commit().unwrap();
    assert_eq!(names(&target), ["blobs", "image.boot"]);
    assert_eq!(fs::read(target.join("image.boot")).unwrap(), b"boot");
    let mut expected = [first, second].map(|written| written.digest.hex());
    expected.sort();
    assert_eq!(names(&target.join("blobs")), expected);
    assert!(matches!(output.commit(), Err(WriteError::Committed)));
    let again = output.begin(ObjectRole::Blob).err();
    assert!(matches!(again, Some(WriteError::Committed)));
}

#[test]
fn an_object_that_is_dropped_leaves_no_directory_of_blobs() {
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("image");
    let mut output = DirectoryOutput::create(&target).unwrap();
    put(&mut output, ObjectRole::Blob, b"dropped", false);
    put(&mut output, ObjectRole::Bootstrap, b"boot", true);
    output.commit().unwrap();
    assert_eq!(names(&target), ["image.boot"]);
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let mut output = DirectoryOutput::create(parent.path().join("image")).unwrap();
    put(&mut output, ObjectRole::Blob, b"blob", true);
    drop(output);
    let mut output = FileOutput::create(parent.path().join("layer")).unwrap();
    put(&mut output, ObjectRole::Layer, b"layer", true);
    drop(output);
    assert_eq!(names(parent.path()), [""; 0]);

    let mut output = MemoryOutput::default();
    put(&mut output, ObjectRole::Layer, b"layer", true);
    assert_eq!(output.objects(), []);
}

#[test]
fn a_file_takes_one_object() {
    let parent = tempfile::tempdir().unwrap();
    let target = parent.path().join("layer");
    let mut output = FileOutput::create(&target).unwrap();
    assert!(output.is_single());
    put(&mut output, ObjectRole::Layer, b"layer", true);
    let error = output.begin(ObjectRole::Layer).err().unwrap();
    assert!(matches!(error, WriteError::SingleObject));
    assert_eq!(error.fault(), Fault::Misuse);
    assert!(!target.exists());
    output.commit().unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"layer");
}

#[test]
fn an_object_that_was_given_up_is_not_committed() {
    let parent = tempfile::tempdir().unwrap();
    let mut output = FileOutput::create(parent.path().join("layer")).unwrap();
    put(&mut output, ObjectRole::Layer, b"lay", false);
    assert!(matches!(output.commit(), Err(WriteError::Committed)));
    assert_eq!(names(parent.path()), [""; 0]);
}

#[test]
fn a_writer_takes_one_object() {
    let mut bytes = Vec::new();
    let mut output = WriterOutput::new(&mut bytes);
    assert!(output.is_single());
    put(&mut output, ObjectRole::Layer, b"layer", true);
    assert!(matches!(
        output.begin(ObjectRole::Bootstrap).err(),
        Some(WriteError::SingleObject)
    ));
    output.commit().unwrap();
    assert_eq!(bytes, b"layer");
}

#[test]
fn memory_keeps_objects_with_their_roles() {
    let mut output = MemoryOutput::default();
    let blob = put(&mut output, ObjectRole::Blob, b"blob", true);
    put(&mut output, ObjectRole::Layer, b"dropped", false);
    let boot = put(&mut output, ObjectRole::Bootstrap, b"boot", true);
    output.commit().unwrap();
    let found: Vec<_> = output
        .objects()
        .iter()
        .map(|object| (object.role, object.digest, &object.bytes[..]))
        .collect();
    let expected = [
        (ObjectRole::Blob, blob.digest, &b"blob"[..]),
        (ObjectRole::Bootstrap, boot.digest, b"boot"),
    ];
    assert_eq!(found, expected);
    assert_eq!(output.object(ObjectRole::Layer), None);
    assert_eq!(output.objects().len(), 2);
}
