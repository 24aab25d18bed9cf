//! A bootstrap planned here, inlined in a blob built here: all that nydus-image writes.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{BlobId, ChunkedImage, Codec, Digest, DigestAlgorithm, Limits};
use lazyoci_rafs_format::Version;
use lazyoci_rafs_format::blob::{
    BlobBuilder, BlobHasher, BuildError, Section, StoredChunk, Trailer,
};
use lazyoci_rafs_format::flags::{Compat, Compressor};
use lazyoci_rafs_format::v6::{BlobEntry, Layout, LayoutInput, LayoutOptions, OwnedBootstrap};

use crate::support::{a4_chunks, golden, golden_bootstrap, locate, none_sha256, slice, store};

/// The tree `a4` with its chunks in a blob of this id.
fn a4(compat: Compat, id: BlobId) -> OwnedBootstrap {
    let mut stored = golden_bootstrap(golden("a4-v6-none-sha256.boot"))
        .to_chunked()
        .unwrap();
    stored.image.blobs[0].id = id;
    for (chunk, content) in stored.image.chunks.iter_mut().zip(a4_chunks()) {
        chunk.crc32c = (compat == Compat::V2_4).then(|| verify::crc32c(&content));
    }
    stored
}

fn bootstrap(compat: Compat, entry: &BlobEntry) -> Vec<u8> {
    let OwnedBootstrap { image, places } = a4(compat, entry.id.clone());
    let options = LayoutOptions::default()
        .compat(compat)
        .compressor(entry.compressor)
        .digester(entry.digester);
    let mut bytes = Vec::new();
    let input = LayoutInput {
        image: &image,
        places: &places,
        entries: std::slice::from_ref(entry),
    };
    Layout::plan(input, &options)
        .unwrap()
        .write_to(&mut bytes)
        .unwrap();
    bytes
}

/// With TOC the bytes also depend on the version of zstd, which the lock file names.
#[test]
fn blobs_with_inlined_bootstrap_are_those_of_nydus() {
    for (compat, toc, id, digest) in [
        (
            Compat::V2_2,
            false,
            "4a546a2e7adc40ee1c4d21b44dae904deebf787c31266ac4e547240a83942417",
            "4a546a2e7adc40ee1c4d21b44dae904deebf787c31266ac4e547240a83942417",
        ),
        (
            Compat::V2_2,
            true,
            "9c02081a771317917fa690f01765e0f270192b734a232276d7f56a1126a39efd",
            "0b894eb993394d73e4799c12ee2fd13dbc54f5724b5d217a7d22905b195db250",
        ),
        (
            Compat::V2_4,
            true,
            "7c824eede13fef89065b8d7137559ac79893440147f81bff38ad55897a28e8c8",
            "f5d12ec7c1d0a48c12ea56b529de1b0437a5744c158064822134648106288abb",
        ),
    ] {
        let options = none_sha256().compat(compat).toc(toc);
        let mut builder = BlobBuilder::new(options).unwrap();
        let (_, hasher, _) = store(&mut builder, &a4_chunks());
        let sealed = builder.seal(hasher).unwrap();
        let bootstrap = bootstrap(compat, sealed.entry().unwrap());
        let blob = sealed.embed(&bootstrap).unwrap();
        assert_eq!(blob.nydus_id.as_str(), id);
        assert_eq!(blob.digest.hex(), digest);
    }
}

/// A blob without chunks has no entry, and its bootstrap an empty blob table.
#[test]
fn an_empty_layer_is_a_bootstrap_alone() {
    let options = none_sha256().toc(true);
    let sealed = BlobBuilder::new(options)
        .unwrap()
        .seal(Default::default())
        .unwrap();
    let tree = image_model::Tree::new(image_model::Metadata::implied_directory());
    let image = ChunkedImage::new(tree, Default::default()).unwrap();
    let mut bootstrap = Vec::new();
    let input = LayoutInput {
        image: &image,
        places: &[],
        entries: &[],
    };
    Layout::plan(input, &LayoutOptions::default())
        .unwrap()
        .write_to(&mut bootstrap)
        .unwrap();

    let blob = Bytes::from(sealed.embed(&bootstrap).unwrap().trailer);
    let Trailer::Toc(toc) = locate(&blob).unwrap() else {
        panic!("it has a TOC");
    };
    let entry = toc.entry(Section::Bootstrap).unwrap();
    let plain = entry
        .extract(
            &slice(&blob, entry.range()),
            &mut Decoder::new(),
            &Limits::default(),
        )
        .unwrap();
    assert_eq!(plain, bootstrap);
    assert_eq!(golden_bootstrap(plain).blob_entries(), []);
}

/// Of version 5: nothing but chunks, the bootstrap as it is, and a tar header behind each.
#[test]
fn a_blob_of_version_5_with_its_bootstrap_is_that_of_nydus() {
    let golden = golden("a4-v5-zstd-sha256-inline.blob");
    let options = none_sha256()
        .version(Version::V5)
        .compat(Compat::V2_2)
        .compressor(Compressor::Zstd);
    let mut builder = BlobBuilder::new(options).unwrap();
    let (mut file, mut hasher) = (Vec::new(), BlobHasher::default());
    for (len, range, codec, offset) in [(5, 0..5, Codec::None, 0), (10_000, 5..24, Codec::Zstd, 5)]
    {
        let placement = builder
            .push(&StoredChunk {
                len,
                stored_len: (range.end - range.start) as u32,
                codec,
                digest: Digest::new(DigestAlgorithm::Sha256, [0; 32]),
                crc32c: None,
            })
            .unwrap();
        assert_eq!((placement.offset, placement.address), (offset, offset));
        file.extend(&golden[range.clone()]);
        hasher.update(&golden[range]);
    }
    let sealed = builder.seal(hasher).unwrap();
    let bootstrap = golden.slice(24 + 512..golden.len() - 512);
    let opened = lazyoci_rafs_format::Bootstrap::open(bootstrap.clone(), &Limits::default());
    assert_eq!(sealed.entry(), opened.unwrap().blob_entries().first());
    let blob = sealed.embed(&bootstrap).unwrap();
    file.extend(&blob.trailer);
    assert!(file == golden);
    let entry = blob.entry.unwrap();
    assert_eq!((entry.compressed_size, entry.data_len()), (24 + 512, 24));
}

#[test]
fn blobs_of_version_5_have_no_tables() {
    for (toc, aligned_data, what) in [(true, false, "a TOC"), (false, true, "aligned data")] {
        let options = none_sha256()
            .version(Version::V5)
            .toc(toc)
            .aligned_data(aligned_data);
        let version = Version::V5;
        let error = BlobBuilder::new(options).err();
        assert_eq!(error, Some(BuildError::Version { version, what }));
    }
}
