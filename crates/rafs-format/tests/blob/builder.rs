//! Building blobs: placement and refusals.

use bytes::Bytes;
use frame_codec::{Compression, Encoder};
use image_model::{Blame, Codec, Digest, DigestAlgorithm, Fault};
use lazyoci_rafs_format::blob::{
    BlobBuilder, BlobHasher, BuildError, ChunkFault, Placement, StoredChunk, TocEntry, Trailer,
};
use lazyoci_rafs_format::flags::{Compat, Compressor, Digester};

use crate::support::{
    a4_chunks, build, locate, none_sha256, open, plain_chunk, sha256, slice, store,
};

#[test]
fn without_chunks_there_is_no_blob_but_for_a_bootstrap() {
    let builder = || BlobBuilder::new(none_sha256().toc(true)).unwrap();
    assert_eq!(builder().finish(BlobHasher::default()), Ok(None));

    let sealed = builder().seal(BlobHasher::default()).unwrap();
    assert_eq!(sealed.entry(), None);
    let blob = sealed.embed(&[7; 8192]).unwrap();
    assert_eq!(
        (blob.entry, blob.nydus_id.as_str()),
        (None, &*blob.digest.hex())
    );
    let file = Bytes::from(blob.trailer);
    let Trailer::Toc(toc) = locate(&file).unwrap() else {
        panic!("it has a TOC");
    };
    let names: Vec<&[u8]> = toc.entries().iter().map(TocEntry::name).collect();
    assert_eq!(names, [b"image.boot"]);

    let plain = BlobBuilder::new(none_sha256()).unwrap();
    let blob = plain
        .seal(BlobHasher::default())
        .unwrap()
        .embed(&[7; 8192])
        .unwrap();
    assert_eq!(blob.len, 8192 + 512);
    assert_eq!(
        locate(&blob.trailer.into()),
        Ok(Trailer::Bootstrap(0..8192))
    );
}

#[test]
fn aligned_data_lie_at_their_addresses() {
    let options = none_sha256().aligned_data(true);
    let mut builder = BlobBuilder::new(options.clone()).unwrap();
    let chunks = [a4_chunks().to_vec(), vec![vec![7; 4096]]].concat();
    let (file, _, placements) = store(&mut builder, &chunks);
    let place = |index, offset, padding| Placement {
        index,
        offset,
        padding,
        address: offset,
    };
    assert_eq!(
        placements,
        [place(0, 0, 4091), place(1, 4096, 2288), place(2, 16384, 0)]
    );
    assert_eq!(file.len(), 20480);

    let (blob, entry) = build(options, &chunks);
    assert_eq!((entry.ci_offset, entry.uncompressed_size), (20480, 20480));
    assert_eq!(entry.compressed_size, 20480 + 48 + 4096);
    let meta = open(&blob, &entry).unwrap();
    assert_eq!(meta.chunk(1).unwrap().offset, 4096);
    assert_eq!(meta.check(), Ok(()));
}

#[test]
fn chunk_information_follows_the_release() {
    let chunks = vec![vec![1; 100]; 400];
    for (compat, compressor, expected) in [
        (Compat::V2_4, Compressor::None, Compressor::None),
        (Compat::V2_4, Compressor::Lz4Block, Compressor::Lz4Block),
        (Compat::V2_4, Compressor::Zstd, Compressor::Zstd),
        (Compat::V2_2, Compressor::None, Compressor::Zstd),
        (Compat::V2_2, Compressor::Lz4Block, Compressor::Zstd),
    ] {
        let options = none_sha256().compat(compat).compressor(compressor);
        let (blob, entry) = build(options, &chunks);
        assert_eq!(entry.ci_compressor, expected);
        assert_eq!(entry.compressor, compressor);
        assert_eq!(open(&blob, &entry).unwrap().check(), Ok(()));
    }
}

#[test]
fn impossible_options_are_refused() {
    for (aligned_data, compressor) in [
        (false, Compressor::Gzip),
        (true, Compressor::Zstd),
        (true, Compressor::Lz4Block),
        (true, Compressor::Gzip),
    ] {
        let options = none_sha256()
            .aligned_data(aligned_data)
            .compressor(compressor);
        let error = BuildError::Compressor { compressor };
        assert_eq!(error.fault(), Fault::Misuse);
        assert_eq!(BlobBuilder::new(options).unwrap_err(), error);
    }
    for chunk_size in [0, 1 << 11, 3 << 12, 1 << 25] {
        let options = none_sha256().chunk_size(chunk_size);
        let error = BuildError::ChunkSize { chunk_size };
        assert_eq!(BlobBuilder::new(options).unwrap_err(), error);
    }
}

#[test]
fn impossible_chunks_are_refused() {
    let zstd = none_sha256().compressor(Compressor::Zstd);
    let mut builder = BlobBuilder::new(zstd).unwrap();
    let chunk = plain_chunk(4096);
    let index = 0;
    let fault = |fault| BuildError::Chunk { index, fault };
    let (codec, digest) = (
        Codec::Lz4Block,
        Digest::new(DigestAlgorithm::Blake3, [0; 32]),
    );
    for (chunk, error) in [
        (
            StoredChunk { codec, ..chunk },
            BuildError::Codec {
                index,
                codec,
                compressor: Compressor::Zstd,
            },
        ),
        (
            StoredChunk { digest, ..chunk },
            BuildError::Digest {
                index,
                digest,
                digester: Digester::Sha256,
            },
        ),
        (plain_chunk(0), fault(ChunkFault::Len { len: 0 })),
        (
            plain_chunk((1 << 20) + 1),
            fault(ChunkFault::Len { len: (1 << 20) + 1 }),
        ),
        (
            StoredChunk {
                stored_len: 9,
                ..chunk
            },
            fault(ChunkFault::Compression {
                len: 4096,
                stored_len: 9,
            }),
        ),
        (
            StoredChunk {
                codec: Codec::Zstd,
                ..chunk
            },
            fault(ChunkFault::Compression {
                len: 4096,
                stored_len: 4096,
            }),
        ),
        (
            StoredChunk {
                codec: Codec::Zstd,
                stored_len: 4097,
                ..chunk
            },
            fault(ChunkFault::Compression {
                len: 4096,
                stored_len: 4097,
            }),
        ),
        (
            StoredChunk {
                codec: Codec::Zstd,
                stored_len: 0,
                ..chunk
            },
            fault(ChunkFault::StoredLen { stored_len: 0 }),
        ),
    ] {
        assert_eq!(error.fault(), Fault::Misuse);
        assert_eq!(builder.push(&chunk), Err(error));
    }
    let first = Placement {
        index: 0,
        offset: 0,
        padding: 0,
        address: 0,
    };
    assert_eq!(builder.push(&chunk), Ok(first));
}

#[test]
fn a_blob_holds_2_to_the_40_stored_bytes() {
    let options = none_sha256().chunk_size(1 << 24);
    let mut builder = BlobBuilder::new(options).unwrap();
    for _ in 0..1 << 16 {
        builder.push(&plain_chunk(1 << 24)).unwrap();
    }
    let error = BuildError::TooLarge {
        what: "stored bytes",
        limit: 1 << 40,
    };
    assert_eq!(builder.push(&plain_chunk(1)), Err(error));
}

#[test]
fn a_blob_holds_2_to_the_44_uncompressed_bytes() {
    let options = none_sha256()
        .chunk_size(1 << 24)
        .compressor(Compressor::Zstd);
    let mut builder = BlobBuilder::new(options).unwrap();
    let chunk = StoredChunk {
        stored_len: 600,
        codec: Codec::Zstd,
        ..plain_chunk(1 << 24)
    };
    for _ in 0..1 << 20 {
        builder.push(&chunk).unwrap();
    }
    let error = BuildError::TooLarge {
        what: "uncompressed bytes",
        limit: 1 << 44,
    };
    assert_eq!(builder.push(&plain_chunk(1)), Err(error));
}

#[test]
fn every_byte_must_have_been_hashed() {
    let mut builder = BlobBuilder::new(none_sha256()).unwrap();
    builder.push(&plain_chunk(5)).unwrap();
    let mut hasher = BlobHasher::default();
    hasher.update(b"hell");
    let error = BuildError::Hashed {
        expected: 5,
        found: 4,
    };
    assert_eq!(builder.clone().finish(hasher.clone()), Err(error.clone()));
    assert_eq!(builder.seal(hasher).unwrap_err(), error);
}

/// The real thing: chunks go through the encoder.
#[test]
fn encoded_chunks_read_back() {
    let mut encoder = Encoder::new(Compression::Zstd { level: 3 }).unwrap();
    let options = none_sha256().compressor(Compressor::Zstd);
    let mut builder = BlobBuilder::new(options).unwrap();
    let (mut file, mut hasher) = (Vec::new(), BlobHasher::default());
    for content in &a4_chunks() {
        let start = file.len();
        let codec = encoder.encode(content, &mut file).unwrap();
        hasher.update(&file[start..]);
        let chunk = StoredChunk {
            len: content.len() as u32,
            stored_len: (file.len() - start) as u32,
            codec,
            digest: sha256(content),
            crc32c: None,
        };
        assert_eq!(builder.push(&chunk).unwrap().offset, start as u64);
    }
    let blob = builder.finish(hasher).unwrap().unwrap();
    file.extend(blob.trailer);
    let (file, entry) = (Bytes::from(file), blob.entry.unwrap());
    let meta = open(&file, &entry).unwrap();
    let mut decoder = frame_codec::Decoder::new();
    for (index, content) in (0..).zip(a4_chunks()) {
        let chunk = meta.chunk(index).unwrap();
        let codec = if chunk.compressed {
            Codec::Zstd
        } else {
            Codec::None
        };
        let mut plain = vec![0; chunk.len as usize];
        let stored = slice(&file, chunk.offset..chunk.offset_end());
        decoder.decode(codec, &stored, &mut plain).unwrap();
        assert_eq!(plain, content);
    }
}
