//! Encrypted blobs, made by nydus.

use std::sync::Arc;

use image_model::DigestAlgorithm;
use lazyoci_image_read::{OpenImage, OpenOptions, VerifyOptions, open_source};
use verify::Profile;

use crate::flips::{bits, flipped, one_thread, some, those_that_pass};
use crate::support::{Golden, InMemory, golden, lines};

const TREE: &str = "tree1:243222fffe4f6799088d67735d2fc2e64a5ed5f4fbd7e3f6c71c23ac5bb8c1e8";
const NAMES: [&str; 2] = [
    "a4-v6-zstd-sha256-encrypted",
    "a4-v6-lz4_block-blake3-encrypted-batch-toc",
];

fn open(golden: &Golden) -> OpenImage {
    let blobs = InMemory(Arc::new(golden.blob.clone()));
    let bootstrap = Arc::new(golden.bootstrap.clone().unwrap());
    open_source(bootstrap, None, blobs, &OpenOptions::default()).unwrap()
}

#[test]
fn all_of_it_is_read() {
    for name in NAMES {
        let golden = golden(name);
        let opened = open(&golden);
        let digest = opened.tree_digest(Profile::Default, &mut ()).unwrap();
        assert_eq!(digest.to_string(), TREE, "{name}");
        assert_eq!(opened.read("/f", 5).unwrap(), b"hello");
        let (found, summary) = golden.verify(&one_thread());
        assert_eq!(lines(&found), [""; 0], "{name}");
        assert_eq!(summary.padding, [], "{name}");
    }
}

/// The flips in the blob of `golden` that are not found.
fn unfound(golden: &Golden, options: &VerifyOptions) -> Vec<usize> {
    // A header of 4 KiB is nothing but noise: some of its bits will do.
    let bits = some(bits(&golden.blob), 7);
    those_that_pass(&bits, |bit| {
        let damaged = Golden {
            blob: flipped(&golden.blob, bit),
            ..golden.clone()
        };
        damaged.worst(options).is_none()
    })
}

#[test]
fn no_flip_in_a_blob_passes() {
    for name in NAMES {
        let golden = golden(name);
        let options = one_thread().expect(golden.bootstrap_digest());
        assert_eq!(unfound(&golden, &options), [0; 0], "{name}");
    }
}

#[test]
fn no_flip_in_a_bootstrap_passes() {
    for name in NAMES {
        let golden = golden(name);
        let bootstrap = golden.bootstrap.clone().unwrap();
        let digest = verify::digest(DigestAlgorithm::Blake3, &bootstrap).unwrap();
        let options = one_thread().content(false).expect(digest);
        assert_eq!(golden.worst(&options), None);
        let passed = those_that_pass(&some(bits(&bootstrap), 101), |bit| {
            let damaged = Golden {
                bootstrap: Some(flipped(&bootstrap, bit)),
                ..golden.clone()
            };
            damaged.worst(&options).is_none()
        });
        assert_eq!(passed, [0; 0], "{name}");
    }
}

/// The key is in the bootstrap, which is not shown.
#[test]
fn no_dump_has_the_key() {
    for name in NAMES {
        let opened = open(&golden(name));
        let bootstrap = opened.bootstrap().unwrap();
        let key = bootstrap.blob_entries()[0].xts_key().unwrap();
        let mut dump = String::new();
        bootstrap.dump(&mut dump).unwrap();
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        assert!(!dump.contains(&hex(&key.key()[..8])), "{name}");
        assert!(!format!("{:?}", bootstrap.blob_entries()[0].xts_key()).contains(&hex(key.iv())));
    }
}
