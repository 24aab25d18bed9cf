//! eStargz in its other forms, by the digest of its TOC: with the TOC in another blob, and as its predecessor made it,
//! with digests and without. Every flipped bit that matters is found.

use std::sync::Arc;

use bytes::Bytes;
use estargz_toc::footer::legacy;
use estargz_toc::toc::Toc;
use estargz_toc::write::toc_member;
use frame_codec::{Compression, Encoder};
use image_model::Limits;
use lazyoci_image_read::{Format, NoBlobs, OpenOptions, open_source, read_toc};
use verify::sha256;

use crate::chunked::{Layer, digest, golden};

/// Where the content of the vectors ends.
const CONTENT: usize = 325;

/// By ctr-remote 0.14, which gave it these annotations.
fn external() -> Layer {
    let blob = golden("vector-external.esgz");
    let end = blob.len();
    Layer {
        blob,
        described: None,
        external: Some(golden("vector-external.toc.gz")),
        toc_digest: Some(digest(
            "d73551bfdda94f1746db96e41b8382877c9a870d6ef8dc7f86d0bd519b9e32a9",
        )),
        diff_id: None,
        regions: vec![("members", 0..CONTENT), ("footer", CONTENT..end)],
    }
}

/// A layer with the footer of stargz, and a TOC with digests of files and chunks or, as stargz wrote it, without.
fn stargz(digests: bool) -> Layer {
    let inline = Bytes::from(golden("vector1.esgz"));
    let mut json = read_toc(&inline, &Limits::default()).unwrap().json;
    if !digests {
        let mut toc = Toc::from_json(&json, &Limits::default()).unwrap();
        for entry in &mut toc.entries {
            (entry.digest, entry.chunk_digest) = Default::default();
        }
        json = toc.to_json();
    }
    let mut blob = inline[..CONTENT].to_vec();
    let mut encoder = Encoder::new(Compression::Gzip { level: 9 }).unwrap();
    let member = toc_member(&json).unwrap();
    encoder.encode_frame(&member, &mut blob).unwrap();
    let toc_end = blob.len();
    blob.extend(legacy::encode(CONTENT as u64));
    let end = blob.len();
    Layer {
        blob,
        described: None,
        external: None,
        toc_digest: Some(sha256(&json)),
        diff_id: None,
        regions: vec![
            ("members", 0..CONTENT),
            ("TOC", CONTENT..toc_end),
            ("footer", toc_end..end),
        ],
    }
}

#[test]
fn all_forms_are_sound() {
    for (layer, format, unverifiable) in [
        (external(), Format::ExternalToc, 0),
        (stargz(true), Format::Stargz, 0),
        (stargz(false), Format::Stargz, 1),
    ] {
        let (summary, flaws) = layer.verify(&layer.blob);
        assert!(flaws.is_empty(), "{flaws:?}");
        assert_eq!(summary.format, Some(format));
        let audit = summary.audit;
        assert_eq!((audit.chunks, audit.unverifiable_chunks), (1, unverifiable));
        assert_eq!(layer.open().unwrap().read("d/a", 10).unwrap(), b"hello");
    }
}

/// Without the digest of the layer's tar: nothing but that of the TOC is needed to find what changes the tar, and with
/// it every file. Whatever changes the TOC's text is another TOC.
#[test]
fn every_bit_of_a_layer_whose_toc_is_another_blob() {
    let shares = external().flips();
    assert_eq!(shares["footer"], (46 * 8, 46 * 8));
}

#[test]
fn every_bit_of_a_toc_that_is_another_blob() {
    let mut layer = external();
    let toc = layer.external.take().unwrap();
    let mut unnoticed = Vec::new();
    for bit in 0..toc.len() * 8 {
        let mut flipped = toc.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        layer.external = Some(flipped);
        if let Ok(image) = layer.open() {
            // The very same text, compressed in another way.
            let found = image.estargz().map(|layer| layer.toc.digest);
            assert_eq!(found, layer.toc_digest);
            unnoticed.push(bit);
        }
    }
    // Of the header of the gzip member: whether it is text, the time, the compressor's flags, and the system. And a bit
    // before the empty block at the end, which begins at a byte.
    let header = [3 * 8].into_iter().chain(4 * 8..10 * 8);
    let expected: Vec<_> = header.chain([456 * 8 + 7]).collect();
    assert_eq!(unnoticed, expected);
}

#[test]
fn every_bit_of_stargz() {
    let shares = stargz(true).flips();
    assert_eq!(shares["footer"], (47 * 8, 47 * 8));
}

/// Who reads lazily has nothing to compare a file with; who decodes all of the layer has the checksums of gzip.
#[test]
fn every_bit_of_stargz_without_digests() {
    let layer = stargz(false);
    let shares = layer.flips();
    assert_eq!(shares["footer"], (47 * 8, 47 * 8));
    let source = Arc::new(Bytes::from(layer.blob));
    let image = open_source(source, None, NoBlobs, &OpenOptions::default()).unwrap();
    let toc = &image.estargz().unwrap().toc;
    assert!(toc.image.chunks.iter().all(|chunk| chunk.digest.is_none()));
}
