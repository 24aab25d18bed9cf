//! EROFS images that are not RAFS, opened as anything else is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::{LocalFile, ReadAt};
use bytes::Bytes;
use image_model::{Blob, BlobIndex, Fault, Limits};
use lazyoci_image_read::{
    Flaw, Format, OpenBlob, OpenError, OpenImage, OpenOptions, StoreError, VerifyOptions, open,
    open_source,
};
use verify::Profile;

/// Images by mkfs.erofs, all of the tree of `tree.tar`, and where the content of their devices is.
const GOLDENS: [(&str, Option<&str>); 10] = [
    ("plain", None),
    ("inline", None),
    ("extended", None),
    ("shared-xattrs", None),
    ("xattr-prefix", None),
    ("blocks-512", None),
    ("chunks", None),
    ("blobdev", Some("blobdev.blob")),
    ("tar-f", None),
    ("tar-i", Some("tree.tar")),
];

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../erofs-format/tests/goldens")
}

/// Every device is this file.
struct Device(Option<PathBuf>);

impl OpenBlob for Device {
    fn open_blob(&self, index: BlobIndex, blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let id = blob.id.clone();
        assert_eq!((index, id.as_str()), (BlobIndex(1), "device-1"));
        let path = self.0.clone().ok_or(StoreError::Missing { id })?;
        Ok(Arc::new(LocalFile::open(&path).unwrap()))
    }
}

fn opened(name: &str, device: Option<&str>) -> OpenImage {
    let file = LocalFile::open(&goldens().join(format!("{name}.erofs"))).unwrap();
    let device = Device(device.map(|device| goldens().join(device)));
    open_source(Arc::new(file), None, device, &OpenOptions::default()).unwrap()
}

fn digest(image: &OpenImage) -> String {
    let digest = image.tree_digest(Profile::Default, &mut ());
    digest.unwrap().to_string()
}

fn findings(image: &OpenImage) -> Vec<String> {
    let mut found = Vec::new();
    let options = VerifyOptions::default();
    let summary = image.verify(&options, &mut (), &mut |finding| {
        found.push(finding.to_string());
    });
    assert_eq!(summary.unwrap().findings, found.len() as u64);
    found
}

#[test]
fn every_form_holds_the_tree_of_its_source() {
    let source = open(goldens().join("tree.tar"), &OpenOptions::default()).unwrap();
    let expected = digest(&source);
    for (name, device) in GOLDENS {
        let image = opened(name, device);
        assert_eq!(image.format(), Format::Erofs);
        assert_eq!(digest(&image), expected, "{name}");
        assert_eq!(findings(&image), Vec::<String>::new(), "{name}");
        assert_eq!(image.read(b"/f", 10).unwrap(), b"hello\n", "{name}");
    }
}

/// An index in front of its tar, in one file: the device is mapped behind the index.
#[test]
fn a_device_that_lies_in_the_image() {
    let directory = tempfile::tempdir().unwrap();
    let index = fs::read(goldens().join("tar-i.erofs")).unwrap();
    let tar = fs::read(goldens().join("tree.tar")).unwrap();
    let path = directory.path().join("image");
    fs::write(&path, [index, tar].concat()).unwrap();
    let image = open(&path, &OpenOptions::default()).unwrap();
    let source = open(goldens().join("tree.tar"), &OpenOptions::default()).unwrap();
    assert_eq!(digest(&image), digest(&source));
    assert_eq!(findings(&image), Vec::<String>::new());
}

#[test]
fn a_device_that_is_not_at_hand() {
    let found = findings(&opened("tar-i", None));
    assert_eq!(found, ["i/o: blob `device-1` is missing"]);
}

#[test]
fn compressed_images_are_refused_by_name() {
    for name in ["lz4", "lz4-fragments"] {
        let path = goldens().join(format!("{name}.erofs"));
        let said = match open(&path, &OpenOptions::default()) {
            Err(error @ OpenError::Erofs(_)) => {
                std::error::Error::source(&error).unwrap().to_string()
            }
            Err(error) => panic!("{error:?}"),
            Ok(image) => findings(&image).concat(),
        };
        assert!(said.contains("compressed"), "{name}: {said}");
    }
}

/// Nothing panics or hangs, whatever byte is wrong.
#[test]
fn damaged_images_are_answered() {
    let options = OpenOptions::default().limits(Limits::small());
    let sound = fs::read(goldens().join("tar-i.erofs")).unwrap();
    for at in 1024..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0xff;
        let source = Arc::new(Bytes::from(bytes));
        let Ok(image) = open_source(source, None, Device(None), &options) else {
            continue;
        };
        let mut corrupt = 0;
        let verify = VerifyOptions::default().threads(1);
        let summary = image.verify(&verify, &mut (), &mut |finding| {
            corrupt += u64::from(finding.fault == Fault::Corrupt);
            assert!(!matches!(finding.what, Flaw::Bootstrap(_)));
        });
        assert_eq!(summary.unwrap().corrupt, corrupt);
    }
}
