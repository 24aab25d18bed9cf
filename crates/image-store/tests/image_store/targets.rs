//! Images written to layouts.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use lazyoci_image_store::oci_image::{Descriptor, Family, MediaType, Platform};
use lazyoci_image_store::{
    ImageStore, ImageStoreError, ImageTarget, Layout, LayoutWriter, copy, fetch, put_bytes,
};

use crate::support::{Images, layers};

fn names(directory: &Path) -> Vec<String> {
    let layout = Layout::open(directory).unwrap();
    let names = layout.index().manifests.iter();
    names
        .map(|image| image.name().unwrap_or("-").into())
        .collect()
}

fn object(layout: &LayoutWriter, text: &str) -> Descriptor {
    put_bytes(layout, MediaType::Config(Family::Oci), text.as_bytes()).unwrap()
}

/// Files in `blobs` other than the objects.
fn leftovers(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join("blobs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "sha256").collect()
}

#[test]
fn names_lead_to_the_last_image_of_that_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images");
    let layout = LayoutWriter::open(&path).unwrap();
    let (first, second) = (object(&layout, "first"), object(&layout, "second"));
    layout.publish(Some("a"), &first).unwrap();
    layout.publish(Some("b"), &first).unwrap();
    layout.publish(None, &first).unwrap();
    layout.publish(None, &first).unwrap();
    // Reopened, it continues with the existing content.
    let layout = LayoutWriter::open(&path).unwrap();
    layout.publish(Some("a"), &second).unwrap();
    assert_eq!(names(&path), ["b", "-", "a"]);
    let read = Layout::open(&path).unwrap();
    let a = &read.index().manifests[2];
    assert_eq!(fetch(&read, a).unwrap(), "second");
    assert_eq!(leftovers(&path), [""; 0]);
}

#[test]
fn an_object_is_there_when_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let layout = LayoutWriter::open(directory.path()).unwrap();
    let mut given_up = layout.begin().unwrap();
    given_up.write_all(b"half of").unwrap();
    drop(given_up);
    assert_eq!(leftovers(directory.path()), [""; 0]);
    let text = object(&layout, "all of it");
    assert!(layout.has(&text).unwrap());
    let longer = Descriptor { size: 10, ..text };
    assert!(!layout.has(&longer).unwrap());
}

#[test]
fn what_is_copied_has_its_digest() {
    let images = Images::new();
    images.index_of(Vec::new());
    let [layer, ..] = &images.plain(&layers())[..] else {
        unreachable!("there are three");
    };
    fs::write(
        images.path().join("index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    )
    .unwrap();
    let store = Layout::open(images.path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let target = LayoutWriter::open(directory.path()).unwrap();
    let mut done = 0;
    let mut progress = |bytes, _| {
        done = bytes;
        Ok(())
    };
    copy(&store, &target, layer, &mut progress).unwrap();
    assert_eq!(done, layer.size);
    assert!(target.has(layer).unwrap());

    let blob = layer.digest.strip_prefix("sha256:").unwrap();
    let blob = images.path().join("blobs/sha256").join(blob);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[600] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let target = LayoutWriter::open(empty.path()).unwrap();
    let error = copy(&store, &target, layer, &mut ()).unwrap_err();
    let ImageStoreError::Digest { digest, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(digest, layer.digest);
    assert!(!target.has(layer).unwrap());
    assert_eq!(leftovers(empty.path()), [""; 0]);
}

#[test]
fn a_directory_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("letter"), "dear").unwrap();
    let error = LayoutWriter::open(directory.path()).unwrap_err();
    assert!(matches!(error, ImageStoreError::NotLayout { .. }));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn several_publish_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let layout = LayoutWriter::open(directory.path()).unwrap();
    let image = object(&layout, &Platform::host().to_string());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (layout, image) = (&layout, &image);
            scope.spawn(move || {
                for n in 0..5 {
                    let name = format!("{thread}-{n}");
                    layout.publish(Some(&name), image).unwrap();
                }
            });
        }
    });
    let mut names = names(directory.path());
    names.sort();
    let expected = (0..8).flat_map(|thread| (0..5).map(move |n| format!("{thread}-{n}")));
    assert!(names.into_iter().eq(expected));
}

#[test]
fn a_name_that_would_be_mistaken_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let layout = LayoutWriter::open(directory.path()).unwrap();
    let image = object(&layout, "image");
    layout
        .publish(Some("docker.io/library/x:v1"), &image)
        .unwrap();
    let error = layout.publish(Some("v1"), &image).unwrap_err();
    let said = "`v1` could be mistaken for the existing `docker.io/library/x:v1`";
    assert_eq!(error.to_string(), said);
    layout.publish(Some("v2"), &image).unwrap();
    let error = layout.publish(Some("example.org/y:v2"), &image);
    assert!(matches!(error, Err(ImageStoreError::Ambiguous { .. })));
    assert_eq!(names(directory.path()), ["docker.io/library/x:v1", "v2"]);
}

/// Whichever process is first, and also if one was killed.
#[test]
fn several_make_a_layout_at_once() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::create_dir(path.join("blobs")).unwrap();
        fs::write(path.join(".lazyoci-killed"), "half of").unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                scope.spawn(move || {
                    let layout = LayoutWriter::open(path).unwrap();
                    let image = object(&layout, "image");
                    layout.publish(Some(&n.to_string()), &image).unwrap();
                });
            }
        });
        let mut names = names(path);
        names.sort();
        assert_eq!(names, ["0", "1", "2", "3"]);
    }
}

#[test]
fn links_lead_nowhere() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = |name: &str| {
        let link = directory.path().join(name);
        std::os::unix::fs::symlink(elsewhere.path(), link).unwrap();
    };
    let layout = LayoutWriter::open(directory.path()).unwrap();
    link("blobs/sha256");
    let mut object = layout.begin().unwrap();
    object.write_all(b"x").unwrap();
    let digest = verify::sha256(b"x");
    object
        .finish(&blob_io::Written::new(digest, 1))
        .unwrap_err();
    fs::remove_dir_all(directory.path().join("blobs")).unwrap();
    link("blobs");
    LayoutWriter::open(directory.path()).unwrap_err();
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
