//! RAFS v6 bootstraps.

use lazyoci::model::{Blame as _, ChunkedImage, Fault, Image, ImagePath, Limits};
use lazyoci::rafs_format::ChunkRecord;
use lazyoci::rafs_format::v6::{BlobEntry, Bootstrap, OwnedBootstrap, prefetch_inodes};

use super::same::{Seen, see};
use super::v6::{encode, open};

/// Opens the bytes as a bootstrap, asks it everything, checks, prints and copies it, writes the copy,
/// and compares what that decodes to.
pub fn v6_bootstrap(data: &[u8]) {
    let _ = Bootstrap::is_bootstrap(data);
    // Bootstraps are multiples of 4096 bytes long; fuzzers do not keep to that.
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(4096), 0);
    let bootstrap = match open(&bytes) {
        Ok(bootstrap) => bootstrap,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let limits = &seeing(bytes.len());
    let seen = see(&bootstrap, limits);
    let sound = ask(&bootstrap);
    match bootstrap.to_chunked() {
        Ok(copy) => {
            let seen = seen.expect("what was copied can be seen");
            compare(&seen, &see_copy(&copy.image, limits), sound);
            write_again(&bootstrap, &copy, sound, limits);
        }
        Err(error) => {
            // The chunks of zran mode are found by the metadata of their blob.
            let sound = sound && error.fault() != Fault::Unsupported;
            assert!(!sound, "nothing was found wrong, but: {error}");
        }
    }
}

/// Limits under which all can be seen that a bootstrap of `len` bytes can hold: each chunk of a file
/// takes 8 bytes, whether other files have it or not.
fn seeing(len: usize) -> Limits {
    Limits::small().max_chunks((len / 8) as u32)
}

/// Calls what is no question about inodes; whether nothing is wrong with the bootstrap.
fn ask(bootstrap: &Bootstrap) -> bool {
    for ino in bootstrap.prefetch() {
        let _ = bootstrap.inode(ino);
    }
    assert_eq!(
        bootstrap.chunk_records().len(),
        bootstrap.chunk_record_count()
    );
    for record in bootstrap.chunk_records() {
        let bytes = record.to_bytes();
        let again = ChunkRecord::from_bytes(&bytes);
        assert_eq!(again, record);
    }
    for (index, entry) in (0u32..).zip(bootstrap.blob_entries()) {
        let bytes = entry.to_bytes(index);
        let again = BlobEntry::from_bytes(&bytes, index, 0, entry.chunk_size);
        assert_eq!(again.as_ref(), Ok(entry));
    }
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

fn see_copy(image: &ChunkedImage, limits: &Limits) -> Vec<Seen> {
    see(image, limits).expect("the copy answers everything")
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

/// What is written of the copy decodes to the copy, and is written again as the same bytes.
fn write_again(bootstrap: &Bootstrap, copy: &OwnedBootstrap, sound: bool, limits: &Limits) {
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
    // What was wrong with an entry of the blob table still is.
    second.check(&mut |finding| assert!(!sound, "what was written is wrong: {finding}"));
    let again = second.to_chunked().expect("it was written by us");
    let (mut expected, mut found) = (
        see_copy(&copy.image, limits),
        see_copy(&again.image, limits),
    );
    for seen in expected.iter_mut().chain(&mut found) {
        // Without this option owners are not stored.
        if !options.explicit_ids {
            (seen.attributes.uid, seen.attributes.gid) = (0, 0);
        }
    }
    assert!(expected == found, "decoded again it is another image");
    assert_eq!(second.blobs(), bootstrap.blobs());
    let bytes_again = encode(&again, second.blob_entries(), &options);
    assert!(bytes_again == Ok(bytes), "encoded again it is other bytes");
}
