//! The other version of RAFS over the same blobs.

use std::fs;
use std::path::{Path, PathBuf};

use blob_io::DirectoryOutput;
use image_model::{Blame as _, Fault};
use image_read::{OpenImage, OpenOptions, VerifyOptions, open};
use lazyoci_image_convert::{ConvertError, KeepBlobsError, KeepBlobsOptions, keep_blobs};
use rafs_format::Version;
use verify::Profile;

use crate::support::{COMPATS, Image, Tar, files, golden_tar, noise, plain_options};

/// Opens the bootstrap at `path`, with the blobs of `image`.
fn opened(path: &Path, image: &Image) -> OpenImage {
    let options = OpenOptions::default().blobs(image.output().join("blobs"));
    open(path, &options).unwrap()
}

/// Converts the bootstrap at `path` over the blobs of `image`.
fn kept(
    path: &Path,
    image: &Image,
    output: &str,
    options: &KeepBlobsOptions,
) -> Result<PathBuf, ConvertError> {
    let output = image.output().with_file_name(output);
    let mut directory = DirectoryOutput::create(&output).unwrap();
    let done = keep_blobs(&opened(path, image), &mut directory, options)?;
    assert_eq!(done.blobs, []);
    let bootstrap = output.join("image.boot");
    assert_eq!(fs::metadata(&bootstrap).unwrap().len(), done.bootstrap.len);
    assert_eq!(files(&output).len(), 1);
    Ok(bootstrap)
}

fn digest(path: &Path, image: &Image) -> String {
    let image = opened(path, image);
    let mut findings = Vec::new();
    let options = VerifyOptions::default();
    let verified = image.verify(&options, &mut (), &mut |finding| {
        findings.push(finding.to_string());
    });
    assert!(verified.is_ok());
    assert_eq!(findings, [""; 0]);
    let digest = image.tree_digest(Profile::Default, &mut ());
    digest.unwrap().to_string()
}

/// A tree with files of several chunks, some of them equal, a link and nothing.
fn tar() -> Vec<u8> {
    let (long, short) = (noise(1, 300_000), noise(2, 5000));
    let tar = Tar::new()
        .file("a", &long)
        .file("b/c", &[&short[..], &long].concat())
        .file("b/empty", b"")
        .file("d", &long);
    tar.finish()
}

#[test]
fn there_and_back_over_one_blob() {
    let plain = || plain_options().version(Version::V6);
    for (what, options) in [
        ("plain", plain()),
        ("with a TOC", plain().toc(true)),
        ("inlined", plain().inline_meta(true)),
        ("inlined, with a TOC", plain().inline_meta(true).toc(true)),
        ("small chunks", plain().chunk_size(4096)),
        #[cfg(feature = "zstd")]
        ("default", lazyoci_image_convert::RafsOptions::default()),
    ] {
        for &compat in COMPATS {
            let v6 = Image::of_tar(&tar(), &options.clone().compat(compat));
            let blob = v6.blob();
            let to = |version| KeepBlobsOptions::default().version(version).compat(compat);
            let v5 = kept(&v6.bootstrap_path(), &v6, "v5", &to(Version::V5)).unwrap();
            assert_eq!(digest(&v5, &v6), v6.digest(), "{what}");
            let again = kept(&v5, &v6, "v6", &to(Version::V6)).unwrap();
            assert_eq!(digest(&again, &v6), v6.digest(), "{what}");
            if !options.inline_meta {
                let (expected, found) = (v6.bootstrap_path(), again);
                let [expected, found] = [expected, found].map(|path| fs::read(path).unwrap());
                assert!(expected == found, "{what}, {compat:?}");
            }
            assert_eq!(v6.blob(), blob);
        }
    }
}

#[test]
fn an_image_without_content() {
    let v6 = Image::of_tar(&[0; 1024], &plain_options());
    let to = |version| KeepBlobsOptions::default().version(version);
    let v5 = kept(&v6.bootstrap_path(), &v6, "v5", &to(Version::V5)).unwrap();
    let again = kept(&v5, &v6, "v6", &to(Version::V6)).unwrap();
    assert_eq!(
        fs::read(again).unwrap(),
        fs::read(v6.bootstrap_path()).unwrap()
    );
}

#[test]
fn prefetch_rules_are_kept() {
    let rules = ["d", "b"].map(crate::support::path);
    let v6 = Image::of_tar(&tar(), &plain_options().prefetch(rules.into()));
    let to = |version| KeepBlobsOptions::default().version(version);
    let v5 = kept(&v6.bootstrap_path(), &v6, "v5", &to(Version::V5)).unwrap();
    assert_eq!(opened(&v5, &v6).bootstrap().unwrap().prefetch().len(), 2);
    let again = kept(&v5, &v6, "v6", &to(Version::V6)).unwrap();
    assert!(fs::read(again).unwrap() == fs::read(v6.bootstrap_path()).unwrap());
}

fn refused(path: &Path, image: &Image, version: Version) -> KeepBlobsError {
    let options = KeepBlobsOptions::default().version(version);
    match kept(path, image, "refused", &options).unwrap_err() {
        ConvertError::KeepBlobs(error) => error,
        error => panic!("{error}"),
    }
}

/// Their blobs hold chunks alone, and readers of version 6 have nothing else to find chunks by.
#[test]
fn blobs_of_version_5_are_refused() {
    let v5 = Image::of_tar(&golden_tar(), &plain_options().version(Version::V5));
    let error = refused(&v5.bootstrap_path(), &v5, Version::V6);
    assert!(
        matches!(error, KeepBlobsError::NoChunkInformation { .. }),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Unsupported);
}

#[test]
fn a_bootstrap_that_contradicts_its_blob_is_refused() {
    let tar = Tar::new().file("a", &noise(1, 5000)).finish();
    let v6 = Image::of_tar(&tar, &plain_options());
    let options = KeepBlobsOptions::default().version(Version::V5);
    let v5 = kept(&v6.bootstrap_path(), &v6, "v5", &options).unwrap();
    let mut bytes = fs::read(&v5).unwrap();
    // The record of the last chunk ends the bootstrap: its address.
    let at = bytes.len() - 80 + 57;
    assert_eq!(bytes[at], 0x10);
    bytes[at] = 0;
    fs::write(&v5, bytes).unwrap();
    let error = refused(&v5, &v6, Version::V6);
    assert!(matches!(error, KeepBlobsError::Mismatch { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Corrupt);
}

#[test]
fn what_is_no_other_version_is_refused() {
    let v6 = Image::of_tar(&golden_tar(), &plain_options());
    let error = refused(&v6.bootstrap_path(), &v6, Version::V6);
    assert!(matches!(error, KeepBlobsError::SameVersion), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let error = refused(directory.path(), &v6, Version::V6);
    assert!(matches!(error, KeepBlobsError::NotRafs), "{error}");
}
