//! Landmarks, which are no files of the image.

use image_model::{Blame, Extent, ExtentSource, Fault};
use lazyoci_estargz_toc::Landmark;
use lazyoci_estargz_toc::image::LandmarkError;
use lazyoci_estargz_toc::toc::TocEntry;
use verify::{check_chunk, sha256};

use super::{sample, with_toc};
use crate::common::{decode, decoded_frame};

type Change = fn(&mut TocEntry<'_>);

/// What the TOC of the sample says of its landmark after a change, and the bytes that lie there.
fn landmark(change: Change) -> Result<(Extent, Vec<u8>), LandmarkError> {
    let blob = with_toc(&sample().blob, |toc| change(&mut toc.entries[0]));
    let decoded = decode(&blob);
    let mut extents = decoded.landmark_extents();
    let (landmark, extent) = extents.next().unwrap()?;
    assert_eq!(landmark, Landmark::NoPrefetch);
    assert!(extents.next().is_none());
    let ExtentSource::Chunk {
        frame,
        offset_in_frame,
        ..
    } = extent.source
    else {
        panic!("{extent:?}")
    };
    let plain = decoded_frame(&decoded.image, &blob, frame).unwrap();
    let bytes = plain[offset_in_frame as usize..][..extent.len as usize].to_vec();
    Ok((extent, bytes))
}

fn check((extent, bytes): &(Extent, Vec<u8>)) -> Result<(), verify::CheckError> {
    let ExtentSource::Chunk { digest, crc32c, .. } = &extent.source else {
        panic!("{extent:?}")
    };
    check_chunk(bytes, digest.as_ref(), *crc32c)
}

#[test]
fn a_landmark_is_one_byte_at_a_place() {
    let found = landmark(|_| ()).unwrap();
    let (extent, bytes) = &found;
    assert_eq!((extent.file_offset, extent.len), (0, 1));
    assert_eq!(*bytes, [Landmark::BYTE]);
    assert_eq!(check(&found), Ok(()));
}

/// An audit does not see landmarks, as they are no files. Whoever reads the byte finds these.
#[test]
fn landmarks_that_are_elsewhere() {
    let elsewhere = landmark(|e| e.offset = 0).unwrap();
    assert_ne!(elsewhere.1, [Landmark::BYTE]);
    let expected = sha256(&[Landmark::BYTE]);
    let found = sha256(&elsewhere.1);
    let error = verify::CheckError::Digest { expected, found };
    assert_eq!(check(&elsewhere), Err(error));

    let other_digest = landmark(|e| {
        e.chunk_digest = sha256(b"x").to_string().into();
        e.digest = e.chunk_digest.clone();
    });
    let expected = sha256(b"x");
    let found = sha256(&[Landmark::BYTE]);
    let error = verify::CheckError::Digest { expected, found };
    assert_eq!(check(&other_digest.unwrap()), Err(error));
}

#[test]
fn landmarks_of_another_length() {
    let empty: Change = |e| (e.size, e.digest, e.chunk_digest) = (0, "".into(), "".into());
    for change in [empty, |e| e.size = 2, |e| (e.size, e.chunk_size) = (2, 2)] {
        let error = landmark(change).unwrap_err();
        let landmark = Landmark::NoPrefetch;
        assert_eq!(error, LandmarkError { landmark });
        assert_eq!(error.fault(), Fault::Corrupt);
        let text = ".no.prefetch.landmark: wrong content for a landmark";
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_layer_without_landmarks() {
    let blob = with_toc(&sample().blob, |toc| drop(toc.entries.remove(0)));
    assert_eq!(decode(&blob).landmark_extents().count(), 0);
}
