//! The read plan: what it asks for and what it hands out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Compression;
use image_model::{Blame, BlobIndex, Extent, ExtentSource, Fault, Image, Ino};
use lazyoci_image_read::{
    FileExtents, FrameError, FrameStore, ReadError, ReadOptions, ReadPlan, ReadStep, StoredRange,
    Want,
};
use proptest::prelude::*;
use verify::ExtentBytes;

use crate::support::fixtures::{ZSTD, eight, mixed, read};
use crate::support::made::Made;
use crate::support::{Builder, Fixture, Piece, Vouch, text};

pub(crate) type FilePlan<'a> = ReadPlan<'a, FileExtents<'a, dyn Image + 'a>, dyn Image + 'a>;

/// A plan for a range of a file.
pub(crate) fn plan_of<'a>(
    image: &'a (dyn Image + 'a),
    ino: Ino,
    range: Range<u64>,
    options: &ReadOptions,
    store: &Arc<FrameStore>,
) -> FilePlan<'a> {
    let wants = FileExtents::new(image, ino, range, 7).unwrap();
    ReadPlan::new(image, store, wants, options)
}

/// Supplies a range from blobs in memory.
pub(crate) fn supply(plan: &mut FilePlan<'_>, blobs: &[Vec<u8>], range: &StoredRange) {
    let stored = &blobs[range.blob.0 as usize][range.offset as usize..][..range.len as usize];
    let stored = Bytes::copy_from_slice(stored);
    plan.supply(range.blob, range.offset, stored).unwrap();
}

/// Drives a plan by hand and notes what it asks for, each time.
fn step_through(
    fixture: &Fixture,
    ino: Ino,
    range: Range<u64>,
    options: &ReadOptions,
    store: &Arc<FrameStore>,
) -> Result<(Vec<u8>, Vec<Vec<StoredRange>>), ReadError> {
    let mut plan = plan_of(&*fixture.image, ino, range.clone(), options, store);
    let (mut content, mut asked) = (Vec::new(), Vec::new());
    loop {
        match plan.step()? {
            ReadStep::Need(ranges) => {
                // In any order.
                for range in ranges.iter().rev() {
                    supply(&mut plan, &fixture.blobs, range);
                }
                asked.push(ranges);
            }
            ReadStep::Work(job) => plan.complete(job.run()),
            ReadStep::Ready(piece) => {
                assert_eq!((piece.tag, piece.ino), (7, ino));
                assert_eq!(piece.file_offset, range.start + content.len() as u64);
                let bytes = piece.bytes?;
                assert_eq!(bytes.as_ref().len(), piece.len);
                match bytes.as_ref() {
                    ExtentBytes::Data(data) => content.extend_from_slice(data),
                    ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
                }
            }
            ReadStep::Wait => panic!("nobody else is at work"),
            ReadStep::Done => return Ok((content, asked)),
        }
    }
}

fn range(offset: u64, len: u64) -> StoredRange {
    StoredRange {
        blob: BlobIndex(0),
        offset,
        len,
    }
}

#[test]
fn a_file_of_everything_reads_whole() {
    let fixture = mixed();
    assert_eq!(
        read(&fixture, "mixed", 0..u64::MAX).unwrap(),
        fixture.contents[0]
    );
    assert_eq!(read(&fixture, "empty", 0..u64::MAX).unwrap(), b"");
    let len = fixture.contents[0].len() as u64;
    assert_eq!(read(&fixture, "mixed", len..len + 5).unwrap(), b"");
    assert_eq!(read(&fixture, "mixed", len - 1..len + 5).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn steps_and_sync_reads_agree(
        start in 0u64..310_000,
        len in 0u64..310_000,
        window in prop_oneof![Just(1u64), 1_000u64..100_000, Just(4 << 20)],
        gap in prop_oneof![Just(0u64), 0u64..100_000],
        max_request in 1u64..100_000,
        cache in prop_oneof![Just(0u64), 0u64..200_000],
    ) {
        let fixture = mixed();
        let ino = fixture.ino("mixed");
        let content = &fixture.contents[0];
        let options = ReadOptions::default();
        let options = options.window(window).gap(gap).max_request(max_request).cache(cache);
        let reader = fixture.reader(options.clone());
        let store = Arc::new(FrameStore::new(cache));
        // Twice: the second time with frames in the cache.
        for _ in 0..2 {
            let end = (start + len).min(content.len() as u64);
            let expected = &content[start.min(end) as usize..end as usize];
            let mut read = Vec::new();
            let count = reader.read_range(ino, start..start + len, &mut read).unwrap();
            prop_assert_eq!(count, expected.len() as u64);
            prop_assert_eq!(&read[..], expected);
            let stepped = step_through(&fixture, ino, start..start + len, &options, &store);
            prop_assert_eq!(&stepped.unwrap().0[..], expected);
        }
    }
}

#[test]
fn only_the_frames_of_the_range_are_fetched() {
    let fixture = eight(ZSTD);
    let reader = fixture.reader(ReadOptions::default());
    let eight = fixture.ino("eight");
    let mut content = Vec::new();
    reader
        .read_range(eight, 2_999..5_001, &mut content)
        .unwrap();
    assert_eq!(content, fixture.contents[0][2_999..5_001]);

    let needed = 2..=5;
    let stats = reader.blobs().stats();
    assert_eq!(
        stats.requests, 4,
        "frames do not touch, and no gap is allowed"
    );
    let stored: u64 = needed.map(|i| u64::from(fixture.frame(i).stored_len)).sum();
    assert_eq!(stats.bytes, stored);

    // What is held is not fetched again, by no clone.
    reader
        .clone()
        .read_range(eight, 3_000..4_000, &mut Vec::new())
        .unwrap();
    content.clear();
    reader
        .read_range(eight, 5_000..6_000, &mut content)
        .unwrap();
    assert_eq!(content, fixture.contents[0][5_000..6_000]);
    assert_eq!(reader.blobs().stats(), stats);
    assert_eq!(reader.frames().decoded(), 4);
}

#[test]
fn near_frames_are_asked_for_at_once() {
    let fixture = eight(Compression::None);
    let default = ReadOptions::default().gap(1);
    // A byte of nothing lies in front of each frame.
    let cases = [
        (default.clone(), vec![vec![range(1002, 5004)]]),
        (
            default.clone().max_request(2500),
            vec![vec![range(1002, 2500), range(3502, 2500), range(6002, 4)]],
        ),
        // Full requests as long as more may come; then what is left.
        (
            default.clone().window(3_999).max_request(2_000),
            vec![
                vec![range(1002, 2000), range(3002, 2000)],
                vec![range(5002, 1004)],
            ],
        ),
        // The window is too small for a full request.
        (
            default.clone().window(2_000),
            vec![
                vec![range(1002, 2001)],
                vec![range(3004, 2001)],
                vec![range(5006, 1000)],
            ],
        ),
        // No gap.
        (
            default.gap(0),
            vec![(1..=5).map(|n| range(1 + 1001 * n, 1000)).collect()],
        ),
    ];
    for (options, expected) in cases {
        let store = Arc::new(FrameStore::new(0));
        let ino = fixture.ino("eight");
        let (content, asked) = step_through(&fixture, ino, 1_500..5_500, &options, &store).unwrap();
        assert_eq!(content, fixture.contents[0][1_500..5_500]);
        assert_eq!(asked, expected, "{options:?}");
    }
}

#[test]
fn long_runs_are_read_by_requests_of_one_length() {
    let mut builder = Builder::new(1);
    let pieces: Vec<Piece> = (0..100)
        .map(|n| Piece::Chunk(builder.whole(0, ZSTD, &text(900 + 13 * n as usize, n))))
        .collect();
    builder.file("f", &pieces);
    let fixture = builder.build();
    let options = ReadOptions::default()
        .gap(1)
        .max_request(4_096)
        .window(30_000);
    let store = Arc::new(FrameStore::new(0));
    let ino = fixture.ino("f");
    let (content, asked) = step_through(&fixture, ino, 0..u64::MAX, &options, &store).unwrap();
    assert!(content == fixture.contents[0]);
    let asked = asked.concat();
    let len = fixture.blobs[0].len() as u64;
    let expected = (0..len.div_ceil(4_096)).map(|n| {
        let start = 1 + 4_096 * n;
        range(start, 4_096.min(len - start))
    });
    assert!(asked.iter().copied().eq(expected), "{asked:?}");
    assert_eq!(store.decoded(), 100);
}

#[test]
fn requests_are_held_back_while_the_first_piece_is_on_its_way() {
    let fixture = eight(Compression::None);
    let options = ReadOptions::default().gap(1).max_request(2_500);
    let options = options.window(5_000);
    let store = Arc::new(FrameStore::new(0));
    let ino = fixture.ino("eight");
    let mut plan = plan_of(&*fixture.image, ino, 0..8_000, &options, &store);
    let Ok(ReadStep::Need(ranges)) = plan.step() else {
        panic!("bytes are needed")
    };
    assert_eq!(ranges, [range(1, 2_500), range(2_501, 2_500)]);
    // The end of the window does not fill a request.
    assert!(matches!(plan.step(), Ok(ReadStep::Wait)));
    // Nor is it asked for while the first frames are being decoded.
    supply(&mut plan, &fixture.blobs, &ranges[0]);
    let Ok(ReadStep::Work(job)) = plan.step() else {
        panic!("two frames are there")
    };
    assert!(matches!(plan.step(), Ok(ReadStep::Wait)));
    plan.complete(job.run());
    assert!(matches!(plan.step(), Ok(ReadStep::Ready(piece)) if piece.file_offset == 0));
}

#[test]
fn a_window_never_outgrows_its_memory() {
    let fixture = eight(Compression::None);
    let options = ReadOptions::default().window(1_500);
    let store = Arc::new(FrameStore::new(0));
    let ino = fixture.ino("eight");
    let (content, asked) = step_through(&fixture, ino, 0..8_000, &options, &store).unwrap();
    assert_eq!(content, fixture.contents[0]);
    assert_eq!(asked.len(), 4);
    for ranges in asked {
        assert_eq!(ranges.iter().map(|r| r.len).sum::<u64>(), 2_000);
    }
}

#[test]
fn a_shared_frame_is_fetched_once() {
    let mut builder = Builder::new(1);
    let plain = text(6_000, 1);
    let frame = builder.frame(0, ZSTD, &plain, b"");
    for i in 0..6u32 {
        let chunk = builder.chunk(frame, i * 1_000, 1_000, Vouch::Digest);
        builder.file(&i.to_string(), &[Piece::Chunk(chunk), Piece::Chunk(chunk)]);
    }
    let fixture = builder.build();
    let reader = fixture.reader(ReadOptions::default());
    for i in 0..6 {
        let mut content = Vec::new();
        let ino = fixture.ino(&i.to_string());
        reader.read_range(ino, 0..u64::MAX, &mut content).unwrap();
        assert_eq!(content, fixture.contents[i]);
    }
    assert_eq!(reader.blobs().stats().requests, 1);
    assert_eq!(reader.frames().decoded(), 1);
}

#[test]
fn bytes_that_nobody_asked_for_are_refused() {
    let fixture = eight(Compression::None);
    let store = Arc::new(FrameStore::new(0));
    let ino = fixture.ino("eight");
    let options = ReadOptions::default();
    let mut plan = plan_of(&*fixture.image, ino, 0..1_000, &options, &store);
    assert!(matches!(plan.step(), Ok(ReadStep::Need(_))));
    // Frame 0 lies at 1..1001.
    for (blob, offset, len) in [(0, 0, 1_000), (0, 2, 1_000), (1, 1, 1_000), (0, 1, 999)] {
        let bytes = Bytes::copy_from_slice(&fixture.blobs[0][..len]);
        let error = plan.supply(BlobIndex(blob), offset, bytes).unwrap_err();
        let ReadError::Unneeded {
            blob: b,
            offset: o,
            len: l,
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((b.0, o, l), (blob, offset, len as u64));
    }
    let lost = FrameError::Lost {
        frame: image_model::FrameId(0),
    };
    let error = plan.fail(&range(0, 1_000), lost).unwrap_err();
    assert!(matches!(error, ReadError::Unneeded { offset: 0, .. }));
    assert_eq!(error.fault(), Fault::Misuse);
    supply(&mut plan, &fixture.blobs, &range(1, 1_000));
    assert!(matches!(plan.step(), Ok(ReadStep::Work(_))));
}

#[test]
fn wants_must_lie_in_their_extents() {
    let extent = Extent {
        file_offset: 10,
        len: 10,
        source: ExtentSource::Plain {
            blob: BlobIndex(0),
            offset: 0,
        },
    };
    let image = Made::one(20, vec![extent]);
    let store = Arc::new(FrameStore::new(0));
    for range in [9..12, 12..12, 19..21, 30..31] {
        let start = range.start;
        let want = Want {
            tag: 0,
            ino: Ino(0),
            extent,
            range,
        };
        let options = ReadOptions::default();
        let mut plan = ReadPlan::new(&image, &store, [Ok(want)].into_iter(), &options);
        let Ok(ReadStep::Ready(piece)) = plan.step() else {
            panic!("nothing is asked for")
        };
        let error = piece.bytes.unwrap_err();
        assert!(
            matches!(error, ReadError::Uncovered { ino: Ino(0), file_offset } if file_offset == start),
            "{error:?}"
        );
        assert!(matches!(plan.step(), Ok(ReadStep::Done)));
    }
}

#[test]
fn only_files_can_be_read() {
    let fixture = mixed();
    let root = fixture.image.root();
    let error = FileExtents::new(&*fixture.image, root, 0..1, 0).unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
    let reader = fixture.reader(ReadOptions::default());
    let error = reader.read_range(root, 0..1, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, ReadError::Image(_)), "{error:?}");
}
