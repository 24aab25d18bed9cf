//! Images that lie: each lie has its error.

use std::sync::Arc;

use frame_codec::CodecError;
use image_model::{Blame, BlobIndex, Codec, Extent, ExtentSource, Fault, Frame, Ino, RecipeId};
use lazyoci_image_read::{
    FrameError, FrameStore, ReadError, ReadOptions, ReadStep, Reader, StoreError,
};

use crate::damage::cause;
use crate::plan::plan_of;
use crate::support::made::Made;
use crate::support::store;

#[test]
fn extents_that_do_not_cover_the_file_are_refused() {
    let zeros = |file_offset, len| Extent {
        file_offset,
        len,
        source: ExtentSource::Zeros,
    };
    let cases = [
        (vec![], 0),
        (vec![zeros(1, 99)], 0),
        (vec![zeros(0, 0)], 0),
        (vec![zeros(0, 10), zeros(11, 89)], 10),
        (vec![zeros(0, 10), zeros(9, 91)], 10),
        (vec![zeros(u64::MAX, 1)], 0),
    ];
    for (extents, at) in cases {
        let image = Made::one(100, extents);
        let frames = Arc::new(FrameStore::new(0));
        let mut plan = plan_of(&image, Ino(0), 0..100, &ReadOptions::default(), &frames);
        let error = loop {
            match plan.step() {
                // What comes before the gap is handed out.
                Ok(ReadStep::Ready(piece)) => assert_eq!(piece.file_offset + piece.len, at),
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, ReadError::Uncovered { ino: Ino(0), file_offset } if file_offset == at),
            "{error:?}"
        );
        assert!(matches!(plan.step(), Ok(ReadStep::Done)));
    }
}

#[test]
fn frames_that_cannot_be_are_refused() {
    let frame = Frame {
        blob: BlobIndex(0),
        offset: 7,
        stored_len: 0,
        len: 100,
        recipe: RecipeId(0),
    };
    let error_of = |image: Made| {
        let blobs = store(&image, &[vec![0; 200]]);
        let reader = Reader::new(Arc::new(image), blobs, ReadOptions::default());
        let read = || reader.read_range(Ino(0), 0..100, &mut Vec::new());
        let error = read().unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(error.place(), Some((Ino(0), 0)));
        // It stays so, and costs nothing.
        assert_eq!(read().unwrap_err().to_string(), error.to_string());
        assert_eq!(reader.blobs().stats().requests, 0);
        error
    };
    // Nothing is stored.
    let error = error_of(Made::in_frame(100, frame));
    let length = CodecError::Length {
        codec: Codec::None,
        expected: 100,
        found: 0,
    };
    assert!(
        matches!(cause(&error), FrameError::Decode { frame: found, source } if *found == frame && *source == length),
        "{error:?}"
    );
    // It leaves every blob.
    let outside = Frame {
        offset: u64::MAX - 98,
        stored_len: 100,
        ..frame
    };
    let error = error_of(Made::in_frame(100, outside));
    assert!(
        matches!(cause(&error), FrameError::Outside { blob: BlobIndex(0), offset, len: 100 } if *offset == u64::MAX - 98),
        "{error:?}"
    );
    // Nobody knows how to decode it.
    let unknown = Frame {
        recipe: RecipeId(7),
        stored_len: 100,
        ..frame
    };
    let error = error_of(Made::in_frame(100, unknown));
    assert!(
        matches!(cause(&error), FrameError::Recipe { frame } if *frame == unknown),
        "{error:?}"
    );
    // It is not there.
    let mut none = Made::in_frame(100, frame);
    none.frames.clear();
    let blobs = store(&none, &[vec![0; 200]]);
    let reader = Reader::new(Arc::new(none), blobs, ReadOptions::default());
    let error = reader
        .read_range(Ino(0), 0..100, &mut Vec::new())
        .unwrap_err();
    assert!(matches!(cause(&error), FrameError::Image(_)), "{error:?}");
    // Its blob is not there.
    let image = Made::in_frame(
        100,
        Frame {
            blob: BlobIndex(3),
            stored_len: 100,
            ..frame
        },
    );
    let error = error_of(image);
    assert!(
        matches!(
            cause(&error),
            FrameError::Store(StoreError::NoSuchBlob {
                index: BlobIndex(3),
                count: 1
            })
        ),
        "{error:?}"
    );
    // It is shorter than the chunk in it.
    let short = Frame {
        len: 99,
        stored_len: 99,
        ..frame
    };
    for (offset_in_frame, size) in [(0, 100), (99, 1), (u32::MAX, 1)] {
        let mut image = Made::in_frame(size, short);
        if let ExtentSource::Chunk {
            offset_in_frame: at,
            ..
        } = &mut image.files[0].1[0].source
        {
            *at = offset_in_frame;
        }
        let error = error_of(image);
        assert!(
            matches!(
                error,
                ReadError::OutsideFrame { file_offset: 0, offset_in_frame: at, len, frame_len: 99, .. }
                    if (at, len) == (offset_in_frame, size)
            ),
            "{error:?}"
        );
    }
}

#[test]
fn plain_bytes_that_cannot_be_are_refused() {
    let plain = |offset| {
        Made::one(
            100,
            vec![Extent {
                file_offset: 0,
                len: 100,
                source: ExtentSource::Plain {
                    blob: BlobIndex(0),
                    offset,
                },
            }],
        )
    };
    let read = |image: Made| {
        let blobs = store(&image, &[vec![0; 200]]);
        let reader = Reader::new(Arc::new(image), blobs, ReadOptions::default());
        reader.read_range(Ino(0), 10..100, &mut Vec::new())
    };
    assert_eq!(read(plain(100)).unwrap(), 90);
    let error = read(plain(u64::MAX - 100)).unwrap_err();
    assert!(
        matches!(cause(&error), FrameError::Blob { .. }),
        "{error:?}"
    );
    let error = read(plain(u64::MAX - 99)).unwrap_err();
    assert!(
        matches!(cause(&error), FrameError::Outside { len: 100, .. }),
        "{error:?}"
    );
    assert_eq!(error.place(), Some((Ino(0), 10)));
}
