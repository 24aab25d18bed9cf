//! The read planner: what it asks for, what it hands out, how it fails.
#![allow(clippy::unwrap_used)]

mod common;

use std::error::Error as _;
use std::ops::{ControlFlow, Range};

use common::{Builder, Fixture, Piece, Vouch, sha256, text};
use frame_codec::Compression;
use image_model::{
    Attributes, Blame, Blob, BlobIndex, DirEntry, Extent, ExtentSource, Fault, Image, ImageError,
    Ino, NameRef, Xattrs,
};
use image_read::{FrameCache, Frames, ReadError, ReadOptions, ReadPlan, Step, StoredRange};
use proptest::prelude::*;
use verify::{CheckError, ExtentBytes, ExtentError, FrameSource};

/// What the features allow.
const ZSTD: Compression = match cfg!(feature = "zstd") {
    true => Compression::Zstd { level: 3 },
    false => Compression::None,
};
const LZ4: Compression = match cfg!(feature = "lz4") {
    true => Compression::Lz4Block,
    false => Compression::None,
};
const GZIP: Compression = match cfg!(feature = "gzip") {
    true => Compression::Gzip { level: 6 },
    false => Compression::None,
};

/// One file of everything: chunks of several codecs and blobs, zeros, a frame that holds several
/// chunks in another order, a chunk that comes twice, a frame that goes on after its chunk.
fn mixed() -> Fixture {
    let mut builder = Builder::new(2);
    let a = builder.whole(0, ZSTD, &text(70_000, 1));
    let b = builder.whole(1, LZ4, &text(30_000, 2));
    let c = builder.whole(0, Compression::None, &text(5_000, 3));
    let shared = builder.frame(1, ZSTD, &text(9_000, 4), b"");
    let last = builder.chunk(shared, 6_000, 3_000, Vouch::Crc);
    let first = builder.chunk(shared, 0, 4_000, Vouch::Digest);
    let open = builder.frame(0, GZIP, &text(8_000, 5), &text(900, 6));
    let open = builder.chunk(open, 0, 8_000, Vouch::Digest);
    builder.file(
        "mixed",
        &[
            Piece::Chunk(a),
            Piece::Zeros(100_000),
            Piece::Chunk(b),
            Piece::Chunk(last),
            Piece::Chunk(c),
            Piece::Chunk(first),
            Piece::Chunk(a),
            Piece::Zeros(1),
            Piece::Chunk(open),
        ],
    );
    builder.file("empty", &[]);
    builder.build()
}

/// A file of eight frames of 1,000 bytes in one blob.
fn eight(compression: Compression) -> Fixture {
    let mut builder = Builder::new(1);
    let pieces: Vec<Piece> = (0..8)
        .map(|seed| Piece::Chunk(builder.whole(0, compression, &text(1_000, seed))))
        .collect();
    builder.file("eight", &pieces);
    builder.build()
}

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

fn read(fixture: &Fixture, name: &str, range: Range<u64>) -> Result<Vec<u8>, ReadError> {
    let store = fixture.store();
    let mut content = Vec::new();
    Frames::new(&fixture.image, &store, ReadOptions::default()).read_range(
        fixture.ino(name),
        range,
        &mut content,
    )?;
    Ok(content)
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
fn a_flipped_chunk_is_named() {
    let mut fixture = eight(Compression::None);
    fixture.stored(3)[17] ^= 1;
    let ino = fixture.ino("eight");
    let mut changed = fixture.contents[0][3_000..4_000].to_vec();
    changed[17] ^= 1;

    // What lies before it is still right.
    assert!(read(&fixture, "eight", 0..3_000).is_ok());
    let error = read(&fixture, "eight", 0..3_001).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt);
    let ReadError::Extent {
        ino: found,
        file_offset: 3_000,
        source:
            ExtentError::Check(CheckError::Digest {
                expected,
                found: digest,
            }),
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(found, ino);
    assert_eq!(expected, sha256(&fixture.contents[0][3_000..4_000]));
    assert_eq!(digest, sha256(&changed));

    let store = fixture.store();
    let mut content = Vec::new();
    let mut frames = Frames::new(&fixture.image, &store, ReadOptions::default());
    frames
        .read_range_unverified(ino, 3_000..4_000, &mut content)
        .unwrap();
    assert_eq!(content, changed);
    // What was read unverified has to be verified all the same.
    assert!(frames.read_range(ino, 3_000..4_000, &mut content).is_err());
}

#[test]
fn a_wrong_checksum_is_named() {
    let mut builder = Builder::new(1);
    let frame = builder.frame(0, Compression::None, &text(100, 1), b"");
    let chunk = builder.chunk(frame, 50, 50, Vouch::Crc);
    builder.file("f", &[Piece::Zeros(9), Piece::Chunk(chunk)]);
    let mut fixture = builder.build();
    fixture.stored(0)[99] ^= 0x80;
    let error = read(&fixture, "f", 0..u64::MAX).unwrap_err();
    let expected = verify::crc32c(&fixture.contents[0][9..]);
    assert!(
        matches!(
            error,
            ReadError::Extent {
                file_offset: 9,
                source: ExtentError::Check(CheckError::Crc32c { expected: e, .. }),
                ..
            } if e == expected
        ),
        "{error:?}"
    );
}

#[cfg(feature = "zstd")]
#[test]
fn a_damaged_frame_is_named() {
    let mut fixture = eight(ZSTD);
    fixture.stored(2)[0] ^= 1;
    let frame = fixture.frame(2);
    let error = read(&fixture, "eight", 0..u64::MAX).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Decode { frame: found, source: frame_codec::CodecError::Malformed { codec: image_model::Codec::Zstd, .. } }
                if found == frame
        ),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn a_cut_blob_is_named() {
    let mut fixture = eight(Compression::None);
    fixture.blobs[0].truncate(8_000);
    let error = read(&fixture, "eight", 6_500..u64::MAX).unwrap_err();
    let ReadError::Blob { id, source } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(id.as_str(), "blob-0");
    assert!(
        matches!(
            source,
            blob_io::ReadError::OutOfBounds {
                offset: 7008,
                len: 1000,
                blob_len: 8000
            }
        ),
        "{source:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
    assert!(error.source().is_some());
}

#[test]
fn damage_can_be_made_good_by_another_source() {
    let good = eight(ZSTD);
    let mut bad = eight(ZSTD);
    bad.stored(1)[0] ^= 1;
    let good_none = eight(Compression::None);
    let mut bad_none = eight(Compression::None);
    bad_none.stored(1)[5] ^= 1;
    for (good, bad) in [(good, bad), (good_none, bad_none)] {
        let options = ReadOptions::default();
        let mut cache = FrameCache::new(options.window);
        let ino = good.ino("eight");
        let mut plan = ReadPlan::new(&good.image, ino, 0..8_000, &options, &mut cache).unwrap();
        let (mut content, mut faults) = (Vec::new(), 0);
        loop {
            let blob = if faults == 0 {
                &bad.blobs[0]
            } else {
                &good.blobs[0]
            };
            match plan.step() {
                Ok(Step::Need(ranges)) => {
                    for range in ranges {
                        let stored = &blob[range.offset as usize..][..range.len as usize];
                        if let Err(error) = plan.supply(range.blob, range.offset, stored) {
                            assert_eq!(error.fault(), Fault::Corrupt);
                            faults += 1;
                        }
                    }
                }
                Ok(Step::Ready {
                    bytes: ExtentBytes::Data(data),
                    ..
                }) => {
                    content.extend_from_slice(data);
                }
                Ok(Step::Ready { .. }) => panic!("no zeros here"),
                Ok(Step::Done) => break,
                Err(error) => {
                    assert_eq!(error.fault(), Fault::Corrupt);
                    faults += 1;
                }
            }
        }
        assert_eq!((faults, &content), (1, &good.contents[0]));
    }
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
fn long_frames_are_refused_before_they_are_read() {
    let fixture = eight(ZSTD);
    let store = fixture.store();
    let options = ReadOptions {
        max_frame_len: 999,
        ..ReadOptions::default()
    };
    let mut frames = Frames::new(&fixture.image, &store, options);
    let error = frames
        .read_range(fixture.ino("eight"), 0..1, &mut Vec::new())
        .unwrap_err();
    assert!(
        matches!(error, ReadError::FrameTooLong { frame, limit: 999 } if frame == fixture.frame(0)),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(
        frames.frame(&fixture.frame(0)).unwrap_err().fault(),
        Fault::Limit
    );
    assert_eq!(store.stats().requests, 0);
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

/// An image of one file of 100 bytes whose extents are made up.
struct Liar(Vec<Extent>);

impl Image for Liar {
    fn root(&self) -> Ino {
        Ino(0)
    }

    fn attributes(&self, _ino: Ino) -> Result<Attributes, ImageError> {
        let fixture = mixed();
        let attributes = fixture.image.attributes(fixture.ino("mixed"))?;
        Ok(Attributes {
            size: 100,
            ..attributes
        })
    }

    fn xattrs(&self, _ino: Ino) -> Result<Xattrs, ImageError> {
        Ok(Xattrs::default())
    }

    fn lookup(&self, _directory: Ino, _name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        Ok(None)
    }

    fn read_directory(
        &self,
        _directory: Ino,
        _visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        Ok(())
    }

    fn symlink_target(&self, _ino: Ino) -> Result<Box<[u8]>, ImageError> {
        Ok(Box::default())
    }

    fn extents(
        &self,
        _ino: Ino,
        _range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        for extent in &self.0 {
            if visit(*extent).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn blobs(&self) -> &[Blob] {
        &[]
    }
}

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
        let image = Liar(extents);
        let options = ReadOptions::default();
        let mut cache = FrameCache::new(0);
        let mut plan = ReadPlan::new(&image, Ino(1), 0..100, &options, &mut cache).unwrap();
        let error = plan.step().unwrap_err();
        assert!(
            matches!(error, ReadError::Uncovered { ino: Ino(1), file_offset } if file_offset == at),
            "{error:?}"
        );
    }
}
