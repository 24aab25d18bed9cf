//! Audits: faults of content, bounds, and observers that had enough.

use std::collections::BTreeMap;
use std::error::Error as _;

use image_model::image::NoSuchEntry;
use image_model::{
    Blame, BlobIndex, Cancelled, Digest, DigestAlgorithm, Extent, ExtentSource, Fault, Frame,
    FrameId, Ino, Limits,
};
use lazyoci_verify::{
    AuditFault, AuditObserver, CheckError, CheckFiles, ChunkFault, ChunkObserver, ChunkSummary,
    Content, ContentError, FilePiece, MAX_CONTENT_FAULTS, audit, audit_metadata, crc32c,
};

use crate::audit::{run, sound, summary, text, texts};
use crate::common::content::{Store, Unreadable};
use crate::common::{Tampered, path};

/// Why the chunk of the only fault cannot be read.
#[track_caller]
fn unreadable(faults: &[AuditFault]) -> &Unreadable {
    let [
        AuditFault::Content {
            fault: ChunkFault::Chunk { source, .. },
            ..
        },
    ] = faults
    else {
        panic!("{faults:?}")
    };
    source.source().unwrap().downcast_ref().unwrap()
}

fn with_extents(change: fn(&mut Vec<Extent>)) -> (Tampered, Store) {
    let (mut image, store) = sound();
    let target = image.ino("a");
    image.extents = Box::new(move |ino, extents| {
        if ino == target {
            change(extents);
        }
    });
    (image, store)
}

fn set(extent: &mut Extent, change: impl Fn(&mut FrameId, &mut Option<Digest>, &mut Option<u32>)) {
    if let ExtentSource::Chunk {
        frame,
        digest,
        crc32c,
        ..
    } = &mut extent.source
    {
        change(frame, digest, crc32c);
    }
}

fn with_frame(id: u32, change: fn(&mut Frame)) -> (Tampered, Store) {
    let (mut image, store) = sound();
    image.frames = Box::new(move |frame, found| {
        if frame == FrameId(id) {
            change(found);
        }
    });
    (image, store)
}

#[test]
fn wrong_extents_are_told() {
    let (image, mut store) = with_extents(|extents| extents.truncate(2));
    let expected =
        "Corrupt: /a: cannot verify the content: no extent begins at byte 8 of a file of 10 bytes";
    assert_eq!(texts(&image, &mut store), [expected]);
}

#[test]
fn wrong_frames_are_told() {
    let (image, mut store) = with_frame(1, |frame| frame.blob = BlobIndex(7));
    let expected = "Corrupt: /a: cannot verify the content: chunk 1 at byte 4: unknown blob 7 byte 4 is not in the image's list";
    assert_eq!(texts(&image, &mut store), [expected]);

    let (image, mut store) = with_frame(2, |frame| frame.stored_len = 3);
    let expected = "Corrupt: /a: cannot verify the content: chunk 2 at byte 8: blob the-blob byte 8 ends at byte 11, past the blob's 10 bytes";
    assert_eq!(texts(&image, &mut store), [expected]);

    let (image, mut store) = with_frame(2, |frame| frame.len = 1);
    let (_, faults) = run(&image, &mut store);
    assert_eq!(store.reads, [0, 4], "the short frame is not read");
    assert!(matches!(
        unreadable(&faults),
        Unreadable::OutsideFrame {
            end: 2,
            frame_len: 1
        }
    ));
    let mut texts = Vec::new();
    let mut observer = |fault| texts.push(text(&fault));
    audit_metadata(
        &image,
        &mut store.of(&image),
        &Limits::default(),
        &mut observer,
    )
    .unwrap();
    let expected = "Corrupt: /a: cannot verify the content: chunk 2 at byte 8 (blob the-blob byte 8) is damaged";
    assert_eq!(texts, [expected]);
}

#[test]
fn frames_that_are_not_there_are_told() {
    let (image, mut store) = with_extents(|e| set(&mut e[0], |frame, _, _| *frame = FrameId(9)));
    let (found, faults) = run(&image, &mut store);
    // `d/b` uses the chunk as it should be.
    assert_eq!((found.chunks, found.faults), (4, 1));
    assert_eq!(
        text(&faults[0]),
        "Misuse: /a: cannot verify the content: cannot read the inode"
    );
    let AuditFault::Content {
        fault: ChunkFault::Image(source),
        ..
    } = &faults[0]
    else {
        panic!("{faults:?}")
    };
    let none = NoSuchEntry {
        what: "frame",
        index: 9,
        count: 3,
    };
    assert_eq!(source.source().unwrap().downcast_ref(), Some(&none));
}

#[test]
fn bytes_that_lie_plain_are_unverifiable() {
    let (image, mut store) = with_extents(|extents| {
        let (blob, offset) = (BlobIndex(0), 8);
        extents[2].source = ExtentSource::Plain { blob, offset };
    });
    store.blob[9] ^= 1;
    let (found, faults) = run(&image, &mut store);
    assert!(faults.is_empty(), "{faults:?}");
    let mut expected = summary();
    expected.unverifiable_chunks = 1;
    assert_eq!(found, expected);
}

#[test]
fn wrong_content_is_told_once_per_claim() {
    let (image, mut store) = sound();
    store.blob[0] ^= 1;
    store.blob[5] ^= 1;
    let (found, faults) = run(&image, &mut store);
    assert_eq!((found.chunks, found.faults), (3, 2));
    let texts: Vec<_> = faults.iter().map(text).collect();
    let expected = [
        "Corrupt: /a: cannot verify the content: chunk 0 at byte 0 (blob the-blob byte 0) is damaged",
        "Corrupt: /a: cannot verify the content: chunk 1 at byte 4 (blob the-blob byte 4) is damaged",
    ];
    assert_eq!(texts, expected);
    assert_eq!(faults[0].path(), &path("a"));
    let Unreadable::Check(CheckError::Crc32c { expected, found }) = unreadable(&faults[1..]) else {
        panic!("{faults:?}")
    };
    assert_eq!((*expected, *found), (crc32c(b"BBBB"), crc32c(b"BCBB")));
}

#[test]
fn digest_and_checksum_are_both_checked() {
    let (image, mut store) = with_extents(|e| set(&mut e[0], |_, _, crc| *crc = Some(1)));
    let (found, faults) = run(&image, &mut store);
    assert!(matches!(
        unreadable(&faults),
        Unreadable::Check(CheckError::Crc32c { expected: 1, .. })
    ));
    // Another claim about the same place is another chunk.
    assert_eq!(found.chunks, 4);
    let (image, mut store) = with_extents(|e| {
        set(&mut e[1], |_, digest, _| {
            *digest = Some(Digest::new(DigestAlgorithm::Sha256, [0; 32]));
        });
    });
    assert_eq!(texts(&image, &mut store).len(), 1);
    let (image, mut store) = with_extents(|e| {
        for extent in e {
            set(extent, |_, digest, crc| (*digest, *crc) = (None, None));
        }
    });
    let (found, faults) = run(&image, &mut store);
    assert!(faults.is_empty());
    assert_eq!((found.chunks, found.unverifiable_chunks), (5, 3));
}

#[test]
fn unreadable_frames_are_the_sources_fault() {
    let (image, mut store) = sound();
    store.blob.truncate(9);
    let (_, faults) = run(&image, &mut store);
    assert!(matches!(unreadable(&faults), Unreadable::Nothing(8)));
    assert_eq!(faults[0].fault(), Fault::Io);
}

#[test]
fn extents_are_bounded() {
    let (image, mut store) = sound();
    let limits = Limits::default().max_chunks(4);
    let mut faults = Vec::new();
    let mut observer = |fault: AuditFault| faults.push(text(&fault));
    audit(&image, &mut store.of(&image), &limits, &mut observer).unwrap();
    assert_eq!(
        faults,
        ["Limit: /d/b: cannot verify the content: the image has more than 4 extents"]
    );
}

/// Tells so many faults, of one file and of another.
struct Faulty(Vec<(usize, u64)>);

impl Content for Faulty {
    fn read_files(
        &mut self,
        _: &[Ino],
        _: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError> {
        panic!("an audit does not read files")
    }

    fn check_files(
        &mut self,
        files: &[Ino],
        _: &CheckFiles<'_>,
        observer: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled> {
        assert_eq!(files.len(), 2);
        for &(file, count) in &self.0 {
            for size in 0..count {
                let file_offset = 0;
                observer.fault(file, ChunkFault::Extents { file_offset, size });
            }
        }
        Ok(ChunkSummary::default())
    }
}

#[test]
fn faults_of_content_come_in_the_order_of_the_walk() {
    let (image, _) = sound();
    let mut faults = Vec::new();
    let mut observer = |fault: AuditFault| faults.push(text(&fault));
    // The files are `a`, also called `d/c`, and `d/b`.
    let mut content = Faulty(vec![(1, 1), (0, 2), (1, 1)]);
    let limits = Limits::default();
    let summary = audit(&image, &mut content, &limits, &mut observer).unwrap();
    assert_eq!((summary.faults, summary.untold), (4, 0));
    let expected = [
        "Corrupt: /a: cannot verify the content: no extent begins at byte 0 of a file of 0 bytes",
        "Corrupt: /a: cannot verify the content: no extent begins at byte 0 of a file of 1 bytes",
        "Corrupt: /d/b: cannot verify the content: no extent begins at byte 0 of a file of 0 bytes",
        "Corrupt: /d/b: cannot verify the content: no extent begins at byte 0 of a file of 0 bytes",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn faults_of_content_that_are_too_many_are_counted() {
    let (mut image, _) = sound();
    let link = image.ino("l");
    image.attributes = Box::new(move |ino, attributes| {
        if ino == link {
            attributes.size = 7;
        }
    });
    let (limits, most) = (Limits::default(), MAX_CONTENT_FAULTS as u64);
    for (of_b, of_a, untold) in [(most - 1, 1, 0), (most - 1, 4, 3), (most + 1, 5, 6)] {
        let mut told = BTreeMap::<_, u64>::new();
        let mut observer = |fault: AuditFault| {
            *told.entry(fault.path().to_string()).or_default() += 1;
        };
        let mut content = Faulty(vec![(1, of_b), (0, of_a)]);
        let summary = audit(&image, &mut content, &limits, &mut observer).unwrap();
        // The fault that is none of content is told in any case.
        assert_eq!(told.remove("/l"), Some(1));
        assert_eq!(summary.faults, of_a + of_b + 1);
        assert_eq!(summary.untold, untold);
        let told_of_b = of_b.min(most);
        let expected = [("/a", most - told_of_b), ("/d/b", told_of_b)];
        let told: Vec<_> = told.iter().map(|(path, &count)| (&**path, count)).collect();
        assert_eq!(
            told,
            expected.into_iter().filter(|e| e.1 > 0).collect::<Vec<_>>()
        );
    }
}

#[derive(Default)]
struct Impatient {
    heard: Vec<(u64, Option<u64>)>,
    most: usize,
}

impl AuditObserver for Impatient {
    fn fault(&mut self, _: AuditFault) {}
    fn advance(&mut self, done: u64, total: Option<u64>) -> Result<(), Cancelled> {
        self.heard.push((done, total));
        if self.heard.len() > self.most {
            return Err(Cancelled);
        }
        Ok(())
    }
}

#[test]
fn observers_can_end_it() {
    let (image, mut store) = sound();
    // Each path, then each chunk.
    let paths = [(0, None); 7];
    let chunks = [4, 8, 10].map(|done| (done, Some(10)));
    let expected = [&paths[..], &chunks].concat();
    for most in 0..expected.len() {
        let mut observer = Impatient {
            most,
            ..Impatient::default()
        };
        let content = &mut store.of(&image);
        let result = audit(&image, content, &Limits::default(), &mut observer);
        assert_eq!(result, Err(Cancelled));
        assert_eq!(observer.heard, expected[..=most]);
    }
    let mut observer = Impatient {
        most: expected.len(),
        ..Impatient::default()
    };
    let content = &mut store.of(&image);
    let result = audit(&image, content, &Limits::default(), &mut observer);
    assert_eq!(result, Ok(summary()));
    assert_eq!(observer.heard, expected);
}
