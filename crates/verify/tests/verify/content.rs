//! What is said of content: checks of a chunk, pieces, errors and faults.

use std::error::Error as _;

use image_model::image::WrongInode;
use image_model::{Blame, BlobId, BlobIndex, Cancelled, Fault, ImageError, Ino};
use lazyoci_verify::{
    CheckError, ChunkFault, ContentError, ExtentBytes, StoredAt, check_chunk, crc32c, sha256,
};

use crate::common::content::Unreadable;

#[test]
fn chunks_are_compared_with_all_that_is_said_of_them() {
    let bytes = b"aaaa";
    let (digest, sum) = (sha256(bytes), crc32c(bytes));
    for (digest, sum) in [
        (Some(&digest), Some(sum)),
        (Some(&digest), None),
        (None, Some(sum)),
        (None, None),
    ] {
        assert_eq!(check_chunk(bytes, digest, sum), Ok(()));
    }
    let wrong_digest = CheckError::Digest {
        expected: digest,
        found: sha256(b"xaaa"),
    };
    // The checksum does not stand in for the digest, nor the digest for the checksum.
    for sum in [None, Some(crc32c(b"xaaa"))] {
        let found = check_chunk(b"xaaa", Some(&digest), sum);
        assert_eq!(found, Err(wrong_digest));
    }
    let wrong_sum = CheckError::Crc32c {
        expected: 0,
        found: sum,
    };
    for digest in [None, Some(&digest)] {
        assert_eq!(check_chunk(bytes, digest, Some(0)), Err(wrong_sum));
    }
}

#[cfg(not(feature = "blake3"))]
#[test]
fn digests_that_are_not_built_in_do_not_pass() {
    let algorithm = image_model::DigestAlgorithm::Blake3;
    let digest = image_model::Digest::new(algorithm, [0; 32]);
    let error = CheckError::Unsupported(lazyoci_verify::UnsupportedDigest { algorithm });
    assert_eq!(
        check_chunk(b"", Some(&digest), Some(crc32c(b""))),
        Err(error)
    );
}

#[test]
fn pieces_have_lengths() {
    for (bytes, len) in [
        (ExtentBytes::Zeros(1 << 40), 1 << 40),
        (ExtentBytes::Zeros(0), 0),
        (ExtentBytes::Data(b"abc"), 3),
        (ExtentBytes::Data(b""), 0),
    ] {
        assert_eq!((bytes.len(), bytes.is_empty()), (len, len == 0));
    }
}

#[test]
fn errors_keep_the_readers_own() {
    let error = ContentError::new(Ino(7), 4096, Unreadable::Nothing(5));
    assert_eq!((error.ino(), error.file_offset()), (Some(Ino(7)), 4096));
    assert_eq!(error.fault(), Fault::Io);
    assert!(!error.is_cancelled());
    assert_eq!(error.to_string(), "the content at byte 4096 cannot be read");
    let source = error.source().unwrap().downcast_ref();
    assert!(matches!(source, Some(Unreadable::Nothing(5))));

    let cancelled = ContentError::from(Cancelled);
    assert!(cancelled.is_cancelled());
    assert_eq!((cancelled.ino(), cancelled.file_offset()), (None, 0));
    assert_eq!(cancelled.fault(), Fault::Cancelled);
    assert!(cancelled.source().unwrap().is::<Cancelled>());
}

#[test]
fn faults_say_what_where_and_whose() {
    let at = |offset_in_frame| StoredAt {
        blob: BlobIndex(1),
        blob_id: Some(BlobId::new(b"the-blob").unwrap()),
        frame_offset: 100,
        offset_in_frame,
    };
    let unlisted = StoredAt {
        blob_id: None,
        ..at(0)
    };
    let unread = || ContentError::new(Ino(1), 5, Unreadable::Nothing(100));
    let (chunk, file_offset) = (2, 5);
    let cases = [
        (
            ChunkFault::Image(ImageError::new(Ino(1), WrongInode::Missing(Ino(1)))),
            Fault::Misuse,
            "cannot read the inode",
        ),
        (
            ChunkFault::Extents {
                file_offset,
                size: 9,
            },
            Fault::Corrupt,
            "no extent begins at byte 5 of a file of 9 bytes",
        ),
        (
            ChunkFault::Blob {
                chunk,
                file_offset,
                at: unlisted,
            },
            Fault::Corrupt,
            "chunk 2 at byte 5: unknown blob 1 byte 100 is not in the image's list",
        ),
        (
            ChunkFault::OutsideBlob {
                chunk,
                file_offset,
                at: at(0),
                end: 104,
                blob_len: 103,
            },
            Fault::Corrupt,
            "chunk 2 at byte 5: blob the-blob byte 100 ends at byte 104, past the blob's 103 bytes",
        ),
        (
            ChunkFault::Chunk {
                chunk,
                file_offset,
                at: at(3),
                source: unread(),
            },
            Fault::Io,
            "chunk 2 at byte 5 (blob the-blob byte 100, 3 into the frame) cannot be read",
        ),
        // What is a limit is no damage.
        (
            ChunkFault::Chunk {
                chunk,
                file_offset,
                at: at(3),
                source: ContentError::new(Ino(1), 5, Unreadable::Refused),
            },
            Fault::Limit,
            "chunk 2 at byte 5 (blob the-blob byte 100, 3 into the frame) exceeds a limit",
        ),
        (
            ChunkFault::Unopened {
                blob: BlobId::new(b"the-blob").unwrap(),
                source: unread(),
            },
            Fault::Io,
            "cannot open blob the-blob",
        ),
        (
            ChunkFault::TooManyExtents { limit: 4 },
            Fault::Limit,
            "the image has more than 4 extents",
        ),
    ];
    for (found, fault, text) in cases {
        assert_eq!((found.fault(), &*found.to_string()), (fault, text));
        let has_source = matches!(
            found,
            ChunkFault::Image(_) | ChunkFault::Chunk { .. } | ChunkFault::Unopened { .. }
        );
        assert_eq!(found.source().is_some(), has_source);
        let stored_at = found.stored_at().map(|at| (at.frame_offset, at.blob));
        let has_place = text.starts_with("chunk ");
        assert_eq!(stored_at, has_place.then_some((100, BlobIndex(1))));
    }
}
