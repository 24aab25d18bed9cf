//! Chunk information that is not opened.

use bytes::Bytes;
use frame_codec::{CodecError, Decoder};
use image_model::{Blame, Codec, Fault, Limits};
use lazyoci_rafs_format::blob::{BlobError, BlobMeta, CiHeader, Contexts};
use lazyoci_rafs_format::flags::{BlobFeatures, Compressor, FlagsError};
use lazyoci_rafs_format::v6::BlobEntry;

use crate::support::{golden_blob, open, patched};

/// What `edit` makes of the golden entry's range.
fn range_of(edit: impl FnOnce(&mut BlobEntry)) -> Result<std::ops::Range<u64>, BlobError> {
    let (_, mut entry) = golden_blob("a4-v6-none-sha256");
    edit(&mut entry);
    BlobMeta::range(&entry, &Limits::default())
}

#[test]
fn what_the_blob_table_declares_is_bounded() {
    assert_eq!(range_of(|_| ()), Ok(10005..14133));
    let count = (1 << 24) + 1;
    assert_eq!(
        range_of(|e| e.chunk_count = 0),
        Err(BlobError::ChunkCount { count: 0 })
    );
    assert_eq!(
        range_of(|e| e.chunk_count = count),
        Err(BlobError::ChunkCount { count })
    );
    let error = BlobError::CiLen {
        expected: 32,
        found: 33,
    };
    assert_eq!(range_of(|e| e.ci_uncompressed_size = 33), Err(error));
    let error = BlobError::CiLen {
        expected: 48,
        found: 32,
    };
    let v2 = |e: &mut BlobEntry| e.features = e.features | BlobFeatures::CHUNK_INFO_V2;
    assert_eq!(range_of(v2), Err(error));
    for stored_len in [0, 33] {
        let error = BlobError::CiStoredLen {
            len: 32,
            stored_len,
        };
        assert_eq!(range_of(|e| e.ci_compressed_size = stored_len), Err(error));
    }
    let error = BlobError::OutOfBounds {
        piece: "chunk information",
        offset: u64::MAX - 4127,
        len: 4128,
        blob_len: 14133,
    };
    assert_eq!(error.fault(), Fault::Corrupt);
    assert_eq!(range_of(|e| e.ci_offset = u64::MAX - 4127), Err(error));
    let feature = BlobFeatures::ENCRYPTED;
    let error = BlobError::Features {
        features: feature.bits(),
    };
    assert_eq!(error.fault(), Fault::Unsupported);
    assert_eq!(range_of(|e| e.features = e.features | feature), Err(error));
}

#[test]
fn limits_hold() {
    let (_, entry) = golden_blob("a4-v6-none-sha256");
    let few = Limits::default().max_chunks(1);
    let error = BlobError::Limit {
        piece: "chunks",
        declared: 2,
        limit: 1,
    };
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(BlobMeta::range(&entry, &few), Err(error));
    let short = Limits::default().max_metadata_len(31);
    let piece = "bytes of chunk information";
    let error = BlobError::Limit {
        piece,
        declared: 32,
        limit: 31,
    };
    assert_eq!(BlobMeta::range(&entry, &short), Err(error));
}

/// A million entries declared in a hundred bytes are refused before memory is taken for them.
#[test]
fn more_than_any_codec_can_expand_is_refused() {
    let (_, mut entry) = golden_blob("a4-v6-none-sha256");
    entry.chunk_count = 1 << 20;
    entry.ci_uncompressed_size = 1 << 24;
    entry.ci_compressed_size = 100;
    entry.ci_compressor = Compressor::Zstd;
    entry.ci_offset = 0;
    let header = CiHeader {
        features: 0,
        compressor: Compressor::Zstd,
        entries: 1 << 20,
        offset: 0,
        stored_len: 100,
        len: 1 << 24,
        contexts: Contexts::default(),
    };
    let stored: Bytes = [&[0; 100][..], &header.to_bytes()].concat().into();
    let source = CodecError::Length {
        codec: Codec::Zstd,
        expected: 1 << 24,
        found: 100,
    };
    let error = BlobError::Decompress {
        section: "blob.meta".into(),
        source,
    };
    assert_eq!(open(&stored, &entry).unwrap_err(), error);
}

#[test]
fn the_wrong_bytes_are_the_callers_fault() {
    let (blob, entry) = golden_blob("a4-v6-none-sha256");
    let limits = Limits::default();
    let result = BlobMeta::decode(&entry, &blob, &mut Decoder::new(), &limits);
    let piece = "chunk information";
    let error = BlobError::Given {
        piece,
        expected: 4128,
        found: 14133,
    };
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(result.unwrap_err(), error);
}

#[test]
fn a_damaged_header_is_refused() {
    let (blob, entry) = golden_blob("a4-v6-none-sha256");
    let opened = |offset: usize, patch: &[u8]| open(&patched(&blob, 10037 + offset, patch), &entry);
    let error = BlobError::HeaderMagic {
        offset: 0,
        found: 0xb10b_b100,
    };
    assert_eq!(opened(0, &[0]).unwrap_err(), error);
    let error = BlobError::Flags(FlagsError::UnknownCompressor { id: 9 });
    assert_eq!(opened(8, &[9]).unwrap_err(), error);
    let error = BlobError::Contradiction {
        field: "ci_entries",
        expected: 2,
        found: 1,
    };
    assert_eq!(opened(12, &[1]).unwrap_err(), error);
}

#[test]
fn damaged_compression_is_refused() {
    let (blob, entry) = golden_blob("odd-v6-zstd-sha256-4k");
    let blob = patched(&blob, entry.ci_offset as usize, &[0]);
    let error = open(&blob, &entry).unwrap_err();
    assert!(
        matches!(&error, BlobError::Decompress { section, .. } if section == "blob.meta"),
        "{error:?}"
    );
    assert_eq!(error.fault(), Fault::Corrupt);
}
