//! Chunks that share batches: written, read, and what is refused.

use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use image_model::{Blame as _, Codec, Fault};
use lazyoci_rafs_format::Version;
use lazyoci_rafs_format::blob::{
    BatchContext, BatchFault, BatchedChunk, BlobBuilder, BlobError, BlobHasher, BlobMeta,
    BlobOptions, BuildError, ChunkExtra, ChunkFault, ChunkInfo, CiHeader, StoredChunk,
};
use lazyoci_rafs_format::flags::{BlobFeatures, Compat, Compressor};
use lazyoci_rafs_format::v6::BlobEntry;

use crate::support::{none_sha256, open, patched, plain_chunk, sha256};

pub(crate) fn batched(len: u32) -> BatchedChunk {
    BatchedChunk {
        len,
        digest: sha256(b""),
    }
}

pub(crate) fn options() -> BlobOptions {
    none_sha256().batch_size(4096)
}

/// Two batches and a chunk of its own between them, stored as they are.
pub(crate) fn built() -> (Bytes, BlobEntry) {
    let mut builder = BlobBuilder::new(options()).unwrap();
    let file: Vec<u8> = (0..1_000 + 500 + 3_000 + 7).map(|n: u32| n as u8).collect();
    builder.push_batched(&batched(1_000)).unwrap();
    builder.push_batched(&batched(500)).unwrap();
    builder.end_batch(1_500, Codec::None).unwrap();
    let chunk = StoredChunk {
        crc32c: Some(0x1234_5678),
        ..plain_chunk(3_000)
    };
    builder.push(&chunk).unwrap();
    builder.push_batched(&batched(7)).unwrap();
    builder.end_batch(7, Codec::None).unwrap();
    let mut hasher = BlobHasher::default();
    hasher.update(&file);
    let blob = builder.finish(hasher).unwrap().unwrap();
    let file = [file, blob.trailer].concat();
    (file.into(), blob.entry.unwrap())
}

#[test]
fn batches_are_found_by_their_chunks() {
    let (file, entry) = built();
    let expected = BlobFeatures::BATCH | BlobFeatures::CHUNK_INFO_V2 | BlobFeatures::ALIGNED;
    assert!(entry.features.contains(expected));
    assert_eq!(entry.ci_uncompressed_size, 4 * 24 + 2 * 40);
    let meta = open(&file, &entry).unwrap();
    let context = |stored_len, len, offset| {
        let mut context = BatchContext::default();
        (context.stored_len, context.len) = (stored_len, len);
        Ok(Some((context, offset)))
    };
    assert_eq!(meta.context_count(), 2);
    assert_eq!(meta.batch(0), context(1_500, 1_500, 0));
    assert_eq!(meta.batch(1), context(7, 7, 4_500));
    assert_eq!(meta.batch(2), Ok(None));
    assert_eq!(meta.context(0), Ok(None));
    let chunk = |address, len, (offset, stored_len), compressed, extra| ChunkInfo {
        address,
        len,
        offset,
        stored_len,
        compressed,
        encrypted: false,
        extra,
    };
    let batch = |context, offset| ChunkExtra::Batch { context, offset };
    let crc = ChunkExtra::Crc32c(0x1234_5678);
    assert_eq!(
        [0, 1, 2, 3].map(|index| meta.chunk(index).unwrap()),
        [
            chunk(0, 1_000, (0, 0), true, batch(0, 0)),
            chunk(4096, 500, (0, 0), true, batch(0, 1_000)),
            chunk(8192, 3_000, (1_500, 3_000), false, crc),
            chunk(12_288, 7, (4_500, 0), true, batch(1, 0)),
        ]
    );
    assert_eq!(meta.check(), Ok(()));
    assert_eq!(meta.chunk_at(4_500).unwrap().unwrap().0, 1);
    let (mut found, mut gaps) = (Vec::new(), Vec::new());
    meta.check_all(4_507, &mut |error| found.push(error), &mut |gap| {
        gaps.push(gap);
    });
    assert_eq!((found, gaps), (vec![], vec![]));
}

#[test]
fn a_batch_takes_files_of_less_than_half_of_it_and_less_than_itself() {
    let mut builder = BlobBuilder::new(options()).unwrap();
    assert!(builder.shares_batch(2047) && !builder.shares_batch(2048));
    for _ in 0..2 {
        builder.push_batched(&batched(2047)).unwrap();
    }
    // 4094 and one: the sum has to be less than the size.
    assert!(builder.fits_batch(1) && !builder.fits_batch(2));
    let refused = |len, batch_len| {
        Err(BuildError::NotBatched {
            len,
            batch_size: 4096,
            batch_len,
        })
    };
    assert_eq!(builder.push_batched(&batched(2)), refused(2, 4094));
    builder.push_batched(&batched(1)).unwrap();
    assert_eq!(builder.push_batched(&batched(1)), refused(1, 4095));
    builder.end_batch(4095, Codec::None).unwrap();
    assert_eq!(builder.push_batched(&batched(2048)), refused(2048, 0));
    assert_eq!(builder.chunk_count(), 3);
}

#[test]
fn batches_end_before_others_begin() {
    let mut builder = BlobBuilder::new(options()).unwrap();
    let none = BuildError::OpenBatch { index: 0, len: 0 };
    assert_eq!(builder.end_batch(1, Codec::None), Err(none));
    builder.push_batched(&batched(10)).unwrap();
    let error = BuildError::OpenBatch { index: 0, len: 10 };
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(builder.push(&plain_chunk(5)), Err(error.clone()));
    let open = builder.clone().finish(BlobHasher::default());
    assert_eq!(open, Err(error));
    for (stored_len, codec) in [(9, Codec::None), (10, Codec::Zstd), (9, Codec::Zstd)] {
        let refused = BuildError::Codec {
            index: 0,
            codec,
            compressor: Compressor::None,
        };
        assert_eq!(builder.end_batch(stored_len, codec), Err(refused));
    }
    let mut zstd = BlobBuilder::new(options().compressor(Compressor::Zstd)).unwrap();
    zstd.push_batched(&batched(10)).unwrap();
    for stored_len in [0, 11] {
        let fault = BatchFault::Len {
            stored_len,
            len: 10,
        };
        let error = BuildError::Batch { index: 0, fault };
        assert_eq!(zstd.end_batch(stored_len, Codec::Zstd), Err(error));
    }
    zstd.end_batch(9, Codec::Zstd).unwrap();
}

#[test]
fn some_blobs_have_no_batches() {
    let refused = |options: BlobOptions| BlobBuilder::new(options).unwrap_err();
    let with = |with| BuildError::Excluded {
        with,
        what: "batches",
    };
    assert_eq!(
        refused(options().version(Version::V5)),
        with("no chunk information")
    );
    assert_eq!(
        refused(options().compat(Compat::V2_2)),
        with("the bytes of release 2.2")
    );
    assert_eq!(refused(options().aligned_data(true)), with("aligned data"));
    for batch_size in [1, 2048, 5000, 1 << 21] {
        let error = BuildError::BatchSize {
            batch_size,
            chunk_size: 1 << 20,
        };
        assert_eq!(refused(options().batch_size(batch_size)), error);
    }
    assert!(BlobBuilder::new(options().batch_size(1 << 20)).is_ok());
}

/// A blob with batches says so, whether it has any or not.
#[test]
fn without_small_files_there_are_no_batches() {
    let mut builder = BlobBuilder::new(options()).unwrap();
    builder.push(&plain_chunk(2048)).unwrap();
    let mut hasher = BlobHasher::default();
    hasher.update(&[0; 2048]);
    let blob = builder.finish(hasher).unwrap().unwrap();
    let (file, entry) = ([vec![0; 2048], blob.trailer].concat(), blob.entry.unwrap());
    assert!(entry.features.contains(BlobFeatures::BATCH));
    let meta = open(&file.into(), &entry).unwrap();
    assert_eq!((meta.context_count(), meta.check()), (0, Ok(())));
}

/// A CRC that is 0 cannot be told from none.
#[test]
fn a_crc_of_zero_is_left_out() {
    let mut builder = BlobBuilder::new(options()).unwrap();
    let chunk = StoredChunk {
        crc32c: Some(0),
        ..plain_chunk(4000)
    };
    builder.push(&chunk).unwrap();
    let mut hasher = BlobHasher::default();
    hasher.update(&[0; 4000]);
    let blob = builder.finish(hasher).unwrap().unwrap();
    let file = [vec![0; 4000], blob.trailer].concat();
    let meta = open(&file.into(), &blob.entry.unwrap()).unwrap();
    assert_eq!(meta.chunk(0).unwrap().extra, ChunkExtra::None);
}

/// Where the contexts of [`built`] begin in the blob.
const CONTEXTS: usize = 4_507 + 4 * 24;
/// Where its header begins.
const HEADER: usize = CONTEXTS + 2 * 40;

fn damaged(offset: usize, patch: &[u8]) -> Result<BlobMeta, BlobError> {
    let (file, entry) = built();
    open(&patched(&file, offset, patch), &entry)
}

/// All that is wrong with `meta` of [`built`].
pub(crate) fn all_found(meta: &BlobMeta) -> Vec<BlobError> {
    let mut found = Vec::new();
    meta.check_all(4_507, &mut |error| found.push(error), &mut |_| {});
    found
}

#[test]
fn wrong_batches_are_refused_when_they_are_used() {
    let len = |stored_len, len| BatchFault::Len { stored_len, len };
    for (patch, fault) in [
        ([0, 0, 0, 0, 220, 5, 0, 0], len(0, 1500)),
        ([221, 5, 0, 0, 220, 5, 0, 0], len(1501, 1500)),
        ([220, 5, 0, 0, 0, 0, 0, 0], len(1500, 0)),
        ([220, 5, 0, 0, 1, 0, 0, 1], len(1500, (1 << 24) + 1)),
        ([255; 8], len(u32::MAX, u32::MAX)),
        (
            [0, 0, 1, 0, 0, 0, 1, 0],
            BatchFault::BeyondData {
                end: 1 << 16,
                data_len: 4_507,
            },
        ),
    ] {
        let meta = damaged(CONTEXTS, &patch).unwrap();
        let error = BlobError::Batch { index: 0, fault };
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(meta.batch(0), Err(error.clone()));
        assert_eq!(meta.chunk(1), Err(error.clone()));
        assert_eq!(meta.check(), Err(error.clone()));
        assert!(all_found(&meta).contains(&error));
        assert!(meta.chunk(2).is_ok());
    }
    let meta = damaged(CONTEXTS + 39, &[1]).unwrap();
    let fault = BatchFault::Reserved;
    assert_eq!(all_found(&meta), [BlobError::Batch { index: 0, fault }]);
}

#[test]
fn chunks_lie_inside_the_batches_that_there_are() {
    let data = |index: usize| 4_507 + 24 * index + 16;
    let chunk = |index, fault| BlobError::Chunk { index, fault };
    // Its position is in the high half.
    let meta = damaged(data(1) + 4, &[2]).unwrap();
    let fault = ChunkFault::NoContext {
        context: 2,
        count: 2,
    };
    assert_eq!(meta.chunk(1), Err(chunk(1, fault)));
    let meta = damaged(data(1), &[0xe9]).unwrap();
    let fault = ChunkFault::BeyondContext {
        context: 0,
        end: 1_501,
        len: 1_500,
    };
    assert_eq!(meta.chunk(1), Err(chunk(1, fault)));
    let meta = damaged(data(1), &[0xff; 4]).unwrap();
    let end = u64::from(u32::MAX) + 500;
    let fault = ChunkFault::BeyondContext {
        context: 0,
        end,
        len: 1_500,
    };
    assert_eq!(meta.chunk(1), Err(chunk(1, fault)));
    // Chunks of one batch say where it begins.
    let meta = damaged(data(1) - 8, &[1]).unwrap();
    let fault = ChunkFault::BatchOffset {
        context: 0,
        offset: 1,
        expected: 0,
    };
    assert_eq!(meta.chunk(1), Err(chunk(1, fault)));
    let meta = damaged(data(1) - 3, &[1]).unwrap();
    let fault = ChunkFault::StoredLen { stored_len: 1 };
    assert_eq!(meta.chunk(1), Err(chunk(1, fault)));
    // Two chunks at one place.
    let meta = damaged(data(1), &[0xe7, 3]).unwrap();
    let order = chunk(1, ChunkFault::Order);
    assert_eq!(all_found(&meta), [order]);
    // A batch in front of the first one's end.
    let meta = damaged(data(3) - 8, &[0x93, 0x11]).unwrap();
    let order = chunk(3, ChunkFault::Order);
    assert_eq!(all_found(&meta), [order]);
    // Nobody knows where a batch without chunks is.
    let meta = damaged(data(3) + 4, &[0]).unwrap();
    let unused = BlobError::Batch {
        index: 1,
        fault: BatchFault::Unused,
    };
    assert_eq!(meta.batch(1), Err(unused.clone()));
    assert!(all_found(&meta).contains(&unused));
}

#[test]
fn the_header_says_where_batches_are() {
    let contradiction = |field, expected, found| BlobError::Contradiction {
        field,
        expected,
        found,
    };
    for (offset, patch, expected) in [
        (40, &[97][..], contradiction("context offset", 96, 97)),
        (48, &[40], contradiction("context size", 80, 40)),
        (56, &[1], BlobError::ContextCount { count: 1, len: 80 }),
        (56, &[3], BlobError::ContextCount { count: 3, len: 80 }),
        (
            56,
            &[0xff; 4],
            BlobError::ContextCount {
                count: u32::MAX,
                len: 80,
            },
        ),
    ] {
        let error = damaged(HEADER + offset, patch).unwrap_err();
        assert_eq!(error.fault(), Fault::Corrupt);
        assert_eq!(error, expected, "{offset}");
    }
    // Contexts without the feature.
    let (file, _) = built();
    let header = patched(&file, HEADER + 4, &[5]);
    let header = CiHeader::from_bytes(header[HEADER..].first_chunk().unwrap()).unwrap();
    assert_eq!(header.check_contexts(), Err(BlobError::Contexts));
}

/// The real thing: a batch goes through the encoder.
#[test]
fn compressed_batches_read_back() {
    for (compression, compressor) in [
        (Compression::Zstd { level: 3 }, Compressor::Zstd),
        (Compression::Lz4Block, Compressor::Lz4Block),
    ] {
        let mut builder = BlobBuilder::new(options().compressor(compressor)).unwrap();
        let chunks: Vec<Vec<u8>> = (0..20u8).map(|n| vec![n; 100]).collect();
        for chunk in &chunks {
            let placed = builder.push_batched(&BatchedChunk {
                len: 100,
                digest: sha256(chunk),
            });
            assert_eq!(placed.unwrap().offset, 0);
        }
        let mut stored = Vec::new();
        let mut encoder = Encoder::new(compression).unwrap();
        let codec = encoder.encode(&chunks.concat(), &mut stored).unwrap();
        let context = builder.end_batch(stored.len() as u32, codec).unwrap();
        assert!(context.is_compressed());
        let mut hasher = BlobHasher::default();
        hasher.update(&stored);
        let blob = builder.finish(hasher).unwrap().unwrap();
        let len = stored.len();
        stored.extend(blob.trailer);
        let meta = open(&stored.clone().into(), &blob.entry.unwrap()).unwrap();
        let mut plain = vec![0; 2_000];
        let mut decoder = frame_codec::Decoder::new();
        decoder.decode(codec, &stored[..len], &mut plain).unwrap();
        for (index, chunk) in (0..).zip(&chunks) {
            let ChunkExtra::Batch { context: 0, offset } = meta.chunk(index).unwrap().extra else {
                panic!("it is in the batch")
            };
            let offset = offset as usize;
            assert_eq!(plain[offset..offset + 100], chunk[..]);
        }
        let mut found = Vec::new();
        meta.check_all(len as u64, &mut |error| found.push(error), &mut |gap| {
            panic!("{gap:?}");
        });
        assert_eq!(found, []);
    }
}
