//! Checking every chunk of files once, whatever is wrong with some.

use std::sync::Arc;

use frame_codec::Compression;
use image_model::{
    Blame, Blob, BlobId, BlobIndex, Cancelled, Extent, ExtentSource, Frame, FrameId, Ino, Limits,
    RecipeId,
};
use lazyoci_image_read::{BlobStore, NoBlobs, ReadError, ReadOptions, Reader, StoreError};
use std::error::Error as _;
use verify::{CheckError, CheckFiles, ChunkFault, ChunkObserver, ChunkSummary, Content, crc32c};

use crate::support::fixtures::{eight, mixed};
use crate::support::made::Made;
use crate::support::{Builder, Piece, Vouch, store, text};

/// Notes what it hears, and stops after so many bytes.
struct Notes {
    faults: Vec<(usize, ChunkFault)>,
    advance: Vec<(u64, u64)>,
    enough: u64,
}

impl Notes {
    fn new() -> Self {
        Self {
            faults: Vec::new(),
            advance: Vec::new(),
            enough: u64::MAX,
        }
    }

    fn texts(&self) -> Vec<String> {
        let text =
            |(file, fault): &(usize, ChunkFault)| format!("{file}: {:?}: {fault}", fault.fault());
        self.faults.iter().map(text).collect()
    }
}

impl ChunkObserver for Notes {
    fn fault(&mut self, file: usize, fault: ChunkFault) {
        self.faults.push((file, fault));
    }

    fn advance(&mut self, done: u64, total: u64) -> Result<(), Cancelled> {
        self.advance.push((done, total));
        match done > self.enough {
            true => Err(Cancelled),
            false => Ok(()),
        }
    }
}

fn options(read: bool, limits: &Limits) -> CheckFiles<'_> {
    CheckFiles::new(limits).read(read)
}

fn check(reader: &Reader, files: &[Ino], read: bool) -> (ChunkSummary, Notes) {
    let mut notes = Notes::new();
    let limits = Limits::default();
    let summary = (reader.clone()).check_files(files, &options(read, &limits), &mut notes);
    (summary.unwrap(), notes)
}

fn reader_of(image: Made, blobs: &[Vec<u8>]) -> Reader {
    let blobs = store(&image, blobs);
    Reader::new(Arc::new(image), blobs, ReadOptions::default().threads(2))
}

/// Three chunks of four, four and two bytes that two files share, as they lie in the blob.
fn shared() -> Made {
    let extent = |file_offset, frame: u32, crc| Extent {
        file_offset,
        len: [4, 4, 2][frame as usize],
        source: ExtentSource::Chunk {
            frame: FrameId(frame),
            offset_in_frame: 0,
            digest: None,
            crc32c: Some(crc),
        },
    };
    let crcs = [crc32c(b"AAAA"), crc32c(b"BBBB"), crc32c(b"CC")];
    let zeros = Extent {
        file_offset: 4,
        len: 4,
        source: ExtentSource::Zeros,
    };
    let frame = |offset, len| Frame {
        blob: BlobIndex(0),
        offset,
        stored_len: len,
        len,
        recipe: RecipeId(0),
    };
    let mut made = Made::one(
        10,
        vec![
            extent(0, 2, crcs[2]),
            extent(2, 1, crcs[1]),
            extent(6, 0, crcs[0]),
        ],
    );
    let second = vec![extent(0, 1, crcs[1]), zeros, extent(8, 0, crcs[0])];
    made.files.push((12, second));
    made.frames = vec![frame(0, 4), frame(4, 4), frame(8, 2)];
    made.blobs[0].stored_len = Some(10);
    made
}

fn frames_of(made: &mut Made, change: impl Fn(&mut Frame)) {
    change(&mut made.frames[2]);
}

#[test]
fn an_extent_that_is_another_one_by_the_time_it_is_read_is_told() {
    let as_found = shared().files[0].1[0];
    for (file_offset, len) in [(0, u64::MAX), (1, u64::MAX), (u64::MAX, 2), (0, 3)] {
        let mut image = shared();
        image.of_one_byte = Some(Extent {
            file_offset,
            len,
            ..as_found
        });
        let reader = reader_of(image, &[b"AAAABBBBCC".to_vec()]);
        let (_, notes) = check(&reader, &[Ino(0)], true);
        let [(0, fault)] = &notes.faults[..] else {
            panic!("{:?}", notes.texts());
        };
        // Chunks are read as they are stored: the first one ends the file.
        assert!(
            matches!(fault, ChunkFault::Extents { file_offset: 6, .. }),
            "{fault:?}"
        );
    }
}

fn sound() -> ChunkSummary {
    let mut summary = ChunkSummary::default();
    summary.chunks = 3;
    summary.chunk_len = 10;
    summary
}

#[test]
fn each_chunk_is_read_once_in_stored_order() {
    let reader = reader_of(shared(), &[b"AAAABBBBCC".to_vec()]);
    let files = [Ino(0), Ino(1)];
    let (summary, notes) = check(&reader, &files, true);
    assert_eq!(summary, sound());
    assert!(notes.faults.is_empty(), "{:?}", notes.faults);
    assert_eq!(notes.advance, [(4, 10), (8, 10), (10, 10)]);
    let stats = reader.blobs().stats();
    assert_eq!((stats.requests, stats.bytes), (1, 10));
    assert_eq!(reader.frames().decoded(), 3);

    let reader = reader_of(shared(), &[b"AAAABBBBCC".to_vec()]);
    let (summary, notes) = check(&reader, &files, false);
    assert_eq!(summary, sound());
    assert!(notes.faults.is_empty() && notes.advance.is_empty());
    assert_eq!(reader.blobs().stats().requests, 0);
}

#[test]
fn wrong_content_is_told_once_for_the_first_file() {
    let reader = reader_of(shared(), &[b"AxAABxBBCC".to_vec()]);
    let (summary, notes) = check(&reader, &[Ino(1), Ino(0)], true);
    assert_eq!(summary, sound());
    let expected = [
        "0: Corrupt: chunk 1 at byte 8 (blob blob-0 byte 0) is damaged",
        "0: Corrupt: chunk 0 at byte 0 (blob blob-0 byte 4) is damaged",
    ];
    assert_eq!(notes.texts(), expected);
    let ChunkFault::Chunk { source, .. } = &notes.faults[1].1 else {
        panic!("{:?}", notes.faults)
    };
    let source: &ReadError = source.source().unwrap().downcast_ref().unwrap();
    assert!(
        matches!(
            source,
            ReadError::Chunk { ino: Ino(1), file_offset: 0, source: CheckError::Crc32c { expected, found } }
                if (*expected, *found) == (crc32c(b"BBBB"), crc32c(b"BxBB"))
        ),
        "{source:?}"
    );
    assert_eq!(notes.advance.last(), Some(&(10, 10)));
}

#[test]
fn another_claim_about_the_same_place_is_another_chunk() {
    let mut made = shared();
    let (_, extents) = &mut made.files[1];
    if let ExtentSource::Chunk { crc32c, .. } = &mut extents[2].source {
        *crc32c = Some(1);
    }
    let reader = reader_of(made.clone(), &[b"AAAABBBBCC".to_vec()]);
    let (summary, notes) = check(&reader, &[Ino(0), Ino(1)], true);
    assert_eq!((summary.chunks, summary.chunk_len), (4, 14));
    let expected = ["1: Corrupt: chunk 1 at byte 8 (blob blob-0 byte 0) is damaged"];
    assert_eq!(notes.texts(), expected);

    for (_, extents) in &mut made.files {
        for extent in extents {
            if let ExtentSource::Chunk { crc32c, .. } = &mut extent.source {
                *crc32c = None;
            }
        }
    }
    let reader = reader_of(made, &[b"xxxxxxxxxx".to_vec()]);
    let (summary, notes) = check(&reader, &[Ino(0), Ino(1)], true);
    assert!(notes.faults.is_empty(), "nobody can tell");
    assert_eq!((summary.chunks, summary.unverifiable), (3, 3));
}

#[test]
fn chunks_must_lie_where_they_can() {
    let all = |made: Made, expected: &str| {
        for read in [false, true] {
            let reader = reader_of(made.clone(), &[b"AAAABBBBCC".to_vec()]);
            let (summary, notes) = check(&reader, &[Ino(1), Ino(0)], read);
            assert_eq!(notes.texts(), [expected], "read: {read}");
            assert_eq!(summary.chunks, 3);
            // What is elsewhere is read all the same.
            let bytes = if read { 8 } else { 0 };
            assert_eq!(reader.blobs().stats().bytes, bytes);
        }
    };
    let mut made = shared();
    frames_of(&mut made, |frame| frame.blob.0 = 7);
    all(
        made,
        "1: Corrupt: chunk 0 at byte 0: unknown blob 7 byte 8 is not in the image's list",
    );
    let mut made = shared();
    frames_of(&mut made, |frame| frame.stored_len = 3);
    all(
        made,
        "1: Corrupt: chunk 0 at byte 0: blob blob-0 byte 8 ends at byte 11, past the blob's 10 bytes",
    );
    let mut made = shared();
    frames_of(&mut made, |frame| frame.len = 1);
    all(
        made,
        "1: Corrupt: chunk 0 at byte 0 (blob blob-0 byte 8) is damaged",
    );
    let mut made = shared();
    made.frames.pop();
    let reader = reader_of(made, &[b"AAAABBBBCC".to_vec()]);
    let (_, notes) = check(&reader, &[Ino(1), Ino(0)], true);
    assert!(matches!(notes.faults[..], [(1, ChunkFault::Image(_))]));
}

#[test]
fn extents_must_cover_their_files() {
    let mut made = shared();
    made.files[0].1.truncate(2);
    made.files.push((3, vec![]));
    let reader = reader_of(made, &[b"AAAABBBBCC".to_vec()]);
    let (summary, notes) = check(&reader, &[Ino(0), Ino(2), Ino(1)], true);
    let expected = [
        "0: Corrupt: no extent begins at byte 6 of a file of 10 bytes",
        "1: Corrupt: no extent begins at byte 0 of a file of 3 bytes",
    ];
    assert_eq!(notes.texts(), expected);
    assert_eq!(summary, sound(), "what is there is checked");
}

#[test]
fn extents_are_bounded() {
    let reader = reader_of(shared(), &[b"AAAABBBBCC".to_vec()]);
    let limits = Limits::default().max_chunks(4);
    let mut notes = Notes::new();
    let files = [Ino(0), Ino(1), Ino(0)];
    let mut content = reader.clone();
    let summary = content.check_files(&files, &options(true, &limits), &mut notes);
    assert_eq!(summary.unwrap(), sound());
    let expected = ["1: Limit: the image has more than 4 extents"];
    assert_eq!(notes.texts(), expected);
}

#[test]
fn observers_can_end_it() {
    let reader = reader_of(shared(), &[b"AAAABBBBCC".to_vec()]);
    let mut notes = Notes {
        enough: 4,
        ..Notes::new()
    };
    let limits = Limits::default();
    let mut content = reader.clone();
    let result = content.check_files(&[Ino(0)], &options(true, &limits), &mut notes);
    assert_eq!(result, Err(Cancelled));
    assert_eq!(notes.advance, [(4, 10), (8, 10)]);
    // Nothing is left claimed.
    assert!(check(&reader, &[Ino(0)], true).1.faults.is_empty());
}

#[test]
fn errors_of_some_chunks_do_not_hide_the_others() {
    let mut builder = Builder::new(2);
    let mut pieces = Vec::new();
    for n in 0..40u64 {
        let compression = crate::support::fixtures::ZSTD;
        let chunk = builder.whole((n % 2) as u32, compression, &text(2_000, n));
        pieces.push(Piece::Chunk(chunk));
    }
    let none = builder.whole(0, Compression::None, &text(3_000, 99));
    pieces.push(Piece::Chunk(none));
    builder.file("f", &pieces);
    let mut fixture = builder.build();
    // Frames that do not decode, one that is wrong, and a blob that is cut.
    fixture.stored(4)[0] ^= 1;
    fixture.stored(40)[5] ^= 1;
    let last = fixture.frame(39);
    fixture.blobs[1].truncate(last.offset as usize + 10);
    for gap in [0, 100] {
        let reader = fixture.reader(ReadOptions::default().gap(gap).threads(3));
        let (summary, notes) = check(&reader, &[fixture.ino("f")], true);
        assert_eq!(summary.chunks, 41);
        let mut chunks: Vec<_> = notes
            .faults
            .iter()
            .map(|(file, fault)| match fault {
                ChunkFault::Chunk { chunk, .. } => (*file, *chunk),
                // The blob is shorter than it has to be: known before it is read.
                ChunkFault::OutsideBlob { chunk: 39, .. } => (*file, 39),
                other => panic!("{other:?}"),
            })
            .collect();
        chunks.sort_unstable();
        assert_eq!(chunks, [(0, 4), (0, 39), (0, 40)], "gap {gap}");
        let last = notes.advance.last().unwrap();
        // All but the 2,000 bytes that are outside.
        assert_eq!(*last, (81_000, 81_000));
    }
}

#[test]
fn a_blob_that_cannot_be_opened_is_one_fault() {
    let fixture = mixed();
    let blobs = BlobStore::new(&fixture.image.blobs, NoBlobs);
    let held = bytes::Bytes::from(fixture.blobs[1].clone());
    let blobs = blobs.with_source(BlobIndex(1), Arc::new(held));
    let reader = Reader::new(fixture.image.clone(), blobs, ReadOptions::default());
    let files = [fixture.ino("empty"), fixture.ino("mixed")];
    let (summary, notes) = check(&reader, &files, true);
    assert_eq!(summary.chunks, 7);
    assert_eq!(notes.texts(), ["1: Io: cannot open blob blob-0"]);
    let ChunkFault::Unopened { source, .. } = &notes.faults[0].1 else {
        panic!("{:?}", notes.faults)
    };
    let source: &StoreError = source.source().unwrap().downcast_ref().unwrap();
    assert!(matches!(source, StoreError::Missing { .. }));
}

#[test]
fn a_long_plain_piece_is_one_fault() {
    let plain = |file_offset, len, offset| Extent {
        file_offset,
        len,
        source: ExtentSource::Plain {
            blob: BlobIndex(0),
            offset,
        },
    };
    let mut made = Made::one(5 << 20, vec![plain(0, 5 << 20, 0)]);
    made.blobs[0] = Blob::new(BlobId::new(b"blob-0").unwrap());
    // It ends early: the last two of five parts are not there.
    let reader = reader_of(made, &[vec![1; (3 << 20) + 5]]);
    let (summary, notes) = check(&reader, &[Ino(0)], true);
    assert_eq!((summary.chunks, summary.unverifiable), (1, 1));
    let expected = "0: Corrupt: chunk 0 at byte 0: blob blob-0 byte 0 ends at byte 5242880, past the blob's 3145733 bytes";
    assert_eq!(notes.texts(), [expected]);
    assert!(notes.advance.is_empty());
}

#[test]
fn sound_images_have_no_faults() {
    for fixture in [mixed(), eight(Compression::None)] {
        let files: Vec<Ino> = ["mixed", "eight"]
            .into_iter()
            .filter_map(|name| fixture.find(name))
            .collect();
        for threads in [1, 2, 5] {
            let reader = fixture.reader(ReadOptions::default().threads(threads));
            let (summary, notes) = check(&reader, &files, true);
            assert!(notes.faults.is_empty(), "{:?}", notes.faults);
            assert_eq!(notes.advance.len() as u64, summary.chunks);
        }
    }
}

#[test]
fn chunks_of_one_frame_are_decoded_once() {
    let mut builder = Builder::new(1);
    let plain = text(60_000, 1);
    let frame = builder.frame(0, crate::support::fixtures::ZSTD, &plain, b"");
    // More of them than a frame remembers as verified.
    let pieces: Vec<Piece> = (0..600)
        .map(|n| Piece::Chunk(builder.chunk(frame, 100 * n, 100, Vouch::Digest)))
        .collect();
    builder.file("f", &pieces);
    let fixture = builder.build();
    let reader = fixture.reader(ReadOptions::default().window(1));
    let (summary, notes) = check(&reader, &[fixture.ino("f")], true);
    assert!(notes.faults.is_empty());
    assert_eq!((summary.chunks, reader.frames().decoded()), (600, 1));
    assert_eq!(reader.blobs().stats().requests, 1);
}
