//! The bytes of nydus-image.

use std::fs;
use std::path::Path;

use frame_codec::Compression;
use image_convert::{RafsOptions, Streaming, to_rafs_v6};
use image_model::DigestAlgorithm;
use rafs_format::flags::Compat;

use crate::support::{golden_tar, sha256};

fn options() -> RafsOptions {
    RafsOptions {
        compression: Compression::None,
        digest: DigestAlgorithm::Sha256,
        ..RafsOptions::default()
    }
}

/// SHA-256 of the bootstrap and of the blob that the tar of the golden tree becomes.
fn convert(options: &RafsOptions) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("image");
    let tar = golden_tar();
    to_rafs_v6(Streaming::new(&tar[..]), &output, options, &mut ()).unwrap();
    let bootstrap = sha256(&fs::read(output.join("image.boot")).unwrap());
    let blobs = fs::read_dir(output.join("blobs")).unwrap();
    let blobs: Vec<_> = blobs.map(|entry| entry.unwrap().path()).collect();
    let [blob] = &blobs[..] else {
        panic!("{blobs:?}")
    };
    let digest = sha256(&fs::read(blob).unwrap());
    assert_eq!(blob.file_name(), Path::new(&digest).file_name());
    (bootstrap, digest)
}

#[test]
fn uncompressed_images_are_those_of_nydus() {
    const BLOB: &str = "624c0593d0f83a9eaffbb0eb2c2045e1c32b1d9ed8e35ef8ed9629edb13113d9";
    let cases = [
        (
            Compat::V2_4,
            DigestAlgorithm::Sha256,
            "3303210bbef7120d0d5ecf7862926c2417eedf7acfad4d2b6c11cee8d10f9f5d",
        ),
        (
            Compat::V2_4,
            DigestAlgorithm::Blake3,
            "1ce7b6b887689d77a9c0a79001fd4481075a54c3ab7a86fabd5f27c83260650d",
        ),
        (
            Compat::V2_2,
            DigestAlgorithm::Sha256,
            "75b633be056ae1c2da5f61979c97d4bd35fa68fff509cbb5209ac6e8f643e939",
        ),
        (
            Compat::V2_2,
            DigestAlgorithm::Blake3,
            "05f2777c5931d9dabef566f938d38b9b69dc1a67b46f4db5a497a598a2964116",
        ),
    ];
    for (compat, digest, bootstrap) in cases {
        let options = RafsOptions {
            compat,
            digest,
            ..options()
        };
        assert_eq!(convert(&options), (bootstrap.into(), BLOB.into()));
    }
}

#[test]
fn blobs_with_toc_and_inlined_bootstrap_are_those_of_nydus() {
    let cases = [
        (
            Compat::V2_4,
            false,
            "ce8f9d2825bef8ae5dd5602589ce821861baed727bbf8a793e270c0a57cd721e",
        ),
        (
            Compat::V2_4,
            true,
            "f5d12ec7c1d0a48c12ea56b529de1b0437a5744c158064822134648106288abb",
        ),
        (
            Compat::V2_2,
            false,
            "ce8f9d2825bef8ae5dd5602589ce821861baed727bbf8a793e270c0a57cd721e",
        ),
        (
            Compat::V2_2,
            true,
            "0b894eb993394d73e4799c12ee2fd13dbc54f5724b5d217a7d22905b195db250",
        ),
    ];
    for (compat, inline_meta, blob) in cases {
        let options = RafsOptions {
            compat,
            toc: true,
            inline_meta,
            ..options()
        };
        assert_eq!(convert(&options).1, blob, "{compat} {inline_meta}");
    }
    let options = RafsOptions {
        compat: Compat::V2_2,
        inline_meta: true,
        ..options()
    };
    let blob = "4a546a2e7adc40ee1c4d21b44dae904deebf787c31266ac4e547240a83942417";
    assert_eq!(convert(&options).1, blob);
}
