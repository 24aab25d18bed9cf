//! Opened chunk information.

use bytes::Bytes;
use frame_codec::{CodecError, Decoder};
use image_model::{Blame, Codec, Fault, Limits};
use proptest::prelude::*;
use rafs_format::blob::{
    BlobError, BlobMeta, BlobOptions, ChunkExtra, ChunkFault, ChunkInfo, CiHeader, Contexts,
    chunk_info_v1, chunk_info_v2,
};
use rafs_format::chunk_record::ChunkFlags;
use rafs_format::flags::{BlobFeatures, Compat, Compressor, FlagsError};
use rafs_format::v6::BlobEntry;

use crate::support::{
    a4_chunks, build, golden, golden_blob, golden_bootstrap, none_sha256, open, patched, slice,
};

const GOLDENS: [&str; 7] = [
    "a4-v6-none-sha256",
    "a4-v6-none-sha256-toc",
    "a4-v6-lz4_block-sha256",
    "a4-v6-zstd-sha256",
    "a4-v6-zstd-sha256-toc",
    "odd-v6-zstd-sha256-4k",
    "odd-v6-lz4_block-blake3-64k",
];

#[test]
fn entries_of_nydus_are_those_of_its_chunk_tables() {
    for name in GOLDENS {
        let (blob, entry) = golden_blob(name);
        let meta = open(&blob, &entry).unwrap();
        meta.check().unwrap();
        let bootstrap = golden_bootstrap(golden(&format!("{name}.boot")));
        assert_eq!(
            bootstrap.chunk_record_count(),
            meta.chunk_count() as usize,
            "{name}"
        );
        for record in bootstrap.chunk_records() {
            let expected = ChunkInfo {
                address: record.uncompressed_offset,
                len: record.uncompressed_size,
                offset: record.compressed_offset,
                stored_len: record.compressed_size,
                compressed: record.flags.contains(ChunkFlags::COMPRESSED),
                encrypted: false,
                extra: ChunkExtra::None,
            };
            assert_eq!(meta.chunk(record.index), Ok(expected), "{name}");
            let found = meta.chunk_at(record.uncompressed_offset);
            assert_eq!(found, Ok(Some((record.index, expected))), "{name}");
        }
    }
}

#[test]
fn the_odd_goldens_have_zstd_chunk_information() {
    for name in ["odd-v6-zstd-sha256-4k", "odd-v6-lz4_block-blake3-64k"] {
        assert_eq!(golden_blob(name).1.ci_compressor, Compressor::Zstd);
    }
}

#[test]
fn lz4_chunk_information() {
    let chunks = a4_chunks();
    let options = BlobOptions {
        compressor: Compressor::Lz4Block,
        ..none_sha256()
    };
    let (blob, entry) = build(options, &chunks);
    assert_eq!(entry.ci_compressor, Compressor::Lz4Block);
    assert!(entry.ci_compressed_size < 32);
    let meta = open(&blob, &entry).unwrap();
    assert_eq!(meta.chunk(1).unwrap().len, 10000);
}

#[test]
fn chunks_are_found_by_address() {
    let (blob, entry) = golden_blob("a4-v6-none-sha256");
    let meta = open(&blob, &entry).unwrap();
    for (address, index) in [
        (0, Some(0)),
        (4, Some(0)),
        (5, None),
        (4095, None),
        (4096, Some(1)),
        (14095, Some(1)),
        (14096, None),
        (16384, None),
        (u64::MAX, None),
    ] {
        let found = meta.chunk_at(address).unwrap().map(|(index, _)| index);
        assert_eq!(found, index, "address {address}");
    }
    let error = BlobError::NoSuchChunk { index: 2, count: 2 };
    assert_eq!(meta.chunk(2), Err(error));
}

/// A blob of which only the chunk information is there, uncompressed, at byte 0: its data section
/// is said to be as long as `data_len`.
fn only_ci(entries: &[u8], count: u32, features: BlobFeatures) -> (Bytes, BlobEntry) {
    let (_, golden) = golden_blob("a4-v6-none-sha256");
    let entry = BlobEntry {
        chunk_count: count,
        // Without CAP_TAR_TOC the data section is as long as the blob.
        features: features | BlobFeatures::ALIGNED,
        compressed_size: 20000,
        uncompressed_size: 1 << 30,
        ci_offset: 0,
        ci_compressed_size: entries.len() as u64,
        ci_uncompressed_size: entries.len() as u64,
        ..golden
    };
    let header = CiHeader {
        features: entry.features.bits(),
        compressor: Compressor::None,
        entries: count,
        offset: 0,
        stored_len: entries.len() as u64,
        len: entries.len() as u64,
        contexts: Contexts::default(),
    };
    ([entries, &header.to_bytes()].concat().into(), entry)
}

const PLAIN: ChunkInfo = ChunkInfo {
    address: 0,
    len: 5,
    offset: 0,
    stored_len: 5,
    compressed: false,
    encrypted: false,
    extra: ChunkExtra::None,
};

fn v1(chunks: &[ChunkInfo]) -> BlobMeta {
    let entries: Vec<u8> = chunks
        .iter()
        .flat_map(|chunk| chunk_info_v1::encode(chunk).unwrap())
        .collect();
    let (blob, entry) = only_ci(&entries, chunks.len() as u32, BlobFeatures::default());
    open(&blob, &entry).unwrap()
}

fn v2(entry: [u8; 24]) -> BlobMeta {
    let (blob, entry) = only_ci(&entry, 1, BlobFeatures::CHUNK_INFO_V2);
    open(&blob, &entry).unwrap()
}

#[test]
fn version_2_is_opened() {
    let chunk = ChunkInfo {
        extra: ChunkExtra::Crc32c(0x9a71_bb4c),
        ..PLAIN
    };
    let meta = v2(chunk_info_v2::encode(&chunk).unwrap());
    assert_eq!(meta.chunk_at(3), Ok(Some((0, chunk))));
    assert_eq!(meta.check(), Ok(()));
}

#[test]
fn lengths_of_24_bits() {
    let len = 1 << 24;
    let chunk = ChunkInfo {
        len,
        stored_len: 19999,
        compressed: true,
        ..PLAIN
    };
    let meta = v1(&[chunk]);
    assert_eq!(meta.chunk_at((1 << 24) - 1), Ok(Some((0, chunk))));
    assert_eq!(meta.chunk_at(1 << 24), Ok(None));
}

#[test]
fn chunks_must_fit_their_blob() {
    let beyond_data = ChunkInfo {
        offset: 19996,
        ..PLAIN
    };
    let beyond_space = ChunkInfo {
        address: 1 << 30,
        ..PLAIN
    };
    for (chunk, fault) in [
        (
            beyond_data,
            ChunkFault::BeyondData {
                end: 20001,
                data_len: 20000,
            },
        ),
        (
            beyond_space,
            ChunkFault::BeyondSpace {
                end: (1 << 30) + 5,
                space: 1 << 30,
            },
        ),
    ] {
        let meta = v1(&[PLAIN, chunk]);
        assert_eq!(meta.chunk(0), Ok(PLAIN));
        let error = BlobError::Chunk { index: 1, fault };
        assert_eq!(meta.chunk(1), Err(error.clone()));
        assert_eq!(meta.check(), Err(error));
    }
}

#[test]
fn flags_of_version_2_must_fit_the_blob() {
    let encode = |chunk: ChunkInfo| chunk_info_v2::encode(&chunk).unwrap();
    let batch = ChunkExtra::Batch {
        context: 0,
        offset: 0,
    };
    let zran = ChunkExtra::Zran {
        context: 0,
        offset: 0,
    };
    let mut zero_crc = encode(PLAIN);
    zero_crc[7] = 0x10;
    let mut two_kinds = encode(PLAIN);
    two_kinds[7] = 0x06;
    for (entry, fault) in [
        (
            encode(ChunkInfo {
                stored_len: 4,
                ..PLAIN
            }),
            ChunkFault::Compression {
                len: 5,
                stored_len: 4,
            },
        ),
        (
            encode(ChunkInfo {
                stored_len: 0,
                compressed: true,
                ..PLAIN
            }),
            ChunkFault::StoredLen { stored_len: 0 },
        ),
        (
            encode(ChunkInfo {
                extra: batch,
                ..PLAIN
            }),
            ChunkFault::MissingFeature { needed: 0x80 },
        ),
        (
            encode(ChunkInfo {
                extra: zran,
                encrypted: true,
                ..PLAIN
            }),
            ChunkFault::MissingFeature { needed: 0x108 },
        ),
        (zero_crc, ChunkFault::ZeroCrc),
        (two_kinds, ChunkFault::Flags),
    ] {
        let error = BlobError::Chunk { index: 0, fault };
        assert_eq!(v2(entry).chunk(0), Err(error.clone()));
        assert_eq!(v2(entry).chunk_at(0), Err(error.clone()));
        assert_eq!(v2(entry).check(), Err(error));
    }
}

#[test]
fn chunks_must_be_in_order() {
    let next = ChunkInfo {
        address: 4096,
        offset: 5,
        ..PLAIN
    };
    let overlapping = ChunkInfo {
        address: 4096,
        ..PLAIN
    };
    let long = ChunkInfo {
        len: 5000,
        compressed: true,
        ..PLAIN
    };
    let error = BlobError::Chunk {
        index: 1,
        fault: ChunkFault::Order,
    };
    assert_eq!(v1(&[PLAIN, next]).check(), Ok(()));
    assert_eq!(v1(&[next, overlapping]).check(), Err(error.clone()));
    assert_eq!(v1(&[long, next]).check(), Err(error.clone()));
    assert_eq!(v1(&[PLAIN, PLAIN]).check(), Err(error.clone()));
    let back = ChunkInfo {
        address: 8192,
        ..PLAIN
    };
    assert_eq!(v1(&[next, back]).check(), Err(error));
}

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
    for feature in [
        BlobFeatures::ZRAN,
        BlobFeatures::BATCH,
        BlobFeatures::ENCRYPTED,
    ] {
        let error = BlobError::Features {
            features: feature.bits(),
        };
        assert_eq!(error.fault(), Fault::Unsupported);
        assert_eq!(range_of(|e| e.features = e.features | feature), Err(error));
    }
}

#[test]
fn limits_hold() {
    let (_, entry) = golden_blob("a4-v6-none-sha256");
    let few = Limits {
        max_chunks: 1,
        ..Limits::default()
    };
    let error = BlobError::Limit {
        piece: "chunks",
        declared: 2,
        limit: 1,
    };
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(BlobMeta::range(&entry, &few), Err(error));
    let short = Limits {
        max_metadata_len: 31,
        ..Limits::default()
    };
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

/// Whatever single byte is damaged, every question is answered.
#[test]
fn flipped_bytes_are_answered() {
    for name in ["a4-v6-none-sha256", "odd-v6-zstd-sha256-4k"] {
        let (blob, entry) = golden_blob(name);
        let range = BlobMeta::range(&entry, &Limits::default()).unwrap();
        let (stored, end) = (slice(&blob, range), entry.ci_compressed_size as usize + 64);
        for at in 0..end {
            for flip in [1, 0x80, 0xff] {
                let damaged = patched(&stored, at, &[stored[at] ^ flip]);
                let limits = Limits::default();
                let mut decoder = Decoder::new();
                let Ok(meta) = BlobMeta::decode(&entry, &damaged, &mut decoder, &limits) else {
                    continue;
                };
                let _ = meta.check();
                for index in 0..meta.chunk_count() {
                    let _ = meta.chunk(index);
                    let _ = meta.chunk_at(u64::from(index) * 4096);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the builder placed is what a reader finds, by index and by address.
    #[test]
    fn builder_and_reader_agree(
        lens in prop::collection::vec(1usize..9000, 1..40),
        (aligned_data, toc, v2_2) in any::<(bool, bool, bool)>(),
    ) {
        let chunks: Vec<Vec<u8>> = lens.iter().map(|&len| vec![1; len]).collect();
        let compat = if v2_2 { Compat::V2_2 } else { Compat::V2_4 };
        let options = BlobOptions { compat, aligned_data, toc, ..none_sha256() };
        let (blob, entry) = build(options, &chunks);
        prop_assert_eq!(blob.len() as u64, entry.compressed_size);
        let meta = open(&blob, &entry).unwrap();
        prop_assert_eq!(meta.check(), Ok(()));
        prop_assert_eq!(meta.chunk_count() as usize, lens.len());
        let mut address = 0;
        for (index, &len) in (0..).zip(&lens) {
            let chunk = meta.chunk(index).unwrap();
            prop_assert_eq!((chunk.address, chunk.len as usize), (address, len));
            prop_assert!(!aligned_data || chunk.offset == chunk.address);
            prop_assert!(slice(&blob, chunk.offset..chunk.offset_end()).iter().all(|&b| b == 1));
            prop_assert_eq!(meta.chunk_at(address + len as u64 - 1), Ok(Some((index, chunk))));
            let padded = (len as u64).next_multiple_of(4096);
            if padded > len as u64 {
                prop_assert_eq!(meta.chunk_at(address + len as u64), Ok(None));
            }
            address += padded;
        }
        prop_assert_eq!(entry.uncompressed_size, address);
    }
}
