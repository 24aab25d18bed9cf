//! The bytes of nydus-image.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
use frame_codec::Compression;
use image_model::{BlobIndex, Metadata, Node};
use lazyoci_image_convert::RafsOptions;
#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
use lazyoci_image_convert::Source;
use rafs_format::flags::Compat;
use rafs_format::v6::OwnedBootstrap;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::support::{
    COMPATS, GOLDEN_DIGEST, Image, MTIME, Tar, golden_tar, metadata, plain_options, sha256,
};

/// SHA-256 of the golden tree's blob.
const BLOB: &str = "624c0593d0f83a9eaffbb0eb2c2045e1c32b1d9ed8e35ef8ed9629edb13113d9";

fn options() -> RafsOptions {
    plain_options().chunk_size(1 << 20)
}

/// SHA-256 of bootstrap and blob.
fn digests(image: &Image) -> (String, String) {
    let bootstrap = fs::read(image.bootstrap_path()).unwrap();
    (sha256(&bootstrap), sha256(&image.blob()))
}

#[test]
#[cfg(all(feature = "blake3", feature = "zstd"))]
fn digests_are_those_of_nydus() {
    let cases = [
        (
            Compat::V2_4,
            "1ce7b6b887689d77a9c0a79001fd4481075a54c3ab7a86fabd5f27c83260650d",
        ),
        (
            Compat::V2_2,
            "a9cacafc1350d3abf67c642a0d302b02e6b9d48f0fb0517fd8a29a378495e1b0",
        ),
    ];
    for (compat, bootstrap) in cases {
        let options = options()
            .compat(compat)
            .digest(image_model::DigestAlgorithm::Blake3);
        let image = Image::of_tar(&golden_tar(), &options);
        assert_eq!(digests(&image), (bootstrap.into(), BLOB.into()));
    }
}

/// The golden image `name` of image-read, whose frames nydus compressed.
#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
pub(crate) fn compressed(name: &str) -> image_read::OpenImage {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image-read/tests/goldens");
    let bootstrap = goldens.join(name).join("image.boot");
    image_read::open(bootstrap, &Default::default()).unwrap()
}

/// The vectors of nydus-image 2.4.4 whose chunks are compressed: with its frames, as other encoders make others.
#[test]
#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
fn compressed_chunks_are_those_of_nydus() {
    let cases = [
        (
            "a4-v6-lz4_block-blake3",
            Compression::Lz4Block,
            "ef27fbc1d5d5f6f70895dee514988a8c6609ed440d924a2c30089046786e3a8b",
            "bb5f9b2698b88f785b4022c019b1d99339957090c95f8cff4094d9e91403a7b3",
        ),
        (
            "a4-v6-zstd-sha256",
            Compression::Zstd { level: 3 },
            "77bd5ebbdd7900ca7b3876bb39e478bb2956a43d810a71a41f8c67e07036240a",
            "d7b453e4cf91b380707c8d1002ed302831f4e2bda2c4b80431b0a1c137d031b0",
        ),
    ];
    let mut made = Vec::new();
    for (name, compression, _, _) in &cases {
        let options = options().compat(Compat::V2_4).compression(*compression);
        let source = compressed(name);
        let image = Image::of(Source::from(&source).keep_frames(true), &options).unwrap();
        made.push(digests(&image));
        assert_eq!(image.digest(), GOLDEN_DIGEST);
    }
    let expected = cases.map(|(_, _, bootstrap, blob)| (bootstrap.to_owned(), blob.to_owned()));
    assert_eq!(made, expected);
}

/// That of nydus-builder 0.2.0: `interop/goldens/a4-v6-none-blake3-batch-toc`.
#[test]
#[cfg(feature = "blake3")]
fn blobs_with_batches_are_those_of_nydus() {
    let options = options()
        .digest(image_model::DigestAlgorithm::Blake3)
        .batch_size(32_768)
        .toc(true);
    let image = Image::of_tar(&golden_tar(), &options);
    let blob = "307ab0ba3a5041330fb352304e7e98f078451630c39b4572e27660b00d895052";
    assert_eq!(sha256(&image.blob()), blob);
    let id = "e120910884c70dbd0f77d6b3730e3b280056f5f38944da647e41e554a663c225";
    assert_eq!(image.done.blobs[0].nydus_id.as_str(), id);
}

/// The same crate with `--compressor none --digester sha256 --encrypt`, which had taken this key.
#[test]
#[cfg(feature = "encryption")]
fn encrypted_images_are_those_of_nydus() {
    let bytes = |hex: &str| -> Vec<u8> {
        let (pairs, _) = hex.as_bytes().as_chunks::<2>();
        let digits = |pair: &[u8; 2]| str::from_utf8(pair).unwrap().to_owned();
        let pairs = pairs.iter().map(digits);
        pairs
            .map(|pair| u8::from_str_radix(&pair, 16).unwrap())
            .collect()
    };
    let key = bytes("2309a4dfad29fba905b2c5ecd9ca0278a5517baef0e26787ff66c7c7c6af5623");
    let iv = bytes("2326d831d7f0fca2cd258bc66117be8c");
    let key = image_model::XtsKey::new(key.try_into().unwrap(), iv.try_into().unwrap());
    let image = Image::of_tar(&golden_tar(), &options().key(key));
    let expected = (
        "8081a7e04906b370634f772ab05d40b2e25408e145b1a847dd332b20ea464081",
        "8b40774d2148de95ba45f71106ddc77d6aa3da13a0a02e7486c7145b95753177",
    );
    let (bootstrap, blob) = digests(&image);
    assert_eq!((&*bootstrap, &*blob), expected);
}

/// SHA-256 of the golden tree's bootstrap.
fn bootstrap_of(compat: Compat) -> &'static str {
    match compat {
        Compat::V2_4 => "3303210bbef7120d0d5ecf7862926c2417eedf7acfad4d2b6c11cee8d10f9f5d",
        _ => "75b633be056ae1c2da5f61979c97d4bd35fa68fff509cbb5209ac6e8f643e939",
    }
}

/// The same from a tar: nydus-image 2.2.0 (`create -t tar-rafs -v 6 --compressor none --digester
/// sha256`) numbers the root 1 then, and 0 from a directory.
fn bootstrap_of_tar(compat: Compat) -> &'static str {
    match compat {
        Compat::V2_4 => bootstrap_of(compat),
        _ => "c4d18301582164bfabb8d04aba5871d133797240eec62c0ae7e27f86aceb922b",
    }
}

#[test]
fn a_tar_becomes_the_bytes_of_nydus() {
    for &compat in COMPATS {
        let bootstrap = bootstrap_of_tar(compat);
        let options = options().compat(compat);
        let image = Image::of_tar(&golden_tar(), &options);
        assert_eq!(digests(&image), (bootstrap.into(), BLOB.into()));
        assert_eq!(image.digest(), GOLDEN_DIGEST);
    }
}

/// The golden tree in `directory`.
fn make_directory(directory: &Path) {
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    fs::create_dir(directory.join("d")).unwrap();
    file("f", b"hello");
    file("e", b"");
    file("z", &[b'A'; 10_000]);
    fs::hard_link(directory.join("f"), directory.join("d/h")).unwrap();
    symlink("../f", directory.join("d/l")).unwrap();
    let time = Timespec {
        tv_sec: MTIME.seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    for name in ["d/l", "d/h", "d", "f", "e", "z", ""] {
        let path = directory.join(name);
        if path.is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

#[test]
fn a_directory_becomes_the_bytes_of_nydus() {
    let directory = tempfile::tempdir().unwrap();
    make_directory(directory.path());
    let opened = image_read::open(directory.path(), &Default::default()).unwrap();
    let (uid, gid) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    for &compat in COMPATS {
        let bootstrap = bootstrap_of(compat);
        let options = options().compat(compat);
        let image = Image::of(&opened, &options).unwrap();
        assert_eq!(digests(&image).1, BLOB);
        if (uid, gid) == (0, 0) {
            assert_eq!(digests(&image).0, bootstrap);
            continue;
        }
        // Whoever runs the test owns the files: no golden for that, but the tar of the same tree.
        let owned = |mode| Metadata {
            uid,
            gid,
            ..metadata(mode)
        };
        let root = Metadata {
            mtime: Default::default(),
            ..owned(0o755)
        };
        let tar = Tar::new()
            .node(".", &root, &Node::empty_directory())
            .node("d", &owned(0o755), &Node::empty_directory())
            .file_with("f", &owned(0o644), b"hello")
            .link("d/h", "f")
            .node("d/l", &owned(0o777), &Node::Symlink((*b"../f").into()))
            .file_with("e", &owned(0o644), b"")
            .file_with("z", &owned(0o644), &[b'A'; 10_000])
            .finish();
        assert_eq!(digests(&image), digests(&Image::of_tar(&tar, &options)));
    }
}

#[test]
#[cfg(feature = "zstd")]
fn blobs_with_toc_and_inlined_bootstrap_are_those_of_nydus() {
    let cases = [
        (
            Compat::V2_4,
            (true, false),
            "ce8f9d2825bef8ae5dd5602589ce821861baed727bbf8a793e270c0a57cd721e",
        ),
        (
            Compat::V2_4,
            (true, true),
            "f5d12ec7c1d0a48c12ea56b529de1b0437a5744c158064822134648106288abb",
        ),
        (
            Compat::V2_2,
            (true, false),
            "ce8f9d2825bef8ae5dd5602589ce821861baed727bbf8a793e270c0a57cd721e",
        ),
        (
            Compat::V2_2,
            (true, true),
            "683d717a9a9a1c014501be64e4b66eeda21a232b4fbb6c7ac58cc227712293db",
        ),
        (
            Compat::V2_2,
            (false, true),
            "491f20d1be8bb3bbf06d9ee87325f854dff9768e4c5cb3b63f0c44d35206ff16",
        ),
    ];
    for (compat, (toc, inline_meta), blob) in cases {
        let options = options().compat(compat).toc(toc).inline_meta(inline_meta);
        let image = Image::of_tar(&golden_tar(), &options);
        assert_eq!(sha256(&image.blob()), blob);
        if (compat, toc, inline_meta) == (Compat::V2_4, true, false) {
            // nydus calls the blob by another digest than that of the file.
            let id = image.done.blobs[0].nydus_id.as_str();
            let mut bootstrap = fs::read(image.bootstrap_path()).unwrap();
            let named = |bytes: &[u8]| {
                (0..bytes.len()).find(|&at| bytes[at..].starts_with(blob.as_bytes()))
            };
            while let Some(at) = named(&bootstrap) {
                bootstrap[at..at + id.len()].copy_from_slice(id.as_bytes());
            }
            let expected = "b074530fb765b4426f001d3de7799d0b25da6694f02d7ecb7364032f4c937a4f";
            assert_eq!(sha256(&bootstrap), expected);
        }
        // Both the bootstrap beside the blob and the one in it lead to the content.
        assert_eq!(image.digest(), GOLDEN_DIGEST);
        if inline_meta {
            let blob = image.output().join("blobs").join(blob);
            assert_eq!(crate::support::digest(&blob), GOLDEN_DIGEST);
        }
    }
}

#[test]
fn an_aligned_blob_has_each_chunk_at_its_address() {
    let options = options().aligned(true);
    let image = Image::of_tar(&golden_tar(), &options);
    let OwnedBootstrap {
        image: owned,
        places,
    } = image.bootstrap().to_chunked().unwrap();
    assert_eq!(owned.frames.len(), 2);
    for (frame, place) in owned.frames.iter().zip(&places) {
        assert_eq!((frame.blob, frame.offset), (BlobIndex(0), place.address));
    }
    let blob = image.blob();
    assert_eq!(&blob[..5], b"hello");
    assert_eq!(blob[5..4096], [0; 4091]);
    assert_eq!(blob[4096..14_096], [b'A'; 10_000]);
    assert_eq!(image.digest(), GOLDEN_DIGEST);
}
