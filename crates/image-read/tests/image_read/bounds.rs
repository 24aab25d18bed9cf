//! Work and content that are bounded, whatever an image declares.

use std::sync::Arc;

use bytes::Bytes;
use image_model::{
    Blame, BlobIndex, Codec, DigestAlgorithm, Extent, ExtentSource, Fault, Frame, FrameId, Limits,
    Recipe, RecipeId,
};
use lazyoci_image_read::{
    BlobStore, FileOrder, FrameError, NoBlobs, ReadError, ReadOptions, Reader,
};

use crate::support::made::Made;

const FRAME_LEN: u32 = 10_000;

/// Files of one byte each, in the frames that `frames` says, and the number of those.
fn files_in(frames: &[u32], count: u32) -> Made {
    let mut made = Made::one(0, Vec::new());
    made.recipes = vec![Recipe::exact(Codec::None)];
    made.frames = (0..count)
        .map(|index| Frame {
            blob: BlobIndex(0),
            offset: u64::from(index * FRAME_LEN),
            stored_len: FRAME_LEN,
            len: FRAME_LEN,
            recipe: RecipeId(0),
        })
        .collect();
    let file = |(position, &frame): (usize, &u32)| {
        let source = ExtentSource::Chunk {
            frame: FrameId(frame),
            offset_in_frame: position as u32 % FRAME_LEN,
            digest: None,
            crc32c: None,
        };
        let extent = Extent {
            file_offset: 0,
            len: 1,
            source,
        };
        (1, vec![extent])
    };
    made.files = frames.iter().enumerate().map(file).collect();
    made
}

/// Reads all files in their order; how many bytes came, and how many frames were decoded.
fn read(made: Made, options: ReadOptions) -> (Result<(), ReadError>, u64, u64) {
    let files = made.inos();
    let blob = Bytes::from(vec![7; made.frames.len() * FRAME_LEN as usize]);
    let blobs = BlobStore::new(&made.blobs, NoBlobs).with_source(BlobIndex(0), Arc::new(blob));
    let reader = Reader::new(Arc::new(made), blobs, options);
    let mut len = 0;
    let read = reader.read_all(&files, FileOrder::Given, &mut |_, bytes| {
        len += bytes.len();
        Ok::<_, ReadError>(())
    });
    (read, len, reader.frames().decoded())
}

/// None of the caches holds more than one frame.
fn tight() -> ReadOptions {
    ReadOptions::default().threads(1).window(1).cache(0).keep(1)
}

#[test]
fn a_frame_longer_than_what_is_kept_is_decoded_once_for_files_in_a_row() {
    let made = files_in(&[[0; 500], [1; 500]].concat(), 2);
    let (read, len, decoded) = read(made, tight());
    read.unwrap();
    assert_eq!((len, decoded), (1_000, 2));
}

#[test]
fn frames_in_turn_are_decoded_in_proportion_to_what_is_read() {
    let alternating: Vec<u32> = (0..5_000).map(|n| n % 2).collect();
    let (result, len, decoded) = read(files_in(&alternating, 2), tight());
    let error = result.unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    match error {
        ReadError::Frame { source, .. } => assert!(matches!(*source, FrameError::Again { .. })),
        other => panic!("{other}"),
    }
    // Two frames, 16 times their length again, and the one that made it too much.
    assert!(
        (33..=36).contains(&decoded),
        "{decoded} frames for {len} bytes"
    );
    // With room for both frames it is no work at all.
    let both = tight().keep(2 * u64::from(FRAME_LEN));
    let (result, len, decoded) = read(files_in(&alternating, 2), both);
    result.unwrap();
    assert_eq!((len, decoded), (5_000, 2));
}

#[test]
fn holes_and_chunks_that_appear_again_are_limited_before_anything_is_read() {
    let limits = Limits::default()
        .max_hole_len(100_000)
        .max_content_len(2_000_000)
        .max_repeat_len(u64::MAX);
    let options = || tight().limits(limits.clone());
    let zeros = |len| Extent {
        file_offset: 0,
        len,
        source: ExtentSource::Zeros,
    };
    let hole = |len| Made::one(len, vec![zeros(len)]);
    assert_eq!(read(hole(100_000), options()).1, 100_000);
    let refused = |made, options| {
        let (read, len, decoded) = read(made, options);
        let error = read.unwrap_err();
        assert_eq!((len, decoded, error.fault()), (0, 0, Fault::Limit));
        match error {
            ReadError::TooMuch { len, stored, limit } => (len, stored, limit),
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(hole(100_001), options()), (100_001, 0, 100_000));

    // One frame, again and again: 64 times are free.
    let whole = |times: u64| {
        let mut made = files_in(&[0], 1);
        let source = made.files[0].1[0].source;
        let len = u64::from(FRAME_LEN);
        let extent = |n| Extent {
            file_offset: n * len,
            len,
            source,
        };
        made.files = vec![(times * len, (0..times).map(extent).collect())];
        made
    };
    assert_eq!(read(whole(74), options()).1, 740_000);
    assert_eq!(refused(whole(75), options()), (750_000, 10_000, 100_000));
    let wide = || tight().limits(limits.clone().max_hole_len(u64::MAX));
    assert_eq!(read(whole(200), wide()).1, 2_000_000);
    assert_eq!(refused(whole(201), wide()), (2_010_000, 10_000, 2_000_000));
}

#[test]
fn chunks_that_appear_again_are_limited_unless_they_are_zeros() {
    // Whole frames, as often as said: each file is one of them.
    let made = |byte: u8, times: u64| {
        let mut made = files_in(&[0], 1);
        let len = u64::from(FRAME_LEN);
        let bytes = vec![byte; FRAME_LEN as usize];
        let digest = verify::digest(DigestAlgorithm::Sha256, &bytes).unwrap();
        let extent = Extent {
            file_offset: 0,
            len,
            source: ExtentSource::Chunk {
                frame: FrameId(0),
                offset_in_frame: 0,
                digest: Some(digest),
                crc32c: None,
            },
        };
        made.files = (0..times).map(|_| (len, vec![extent])).collect();
        (made, Arc::new(Bytes::from(bytes)))
    };
    let read = |byte, times, options: ReadOptions| {
        let (made, blob) = made(byte, times);
        let files = made.inos();
        let blobs = BlobStore::new(&made.blobs, NoBlobs).with_source(BlobIndex(0), blob);
        let reader = Reader::new(Arc::new(made), blobs, options);
        let mut len = 0;
        let read = reader.read_all(&files, FileOrder::Given, &mut |_, bytes| {
            len += bytes.len();
            Ok::<_, ReadError>(())
        });
        (read, len)
    };
    let options = || tight().limits(Limits::default().max_repeat_len(30_000));
    // 8 times are free, and 3 are within the bound.
    let (result, len) = read(7, 11, options());
    result.unwrap();
    assert_eq!(len, 110_000);
    let (result, len) = read(7, 12, options());
    let error = result.unwrap_err();
    assert_eq!((error.fault(), len), (Fault::Limit, 0));
    match error {
        ReadError::TooMuch { len, stored, limit } => {
            assert_eq!((len, stored, limit), (120_000, 10_000, 30_000));
        }
        other => panic!("{other}"),
    }
    let (result, len) = read(0, 60, options());
    result.unwrap();
    assert_eq!(len, 600_000);
}

#[test]
fn files_are_read_in_stored_order_whatever_holes_they_begin_with() {
    let extent = |file_offset, len, source| Extent {
        file_offset,
        len,
        source,
    };
    let plain = |offset| ExtentSource::Plain {
        blob: BlobIndex(0),
        offset,
    };
    let hole = 5 << 20;
    let mut made = Made::one(
        hole + 10,
        vec![
            extent(0, hole, ExtentSource::Zeros),
            extent(hole, 10, plain(50)),
        ],
    );
    made.files.push((10, vec![extent(0, 10, plain(40))]));
    made.files
        .push((hole, vec![extent(0, hole, ExtentSource::Zeros)]));
    made.files.push((10, vec![extent(0, 10, plain(0))]));
    let files = made.inos();
    let blob = Arc::new(Bytes::from(vec![7; 60]));
    let blobs = BlobStore::new(&made.blobs, NoBlobs).with_source(BlobIndex(0), blob);
    let reader = Reader::new(Arc::new(made), blobs, tight());
    let order_of = |order| {
        let mut seen = Vec::new();
        let read = reader.read_all(&files, order, &mut |piece, _| {
            seen.push(piece.tag);
            Ok::<_, ReadError>(())
        });
        read.unwrap();
        seen.dedup();
        seen
    };
    assert_eq!(order_of(FileOrder::Given), [0, 1, 2, 3]);
    // What has no stored bytes comes first.
    assert_eq!(order_of(FileOrder::Stored), [2, 3, 1, 0]);
}
