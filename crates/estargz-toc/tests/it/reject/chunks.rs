//! Digests, chunks and where their bytes are.

use image_model::{Blame, Fault, Limits};
use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::image::{ImageOptions, TocBlob, TocKind, decode_image};

use super::{CONTENT_LEN, DIR, FILE, accepted, decode_with, refused, refused_with};
use crate::common::blob_id;
use verify::sha256;

#[test]
fn digests_that_are_none() {
    let short = "sha256:abcd";
    let upper = sha256(b"").to_string().to_uppercase().replace("SHA", "sha");
    for text in [short, &upper, "abcd"] {
        let entry = format!(r#"{{"name": "f", "type": "reg", "digest": "{text}"}}"#);
        let found = text.into();
        let field = "digest";
        refused(&entry, 0, "f", &EntryFault::Digest { field, found });
    }
    for algorithm in ["sha512", "blake3", "md5"] {
        let text = format!("{algorithm}:{}", sha256(b"").hex());
        let entry = format!(
            r#"{{"name": "f", "type": "reg", "size": 1, "offset": 5, "chunkDigest": "{text}"}}"#
        );
        let fault = EntryFault::DigestAlgorithm {
            field: "chunkDigest",
            algorithm: algorithm.into(),
        };
        refused(&entry, 0, "f", &fault);
        assert_eq!(fault.fault(), Fault::Unsupported);
    }
}

#[test]
fn chunks_without_digest() {
    let none = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5}"#;
    refused(none, 0, "f", &EntryFault::DigestMissing { chunk_offset: 0 });
    // Of a file with several chunks the whole digest says nothing about one of them.
    let several = r#"{"name": "f", "type": "reg", "size": 2, "offset": 5, "chunkSize": 1, $D},
                     {"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1}"#;
    refused(
        several,
        1,
        "f",
        &EntryFault::DigestMissing { chunk_offset: 1 },
    );
    let first = r#"{"name": "f", "type": "reg", "size": 2, "offset": 5, "chunkSize": 1, $W},
                   {"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1, $C}"#;
    refused(
        first,
        0,
        "f",
        &EntryFault::DigestMissing { chunk_offset: 0 },
    );
    let only_whole = r#"{"name": "f", "type": "reg", "size": 1, "offset": 5, $W}"#;
    assert_eq!(
        accepted(only_whole).image.chunks[0].digest,
        Some(sha256(b"1"))
    );

    let options = ImageOptions::default().without_digests(true);
    let decoded = decode_with(none, &options).unwrap();
    assert_eq!(decoded.image.chunks[0].digest, None);
}

#[test]
fn digests_that_contradict_each_other() {
    let (one, nothing) = (sha256(b"1"), sha256(b""));
    let entry = format!(
        r#"{{"name": "f", "type": "reg", "size": 1, "offset": 5, "digest": "{nothing}", $C}}"#
    );
    let fault = EntryFault::DigestsDiffer {
        file: nothing,
        chunk: one,
    };
    refused(&entry, 0, "f", &fault);
    let fault = EntryFault::DigestsDiffer {
        file: one,
        chunk: nothing,
    };
    refused(r#"{"name": "f", "type": "reg", $W}"#, 0, "f", &fault);
}

#[test]
fn chunks_in_the_wrong_place() {
    let chunk = r#"{"name": "f", "type": "chunk", "offset": 6, "chunkOffset": 1, $C}"#;
    refused(chunk, 0, "f", &EntryFault::ChunkWithoutFile);
    refused(
        &format!("{DIR}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkWithoutFile,
    );
    let link = r#"{"name": "h", "type": "hardlink", "linkName": "f"}"#;
    let entries = format!("{FILE}, {link}, {chunk}");
    refused(&entries, 2, "f", &EntryFault::ChunkWithoutFile);
    refused(
        &format!("{FILE}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkAfterEnd { size: 1 },
    );
    let empty = r#"{"name": "f", "type": "reg"}"#;
    refused(
        &format!("{empty}, {chunk}"),
        1,
        "f",
        &EntryFault::ChunkAfterEnd { size: 0 },
    );
    let long = r#"{"name": "./f", "type": "reg", "size": 2, "chunkSize": 1, "offset": 5, $D}"#;
    accepted(&format!("{long}, {chunk}"));
    let other = chunk.replace(r#""f""#, r#""g""#);
    let file = "./f".into();
    refused(
        &format!("{long}, {other}"),
        1,
        "g",
        &EntryFault::ChunkName { file },
    );
}

#[test]
fn chunks_that_do_not_make_up_the_file() {
    let file = |size: u64, chunk_size: u64| {
        format!(
            r#"{{"name": "f", "type": "reg", "size": {size}, "chunkSize": {chunk_size}, "offset": 5, $C}}"#
        )
    };
    let chunk = |offset: u64, chunk_offset: u64, chunk_size: u64| {
        format!(
            r#"{{"name": "f", "type": "chunk", "offset": {offset}, "chunkOffset": {chunk_offset},
                 "chunkSize": {chunk_size}, $C}}"#
        )
    };
    let gap = format!("{}, {}", file(10, 4), chunk(6, 5, 5));
    let order = |expected, found| EntryFault::ChunkOrder { expected, found };
    refused(&gap, 1, "f", &order(4, 5));
    let overlap = format!("{}, {}", file(10, 4), chunk(6, 3, 5));
    refused(&overlap, 1, "f", &order(4, 3));
    let swapped = format!("{}, {}, {}", file(10, 4), chunk(6, 8, 2), chunk(7, 4, 4));
    refused(&swapped, 1, "f", &order(4, 8));
    let late = r#"{"name": "f", "type": "reg", "size": 3, "chunkOffset": 1, "offset": 5, $C}"#;
    refused(late, 0, "f", &order(0, 1));
    let beyond = format!("{}, {}", file(10, 4), chunk(6, 4, 7));
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 4,
        len: 7,
        size: 10,
    };
    refused(&beyond, 1, "f", &fault);
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 0,
        len: 11,
        size: 10,
    };
    refused(&file(10, 11), 0, "f", &fault);
    let missing = EntryFault::ChunksMissing {
        covered: 8,
        size: 10,
    };
    let cut = format!("{}, {}", file(10, 4), chunk(6, 4, 4));
    refused(&cut, 0, "f", &missing);
    refused(&format!("{cut}, {DIR}"), 0, "f", &missing);
    let huge = file(i64::MAX as u64, 4);
    let chunk = chunk(6, 4, i64::MAX as u64);
    let fault = EntryFault::ChunkBeyondEnd {
        chunk_offset: 4,
        len: i64::MAX as u64,
        size: i64::MAX as u64,
    };
    refused(&format!("{huge}, {chunk}"), 1, "f", &fault);
}

#[test]
fn bytes_outside_the_blob_or_too_many() {
    let file = |name: &str, offset: u64, inner: u64, size: u64| {
        format!(
            r#"{{"name": "{name}", "type": "reg", "size": {size}, "offset": {offset}, "innerOffset": {inner}, $C}}"#
        )
    };
    for offset in [CONTENT_LEN, CONTENT_LEN + 1, i64::MAX as u64] {
        let fault = EntryFault::OutsidePayload {
            offset,
            end: CONTENT_LEN,
        };
        refused(&file("f", offset, 0, 1), 0, "f", &fault);
    }
    accepted(&file("f", CONTENT_LEN - 1, 0, 1));

    let limit = Limits::default().max_frame_len;
    for (inner, size, len) in [
        (0, 1 << 40, 1 << 40),
        (u64::from(limit), 1, u64::from(limit) + 1),
        (i64::MAX as u64, i64::MAX as u64, u64::MAX - 1),
    ] {
        let fault = EntryFault::FrameTooLong {
            offset: 5,
            len,
            limit,
        };
        refused(&file("f", 5, inner, size), 0, "f", &fault);
        assert_eq!(fault.fault(), Fault::Limit);
    }
    accepted(&file("f", 5, 0, limit.into()));

    let options = ImageOptions::default().limits(Limits::default().max_chunks(1));
    let two = format!("{}, {}", file("f", 5, 0, 1), file("g", 6, 0, 1));
    let fault = EntryFault::TooManyChunks { limit: 1 };
    refused_with(&two, &options, 1, "g", &fault);
}

#[test]
fn chunks_that_share_bytes_or_go_back() {
    let file = |name: &str, offset: u64, inner: u64| {
        format!(
            r#"{{"name": "{name}", "type": "reg", "size": 10, "offset": {offset}, "innerOffset": {inner}, $C}}"#
        )
    };
    let back = format!("{}, {}", file("f", 50, 0), file("g", 49, 0));
    let fault = EntryFault::OffsetOrder {
        offset: 49,
        previous: 50,
    };
    refused(&back, 1, "g", &fault);
    for inner_offset in [0, 9] {
        let same = format!("{}, {}", file("f", 50, 0), file("g", 50, inner_offset));
        let fault = EntryFault::Overlap {
            offset: 50,
            inner_offset,
            end: 10,
        };
        refused(&same, 1, "g", &fault);
    }
    let shared = format!("{}, {}", file("f", 0, 512), file("g", 0, 522));
    let image = accepted(&shared).image;
    assert_eq!((image.frames.len(), image.frames[0].len), (1, 532));
    assert_eq!(image.frames[0].stored_len, CONTENT_LEN as u32);
}

#[test]
fn a_frame_ends_where_gzip_needs_no_more() {
    let digest = format!(r#""digest": "{}""#, sha256(b"1"));
    let json = format!(
        r#"{{"entries": [
            {{"name": "f", "type": "reg", "size": 80, "offset": 5, {digest}}},
            {{"name": "g", "type": "reg", "size": 1, "offset": 70000, {digest}}},
            {{"name": "h", "type": "reg", "size": 1, "offset": 70000, "innerOffset": 799, {digest}}}]}}"#
    );
    let lens = |content_len| {
        let blob = TocBlob {
            kind: TocKind::Estargz,
            id: blob_id(),
            len: content_len + 100,
            content_len,
        };
        let decoded = decode_image(json.as_bytes(), blob, &ImageOptions::default()).unwrap();
        let frames = decoded.image.frames.iter();
        frames.map(|f| (f.len, f.stored_len)).collect::<Vec<_>>()
    };
    let first = (80, 65_536 + 80 + 10);
    assert_eq!(lens(70_001), [first, (800, 1)]);
    assert_eq!(lens(1 << 40), [first, (800, 65_536 + 800 + 100)]);
}

#[test]
fn a_member_of_four_gigabytes() {
    let decode = |size: u32, content_len| {
        let json = format!(
            r#"{{"entries": [{{"name": "f", "type": "reg", "size": {size}, "offset": 5, "digest": "{}"}},
                {{"name": "d", "type": "dir"}}]}}"#,
            sha256(b"1")
        );
        let blob = TocBlob {
            kind: TocKind::Estargz,
            id: blob_id(),
            len: content_len + 100,
            content_len,
        };
        let options = ImageOptions::default().limits(Limits::default().max_frame_len(u32::MAX));
        decode_image(json.as_bytes(), blob, &options)
    };
    let end = 5 + (1u64 << 32);
    assert!(decode(1, 1 << 40).is_ok());
    assert!(decode(u32::MAX, end - 1).is_ok());
    let most = u64::from(u32::MAX) + u64::from(u32::MAX / 8) + (1 << 16);
    for (content_len, expected) in [(end, 1 << 32), (1 << 40, most)] {
        match decode(u32::MAX, content_len) {
            Err(TocError::Entry {
                index: 0,
                fault: EntryFault::StoredTooLong { offset: 5, len },
                ..
            }) => assert_eq!(len, expected),
            other => panic!("{other:?}"),
        }
    }
}
