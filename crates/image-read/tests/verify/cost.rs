//! What a verification costs: each byte of the blob once, in few requests.

use std::sync::Arc;

use blob_io::{Counted, ReadAt};
use bytes::Bytes;
use lazyoci_image_read::{NoBlobs, VerifyOptions};

use crate::built::image;
use crate::support::{InMemory, goldens, lines, verify};

/// The requests that reading `len` bytes may cost.
fn allowed(len: usize) -> u64 {
    (len as u64 * 11 / 10).div_ceil(1 << 20) + 8
}

#[test]
fn the_digest_costs_no_second_pass() {
    let lens: Vec<u32> = (0..60).map(|n| 100_000 + 7_919 * (n % 50)).collect();
    // All chunks, every other one, and long runs of chunks that no file uses.
    let used: [fn(usize) -> bool; 4] = [
        |_| true,
        |n| n % 2 == 0,
        |n| !(3..51).contains(&n),
        |n| (20..25).contains(&n),
    ];
    for is_used in used {
        let built = image(&lens, false, is_used);
        let blob = Arc::new(Counted::new(built.blob.clone()));
        let bootstrap = built.bootstrap.unwrap();
        let options = VerifyOptions::default();
        let opener = InMemory(Arc::clone(&blob) as Arc<dyn ReadAt>);
        let (found, _) = verify(bootstrap, None, opener, &options);
        assert_eq!(lines(&found), [""; 0]);
        let (stats, len) = (blob.stats(), built.blob.len());
        assert!(stats.requests <= allowed(len), "{stats:?} of {len}");
        // The last 64 KiB are looked at before.
        assert!(stats.bytes <= len as u64 + (64 << 10), "{stats:?} of {len}");
    }
}

#[test]
fn a_blob_by_itself_is_read_once() {
    let built = image(&[300_000; 20], false, |_| true);
    let blob = Arc::new(Counted::new(built.blob.clone()));
    let options = VerifyOptions::default().expect(verify::sha256(&built.blob));
    let source = Arc::clone(&blob);
    let (found, summary) = verify(source, Some(&built.id), NoBlobs, &options);
    assert_eq!(lines(&found), [""; 0]);
    assert_eq!(summary.audit.chunks, 20);
    let (stats, len) = (blob.stats(), built.blob.len());
    assert!(stats.requests <= allowed(len), "{stats:?} of {len}");
}

#[cfg(feature = "gzip")]
#[test]
fn estargz_and_the_tar_inside_are_read_once() {
    let layer = std::fs::read(goldens().join("estargz/odd-prefetch.esgz")).unwrap();
    let layer = Bytes::from(layer);
    let source = Arc::new(Counted::new(layer.clone()));
    let options = VerifyOptions::default().expect(verify::sha256(&layer));
    let counted = Arc::clone(&source);
    let (found, summary) = verify(counted, None, NoBlobs, &options);
    assert_eq!(lines(&found), [""; 0]);
    assert!(summary.audit.files > 0);
    assert!(source.stats().requests <= 8, "{:?}", source.stats());
}
