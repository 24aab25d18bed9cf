//! Images over chunks that the blobs of others hold, and images without blobs of which little is used.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use blob_io::DirectoryOutput;
use image_model::{Blame as _, BlobId, Fault};
use image_read::{OpenImage, OpenOptions, VerifyOptions, open};
use lazyoci_image_convert::{
    ChunkDictionary, CompactOptions, ConvertError, KeepBlobsError, RafsOptions, RafsReport, Source,
    Streaming, compact,
};
use rafs_format::{BlobPool, Bootstrap, Version};
use verify::Profile;

use crate::support::{Image, Tar, digest_of_tar, files, layer, noise, plain_options};

const VERSIONS: [Version; 2] = [Version::V5, Version::V6];

fn opened(path: &Path, blobs: &Path) -> OpenImage {
    open(path, &OpenOptions::default().blobs(blobs.to_owned())).unwrap()
}

/// The blobs of `images` in one directory.
fn blobs_of(images: &[&Image]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for image in images {
        for (name, bytes) in files(&image.output().join("blobs")) {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
    }
    directory
}

/// The digest of a sound image.
fn digest(image: &OpenImage) -> String {
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

fn dictionary(images: &[&Image]) -> Arc<ChunkDictionary> {
    let mut pool = BlobPool::default();
    for image in images {
        let bytes = fs::read(image.bootstrap_path()).unwrap();
        let bootstrap = Bootstrap::open(bytes.into(), &Default::default()).unwrap();
        let own_blob = image.done.blobs.first().map(|blob| {
            let id = blob.object.digest.hex();
            BlobId::new(id.as_bytes()).unwrap()
        });
        pool.add(&bootstrap, own_blob.as_ref()).unwrap();
    }
    Arc::new(pool.into())
}

fn ids(report: &RafsReport) -> Vec<String> {
    let blobs = report.blobs.iter().map(|blob| blob.object.digest.hex());
    blobs.collect()
}

fn reused(report: &RafsReport) -> Vec<&str> {
    report.reused_blobs.iter().map(BlobId::as_str).collect()
}

/// A first tar, and one that has some of its files and others.
fn tars() -> [Vec<u8>; 2] {
    let (shared, old, new) = (noise(1, 20_000), noise(2, 9000), noise(3, 7000));
    let first = Tar::new().file("shared", &shared).file("old", &old);
    let second = Tar::new()
        .file("new", &new)
        .file("shared", &shared)
        .file("again", &shared)
        .file("partly", &[&old[..4096], &new].concat());
    [first.finish(), second.finish()]
}

#[test]
fn only_what_the_dictionary_lacks_is_stored() {
    let [first, second] = tars();
    for version in VERSIONS {
        for inline_meta in [false, true] {
            let options = plain_options().version(version).inline_meta(inline_meta);
            let lower = Image::of_tar(&first, &options);
            let with = |threads| {
                let dictionary = dictionary(&[&lower]);
                options
                    .clone()
                    .threads(threads)
                    .dictionary(Some(dictionary))
            };
            let image = Image::of_tar(&second, &with(1));
            let blobs = blobs_of(&[&lower, &image]);
            let opened = opened(&image.bootstrap_path(), blobs.path());
            assert_eq!(digest(&opened), digest_of_tar(&second), "{version:?}");
            assert_eq!(reused(&image.done), ids(&lower.done));
            let chunks = image.report.chunks;
            // `shared` has five chunks, `old` one; `new` two, which `partly` cuts at the same places.
            assert_eq!((chunks.stored, chunks.reused), (2, 6));
            assert_eq!(chunks.deduplicated, 7);
            assert_eq!((chunks.stored_bytes, chunks.reused_bytes), (7000, 24_096));
            let again = Image::of_tar(&second, &with(3));
            assert!(
                files(&again.output()) == files(&image.output()),
                "{version:?}"
            );
        }
    }
}

#[test]
fn what_the_dictionary_has_needs_no_blob() {
    let [first, _] = tars();
    for version in VERSIONS {
        let options = plain_options().version(version);
        let lower = Image::of_tar(&first, &options);
        let options = options.dictionary(Some(dictionary(&[&lower])));
        let image = Image::of_tar(&first, &options);
        assert_eq!(image.done.blobs, []);
        assert_eq!(files(&image.output()).len(), 1);
        let opened = opened(&image.bootstrap_path(), &lower.output().join("blobs"));
        assert_eq!(digest(&opened), digest_of_tar(&first));
    }
}

/// Of dictionaries that both have a chunk the first is referred to; layers of a stack share them.
#[test]
fn dictionaries_and_layers_are_stacked() {
    let [first, second] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let upper = Image::of_tar(&second, &options);
    let both = options
        .clone()
        .dictionary(Some(dictionary(&[&lower, &upper])));
    let other = Tar::new().file("other", &noise(9, 5000)).finish();
    let layers = [&first, &second, &other];
    let stack = || Source::stack(layers.map(|layer| Streaming::new(&layer[..]).into()));
    let image = Image::of(stack(), &both).unwrap();
    let expected = Image::of(stack(), &options).unwrap().digest();
    let blobs = blobs_of(&[&lower, &upper, &image]);
    let image_opened = opened(&image.bootstrap_path(), blobs.path());
    assert_eq!(digest(&image_opened), expected);
    let [blob] = &image.done.blobs[..] else {
        panic!("{:?}", image.done.blobs)
    };
    assert_eq!(blob.layer, 2);
    // What both have is in the first one's blob.
    let known = [ids(&lower.done), ids(&upper.done)].concat();
    assert_eq!(reused(&image.done), known);
    assert_eq!(image.report.chunks.reused, 5 + 3 + 2);
}

#[test]
fn what_does_not_fit_is_refused() {
    let [first, _] = tars();
    let lower = Image::of_tar(&first, &plain_options());
    let dictionary = dictionary(&[&lower]);
    let options = plain_options().dictionary(Some(dictionary.clone()));
    let mut cases = vec![
        (options.clone().version(Version::V5), "version"),
        (options.clone().chunk_size(8192), "chunk size"),
        (options.clone().aligned(true), "placement of chunks"),
    ];
    if cfg!(feature = "blake3") {
        let options = options.digest(image_model::DigestAlgorithm::Blake3);
        cases.push((options, "digest algorithm"));
    }
    for (options, expected) in cases {
        match Image::of(Streaming::new(&first[..]), &options).map(|image| image.done) {
            Err(error @ ConvertError::Dictionary { what }) => {
                assert_eq!((what, error.fault()), (expected, Fault::Misuse));
            }
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(dictionary.len(), dictionary.pool().chunks().len());
    assert!(!dictionary.is_empty());
}

/// Version 6 says of each blob how it is compressed.
#[cfg(feature = "zstd")]
#[test]
fn blobs_of_another_compressor_are_referred_to() {
    let [first, second] = tars();
    let zstd = RafsOptions::default();
    let options = plain_options().compression(zstd.compression);
    let lower = Image::of_tar(&first, &plain_options());
    let image = Image::of_tar(&second, &options.dictionary(Some(dictionary(&[&lower]))));
    let blobs = blobs_of(&[&lower, &image]);
    let opened = opened(&image.bootstrap_path(), blobs.path());
    assert_eq!(digest(&opened), digest_of_tar(&second));
}

/// An image over a blob of which it uses one file, and a blob of its own.
struct Loose {
    lower: Image,
    image: Image,
}

fn loose(version: Version) -> Loose {
    let [first, _] = tars();
    let options = plain_options().version(version);
    let lower = Image::of_tar(&first, &options);
    let tar = Tar::new()
        .file("old", &noise(2, 9000))
        .file("new", &noise(3, 90_000))
        .finish();
    let options = options.dictionary(Some(dictionary(&[&lower])));
    let image = Image::of_tar(&tar, &options);
    Loose { lower, image }
}

fn compacted(
    loose: &Loose,
    options: &CompactOptions,
) -> (tempfile::TempDir, RafsReport, OpenImage) {
    let blobs = blobs_of(&[&loose.lower, &loose.image]);
    let output = blobs.path().join("compact");
    let source = opened(&loose.image.bootstrap_path(), blobs.path());
    let mut directory = DirectoryOutput::create(&output).unwrap();
    let report = compact(&source, &mut directory, options, &mut ()).unwrap();
    if !report.blobs.is_empty() {
        for (name, bytes) in files(&output.join("blobs")) {
            fs::write(blobs.path().join(name), bytes).unwrap();
        }
    }
    let image = opened(&output.join("image.boot"), blobs.path());
    assert_eq!(digest(&image), digest(&source));
    (blobs, report, image)
}

#[test]
fn blobs_of_which_little_is_used_are_replaced() {
    for version in VERSIONS {
        let loose = loose(version);
        let [own] = &ids(&loose.image.done)[..] else {
            panic!("one blob is new")
        };
        let long = CompactOptions::default().min_len(10_000);
        // 9,000 of 29,000 bytes are used.
        for (options, kept, stored) in [
            (long.clone(), vec![&own[..]], 3),
            (
                long.clone().min_used(20),
                [&ids(&loose.lower.done)[0], &own[..]].into(),
                0,
            ),
            (long.min_used(100), vec![&own[..]], 3),
            // Both are short.
            (CompactOptions::default(), vec![], 3 + 22),
        ] {
            let (_blobs, report, image) = compacted(&loose, &options);
            let mut found = reused(&report);
            let mut kept: Vec<&str> = kept.into_iter().collect();
            found.sort_unstable();
            kept.sort_unstable();
            assert_eq!(found, kept, "{version:?}, {options:?}");
            assert_eq!(report.report.chunks.stored, stored);
            assert_eq!(report.blobs.len(), usize::from(stored > 0));
            assert_eq!(image.bootstrap().unwrap().version(), version);
        }
    }
}

#[test]
fn a_single_short_blob_stays() {
    let [first, _] = tars();
    let lower = Image::of_tar(&first, &plain_options());
    let source = opened(&lower.bootstrap_path(), &lower.output().join("blobs"));
    let directory = tempfile::tempdir().unwrap();
    let mut output = DirectoryOutput::create(directory.path().join("out")).unwrap();
    let report = compact(&source, &mut output, &CompactOptions::default(), &mut ()).unwrap();
    assert_eq!(
        (report.blobs.len(), reused(&report)),
        (0, vec![&ids(&lower.done)[0][..]])
    );
}

#[test]
fn only_rafs_is_compacted() {
    let [first, _] = tars();
    let directory = tempfile::tempdir().unwrap();
    let mut output = DirectoryOutput::create(directory.path().join("out")).unwrap();
    let refused = compact(
        &layer(first),
        &mut output,
        &CompactOptions::default(),
        &mut (),
    );
    let Err(ConvertError::KeepBlobs(KeepBlobsError::NotRafs)) = refused else {
        panic!("{refused:?}")
    };
}
