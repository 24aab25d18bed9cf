//! Images over chunks that the blobs of others hold, and images without blobs of which little is used.

mod compaction;
mod compaction_reads;
mod files;

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use blob_io::DirectoryOutput;
use bytes::Bytes;
use chunk_dedup::{BlobUse, BuildOptions, DictionaryBuilder, DictionaryFile, Policy};
use image_model::{Blame as _, BlobId, Fault};
use image_read::{OpenImage, OpenOptions, VerifyOptions, open};
use lazyoci_image_convert::{
    ChunkDictionary, CompactOptions, ConvertError, KeepBlobsError, Planned, RafsOptions,
    RafsReport, Source, Streaming, add_to_dictionary, compact, plan_reuse,
};
use rafs_format::{BlobPool, Bootstrap, Shape, Version};
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

/// The same chunks as a file.
fn dictionary_file(images: &[&Image], origins: &[&str]) -> DictionaryFile<Bytes> {
    let mut builder: Option<DictionaryBuilder<Cursor<Vec<u8>>>> = None;
    for (image, origin) in images.iter().zip(origins) {
        let bytes = fs::read(image.bootstrap_path()).unwrap();
        let bootstrap = Bootstrap::open(bytes.into(), &Default::default()).unwrap();
        let mut pool = BlobPool::default();
        pool.add(&bootstrap, None).unwrap();
        let shape = pool.shape().unwrap();
        let builder = builder.get_or_insert_with(|| {
            let options = BuildOptions::default().profile(shape.to_bytes());
            let digester = shape.digester.into();
            DictionaryBuilder::new(digester, Cursor::new(Vec::new()), options)
        });
        add_to_dictionary(&pool, origin, builder).unwrap();
    }
    let mut bytes = Vec::new();
    let _ = builder.unwrap().finish(&mut bytes, &mut ()).unwrap();
    let file = DictionaryFile::open(bytes.into()).unwrap();
    file.check().unwrap();
    file
}

fn from_file(file: &DictionaryFile<Bytes>) -> ChunkDictionary {
    ChunkDictionary::default().and_file(file.clone()).unwrap()
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

#[test]
fn a_policy_says_what_is_shared() {
    let [first, second] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let file = dictionary_file(&[&lower], &["library/first"]);
    let counts = |dictionary: ChunkDictionary| {
        let options = options.clone().dictionary(Some(Arc::new(dictionary)));
        let chunks = Image::of_tar(&second, &options).report.chunks;
        let short = (chunks.short, chunks.short_bytes);
        let refused = (chunks.refused, chunks.refused_bytes);
        (chunks.stored, chunks.reused, short, refused)
    };
    // The last chunk of `shared` has 3616 bytes.
    let long = Policy::default().min_chunk(4096);
    let ours = Policy::default().origin(Some("library/first".into()));
    let others = Policy::default().origin(Some("library/other".into()));
    let pool = || ChunkDictionary::clone(&dictionary(&[&lower]));
    for of_file in [false, true] {
        let dictionary = || if of_file { from_file(&file) } else { pool() };
        assert_eq!(counts(dictionary()), (2, 6, (0, 0), (0, 0)));
        assert_eq!(
            counts(dictionary().policy(&long)),
            (3, 5, (1, 3616), (0, 0))
        );
        let refused = (8, 0, (0, 0), (6, 24_096));
        assert_eq!(counts(dictionary().policy(&others)), refused);
        assert_eq!(counts(dictionary().only(&[])), refused);
        let blob = BlobId::new(ids(&lower.done)[0].as_bytes()).unwrap();
        assert_eq!(counts(dictionary().only(&[blob])), (2, 6, (0, 0), (0, 0)));
    }
    assert_eq!(
        counts(from_file(&file).policy(&ours)),
        (2, 6, (0, 0), (0, 0))
    );
    // Bootstraps do not say from which repository their blobs are.
    assert_eq!(counts(pool().policy(&ours)), (8, 0, (0, 0), (6, 24_096)));
}

/// What is predicted is what is done, and blobs are chosen by it.
#[test]
fn a_plan_comes_true() {
    let tar = |seed| Tar::new().file("file", &noise(seed, 20_000)).finish();
    let options = plain_options();
    let images = [1, 2, 3].map(|seed| Image::of_tar(&tar(seed), &options));
    let [one, two, three] = &images;
    let file = dictionary_file(&[one, two, three], &["", "", ""]);
    let source = Tar::new()
        .file("one", &noise(1, 4096 * 3))
        .file("two", &noise(2, 20_000))
        .file("three", &noise(3, 4096))
        .file("zeros", &[0; 8192])
        .file("new", &noise(9, 5000))
        .finish();
    let with = |dictionary: ChunkDictionary| options.clone().dictionary(Some(Arc::new(dictionary)));
    let plan = |dictionary: ChunkDictionary| {
        plan_reuse(Streaming::new(&source[..]), &with(dictionary), &mut ()).unwrap()
    };
    let predicted = plan(from_file(&file));
    let image = Image::of_tar(&source, &with(from_file(&file)));
    assert_eq!(predicted.uses, image.done.reuse);
    assert_eq!(predicted.counts, image.report.chunks);
    let planned: Vec<Planned> = predicted
        .chunks
        .iter()
        .map(|(_, planned)| *planned)
        .collect();
    let (reuse, store, zeros) = (Planned::Reuse, Planned::Store, Planned::Zeros);
    let mut expected = vec![reuse; 9];
    expected.extend([zeros, store, store]);
    assert_eq!(planned, expected);
    assert_eq!(predicted.bytes(reuse), 4096 * 4 + 20_000);
    assert_eq!(
        (predicted.bytes(store), predicted.bytes(zeros)),
        (5000, 4096)
    );

    let ids: Vec<BlobId> = predicted.uses.iter().map(|blob| blob.id.clone()).collect();
    let shared: Vec<u64> = predicted.uses.iter().map(|blob| blob.len).collect();
    assert_eq!(shared, [4096 * 3, 20_000, 4096]);
    for (policy, chosen) in [
        (Policy::default().max_blobs(Some(1)), &[1][..]),
        (Policy::default().max_blobs(Some(2)), &[1, 0]),
        (Policy::default().min_used(50), &[1, 0]),
        (Policy::default().min_used(90), &[1]),
        (Policy::default().min_used(1), &[1, 0, 2]),
    ] {
        let expected: Vec<_> = chosen
            .iter()
            .map(|&index: &usize| ids[index].clone())
            .collect();
        assert!(policy.needs_uses());
        assert_eq!(policy.choose(&predicted.uses), expected);
        let dictionary = from_file(&file).only(&expected);
        let image = Image::of_tar(&source, &with(dictionary));
        let counts = image.report.chunks;
        assert_eq!(image.done.reused_blobs.len(), chosen.len());
        assert_eq!(counts.reused + counts.refused, 9);
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
    assert_eq!(dictionary.len(), 8);
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
