//! The TOC and what it vouches for.

use bytes::Bytes;
use frame_codec::{CodecError, Compression, Decoder, Encoder};
use image_model::{Blame, Codec, Fault, Limits};
use lazyoci_rafs_format::blob::{BlobError, CiHeader, Section, TarHeader, Toc, TocEntry, Trailer};
use lazyoci_rafs_format::flags::Compressor;
use verify::CheckError;

use crate::support::{golden, golden_blob, golden_bootstrap, locate, patched, sha256, slice};

fn toc(blob: &Bytes) -> Toc {
    match locate(blob).unwrap() {
        Trailer::Toc(toc) => toc,
        other => panic!("{other:?}"),
    }
}

fn extract(entry: &TocEntry, blob: &Bytes) -> Result<Bytes, BlobError> {
    let stored = slice(blob, entry.range());
    entry.extract(&stored, &mut Decoder::new(), &Limits::default())
}

#[test]
fn sections_of_nydus() {
    let (blob, entry) = golden_blob("a4-v6-zstd-sha256-toc");
    let toc = toc(&blob);
    let names: Vec<&[u8]> = toc.entries().iter().map(TocEntry::name).collect();
    let expected: [&[u8]; 4] = [
        b"image.blob",
        b"blob.meta",
        b"blob.meta.header",
        b"blob.digest",
    ];
    assert_eq!(names, expected);
    for section in [
        Section::ChunkInfo,
        Section::ChunkInfoHeader,
        Section::ChunkDigests,
    ] {
        let listed = toc.entry(section).unwrap();
        assert_eq!(extract(listed, &blob).unwrap().len() as u64, listed.len);
    }
    let header = extract(toc.entry(Section::ChunkInfoHeader).unwrap(), &blob).unwrap();
    let header = CiHeader::from_bytes((&header[..]).try_into().unwrap()).unwrap();
    assert_eq!(header.check(&entry), Ok(()));
}

#[test]
fn the_data_sections_digest_covers_its_tar_header() {
    let (blob, entry) = golden_blob("a4-v6-none-sha256-toc");
    let toc = toc(&blob);
    let data = toc.entry(Section::Data).unwrap();
    assert_eq!(
        (data.range(), data.len),
        (0..10005, entry.uncompressed_size)
    );
    assert_eq!(data.digest, sha256(&blob[..10005 + 512]));
    let source = CodecError::Length {
        codec: Codec::None,
        expected: 16384,
        found: 10005,
    };
    let error = BlobError::Decompress {
        section: "image.blob".into(),
        source,
    };
    assert_eq!(extract(data, &blob), Err(error));
}

#[test]
fn inlined_bootstraps_of_nydus() {
    let plain = golden("a4-v6-none-sha256-inline.blob");
    let Trailer::Bootstrap(range) = locate(&plain).unwrap() else {
        panic!("it has a bootstrap");
    };
    golden_bootstrap(slice(&plain, range));

    for name in [
        "a4-v6-none-sha256-inline-toc.blob",
        "a4-v6-zstd-sha256-inline-toc.blob",
    ] {
        let blob = golden(name);
        let toc = toc(&blob);
        let entry = toc.entry(Section::Bootstrap).unwrap();
        assert_eq!(entry.compressor, Compressor::Zstd);
        let bootstrap = golden_bootstrap(extract(entry, &blob).unwrap());
        assert!(bootstrap.blob_entries()[0].is_self());
    }
}

#[test]
fn missing_sections_are_named() {
    let (blob, _) = golden_blob("a4-v6-none-sha256-toc");
    let error = BlobError::NoSection {
        section: Section::Bootstrap,
    };
    assert_eq!(error.to_string(), "the TOC has no entry `image.boot`");
    assert_eq!(toc(&blob).entry(Section::Bootstrap), Err(error));
}

#[test]
fn damaged_sections_are_refused() {
    let (blob, _) = golden_blob("a4-v6-none-sha256-toc");
    let toc = toc(&blob);
    let entry = toc.entry(Section::ChunkDigests).unwrap();
    let damaged = patched(&blob, entry.offset as usize, &[0]);
    let found = sha256(&slice(&damaged, entry.range()));
    let error = BlobError::Digest {
        section: "blob.digest".into(),
        source: CheckError::Digest {
            expected: entry.digest,
            found,
        },
    };
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(extract(entry, &damaged), Err(error));
}

#[test]
fn damaged_compression_is_refused() {
    let blob = golden("a4-v6-none-sha256-inline-toc.blob");
    let toc = toc(&blob);
    let entry = toc.entry(Section::Bootstrap).unwrap();
    let error = extract(entry, &patched(&blob, entry.offset as usize, &[0])).unwrap_err();
    assert!(
        matches!(&error, BlobError::Decompress { section, .. } if section == "image.boot"),
        "{error:?}"
    );
}

#[test]
fn declared_lengths_are_bounded() {
    let blob = golden("a4-v6-none-sha256-inline-toc.blob");
    let toc = toc(&blob);
    let entry = toc.entry(Section::Bootstrap).unwrap();
    let stored = slice(&blob, entry.range());
    let limits = Limits::default().max_metadata_len(entry.len - 1);
    let error = BlobError::Limit {
        piece: "bytes of a section",
        declared: entry.len,
        limit: entry.len - 1,
    };
    assert_eq!(
        entry.extract(&stored, &mut Decoder::new(), &limits),
        Err(error)
    );

    let mut huge = *entry;
    huge.len = 1 << 30;
    let (expected, found) = (1 << 30, entry.stored_len);
    let source = CodecError::Length {
        codec: Codec::Zstd,
        expected,
        found,
    };
    let error = BlobError::Decompress {
        section: "image.boot".into(),
        source,
    };
    assert_eq!(extract(&huge, &blob), Err(error));
}

/// nydus writes entries of such sections, but its readers do not extract them.
#[test]
fn sections_in_lz4_blocks_are_extracted() {
    let (golden, _) = golden_blob("a4-v6-none-sha256-toc");
    let header = toc(&golden)
        .entry(Section::ChunkInfoHeader)
        .unwrap()
        .range();
    let header = slice(&golden, header);
    let mut blob = Vec::new();
    let mut encoder = Encoder::new(Compression::Lz4Block).unwrap();
    encoder.encode_frame(&header, &mut blob).unwrap();
    let stored_len = blob.len();
    // The third entry: its flags, offset and stored length.
    let entry = golden.len() - 1024 + 2 * TocEntry::LEN;
    let entry = patched(&golden.slice(entry..entry + TocEntry::LEN), 0, &[4]);
    let entry = patched(&entry, 56, &0u64.to_le_bytes());
    blob.extend_from_slice(&patched(&entry, 64, &(stored_len as u64).to_le_bytes()));
    blob.extend_from_slice(&TarHeader::new(Section::Toc, TocEntry::LEN as u64).to_bytes());
    let blob = Bytes::from(blob);
    let toc = toc(&blob);
    let entry = toc.entry(Section::ChunkInfoHeader).unwrap();
    assert_eq!(
        (entry.compressor, entry.range()),
        (Compressor::Lz4Block, 0..stored_len as u64)
    );
    assert_eq!(extract(entry, &blob), Ok(header));
    let error = extract(entry, &patched(&blob, stored_len - 1, &[1])).unwrap_err();
    assert_eq!(error.fault(), Fault::Corrupt, "{error:?}");
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let (blob, _) = golden_blob("a4-v6-none-sha256-toc");
    let toc = toc(&blob);
    let entry = toc.entry(Section::ChunkDigests).unwrap();
    let error = BlobError::Given {
        piece: "section",
        expected: 64,
        found: 16757,
    };
    assert_eq!(
        entry.extract(&blob, &mut Decoder::new(), &Limits::default()),
        Err(error)
    );
}
