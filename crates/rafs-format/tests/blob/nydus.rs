//! Blobs that are those of nydus-image, byte for byte.

use bytes::Bytes;
use image_model::{Codec, Digest};
use lazyoci_rafs_format::blob::{
    BlobBuilder, BlobHasher, BlobOptions, FinishedBlob, Placement, Section, StoredChunk, Trailer,
};
use lazyoci_rafs_format::flags::{BlobFeatures, Compat, Compressor};
use lazyoci_rafs_format::v6::BlobEntry;

use crate::support::{
    a4_chunks, build, golden, golden_blob, golden_bootstrap, locate, none_sha256, open, sha256,
    slice, store,
};

const COMPATS: [Compat; 2] = [Compat::V2_2, Compat::V2_4];

#[test]
fn plain_blobs_are_those_of_nydus() {
    let (golden, golden_entry) = golden_blob("a4-v6-none-sha256");
    for compat in COMPATS {
        let (blob, entry) = build(none_sha256().compat(compat), &a4_chunks());
        assert_eq!(blob, golden);
        assert_eq!(entry, golden_entry);
        let id = "624c0593d0f83a9eaffbb0eb2c2045e1c32b1d9ed8e35ef8ed9629edb13113d9";
        assert_eq!(entry.id.as_str(), id);
    }
}

#[test]
fn blobs_with_toc_are_those_of_nydus() {
    let (golden, golden_entry) = golden_blob("a4-v6-none-sha256-toc");
    for compat in COMPATS {
        let options = none_sha256().compat(compat).toc(true);
        let mut builder = BlobBuilder::new(options).unwrap();
        let (mut file, hasher, _) = store(&mut builder, &a4_chunks());
        let blob = builder.finish(hasher).unwrap().unwrap();
        file.extend(&blob.trailer);
        assert_eq!(file, golden);
        assert_eq!(blob.len, 16757);
        let digest = "ce8f9d2825bef8ae5dd5602589ce821861baed727bbf8a793e270c0a57cd721e";
        assert_eq!(blob.digest.hex(), digest);
        let id = "335b298d42610eef7edad07a3096f33d5144a58c8b458d77c69c92660eab9d88";
        assert_eq!(blob.nydus_id.as_str(), id);

        let entry = blob.entry.unwrap();
        assert_eq!(entry.id.as_str(), digest);
        assert_eq!(
            BlobEntry {
                id: blob.nydus_id,
                ..entry
            },
            golden_entry
        );
    }
}

/// The golden's chunks, as they are stored in it.
fn stored_as_in(golden: &Bytes, entry: &BlobEntry, options: BlobOptions) -> FinishedBlob {
    let meta = open(golden, entry).unwrap();
    let mut builder = BlobBuilder::new(options).unwrap();
    let mut hasher = BlobHasher::default();
    for index in 0..meta.chunk_count() {
        let chunk = meta.chunk(index).unwrap();
        let codec = if chunk.compressed {
            entry.compressor.into()
        } else {
            Codec::None
        };
        let digest = Digest::new(entry.digester.into(), [0; 32]);
        let (len, stored_len) = (chunk.len, chunk.stored_len);
        let placement = builder
            .push(&StoredChunk {
                len,
                stored_len,
                codec,
                digest,
                crc32c: None,
            })
            .unwrap();
        let expected = Placement {
            index,
            offset: chunk.offset,
            padding: 0,
            address: chunk.address,
        };
        assert_eq!(placement, expected);
        hasher.update(&slice(golden, chunk.offset..chunk.offset_end()));
    }
    builder.finish(hasher).unwrap().unwrap()
}

#[test]
fn compressed_blobs_are_those_of_nydus() {
    for name in ["a4-v6-lz4_block-sha256", "a4-v6-zstd-sha256"] {
        let (golden, entry) = golden_blob(name);
        let options = none_sha256()
            .compat(Compat::V2_2)
            .compressor(entry.compressor);
        let blob = stored_as_in(&golden, &entry, options);
        assert_eq!(blob.trailer, golden[entry.ci_offset as usize..], "{name}");
        assert_eq!(blob.entry, Some(entry));
    }
}

/// Compressed chunk information depends on the version of zstd, so only its plain form is compared.
#[test]
fn large_blobs_describe_themselves_as_nydus_does() {
    for (name, chunk_size) in [
        ("odd-v6-zstd-sha256-4k", 1 << 12),
        ("odd-v6-lz4_block-blake3-64k", 1 << 16),
    ] {
        let (golden, entry) = golden_blob(name);
        for (compat, ci_compressor) in [
            (Compat::V2_2, Compressor::Zstd),
            (Compat::V2_4, entry.compressor),
        ] {
            let (compressor, digester) = (entry.compressor, entry.digester);
            let options = BlobOptions::default()
                .compat(compat)
                .compressor(compressor)
                .digester(digester)
                .chunk_size(chunk_size);
            let blob = stored_as_in(&golden, &entry, options);
            let built = blob.entry.unwrap();
            assert_eq!(built.ci_compressor, ci_compressor);
            let file: Bytes = [&golden[..entry.ci_offset as usize], &blob.trailer[..]]
                .concat()
                .into();
            assert_eq!((sha256(&file), file.len() as u64), (blob.digest, blob.len));
            let (ours, theirs) = (open(&file, &built).unwrap(), open(&golden, &entry).unwrap());
            for index in 0..theirs.chunk_count() {
                assert_eq!(ours.chunk(index), theirs.chunk(index));
            }
            let same = BlobEntry {
                id: entry.id.clone(),
                compressed_size: entry.compressed_size,
                ci_compressor: entry.ci_compressor,
                ci_compressed_size: entry.ci_compressed_size,
                ..built
            };
            assert_eq!(same, entry);
        }
    }
}

#[test]
fn inlined_bootstraps_are_placed_as_by_nydus() {
    let golden = golden("a4-v6-none-sha256-inline.blob");
    let Trailer::Bootstrap(range) = locate(&golden).unwrap() else {
        panic!("it has a bootstrap");
    };
    let bootstrap = slice(&golden, range);
    let mut builder = BlobBuilder::new(none_sha256()).unwrap();
    let (mut file, hasher, _) = store(&mut builder, &a4_chunks());
    let sealed = builder.seal(hasher).unwrap();
    let expected = golden_bootstrap(bootstrap.clone()).blob_entries()[0].clone();
    assert_eq!(sealed.entry(), Some(&expected));

    let blob = sealed.embed(&bootstrap).unwrap();
    file.extend(&blob.trailer);
    assert_eq!(file, golden);
    let id = "4a546a2e7adc40ee1c4d21b44dae904deebf787c31266ac4e547240a83942417";
    assert_eq!((blob.nydus_id.as_str(), &*blob.digest.hex()), (id, id));
    let outside = BlobEntry {
        id: blob.nydus_id,
        features: BlobFeatures::from_raw(0x5000_0001).unwrap(),
        compressed_size: 36149,
        ..expected
    };
    assert_eq!(blob.entry, Some(outside));
}

#[test]
fn inlined_bootstraps_with_toc_are_placed_as_by_nydus() {
    let golden = golden("a4-v6-none-sha256-inline-toc.blob");
    let Trailer::Toc(toc) = locate(&golden).unwrap() else {
        panic!("it has a TOC");
    };
    let listed = toc.entry(Section::Bootstrap).unwrap();
    let bootstrap = listed
        .extract(
            &slice(&golden, listed.range()),
            &mut frame_codec::Decoder::new(),
            &image_model::Limits::default(),
        )
        .unwrap();
    let mut builder = BlobBuilder::new(none_sha256().toc(true)).unwrap();
    let (mut file, hasher, _) = store(&mut builder, &a4_chunks());
    let sealed = builder.seal(hasher).unwrap();
    let expected = golden_bootstrap(bootstrap.clone()).blob_entries()[0].clone();
    assert_eq!(sealed.entry(), Some(&expected));

    let blob = sealed.embed(&bootstrap).unwrap();
    file.extend(&blob.trailer);
    let file = Bytes::from(file);
    let Trailer::Toc(ours) = locate(&file).unwrap() else {
        panic!("it has a TOC");
    };
    assert_eq!(ours.entries()[..4], toc.entries()[..4]);
    let (ours, theirs) = (ours.entries()[4], toc.entries()[4]);
    assert_eq!(
        (ours.digest, ours.offset, ours.len),
        (theirs.digest, theirs.offset, theirs.len)
    );
    // From here on the version of zstd matters.
    assert_eq!(file, golden);
    let id = "9c02081a771317917fa690f01765e0f270192b734a232276d7f56a1126a39efd";
    assert_eq!(blob.nydus_id.as_str(), id);
    let digest = "0b894eb993394d73e4799c12ee2fd13dbc54f5724b5d217a7d22905b195db250";
    assert_eq!(blob.digest.hex(), digest);
    let without_digests = [&file[..15157], &file[15221..]].concat();
    assert_eq!(sha256(&without_digests).hex(), blob.nydus_id.as_str());
}

/// Holds for the versions of zstd and LZ4 that the lock file names; others may compress otherwise.
#[test]
fn compressed_sections_are_those_of_nydus() {
    for (name, chunk_size) in [
        ("odd-v6-zstd-sha256-4k", 1 << 12),
        ("odd-v6-lz4_block-blake3-64k", 1 << 16),
    ] {
        let (golden, entry) = golden_blob(name);
        let options = BlobOptions::default()
            .compat(Compat::V2_2)
            .compressor(entry.compressor)
            .digester(entry.digester)
            .chunk_size(chunk_size);
        let blob = stored_as_in(&golden, &entry, options);
        assert_eq!(blob.trailer, golden[entry.ci_offset as usize..], "{name}");
        assert_eq!(blob.entry, Some(entry));
    }
    // The same chunks, as 2.4 describes them.
    let (golden, entry) = golden_blob("a4-v6-lz4_block-sha256");
    let options = none_sha256().compressor(entry.compressor);
    let blob = stored_as_in(&golden, &entry, options);
    let digest = "bb5f9b2698b88f785b4022c019b1d99339957090c95f8cff4094d9e91403a7b3";
    assert_eq!((&*blob.digest.hex(), blob.len), (digest, 4179));
}
