//! Verified reads of single extents.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;

use common::{Files, Nothing};
use image_model::{Blame, Extent, ExtentSource, Fault, Image};
use lazyoci_verify::{
    CheckError, ExtentBytes, ExtentError, FrameSource, read_extent, read_extent_unverified,
};
use std::error::Error as _;
use std::ops::ControlFlow;

/// Extents of one file: a chunk with digest and checksum, one with a checksum, zeros.
fn extents() -> (Vec<Extent>, common::Store) {
    let (image, store) = Files::new().file("f", *b"aaaabbbb\0\0\0\0").store(4);
    let (mut extents, ino) = (Vec::new(), image_model::Ino(1));
    let all = 0..12;
    image
        .extents(ino, all, &mut |extent| {
            extents.push(extent);
            ControlFlow::Continue(())
        })
        .unwrap();
    (extents, store)
}

#[test]
fn bytes_are_compared_with_what_the_image_says() {
    let (extents, mut store) = extents();
    let found: Vec<_> = extents
        .iter()
        .map(|extent| match read_extent(&mut store, extent).unwrap() {
            ExtentBytes::Data(bytes) => bytes.to_vec(),
            ExtentBytes::Zeros(len) => vec![0; len as usize],
        })
        .collect();
    assert_eq!(found, [b"aaaa", b"bbbb", &[0; 4]]);
    store.blob[0] = b'x';
    store.blob[7] = b'x';
    let error = read_extent(&mut store, &extents[0]).unwrap_err();
    assert!(matches!(
        error,
        ExtentError::Check(CheckError::Digest { .. })
    ));
    assert_eq!(error.fault(), Fault::Corrupt);
    let error = read_extent(&mut store, &extents[1]).unwrap_err();
    assert!(matches!(
        error,
        ExtentError::Check(CheckError::Crc32c { .. })
    ));
    let bytes = read_extent_unverified(&mut store, &extents[0]).unwrap();
    assert_eq!(bytes, ExtentBytes::Data(b"xaaa"));
}

#[test]
fn a_right_digest_is_enough() {
    let (mut extents, mut store) = extents();
    if let ExtentSource::Chunk { crc32c, .. } = &mut extents[0].source {
        *crc32c = Some(0);
    }
    assert!(read_extent(&mut store, &extents[0]).is_ok());
}

#[test]
fn chunks_must_lie_in_their_frames() {
    let (mut extents, mut store) = extents();
    extents[0].len = u64::MAX;
    let error = read_extent(&mut store, &extents[0]).unwrap_err();
    assert!(matches!(
        error,
        ExtentError::OutsideFrame {
            offset_in_frame: 0,
            len: u64::MAX,
            frame_len: 4
        }
    ));
    assert_eq!(error.fault(), Fault::Corrupt);
    assert!(store.reads.is_empty());
}

#[test]
fn errors_of_the_source_are_kept() {
    let (extents, mut store) = extents();
    store.blob.clear();
    let mut boxed: Box<dyn FrameSource> = Box::new(&mut store);
    let error = read_extent(&mut boxed, &extents[1]).unwrap_err();
    assert_eq!(error.fault(), Fault::Io);
    assert_eq!(error.to_string(), "the frame cannot be read (i/o)");
    assert_eq!(error.source().unwrap().downcast_ref(), Some(&Nothing(4)));
}
