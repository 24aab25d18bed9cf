//! What a file is, by its content.

use std::fs;

use blob_io::LocalFile;
use lazyoci_image_read::{Format, OpenError};
use tar_stream::Compression;

use crate::open::{golden, open_default};

/// Zeros begin an empty tar; before a superblock whose magic number is damaged they do not.
#[test]
fn a_damaged_bootstrap_is_no_empty_tar() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    for bit in 0..32 {
        let mut boot = fs::read(golden("a4-v6-none-sha256").join("image.boot")).unwrap();
        boot[1024 + bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, boot).unwrap();
        let error = open_default(&path).unwrap_err();
        assert!(
            matches!(&error, OpenError::Unknown { head } if **head == [0; 16]),
            "{bit}: {error:?}"
        );
    }
    // An empty archive, and whatever follows one.
    for (zeros, rest) in [
        (1024, ""),
        (1536, ""),
        (10240, ""),
        (1024, "\n"),
        (512, "a name"),
    ] {
        fs::write(&path, [&vec![0; zeros], rest.as_bytes()].concat()).unwrap();
        let format = Format::of(&LocalFile::open(&path).unwrap()).unwrap();
        assert_eq!(
            format,
            Some(Format::Tar(Compression::None)),
            "{zeros} {rest}"
        );
    }
}
