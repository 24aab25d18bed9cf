//! Bytes of blobs that no digest in the bootstrap vouches for.

use std::ops::Range;

use image_model::BlobIndex;

use crate::common::{A4, open};

const ZSTD: &[u8] = include_bytes!("../goldens/a4-v5-zstd-sha256.boot");

/// Where each range begins and ends.
fn unvouched(bootstrap: &[u8], blob: u32, data: Range<u64>) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut tell = |range: Range<u64>| found.push((range.start, range.end));
    let bootstrap = open(bootstrap).unwrap();
    bootstrap.unvouched(BlobIndex(blob), data, &mut tell);
    found
}

/// `hello`, which does not get smaller, and 10,000 letters.
#[test]
fn compressed_chunks_and_what_no_file_has() {
    assert_eq!(unvouched(A4, 0, 0..10_005), []);
    assert_eq!(unvouched(A4, 0, 0..10_006), [(10_005, 10_006)]);
    assert_eq!(unvouched(ZSTD, 0, 0..24), [(5, 24)]);
    // No file has a chunk of another blob.
    assert_eq!(unvouched(ZSTD, 1, 0..24), [(0, 24)]);
    // A blob that is shorter than it should be.
    assert_eq!(unvouched(A4, 0, 0..3), []);
}
