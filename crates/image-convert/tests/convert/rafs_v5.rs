//! RAFS version 5.

use std::fs;

use image_model::Fault;
use image_model::metadata::Xattr;
use image_model::{Blame as _, FileKind, Metadata, Node, Xattrs};
use image_read::{Format, OpenOptions, VerifyOptions, verify_path};
use lazyoci_image_convert::{LossKind, RafsOptions, TarOptions};
use rafs_format::Version;
use rafs_format::layout::CannotCarry;

use crate::support::{
    COMPATS, GOLDEN_DIGEST, Image, Tar, digest, digest_of_tar, golden_tar, metadata, noise,
    plain_options, sha256, tar_of,
};

fn options() -> RafsOptions {
    plain_options().version(Version::V5)
}

fn findings(image: &Image) -> Vec<String> {
    let mut found = Vec::new();
    let verified = verify_path(
        image.bootstrap_path(),
        &OpenOptions::default(),
        &VerifyOptions::default(),
        &mut (),
        &mut |finding| found.push(finding.to_string()),
    );
    assert!(verified.is_ok());
    found
}

/// The golden vectors of the specification, appendix A.4, whose blob is nothing but chunks.
#[test]
fn the_golden_vector_comes_out_byte_for_byte() {
    let image = Image::of_tar(&golden_tar(), &options().chunk_size(1 << 20));
    let expected = "5f39601c694cc53917e7a5ced2f56d12af9c5feff19955fa4abe9cf525f70cb9";
    assert_eq!(sha256(&fs::read(image.bootstrap_path()).unwrap()), expected);
    let blob = image.blob();
    assert_eq!(blob, [&b"hello"[..], &[b'A'; 10_000]].concat());
    let expected = "35b8e83bf61e703837611b337c59573b12eb806f2bad763e9a698adfe9f2e6fd";
    assert_eq!(sha256(&blob), expected);
    assert_eq!(image.done.version, Version::V5);
}

#[test]
#[cfg(feature = "blake3")]
fn the_golden_vector_with_blake3_comes_out_byte_for_byte() {
    let options = options()
        .chunk_size(1 << 20)
        .digest(image_model::DigestAlgorithm::Blake3);
    let image = Image::of_tar(&golden_tar(), &options);
    let expected = "2deaef185b05c49807e756de2d5ff5633c763ac9b8f0fe070bb64c667d5c630a";
    assert_eq!(sha256(&fs::read(image.bootstrap_path()).unwrap()), expected);
}

/// With the frames of nydus, as other encoders make others.
#[test]
#[cfg(all(feature = "lz4", feature = "zstd", feature = "blake3"))]
fn the_golden_vector_in_lz4_comes_out_byte_for_byte() {
    let options = options()
        .chunk_size(1 << 20)
        .compression(frame_codec::Compression::Lz4Block);
    let source = crate::rafs_golden::compressed("a4-v6-lz4_block-blake3");
    let source = lazyoci_image_convert::Source::from(&source).keep_frames(true);
    let image = Image::of(source, &options).unwrap();
    let made = fs::read(image.bootstrap_path()).unwrap();
    let expected = (
        "e44cff77c7de57d8688b25d9a6a552100647783cc9d1b67df27bb0e88715bdcb",
        "9fdefe7e26816b612f1e8ad1dec528789447edf001ff8e6628493142706d9fbf",
    );
    assert_eq!((&*sha256(&made), &*sha256(&image.blob())), expected);
}

#[test]
fn release_2_2_places_inodes_otherwise() {
    if !COMPATS.contains(&rafs_format::flags::Compat::V2_2) {
        return;
    }
    let options = options()
        .chunk_size(1 << 20)
        .compat(rafs_format::flags::Compat::V2_2);
    let image = Image::of_tar(&golden_tar(), &options);
    // interop/goldens/a4-v5-none-sha256
    let expected = "82192b333cd699c98e00cbdf6814473949d4fcca5463fbafc506e107131f9bab";
    assert_eq!(sha256(&fs::read(image.bootstrap_path()).unwrap()), expected);
}

/// Every codec and digest, with chunks that are shared, and read back by every door.
#[test]
fn what_is_written_is_what_was_read() {
    let tar = || {
        Tar::new()
            .directory("d")
            .file("d/noise", &noise(1, 20_000))
            .file("d/same", &noise(1, 20_000))
            .file("zeros", &[0; 30_000])
            .file("empty", b"")
            .symlink("link", "d/noise")
            .link("again", "d/noise")
    };
    let expected = digest_of_tar(&tar().finish());
    let options = options();
    let cases = [
        options.clone(),
        #[cfg(feature = "blake3")]
        options.clone().digest(image_model::DigestAlgorithm::Blake3),
        #[cfg(feature = "lz4")]
        options
            .clone()
            .compression(frame_codec::Compression::Lz4Block),
        #[cfg(feature = "zstd")]
        options
            .clone()
            .compression(frame_codec::Compression::Zstd { level: 3 }),
    ];
    for options in cases {
        let image = Image::of_tar(&tar().finish(), &options);
        assert_eq!(image.digest(), expected);
        assert_eq!(findings(&image), [""; 0]);
        let opened = image_read::open(image.bootstrap_path(), &Default::default()).unwrap();
        assert_eq!(opened.format(), Format::RafsV5);
        let (_, back) = tar_of(&opened, &TarOptions::default()).unwrap();
        assert_eq!(digest_of_tar(&back), expected);
        let v6 = Image::of(&opened, &plain_options()).unwrap();
        assert_eq!(v6.digest(), expected);
        let v6 = image_read::open(v6.bootstrap_path(), &Default::default()).unwrap();
        let again = Image::of(&v6, &options).unwrap();
        assert_eq!(again.digest(), expected);
        assert_eq!(findings(&again), [""; 0]);
        let threads = Image::of_tar(&tar().finish(), &options.clone().threads(1));
        assert_eq!(
            fs::read(threads.bootstrap_path()).unwrap(),
            fs::read(image.bootstrap_path()).unwrap()
        );
    }
}

#[test]
fn a_blob_may_hold_the_bootstrap() {
    let image = Image::of_tar(&golden_tar(), &options().inline_meta(true));
    let blobs = fs::read_dir(image.output().join("blobs")).unwrap();
    for blob in blobs {
        let blob = blob.unwrap().path();
        assert_eq!(digest(&blob), GOLDEN_DIGEST);
        let mut found = Vec::new();
        let verified = verify_path(
            &blob,
            &OpenOptions::default(),
            &VerifyOptions::default(),
            &mut (),
            &mut |finding| found.push(finding.to_string()),
        );
        assert_eq!((verified.is_ok(), found), (true, vec![]));
    }
    assert_eq!(image.digest(), GOLDEN_DIGEST);
    assert_eq!(findings(&image), [""; 0]);
}

#[test]
fn without_content_there_is_no_blob() {
    let tar = Tar::new().directory("d").finish();
    let image = Image::of_tar(&tar, &options());
    assert!(image.done.blobs.is_empty());
    assert_eq!(image.digest(), digest_of_tar(&tar));
    assert_eq!(findings(&image), [""; 0]);
}

#[test]
fn what_it_has_no_word_for_is_refused() {
    for options in [options().aligned(true), options().toc(true)] {
        let refused = Image::of(
            lazyoci_image_convert::Streaming::new(&golden_tar()[..]),
            &options,
        );
        assert_eq!(
            refused.err().map(|error| error.fault()),
            Some(Fault::Misuse)
        );
    }
}

/// A hard link to a symbolic link becomes a copy, and is told.
#[test]
fn links_to_what_is_no_file() {
    let tar = || Tar::new().symlink("a", "target").link("b", "a").finish();
    let source = tar();
    let refused = Image::of(
        lazyoci_image_convert::Streaming::new(&source[..]),
        &options(),
    );
    assert_eq!(
        refused.err().map(|error| error.fault()),
        Some(Fault::Unsupported)
    );
    let image = Image::of_tar(&source, &options().lossy(true));
    let kind = FileKind::Symlink;
    let lost: Vec<_> = image.report.losses.iter().map(|loss| &loss.what).collect();
    assert_eq!(lost, [&LossKind::Rafs(CannotCarry::HardLink { kind })]);
    let copies = Tar::new().symlink("a", "target").symlink("b", "target");
    assert_eq!(image.digest(), digest_of_tar(&copies.finish()));
}

/// Version 5 takes a value of 64 KiB, of which version 6 has no last byte.
#[test]
fn extended_attributes_of_64_kib() {
    let xattr = Xattr {
        name: (*b"user.long").into(),
        value: vec![b'v'; 65_536].into(),
    };
    let metadata = Metadata {
        xattrs: Xattrs::new([xattr]).unwrap(),
        ..metadata(0o644)
    };
    let tar = Tar::new().node("fifo", &metadata, &Node::Fifo).finish();
    let image = Image::of_tar(&tar, &options());
    assert_eq!(image.digest(), digest_of_tar(&tar));
    assert_eq!(findings(&image), [""; 0]);
    let source = lazyoci_image_convert::Streaming::new(&tar[..]);
    let refused = Image::of(source, &plain_options());
    assert_eq!(
        refused.err().map(|error| error.fault()),
        Some(Fault::Unsupported)
    );
}
