//! RAFS v5 bootstraps.

use lazyoci::model::{Blame as _, Image, ImagePath, Ino, Limits};
use lazyoci::rafs_format::v5::Bootstrap;
use lazyoci::rafs_format::{OwnedBootstrap, prefetch_inodes};

use super::same::{Seen, see};
use super::v5::{encode, open};

/// Opens the bytes as a bootstrap, asks it everything, checks, prints and copies it, writes the copy,
/// and compares what that decodes to.
pub fn v5_bootstrap(data: &[u8]) {
    let _ = Bootstrap::is_bootstrap(data);
    // Bootstraps are multiples of 8 bytes long; fuzzers do not keep to that.
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(8), 0);
    let bootstrap = match open(&bytes) {
        Ok(bootstrap) => bootstrap,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    // Each chunk of a file takes 80 bytes, whether other files have it or not.
    let limits = &Limits::small().max_chunks((bytes.len() / 80) as u32);
    let seen = see(&bootstrap, limits);
    let sound = ask(&bootstrap);
    match bootstrap.to_chunked() {
        Ok(copy) => {
            let seen = seen.expect("what was copied can be seen");
            let copied = see(&copy.image, limits).expect("the copy answers everything");
            compare(&seen, &copied, sound);
            write_again(&bootstrap, &copy, limits);
        }
        Err(error) => {
            assert!(!sound, "nothing was found wrong, but: {error}");
            let _ = error.fault();
        }
    }
}

/// Calls what is no question about inodes; whether nothing is wrong with the bootstrap.
fn ask(bootstrap: &Bootstrap) -> bool {
    for ino in bootstrap.prefetch() {
        let _ = bootstrap.inode(ino);
    }
    for number in 0..=bootstrap.superblock().inode_table_entries.min(1000) {
        let (one, other) = (
            bootstrap.numbered(number),
            bootstrap.inode(Ino(number.into())),
        );
        assert!(one.is_ok() || other.is_err());
    }
    assert_eq!(bootstrap.blob_table().len(), bootstrap.blob_entries().len());
    assert_eq!(bootstrap.blobs().len(), bootstrap.blob_entries().len());
    let _ = bootstrap.extended_blob_table().count();
    let mut dump = String::new();
    bootstrap.dump(&mut dump).expect("a string takes all text");

    let mut found = 0;
    let summary = bootstrap.check(&mut |finding| {
        found += 1;
        let _ = (finding.to_string(), finding.what.fault());
    });
    assert_eq!(summary.findings, found);
    found == 0
}

/// Compares what the bootstrap says with what its copy says.
fn compare(bootstrap: &[Seen], copy: &[Seen], sound: bool) {
    assert_eq!(bootstrap.len(), copy.len());
    for (bootstrap, copy) in bootstrap.iter().zip(copy) {
        let mut copy = copy.clone();
        if !sound {
            copy.attributes.links = bootstrap.attributes.links;
        }
        assert_eq!(bootstrap, &copy);
    }
}

/// What is written of the copy is sound, decodes to the copy, and is written again as the same bytes.
fn write_again(bootstrap: &Bootstrap, copy: &OwnedBootstrap, limits: &Limits) {
    let mut options = bootstrap.layout_options();
    options.prefetch = prefetch_inodes(&copy.image.tree, &[ImagePath::root()]);
    let bytes = match encode(copy, bootstrap.blob_entries(), &options) {
        Ok(bytes) => bytes,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let Ok(second) = Bootstrap::open(bytes.clone().into(), &Limits::default()) else {
        panic!("what was written cannot be opened");
    };
    let again = second.to_chunked().expect("it was written by us");
    let (mut expected, mut found) = (
        see(&copy.image, limits).expect("an owned image answers everything"),
        see(&again.image, limits).expect("an owned image answers everything"),
    );
    for seen in expected.iter_mut().chain(&mut found) {
        // Without this option owners are not stored.
        if !options.explicit_ids {
            (seen.attributes.uid, seen.attributes.gid) = (0, 0);
        }
    }
    assert!(expected == found, "decoded again it is another image");
    let bytes_again = encode(&again, second.blob_entries(), &options);
    assert!(bytes_again == Ok(bytes), "encoded again it is other bytes");
}
