//! The section of chunk digests.

use image_model::DigestAlgorithm;
use lazyoci_rafs_format::blob::{BlobError, ChunkDigests};

use crate::support::{a4_chunks, golden, sha256};

#[test]
fn digests_of_nydus() {
    let section = golden("a4-v6-none-sha256-toc.blob").slice(15157..15221);
    let digests = ChunkDigests::new(section, DigestAlgorithm::Sha256, 2).unwrap();
    for (index, content) in (0..).zip(a4_chunks()) {
        assert_eq!(digests.digest(index), Some(sha256(&content)));
    }
    assert_eq!(digests.digest(2), None);
    assert_eq!(digests.digest(u32::MAX), None);
}

#[test]
fn their_number_must_be_that_of_the_chunks() {
    let section = golden("a4-v6-none-sha256-toc.blob").slice(15157..15221);
    let digests = ChunkDigests::new(section, DigestAlgorithm::Blake3, u32::MAX);
    let error = BlobError::Given {
        piece: "chunk digests",
        expected: 32 * u64::from(u32::MAX),
        found: 64,
    };
    assert_eq!(digests.unwrap_err(), error);
}
