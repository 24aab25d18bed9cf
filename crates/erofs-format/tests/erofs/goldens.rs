//! Images by mkfs.erofs 1.8.6; `tests/goldens/make.sh` has the commands.

use std::path::PathBuf;

use bytes::Bytes;
use image_model::walk::Walk;
use image_model::{Blame, Fault, Limits};
use lazyoci_erofs_format::{DecodeError, ErofsImage, StructureError};

/// All that are read.
pub(crate) const GOLDENS: [&str; 10] = [
    "plain",
    "inline",
    "extended",
    "shared-xattrs",
    "xattr-prefix",
    "blocks-512",
    "chunks",
    "blobdev",
    "tar-f",
    "tar-i",
];

pub(crate) fn path(name: &str) -> PathBuf {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
    PathBuf::from(goldens).join(name)
}

pub(crate) fn golden(name: &str) -> Bytes {
    std::fs::read(path(&format!("{name}.erofs")))
        .unwrap()
        .into()
}

fn open(name: &str) -> ErofsImage {
    ErofsImage::open(golden(name), &Limits::default()).unwrap()
}

/// The dumps beside the goldens are made by this test if `UPDATE_GOLDENS` is set.
#[test]
fn dumps() {
    for name in GOLDENS {
        let mut dump = String::new();
        open(name).dump(&mut dump).unwrap();
        assert!(!dump.contains("\n!"), "{name}: {dump}");
        let path = path(&format!("{name}.dump"));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            std::fs::write(&path, &dump).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        assert!(
            dump == expected,
            "{name}: another dump than {}",
            path.display()
        );
    }
}

#[test]
fn sound_images_have_no_findings() {
    for name in GOLDENS {
        let mut found = Vec::new();
        let summary = open(name).check(&mut |finding| found.push(finding.to_string()));
        assert_eq!(found, Vec::<String>::new(), "{name}");
        assert_eq!((summary.inodes, summary.names), (27, 28), "{name}");
    }
}

#[test]
fn compressed_images_are_refused_by_name() {
    for name in ["lz4", "lz4-fragments"] {
        let error = match ErofsImage::open(golden(name), &Limits::default()) {
            Err(error) => error.to_string(),
            Ok(image) => {
                let mut found = None;
                let mut walk = Walk::new(&image, &Limits::default());
                while let Some(entry) = walk.next_entry() {
                    found = found.or(entry.err());
                }
                let error = found.unwrap();
                assert_eq!(error.fault(), Fault::Unsupported, "{name}");
                let mut cause: &dyn std::error::Error = &error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                cause.to_string()
            }
        };
        assert!(error.contains("compressed"), "{name}: {error}");
    }
}

/// A flag of each kind that is not supported, by its name.
#[test]
fn features_that_are_not_supported() {
    for (bit, name) in [
        (0x2u32, "compressed files"),
        (0x10, "tails of compressed files"),
        (0x80, "addresses of 48 bits"),
        (0x100, "compressed metadata"),
        (0x8000, "features that are not known"),
    ] {
        let mut bytes = golden("plain").to_vec();
        let field = bytes[1024 + 80..].first_chunk_mut::<4>().unwrap();
        *field = (u32::from_le_bytes(*field) | bit).to_le_bytes();
        let error = ErofsImage::open(Bytes::from(bytes), &Limits::default()).unwrap_err();
        let expected = StructureError::Unsupported {
            structure: "superblock",
            offset: 1024,
            feature: name,
        };
        assert_eq!(error, DecodeError::Structure(expected));
    }
}
