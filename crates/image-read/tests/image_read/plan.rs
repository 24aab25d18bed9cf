//! The read planner: what it asks for and what it hands out.

use std::ops::Range;

use frame_codec::Compression;
use image_model::{Blame, BlobIndex, Fault, Image, Ino};
use lazyoci_image_read::{FrameCache, Frames, ReadError, ReadOptions, ReadPlan, Step, StoredRange};
use proptest::prelude::*;
use verify::{ExtentBytes, FrameSource};

use crate::support::fixtures::{ZSTD, eight, mixed, read};
use crate::support::{Builder, Fixture, Piece, Vouch, text};

/// Drives a plan by hand and notes what it asks for.
fn step_through(
    fixture: &Fixture,
    ino: Ino,
    range: Range<u64>,
    options: &ReadOptions,
    cache: &mut FrameCache,
) -> Result<(Vec<u8>, Vec<StoredRange>), ReadError> {
    let mut plan = ReadPlan::new(&fixture.image, ino, range.clone(), options, cache)?;
    let (mut content, mut asked) = (Vec::new(), Vec::new());
    loop {
        match plan.step()? {
            Step::Need(ranges) => {
                // In any order, and a second time if nothing was supplied.
                assert_eq!(plan.step()?, Step::Need(ranges.clone()));
                for range in ranges.iter().rev() {
                    let blob = &fixture.blobs[range.blob.0 as usize];
                    let stored = &blob[range.offset as usize..][..range.len as usize];
                    plan.supply(range.blob, range.offset, stored)?;
                }
                asked.extend(ranges);
            }
            Step::Ready { file_offset, bytes } => {
                assert_eq!(file_offset, range.start + content.len() as u64);
                match bytes {
                    ExtentBytes::Data(data) => content.extend_from_slice(data),
                    ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
                }
                assert_eq!(plan.remaining().start, range.start + content.len() as u64);
            }
            Step::Done => return Ok((content, asked)),
        }
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
        capacity in prop_oneof![Just(0u64), 0u64..200_000],
    ) {
        let fixture = mixed();
        let ino = fixture.ino("mixed");
        let content = &fixture.contents[0];
        let options = ReadOptions { window, gap, max_request, ..ReadOptions::default() };
        let store = fixture.store();
        let mut frames = Frames::new(&fixture.image, &store, options.clone());
        let mut cache = FrameCache::new(capacity);
        // Twice: the second time with frames in the cache.
        for _ in 0..2 {
            let end = (start + len).min(content.len() as u64);
            let expected = &content[start.min(end) as usize..end as usize];
            let mut read = Vec::new();
            let count = frames.read_range(ino, start..start + len, &mut read).unwrap();
            prop_assert_eq!(count, expected.len() as u64);
            prop_assert_eq!(&read[..], expected);
            let stepped = step_through(&fixture, ino, start..start + len, &options, &mut cache);
            prop_assert_eq!(&stepped.unwrap().0[..], expected);
        }
    }
}

#[test]
fn only_the_frames_of_the_range_are_fetched() {
    let fixture = eight(ZSTD);
    let store = fixture.store();
    let mut frames = Frames::new(&fixture.image, &store, ReadOptions::default());
    let mut content = Vec::new();
    frames
        .read_range(fixture.ino("eight"), 2_999..5_001, &mut content)
        .unwrap();
    assert_eq!(content, fixture.contents[0][2_999..5_001]);

    let needed = 2..=5;
    let stats = store.stats();
    assert_eq!(
        stats.requests, 4,
        "frames do not touch, and no gap is allowed"
    );
    let stored: u64 = needed.map(|i| u64::from(fixture.frame(i).stored_len)).sum();
    assert_eq!(stats.bytes, stored);

    // What is held is not fetched again.
    frames
        .read_range(fixture.ino("eight"), 3_000..4_000, &mut Vec::new())
        .unwrap();
    assert_eq!(store.stats(), stats);
    assert_eq!(
        frames.frame(&fixture.frame(5)).unwrap(),
        &fixture.contents[0][5_000..6_000]
    );
    assert_eq!(store.stats(), stats);
}

#[test]
fn near_frames_are_asked_for_at_once() {
    let fixture = eight(Compression::None);
    let range = |offset, len| StoredRange {
        blob: BlobIndex(0),
        offset,
        len,
    };
    let default = ReadOptions::default();
    // A byte of nothing lies in front of each frame.
    let cases = [
        (
            ReadOptions {
                gap: 1,
                ..default.clone()
            },
            vec![range(1002, 5004)],
        ),
        (
            ReadOptions {
                gap: 1,
                max_request: 2500,
                ..default.clone()
            },
            vec![range(1002, 2001), range(3004, 2001), range(5006, 1000)],
        ),
        (
            ReadOptions {
                gap: 1,
                window: 3_999,
                ..default
            },
            vec![range(1002, 3002), range(4005, 2001)],
        ),
    ];
    for (options, expected) in cases {
        let mut cache = FrameCache::new(options.window);
        let ino = fixture.ino("eight");
        let (content, asked) =
            step_through(&fixture, ino, 1_500..5_500, &options, &mut cache).unwrap();
        assert_eq!(content, fixture.contents[0][1_500..5_500]);
        assert_eq!(asked, expected);
    }
}

#[test]
fn a_window_never_outgrows_its_memory() {
    let fixture = eight(Compression::None);
    let options = ReadOptions {
        window: 2_500,
        ..ReadOptions::default()
    };
    let mut cache = FrameCache::new(options.window);
    let mut plan = ReadPlan::new(
        &fixture.image,
        fixture.ino("eight"),
        0..8_000,
        &options,
        &mut cache,
    )
    .unwrap();
    let mut windows = 0;
    loop {
        match plan.step().unwrap() {
            Step::Need(ranges) => {
                windows += 1;
                assert_eq!(ranges.iter().map(|r| r.len).sum::<u64>(), 2_000);
                for range in ranges {
                    let stored = &fixture.blobs[0][range.offset as usize..][..range.len as usize];
                    plan.supply(range.blob, range.offset, stored).unwrap();
                }
            }
            Step::Ready { .. } => {}
            Step::Done => break,
        }
    }
    assert_eq!(windows, 4);
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
    let store = fixture.store();
    let mut frames = Frames::new(&fixture.image, &store, ReadOptions::default());
    for i in 0..6 {
        let mut content = Vec::new();
        let ino = fixture.ino(&i.to_string());
        frames.read_range(ino, 0..u64::MAX, &mut content).unwrap();
        assert_eq!(content, fixture.contents[i]);
    }
    assert_eq!(store.stats().requests, 1);
}

#[test]
fn bytes_that_nobody_asked_for_are_refused() {
    let fixture = eight(Compression::None);
    let options = ReadOptions::default();
    let mut cache = FrameCache::new(options.window);
    let ino = fixture.ino("eight");
    let mut plan = ReadPlan::new(&fixture.image, ino, 0..1_000, &options, &mut cache).unwrap();
    assert!(matches!(plan.step(), Ok(Step::Need(_))));
    // Frame 0 lies at 1..1001.
    for (blob, offset, len) in [(0, 0, 1_000), (0, 2, 1_000), (1, 0, 1_001)] {
        let error = plan
            .supply(BlobIndex(blob), offset, &fixture.blobs[0][..len])
            .unwrap_err();
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
    // The whole blob is as good.
    plan.supply(BlobIndex(0), 0, &fixture.blobs[0]).unwrap();
    assert!(matches!(plan.step(), Ok(Step::Ready { .. })));
}

#[test]
fn only_files_can_be_read() {
    let fixture = mixed();
    let error = ReadPlan::new(
        &fixture.image,
        fixture.image.root(),
        0..1,
        &ReadOptions::default(),
        &mut FrameCache::new(0),
    )
    .unwrap_err();
    assert_eq!(error.fault(), Fault::Misuse);
}

#[test]
fn plans_may_wait_on_any_thread() {
    fn sent<T: Send>() {}
    sent::<ReadPlan<'_, dyn Image + Sync>>();
    sent::<Frames<'_>>();
    sent::<FrameCache>();
}
