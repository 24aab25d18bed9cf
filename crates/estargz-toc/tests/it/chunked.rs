//! Layers that are not eStargz with its TOC inside: zstd:chunked of both kinds, stargz, external TOCs.

use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use image_model::image::ChunkExtent;
use image_model::{Blame, ChunkId, Codec, Fault, Limits, Node, Recipe, StoredPiece, Timestamp};
use lazyoci_estargz_toc::compare::{CompareOptions, compare};
use lazyoci_estargz_toc::error::{EntryFault, TocError};
use lazyoci_estargz_toc::footer::{self, FooterKind, containers, legacy, zstd_chunked};
use lazyoci_estargz_toc::image::{EstargzImage, ImageOptions, Prefetch, TocKind};
use lazyoci_estargz_toc::open::{Described, OpenError, OpenedToc, Opener};
use lazyoci_estargz_toc::toc::Toc;
use lazyoci_estargz_toc::write::toc_member;
use verify::sha256;

use crate::common::{blob_id, chunk, content_at, drive, golden};

const A: StoredPiece = StoredPiece::new(336, 410, 1063);
const B: StoredPiece = StoredPiece::new(364, 539, 1298);
const B_SPLIT: StoredPiece = StoredPiece::new(911, 483, 11_564);

fn opener(blob: &[u8]) -> Opener {
    Opener::new(blob.len() as u64, &Limits::default())
}

fn run(opener: Opener, blob: &[u8]) -> Result<OpenedToc, OpenError> {
    drive(opener, blob).map(|(toc, _)| toc)
}

fn image(opened: &OpenedToc) -> EstargzImage {
    opened.image(blob_id(), &ImageOptions::default()).unwrap()
}

fn described_a(blob: &[u8]) -> Described {
    Described::new(TocKind::ZstdChunked, A, sha256(&blob[336..746]))
}

fn described_b(blob: &[u8]) -> Described {
    Described::new(TocKind::Containers, B, sha256(&blob[364..903])).tar_split(B_SPLIT)
}

#[test]
fn stargz_snapshotters_zstd() {
    let blob = golden("vector-a.tar.zst");
    let (opened, asked) = drive(opener(&blob), &blob).unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(opened.kind, TocKind::ZstdChunked);
    assert!(opened.json == golden("vector-a.toc.json"));
    assert_eq!(
        opened.digest.to_string(),
        "sha256:fd913dbce41fea99002df991d0665cac206839ae131a313e0f035f72e1a53901"
    );
    assert_eq!(opened.toc_offset, 328);
    assert_eq!(opened.pieces, Some(containers::Pieces::new(A)));
    // The same by annotations, with one request for nothing but the TOC.
    let (described, asked) = drive(opener(&blob).described(described_a(&blob)), &blob).unwrap();
    assert_eq!(described, opened);
    assert_eq!((asked.len(), asked[0].range.clone()), (1, 336..746));

    let image = image(&opened);
    assert_eq!(image.prefetch, Some(Prefetch::Nothing));
    assert_eq!(image.image.recipes, [Recipe::prefix(Codec::Zstd)]);
    assert_eq!(content_at(&image, &blob, "d/a"), b"hello");
    assert_eq!(content_at(&image, &blob, "e"), b"");
    let toc = Toc::from_json(&opened.json, &Limits::default()).unwrap();
    assert!(toc.to_json() == opened.json);
}

#[test]
fn containers_storages_zstd() {
    let blob = golden("vector-b.tar.zst");
    let (opened, asked) = drive(opener(&blob), &blob).unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(opened.kind, TocKind::Containers);
    assert!(opened.json == golden("vector-b.toc.json"));
    assert_eq!(opened.toc_offset, 356);
    let pieces = containers::Pieces::new(B).tar_split(B_SPLIT);
    assert_eq!(opened.pieces, Some(pieces));
    let (described, asked) = drive(opener(&blob).described(described_b(&blob)), &blob).unwrap();
    assert_eq!(described, opened);
    assert_eq!((asked.len(), asked[0].range.clone()), (1, 364..903));

    let decoded = image(&opened);
    let model = &decoded.image;
    assert_eq!(model.recipes, [Recipe::exact(Codec::Zstd)]);
    let frames: Vec<_> = (model.frames.iter())
        .map(|frame| (frame.offset, frame.stored_len, frame.len))
        .collect();
    assert_eq!(frames, [(101, 18, 5), (201, 15, 2), (232, 26, 1026)]);
    assert_eq!(content_at(&decoded, &blob, "d/a"), b"hello");
    let z = model.tree.resolve(b"z").unwrap();
    let Node::File { size, content } = model.tree.inode(z).node else {
        panic!("not a file");
    };
    assert_eq!(size, 2052);
    let extents = model.file_extents(content).unwrap();
    // The hole is no chunk.
    let hole = ChunkExtent {
        file_offset: 2,
        chunk: None,
    };
    assert_eq!(extents[1], hole);
    assert_eq!((extents.len(), extents[2].file_offset), (3, 1026));
    assert_eq!(
        decoded.file_digest(z).unwrap().to_string(),
        "sha256:8c95bcee1484fcb4fb53d2e00aa3db0821c8733d259207e9c56d442ab689b824"
    );
    let d = model.tree.resolve(b"d").unwrap();
    let time = Timestamp::from_seconds(1_600_000_000);
    assert_eq!(model.tree.inode(d).metadata.mtime, time);
    assert_eq!(model.tree.resolve(b"h"), model.tree.resolve(b"d/a"));
}

#[test]
fn a_toc_that_begins_before_the_tail() {
    let blob = golden("vector-b.tar.zst");
    // The TOC stands before the tail; more than 64 KiB follow it.
    let far = 200_000;
    let mut long = blob[..911].to_vec();
    long.resize(far, 0);
    let pieces = containers::Pieces::new(B);
    long.extend(containers::encode(&pieces));
    let (opened, asked) = drive(opener(&long), &long).unwrap();
    assert!(opened.json == golden("vector-b.toc.json"));
    assert_eq!(asked[1].range, 364..903);
    // And it begins before it.
    let mut across = blob[..911].to_vec();
    across.resize(911 + (64 << 10) - 100, 0);
    across.extend(containers::encode(&pieces));
    let (opened, asked) = drive(opener(&across), &across).unwrap();
    assert!(opened.json == golden("vector-b.toc.json"));
    assert_eq!(asked[1].range, 364..811);
}

/// The footer that containers/storage wrote before 1.50 is that of stargz-snapshotter.
#[test]
fn an_old_footer_before_a_toc_of_containers_storage() {
    let mut blob = golden("vector-b.tar.zst")[..903].to_vec();
    blob.extend(zstd_chunked::encode(B));
    assert_eq!(run(opener(&blob), &blob).unwrap().kind, TocKind::Containers);
}

#[test]
fn stargz() {
    let blob = golden("vector1.esgz");
    let mut stargz = blob[..blob.len() - 51].to_vec();
    stargz.extend(legacy::encode(325));
    let opened = run(opener(&stargz), &stargz).unwrap();
    assert_eq!((opened.kind, opened.toc_offset), (TocKind::Legacy, 325));
    assert_eq!(content_at(&image(&opened), &stargz, "d/a"), b"hello");
}

/// The predecessor wrote no digests: nothing verifies what is read.
#[test]
fn stargz_without_digests() {
    let blob = golden("vector1.esgz");
    let json = String::from_utf8(golden("vector1.toc.json")).unwrap();
    let mut entries: serde_json::Value = serde_json::from_str(&json).unwrap();
    for entry in entries["entries"].as_array_mut().unwrap() {
        let entry = entry.as_object_mut().unwrap();
        entry.remove("digest");
        entry.remove("chunkDigest");
    }
    let tar = toc_member(entries.to_string().as_bytes()).unwrap();
    let mut encoder = Encoder::new(Compression::Gzip { level: 6 }).unwrap();
    let mut stargz = blob[..325].to_vec();
    encoder.encode_frame(&tar, &mut stargz).unwrap();
    stargz.extend(legacy::encode(325));
    let opened = run(opener(&stargz), &stargz).unwrap();
    assert_eq!(opened.kind, TocKind::Legacy);
    let strict = opened.image(blob_id(), &ImageOptions::default());
    assert!(matches!(
        strict,
        Err(TocError::Entry {
            fault: EntryFault::DigestMissing { chunk_offset: 0 },
            ..
        })
    ));
    let options = ImageOptions::default().without_digests(true);
    let image = opened.image(blob_id(), &options).unwrap();
    assert_eq!(image.image.chunks[1].digest, None);
    let mut found = Vec::new();
    compare(&image, &stargz[..], &CompareOptions::default(), &mut |d| {
        found.push(d.to_string());
    })
    .unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn external_tocs() {
    let blob = golden("vector1.esgz");
    let toc = Bytes::from(golden("vector-external.toc.gz"));
    let layer = golden("vector-external.esgz");
    assert_eq!(layer[..325], blob[..325]);
    assert_eq!(layer[325..], footer::external::encode());
    assert_eq!(toc, &blob[325..blob.len() - 51]);
    let (opened, asked) = drive(opener(&layer).external(toc.clone()), &layer).unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!((opened.kind, opened.toc_offset), (TocKind::External, 325));
    assert_eq!(opened.digest, sha256(&golden("vector1.toc.json")));
    assert_eq!(content_at(&image(&opened), &layer, "d/a"), b"hello");

    let missing = run(opener(&layer), &layer).unwrap_err();
    assert!(matches!(missing, OpenError::External));
    assert_eq!(missing.fault(), Fault::Unsupported);
    let own = run(opener(&blob).external(toc.clone()), &blob);
    let found = FooterKind::Estargz;
    assert!(matches!(own, Err(OpenError::NotExternal { found: f }) if f == found));
    let behind = Bytes::from([&toc[..], b"x"].concat());
    assert!(run(opener(&layer).external(behind), &layer).is_err());
    let limits = Limits::default().max_toc_len(100);
    let opener = Opener::new(layer.len() as u64, &limits).external(toc);
    let long = run(opener, &layer);
    assert!(matches!(long, Err(OpenError::TooLong { limit: 100, .. })));
}

#[test]
fn pieces_that_cannot_be() {
    let blob = golden("vector-b.tar.zst");
    let sound = described_b(&blob);
    let refused =
        |described: Described| run(opener(&blob).described(described), &blob).unwrap_err();
    let at = |offset, stored_len, len| sound.toc(StoredPiece::new(offset, stored_len, len));
    for described in [at(7, 10, 10), at(1460, 7, 10), at(u64::MAX, 2, 10)] {
        let error = refused(described);
        assert!(matches!(
            error,
            OpenError::Outside {
                what: "the TOC",
                blob_len: 1466,
                ..
            }
        ));
        assert_eq!(error.fault(), Fault::Corrupt);
    }
    let split = refused(sound.tar_split(StoredPiece::new(911, 600, 5)));
    assert!(matches!(
        split,
        OpenError::Outside {
            what: "the tar-split",
            ..
        }
    ));
    for long in [at(364, 539, (150 << 20) + 1), at(364, (150 << 20) + 1, 5)] {
        let error = refused(long);
        assert!(matches!(
            error,
            OpenError::TooLong {
                limit: 157_286_400,
                ..
            }
        ));
        assert_eq!(error.fault(), Fault::Limit);
    }
    let checksum = refused(at(364, 538, 1298));
    assert!(matches!(
        checksum,
        OpenError::Checksum {
            what: "the TOC",
            ..
        }
    ));
    // The announced length is exact, and bounds what is decompressed.
    for (len, bytes) in [(0, 1), (1297, 1298), (1299, 1298)] {
        let error = refused(at(364, 539, len));
        let OpenError::Length { found, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(found, bytes);
    }
    let json = at(1400, 10, 10).checksum(sha256(&blob[1400..1410]));
    assert!(matches!(refused(json), OpenError::NotZstd { .. }));
}

/// Each field of the footer, against what the manifest says.
#[test]
fn every_field_of_the_footer_counts() {
    let blob = golden("vector-b.tar.zst");
    let pieces = run(opener(&blob), &blob).unwrap().pieces;
    for byte in blob.len() - 72..blob.len() {
        for bit in 0..8 {
            let mut flipped = blob.clone();
            flipped[byte] ^= 1 << bit;
            if let Ok(opened) = run(opener(&flipped), &flipped) {
                assert_ne!(opened.pieces, pieces, "byte {byte}");
            }
        }
    }
}

/// Layers of all kinds of files, made by the reference tools.
#[test]
fn the_reference_tools_layers_agree_with_themselves() {
    for (name, kind) in [
        ("vector-a", TocKind::ZstdChunked),
        ("odd-a", TocKind::ZstdChunked),
        ("odd-a-0.12", TocKind::ZstdChunked),
        ("vector-b", TocKind::Containers),
        ("odd-b", TocKind::Containers),
    ] {
        let blob = golden(&format!("{name}.tar.zst"));
        let opened = run(opener(&blob), &blob).unwrap();
        assert_eq!(opened.kind, kind);
        assert!(opened.json == golden(&format!("{name}.toc.json")), "{name}");
        let image = image(&opened);
        let mut found = Vec::new();
        compare(&image, &blob[..], &CompareOptions::default(), &mut |d| {
            found.push(d.to_string());
        })
        .unwrap();
        assert!(found.is_empty(), "{name}: {found:?}");
        for index in 0..image.image.chunks.len() {
            let id = ChunkId::new(u32::try_from(index).unwrap());
            assert!(
                chunk(&image.image, &blob, id).is_some(),
                "{name}, chunk {index}"
            );
        }
    }
}

/// A hole that the tar fills is no hole; and a digest of a chunk is of the tar's bytes.
#[test]
fn the_toc_against_the_tar() {
    let blob = golden("vector-b.tar.zst");
    let found = |from: &str, to: &str| {
        let mut opened = run(opener(&blob), &blob).unwrap();
        let json = String::from_utf8(opened.json).unwrap();
        let changed = json.replacen(from, to, 1);
        assert_ne!(changed, json);
        opened.json = changed.into_bytes();
        let mut found = Vec::new();
        compare(
            &image(&opened),
            &blob[..],
            &CompareOptions::default(),
            &mut |d| {
                found.push(d.to_string());
            },
        )
        .unwrap();
        found
    };
    let digests = "/z: the TOC's digests of its chunks are not those of the tar's bytes";
    // The data before the hole becomes a hole.
    let hole = found(
        r#""endOffset":258,"chunkSize":2,"#,
        r#""endOffset":258,"chunkType":"zeros","chunkSize":2,"#,
    );
    assert_eq!(hole, [digests]);
    let chunk = found(
        r#""chunkDigest":"sha256:f6a3"#,
        r#""chunkDigest":"sha256:f6a4"#,
    );
    assert_eq!(chunk, [digests]);
    // Nothing is rounded here; the tar-split tells of fractions.
    let time = found("12:26:40Z\",\"digest", "12:26:41Z\",\"digest");
    assert_eq!(
        time,
        ["/d/a", "/h"].map(|path| format!(
            "{path}: mtime 1600000001 s + 0 ns in the TOC, 1600000000 s + 0 ns in the tar"
        ))
    );
}
