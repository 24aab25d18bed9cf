//! Landmarks, which are no files of the image.

use frame_codec::Decoder;
use image_model::{Blame, Fault, Frame};
use lazyoci_estargz_toc::Landmark;
use lazyoci_estargz_toc::image::LandmarkError;
use lazyoci_estargz_toc::toc::TocEntry;
use verify::{ContentError, ExtentError, FrameSource, sha256};

use super::{sample, with_toc};
use crate::common::decode;

/// The frames of a blob in memory.
struct InMemory<'a> {
    blob: &'a [u8],
    decoded: Vec<u8>,
}

impl FrameSource for InMemory<'_> {
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
        let stored = &self.blob[frame.offset as usize..][..frame.stored_len as usize];
        self.decoded = vec![0; frame.len as usize];
        Decoder::new()
            .decode_prefix(frame.codec, stored, &mut self.decoded)
            .map_err(ContentError::new)?;
        Ok(&self.decoded)
    }
}

/// An audit does not see landmarks, as they are no files.
#[test]
fn landmarks_that_are_elsewhere() {
    let blob = sample().blob;
    let check = |change: &dyn Fn(&mut TocEntry<'_>)| {
        let blob = with_toc(&blob, |toc| change(&mut toc.entries[0]));
        let decoded = decode(&blob);
        let (blob, decoded_bytes) = (&blob[..], Vec::new());
        let frames = &mut InMemory {
            blob,
            decoded: decoded_bytes,
        };
        decoded.check_landmarks(frames)
    };
    assert_eq!(check(&|_| ()).map_err(|e| e.to_string()), Ok(()));
    let landmark = Landmark::NoPrefetch;
    for change in [(|e| e.offset = 0) as fn(&mut TocEntry<'_>), |e| {
        e.chunk_digest = sha256(b"x").to_string().into();
        e.digest = e.chunk_digest.clone();
    }] {
        match check(&change) {
            Err(LandmarkError::Chunk {
                landmark: found,
                source: ExtentError::Check(_),
            }) => assert_eq!(found, landmark),
            other => panic!("{other:?}"),
        }
    }
    match check(&|e| (e.size, e.digest, e.chunk_digest) = (0, "".into(), "".into())) {
        Err(error @ LandmarkError::Content { .. }) => {
            let text = ".no.prefetch.landmark: its content is not that of a landmark";
            assert_eq!(
                (error.to_string().as_str(), error.fault()),
                (text, Fault::Corrupt)
            );
        }
        other => panic!("{other:?}"),
    }
}
