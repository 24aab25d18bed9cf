//! Damaged blobs and images that lie: each fault has its error, none passes.

use std::error::Error as _;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Compression;
use image_model::{
    Attributes, Blame, Blob, BlobIndex, Codec, DirEntry, Extent, ExtentSource, Fault, Frame, Image,
    ImageError, Ino, Limits, NameRef, Xattrs,
};
use lazyoci_image_read::{
    BlobStore, FrameCache, Frames, NoBlobs, OpenOptions, ReadError, ReadOptions, ReadPlan, Step,
    open_source,
};
use proptest::prelude::*;
use verify::{CheckError, ExtentBytes, ExtentError, FrameSource, Profile, tree_digest};

use crate::open::blob_of;
use crate::support::fixtures::{ZSTD, eight, mixed, read};
use crate::support::{Builder, Piece, Vouch, sha256, text};

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

/// An image of one file of 100 bytes in one frame.
fn in_frame(frame: Frame) -> Liar {
    Liar(vec![Extent {
        file_offset: 0,
        len: 100,
        source: ExtentSource::Chunk {
            frame,
            offset_in_frame: 0,
            digest: None,
            crc32c: None,
        },
    }])
}

#[test]
fn frames_that_cannot_be_are_refused() {
    let frame = Frame {
        blob: BlobIndex(0),
        offset: 7,
        stored_len: 0,
        len: 100,
        codec: Codec::None,
        open_ended: false,
    };
    let first_step = |frame| {
        let options = ReadOptions::default();
        let mut cache = FrameCache::new(0);
        let image = in_frame(frame);
        let mut plan = ReadPlan::new(&image, Ino(1), 0..100, &options, &mut cache).unwrap();
        let error = plan.step().unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt);
        // It stays so.
        assert!(plan.step().is_err());
        error
    };
    // Nothing is stored.
    let error = first_step(frame);
    assert!(
        matches!(error, ReadError::Decode { frame: found, .. } if found == frame),
        "{error:?}"
    );
    // It leaves every blob.
    let outside = Frame {
        offset: u64::MAX - 98,
        stored_len: 100,
        ..frame
    };
    let error = first_step(outside);
    assert!(
        matches!(error, ReadError::FrameOutside { frame: found } if found == outside),
        "{error:?}"
    );
    // It is shorter than the chunk in it.
    let image = in_frame(Frame {
        len: 99,
        stored_len: 99,
        ..frame
    });
    let store = BlobStore::single(Arc::new(Bytes::from_static(&[0; 200])));
    let mut frames = Frames::new(&image, &store, ReadOptions::default());
    for _ in 0..2 {
        let error = frames
            .read_range(Ino(1), 0..100, &mut Vec::new())
            .unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::Extent {
                    source: ExtentError::OutsideFrame {
                        len: 100,
                        frame_len: 99,
                        ..
                    },
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever one flipped byte does to a blob with its bootstrap: no panic, no endless loop; and
    /// none in the data, which are the first 10,005 bytes, passes for content.
    #[test]
    fn no_flip_in_the_data_passes(position in 0usize..100_000, mask in 1u8..) {
        let mut bytes = fs::read(blob_of("a4-v6-none-sha256-inline")).unwrap();
        let position = position % bytes.len();
        bytes[position] ^= mask;
        let limits = Limits { max_layer_len: 1 << 20, ..Limits::small() };
        let options = OpenOptions::default().limits(limits);
        let opened = open_source(Arc::new(Bytes::from(bytes)), None, NoBlobs, &options);
        let digest = opened.map(|image| {
            tree_digest(image.image(), &mut image.frames(), Profile::Default, &mut ())
        });
        if position < 10_005 {
            let error = digest.unwrap().unwrap_err();
            prop_assert_eq!(error.fault(), Fault::Corrupt);
        }
    }
}
