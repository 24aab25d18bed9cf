//! Audits: a sound image, and one fault of each kind.
#![allow(clippy::unwrap_used, reason = "test support")]

mod common;

use common::{Files, Store, Tampered, path};
use image_model::{
    Attributes, Blame, Cancelled, Device, Digest, DigestAlgorithm, Extent, ExtentSource, Fault,
    FileKind, Limits,
};
use lazyoci_verify::{
    AuditFault, AuditObserver, AuditSummary, CheckError, ExtentError, audit, audit_metadata, crc32c,
};

fn files() -> Files {
    Files::new()
        .file("a", *b"AAAABBBBCC")
        .file("d/b", *b"BBBB\0\0\0\0AAAA")
        .link("d/c", "a")
        .symlink("l", "target")
        .device("n", 1, 3)
}

fn sound() -> (Tampered, Store) {
    let (image, store) = files().store(4);
    (Tampered::new(image), store)
}

fn summary() -> AuditSummary {
    AuditSummary {
        paths: 7,
        directories: 2,
        files: 2,
        symlinks: 1,
        specials: 1,
        content_len: 22,
        chunks: 3,
        chunk_len: 10,
        unverifiable_chunks: 0,
        faults: 0,
    }
}

fn run(image: &Tampered, store: &mut Store) -> (AuditSummary, Vec<AuditFault>) {
    let mut faults = Vec::new();
    let mut observer = |fault| faults.push(fault);
    let summary = audit(image, store, &Limits::default(), &mut observer).unwrap();
    assert_eq!(summary.faults, faults.len() as u64);
    (summary, faults)
}

fn texts(image: &Tampered, store: &mut Store) -> Vec<String> {
    let (_, faults) = run(image, store);
    faults
        .iter()
        .map(|f| format!("{:?}: {f}", f.fault()))
        .collect()
}

#[test]
fn a_sound_image_has_no_faults_and_each_chunk_is_read_once() {
    let (image, mut store) = sound();
    let (found, faults) = run(&image, &mut store);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(found, summary());
    assert_eq!(store.reads, [0, 4, 8]);
    let found = audit_metadata(&image, &Limits::default(), &mut |_| panic!()).unwrap();
    assert_eq!(found, summary());
}

#[test]
fn wrong_attributes_are_told() {
    type Change = fn(&mut Attributes);
    let cases: [(&str, Change, &str); 6] = [
        (
            "d",
            |a| a.links = 3,
            "Corrupt: /d: has link count 3, but 2 links",
        ),
        (
            "a",
            |a| a.links = 1,
            "Corrupt: /a: has link count 1, but 2 links",
        ),
        (
            "a",
            |a| a.links = 3,
            "Corrupt: /a: has link count 3, but 2 links",
        ),
        (
            "l",
            |a| a.links = 0,
            "Corrupt: /l: has link count 0, but 1 links",
        ),
        (
            "l",
            |a| a.size = 7,
            "Corrupt: /l: a target of 6 bytes instead of 7",
        ),
        (
            "l",
            |a| a.device = Device { major: 1, minor: 2 },
            "Corrupt: /l: is no device, but has number 1:2",
        ),
    ];
    for (at, change, expected) in cases {
        let (mut image, mut store) = sound();
        let target = image.ino(at);
        image.attributes = Box::new(move |ino, attributes| {
            if ino == target {
                change(attributes);
            }
        });
        assert_eq!(texts(&image, &mut store), [expected]);
    }
}

#[test]
fn contradictions_of_directories_are_told() {
    let (mut image, mut store) = sound();
    let (root, d, l) = (image.ino("/"), image.ino("d"), image.ino("l"));
    image.entries = Box::new(move |directory, entries| {
        if directory == root {
            entries[2].2 = FileKind::File;
        } else if directory == d {
            entries[0].1 = l;
        }
    });
    let expected = [
        "Corrupt: /d/b: called a file in its directory, but is a symlink",
        "Corrupt: /d/b: inode 4 in its directory, but inode 3 by its name",
        "Corrupt: /l: called a file in its directory, but is a symlink",
        "Corrupt: /d/b: has link count 1, but 2 links",
    ];
    assert_eq!(texts(&image, &mut store), expected);
    let (mut image, mut store) = sound();
    image.entries = Box::new(move |directory, entries| {
        if directory == d {
            entries.swap(0, 1);
        }
    });
    let found = texts(&image, &mut store);
    assert_eq!(
        found[0],
        "Corrupt: /d: the entry `b` is out of order, or there twice"
    );
}

#[test]
fn damaged_inodes_are_told() {
    let (mut image, mut store) = sound();
    image.broken_xattrs = Some(image.ino("d/b"));
    assert_eq!(
        texts(&image, &mut store),
        ["Misuse: /d/b: the inode is damaged"]
    );
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

fn set(
    extent: &mut Extent,
    change: impl Fn(&mut image_model::Frame, &mut Option<Digest>, &mut Option<u32>),
) {
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

#[test]
fn wrong_extents_are_told() {
    let (image, mut store) = with_extents(|extents| extents.truncate(2));
    let expected = "Corrupt: /a: no extent begins at byte 8 of 10";
    assert_eq!(texts(&image, &mut store), [expected]);

    let (image, mut store) = with_extents(|e| set(&mut e[1], |f, _, _| f.blob.0 = 7));
    let expected =
        "Corrupt: /a: chunk 1 at byte 4: unknown blob 7 byte 4 is not in the image's list";
    assert_eq!(texts(&image, &mut store), [expected]);

    let (image, mut store) = with_extents(|e| set(&mut e[2], |f, _, _| f.stored_len = 3));
    let expected = "Corrupt: /a: chunk 2 at byte 8: blob the-blob byte 8 ends at byte 11 of 10";
    assert_eq!(texts(&image, &mut store), [expected]);

    let (image, mut store) = with_extents(|e| set(&mut e[2], |f, _, _| f.len = 1));
    let (_, faults) = run(&image, &mut store);
    assert_eq!(store.reads, [0, 4], "the short frame is not read");
    assert!(matches!(
        faults[..],
        [AuditFault::Chunk {
            source: ExtentError::OutsideFrame {
                offset_in_frame: 0,
                len: 2,
                frame_len: 1
            },
            chunk: 2,
            file_offset: 8,
            ..
        }]
    ));
    let mut count = 0;
    audit_metadata(&image, &Limits::default(), &mut |_| count += 1).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn wrong_content_is_told_once_per_claim() {
    let (image, mut store) = sound();
    store.blob[0] ^= 1;
    store.blob[5] ^= 1;
    let (found, faults) = run(&image, &mut store);
    assert_eq!((found.chunks, found.faults), (3, 2));
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let expected = [
        "/a: chunk 0 at byte 0 (blob the-blob byte 0) is damaged",
        "/a: chunk 1 at byte 4 (blob the-blob byte 4) is damaged",
    ];
    assert_eq!(texts, expected);
    assert_eq!(faults[0].path(), &path("a"));
    let AuditFault::Chunk {
        source: ExtentError::Check(CheckError::Crc32c { expected, found }),
        ..
    } = &faults[1]
    else {
        panic!("{faults:?}")
    };
    assert_eq!((*expected, *found), (crc32c(b"BBBB"), crc32c(b"BCBB")));
}

#[test]
fn digest_and_checksum_are_both_checked() {
    let (image, mut store) = with_extents(|e| set(&mut e[0], |_, _, crc| *crc = Some(1)));
    let (found, faults) = run(&image, &mut store);
    assert!(matches!(
        faults[..],
        [AuditFault::Chunk {
            source: ExtentError::Check(CheckError::Crc32c { expected: 1, .. }),
            ..
        }]
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
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].fault(), Fault::Io);
}

#[test]
fn extents_are_bounded() {
    let (image, mut store) = sound();
    let limits = Limits {
        max_chunks: 4,
        ..Limits::default()
    };
    let mut faults = Vec::new();
    let mut observer = |fault: AuditFault| faults.push(fault.to_string());
    audit(&image, &mut store, &limits, &mut observer).unwrap();
    assert_eq!(faults, ["/d/b: the image has more than 4 extents"]);
}

#[test]
fn observers_can_end_it() {
    #[derive(Default)]
    struct Impatient(Vec<u64>);
    impl AuditObserver for Impatient {
        fn fault(&mut self, _: AuditFault) {}
        fn advance(&mut self, done: u64) -> Result<(), Cancelled> {
            self.0.push(done);
            if done > 4 { Err(Cancelled) } else { Ok(()) }
        }
    }
    let (image, mut store) = sound();
    let mut observer = Impatient::default();
    let result = audit(&image, &mut store, &Limits::default(), &mut observer);
    assert_eq!(result, Err(Cancelled));
    assert_eq!(observer.0, [0, 0, 4, 8]);
}
