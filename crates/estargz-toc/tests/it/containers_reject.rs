//! TOCs of containers/storage that no image can be made of.

use std::fmt::Write as _;

use image_model::{Blame, Fault, Limits};
use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::image::{EstargzImage, ImageOptions, TocBlob, TocKind, decode_image};

use crate::common::blob_id;

const DIGEST: &str = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn decode(entries: &str, options: &ImageOptions) -> Result<EstargzImage, TocError> {
    let json = format!(r#"{{"version":1,"entries":[{entries}]}}"#).replace("DIGEST", DIGEST);
    let blob = TocBlob {
        kind: TocKind::Containers,
        id: blob_id(),
        len: 2000,
        content_len: 1000,
    };
    decode_image(json.as_bytes(), blob, options)
}

fn refused(entries: &str) -> (usize, EntryFault) {
    match decode(entries, &ImageOptions::default()) {
        Err(TocError::Entry { index, fault, .. }) => (index, fault),
        other => panic!("{entries}: {other:?}"),
    }
}

fn file(rest: &str) -> String {
    format!(r#"{{"type":"reg","name":"f","size":5,{rest}}}"#)
}

#[test]
fn a_file_needs_a_digest_and_a_place() {
    let sound = file(r#""digest":"DIGEST","offset":10,"endOffset":20"#);
    let image = decode(&sound, &ImageOptions::default()).unwrap();
    let frame = image.image.frames[0];
    assert_eq!((frame.offset, frame.stored_len, frame.len), (10, 10, 5));

    let missing = EntryFault::DigestMissing { chunk_offset: 0 };
    assert_eq!(
        refused(&file(r#""offset":10,"endOffset":20"#)),
        (0, missing)
    );
    let outside = |offset| EntryFault::OutsidePayload { offset, end: 1000 };
    let at = |place: &str| refused(&file(&format!(r#""digest":"DIGEST",{place}"#)));
    assert_eq!(at(r#""offset":1000,"endOffset":1000"#), (0, outside(1000)));
    assert_eq!(at(r#""offset":10,"endOffset":1001"#), (0, outside(1001)));
    let end = |offset, end| EntryFault::FrameEnd { offset, end };
    assert_eq!(at(r#""offset":10,"endOffset":10"#), (0, end(10, 10)));
    assert_eq!(at(r#""offset":10"#), (0, end(10, 0)));
    assert_eq!(at(r#""offset":10,"endOffset":9"#), (0, end(10, 9)));
    let negative = |field| EntryFault::Negative { field, value: -1 };
    assert_eq!(
        at(r#""offset":10,"endOffset":-1"#),
        (0, negative("endOffset"))
    );
    assert_eq!(at(r#""offset":-1,"endOffset":20"#), (0, negative("offset")));
}

#[test]
fn frames_are_in_the_order_of_the_blob() {
    let entry = |name: &str, start: u32, end: u32| {
        format!(
            r#"{{"type":"reg","name":"{name}","size":5,"digest":"DIGEST","offset":{start},"endOffset":{end}}}"#
        )
    };
    let both =
        |a: (u32, u32), b: (u32, u32)| format!("{},{}", entry("a", a.0, a.1), entry("b", b.0, b.1));
    let sound = decode(&both((10, 20), (20, 30)), &ImageOptions::default()).unwrap();
    assert_eq!(sound.image.frames.len(), 2);
    let order = EntryFault::OffsetOrder {
        offset: 19,
        previous: 20,
    };
    assert_eq!(refused(&both((10, 20), (19, 30))), (1, order));
}

#[test]
fn chunks_cover_their_file() {
    let chunks = |rest: &str| {
        let first = file(
            r#""digest":"DIGEST","offset":10,"endOffset":40,"chunkSize":2,"chunkDigest":"DIGEST""#,
        );
        format!("{first},{rest}")
    };
    let chunk = |offset: u32, at: u32, len: u32, more: &str| {
        format!(
            r#"{{"type":"chunk","name":"f","offset":{offset},"chunkSize":{len},"chunkOffset":{at},"chunkDigest":"DIGEST"{more}}}"#
        )
    };
    let zeros = r#","chunkType":"zeros""#;
    let hole = chunks(&format!(
        "{},{}",
        chunk(20, 2, 1, zeros),
        chunk(30, 3, 2, "")
    ));
    let image = decode(&hole, &ImageOptions::default()).unwrap();
    let frames: Vec<_> = (image.image.frames.iter())
        .map(|frame| (frame.offset, frame.stored_len))
        .collect();
    assert_eq!(frames, [(10, 10), (30, 10)]);
    // A hole at the end, whose frame the file's end follows.
    let last = chunks(&chunk(20, 2, 3, zeros));
    assert_eq!(
        decode(&last, &ImageOptions::default())
            .unwrap()
            .image
            .frames
            .len(),
        1
    );

    let missing = EntryFault::ChunksMissing {
        covered: 3,
        size: 5,
    };
    assert_eq!(refused(&chunks(&chunk(20, 2, 1, zeros))), (0, missing));
    let gap = EntryFault::ChunkOrder {
        expected: 2,
        found: 3,
    };
    assert_eq!(refused(&chunks(&chunk(20, 3, 2, ""))), (1, gap));
    let beyond = EntryFault::ChunkBeyondEnd {
        chunk_offset: 2,
        len: 4,
        size: 5,
    };
    assert_eq!(refused(&chunks(&chunk(20, 2, 4, ""))), (1, beyond));
    let unknown = EntryFault::ChunkType {
        found: "ones".into(),
    };
    assert_eq!(
        refused(&chunks(&chunk(20, 2, 3, r#","chunkType":"ones""#))),
        (1, unknown)
    );
    let back = EntryFault::FrameEnd { offset: 10, end: 9 };
    assert_eq!(refused(&chunks(&chunk(9, 2, 3, ""))), (1, back));
    let after_end = EntryFault::FrameEnd {
        offset: 41,
        end: 40,
    };
    assert_eq!(refused(&chunks(&chunk(41, 2, 3, ""))), (0, after_end));
    assert_eq!(
        refused(&chunk(10, 0, 5, "")),
        (0, EntryFault::ChunkWithoutFile)
    );
}

/// Runs of zeros are not chunks, but they count as such.
#[test]
fn holes_are_bounded() {
    let mut entries = String::from(
        r#"{"type":"reg","name":"f","size":9,"digest":"DIGEST","offset":10,"endOffset":500,"chunkSize":1,"chunkType":"zeros","chunkDigest":"DIGEST"}"#,
    );
    for at in 1..9 {
        write!(
            entries,
            r#",{{"type":"chunk","name":"f","offset":{},"chunkSize":1,"chunkOffset":{at},"chunkType":"zeros","chunkDigest":"DIGEST"}}"#,
            10 + at
        )
        .unwrap();
    }
    let limited = |max| ImageOptions::default().limits(Limits::default().max_chunks(max));
    let image = decode(&entries, &limited(9)).unwrap();
    assert_eq!(image.image.frames.len(), 0);
    let inode = image.image.tree.resolve(b"f").unwrap();
    assert_eq!(image.file_digest(inode).unwrap().to_string(), DIGEST);
    let error = decode(&entries, &limited(8)).unwrap_err();
    assert_eq!(error.fault(), Fault::Limit);
    let TocError::Entry { index, fault, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((index, fault), (8, EntryFault::TooManyChunks { limit: 8 }));
}

#[test]
fn what_is_special_in_estargz_is_not_here() {
    let entries = r#"{"type":"reg","name":".no.prefetch.landmark"},{"type":"reg","name":"stargz.index.json"},{"type":"dir","name":".prefetch.landmark/"}"#;
    let image = decode(entries, &ImageOptions::default()).unwrap();
    assert_eq!((image.prefetch, image.landmarks.len()), (None, 0));
    for name in [
        ".no.prefetch.landmark",
        "stargz.index.json",
        ".prefetch.landmark",
    ] {
        assert!(image.image.tree.resolve(name.as_bytes()).is_some());
    }
}

#[test]
fn names_and_links() {
    let twice = r#"{"type":"reg","name":"a"},{"type":"reg","name":"./a"}"#;
    assert!(matches!(refused(twice), (1, EntryFault::Conflict { .. })));
    let file_as_parent = r#"{"type":"reg","name":"a"},{"type":"reg","name":"a/b"}"#;
    assert!(matches!(refused(file_as_parent), (1, EntryFault::Place(_))));
    for links in [
        r#"{"type":"hardlink","name":"a","linkName":"b"}"#,
        r#"{"type":"hardlink","name":"a","linkName":"a"}"#,
        r#"{"type":"hardlink","name":"a","linkName":"b"},{"type":"hardlink","name":"b","linkName":"a"}"#,
    ] {
        assert!(matches!(refused(links).1, EntryFault::Place(_)), "{links}");
    }
    let unknown = refused(r#"{"type":"door","name":"a"}"#);
    assert!(matches!(unknown, (0, EntryFault::UnknownType { .. })));
    // Cleaned like those of the reference reader.
    let image = decode(
        r#"{"type":"dir","name":"../esc/"}"#,
        &ImageOptions::default(),
    )
    .unwrap();
    assert!(image.image.tree.resolve(b"esc").is_some());
}

/// Time is linear: an entry is visited once, whatever its number. 100,000 entries with as many chunks.
#[test]
fn a_hundred_thousand_entries() {
    let mut entries = String::new();
    for n in 0..100_000u32 {
        let comma = if n == 0 { "" } else { "," };
        let (start, end) = (n * 10, n * 10 + 10);
        write!(
            entries,
            r#"{comma}{{"type":"reg","name":"d{}/f{n}","size":5,"digest":"{DIGEST}","offset":{start},"endOffset":{end}}}"#,
            n / 100
        )
        .unwrap();
    }
    let json = format!(r#"{{"version":1,"entries":[{entries}]}}"#);
    let blob = TocBlob {
        kind: TocKind::Containers,
        id: blob_id(),
        len: 2_000_000,
        content_len: 1_500_000,
    };
    let mut visits = 0u32;
    lazyoci_estargz_toc::containers_toc::for_each_entry(
        json.as_bytes(),
        &Limits::default(),
        |index, _| {
            assert_eq!(index, visits as usize);
            visits += 1;
            Ok::<_, TocError>(())
        },
    )
    .unwrap();
    assert_eq!(visits, 100_000);
    let image = decode_image(json.as_bytes(), blob, &ImageOptions::default()).unwrap();
    assert_eq!(image.image.frames.len(), 100_000);
    assert_eq!(image.image.tree.len(), 101_001);
}
