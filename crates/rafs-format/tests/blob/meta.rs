//! Opened chunk information.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::Limits;
use lazyoci_rafs_format::blob::{
    BlobError, BlobMeta, ChunkExtra, ChunkFault, ChunkInfo, CiHeader, Contexts, chunk_info_v1,
    chunk_info_v2,
};
use lazyoci_rafs_format::chunk_record::ChunkFlags;
use lazyoci_rafs_format::flags::{BlobFeatures, Compat, Compressor};
use lazyoci_rafs_format::v6::BlobEntry;
use proptest::prelude::*;

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
    let options = none_sha256().compressor(Compressor::Lz4Block);
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
        let options = none_sha256()
            .compat(compat)
            .aligned_data(aligned_data)
            .toc(toc);
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
