//! Dumps as values of serde.

use std::cell::Cell;
use std::io::{self, Write};

use bytes::Bytes;
use image_model::Limits;
use lazyoci_erofs_format::ErofsImage;
use lazyoci_erofs_format::dump::{DUMP_VERSION, Document, Dumped};
use serde_json::{Value, json};

use crate::goldens::golden;

fn open(bytes: Vec<u8>) -> ErofsImage {
    ErofsImage::open(Bytes::from(bytes), &Limits::small()).unwrap()
}

fn document(image: &ErofsImage) -> Value {
    serde_json::to_value(Document::new(|tell| image.structures(tell))).unwrap()
}

/// Each line of the text is an object, with the same offset, name, index and names of fields.
#[test]
fn a_document_has_every_structure() {
    for name in ["tar-i", "blobdev", "inline", "shared-xattrs"] {
        let image = open(golden(name).to_vec());
        let document = document(&image);
        assert_eq!(document["dump_version"], DUMP_VERSION);
        assert_eq!(document.as_object().unwrap().len(), 2);
        let mut structures = document["structures"].as_array().unwrap().iter();
        let told = image.structures(&mut |dumped| {
            let Dumped::Structure(told) = dumped else {
                return Err(dumped.to_string());
            };
            let found = structures.next().unwrap();
            assert_eq!(found.as_object().unwrap().len(), 4, "{found}");
            assert_eq!(found["structure"], told.name);
            assert_eq!(found["offset"], told.offset);
            assert_eq!(found["index"], json!(told.index));
            let fields = found["fields"].as_object().unwrap();
            assert_eq!(fields.len(), told.fields.len(), "{found}");
            assert!(
                told.fields
                    .iter()
                    .all(|(name, _)| fields.contains_key(*name)),
                "{found}"
            );
            Ok(())
        });
        assert_eq!((told, structures.next()), (Ok(()), None), "{name}");
    }
}

#[test]
fn values_have_the_types_that_are_written_down() {
    let mut bytes = golden("tar-i").to_vec();
    // The time of the build: a second before 1970. The volume's name: a byte that is no text.
    bytes[1024 + 24..1024 + 32].copy_from_slice(&(-1i64).to_le_bytes());
    bytes[1024 + 64..1024 + 68].copy_from_slice(b"a\"\xff\0");
    let document = document(&open(bytes));
    let superblock = &document["structures"][0];
    assert_eq!(superblock["structure"], "superblock");
    assert_eq!(
        (&superblock["index"], &superblock["offset"]),
        (&Value::Null, &json!(1024))
    );
    let fields = &superblock["fields"];
    assert_eq!(fields["build_time"], -1);
    assert_eq!(fields["volume_name"], r#"a\"\xff"#);
    assert_eq!(fields["uuid"].as_str().unwrap().len(), 32);
    assert!(fields["feature_incompat"].is_u64(), "{fields}");
    let structures = document["structures"].as_array().unwrap();
    let root = structures
        .iter()
        .find(|s| s["structure"] == "inode")
        .unwrap();
    assert_eq!(root["fields"]["mode"], "040755");
    assert_eq!(root["fields"]["path"], "");
    let entry = structures
        .iter()
        .find(|s| s["fields"]["name"] == "..")
        .unwrap();
    assert_eq!(entry["fields"]["file_type"], "directory");
}

#[test]
fn what_cannot_be_read_says_why() {
    let mut bytes = golden("tar-i").to_vec();
    let sound = document(&open(bytes.clone()));
    let inodes = |document: &Value| -> Vec<usize> {
        let structures = document["structures"].as_array().unwrap().iter();
        let inodes = structures.filter(|s| s["structure"] == "inode");
        let offsets = inodes.map(|s| s["offset"].as_u64().unwrap());
        offsets
            .map(|offset| usize::try_from(offset).unwrap())
            .collect()
    };
    let sound = inodes(&sound);
    // The layout of the data of what follows the root: one that does not exist.
    bytes[sound[1]] |= 0x0e;
    let image = open(bytes);
    let document = document(&image);
    assert!(!inodes(&document).contains(&sound[1]));
    let errors = document["structures"].as_array().unwrap().iter();
    let errors: Vec<_> = errors
        .filter(|s| s.as_object().unwrap().len() == 1)
        .map(|s| s["error"].as_str().unwrap())
        .collect();
    let mut text = String::new();
    image.dump(&mut text).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("! "));
    assert_eq!(errors, lines.collect::<Vec<_>>());
    assert!(errors[0].contains("i_format"), "{errors:?}");
}

/// Takes some bytes, and no more.
struct Full(Vec<u8>, usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > self.1 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error of the serializer ends the dump, and is what is answered.
#[test]
fn the_serializer_ends_it() {
    let image = open(golden("tar-i").to_vec());
    let told = Cell::new(0);
    let document = Document::new(|tell| {
        image.structures(&mut |dumped| {
            told.set(told.get() + 1);
            tell(dumped)
        })
    });
    let mut full = Full(Vec::new(), 2000);
    let error = serde_json::to_writer(&mut full, &document).unwrap_err();
    assert_eq!(error.io_error_kind(), Some(io::ErrorKind::StorageFull));
    let taken = String::from_utf8(full.0).unwrap();
    assert_eq!(
        told.get(),
        taken.matches("{\"structure\":").count(),
        "{taken}"
    );
    assert_eq!(told.get(), 15);
}
