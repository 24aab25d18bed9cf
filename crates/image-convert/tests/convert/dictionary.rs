//! Images over chunks that the blobs of others hold, and images without blobs of which little is used.

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

/// A dictionary file does what the bootstraps do of which it was made.
#[test]
fn a_file_is_as_good_as_the_bootstraps() {
    let [first, second] = tars();
    for version in VERSIONS {
        let options = plain_options().version(version);
        let lower = Image::of_tar(&first, &options);
        let file = dictionary_file(&[&lower], &["library/first"]);
        let with = |dictionary: ChunkDictionary| {
            let options = options.clone().dictionary(Some(Arc::new(dictionary)));
            Image::of_tar(&second, &options)
        };
        let image = with(from_file(&file));
        let blobs = blobs_of(&[&lower, &image]);
        let opened = opened(&image.bootstrap_path(), blobs.path());
        assert_eq!(digest(&opened), digest_of_tar(&second), "{version:?}");
        let chunks = image.report.chunks;
        assert_eq!((chunks.stored, chunks.reused), (2, 6));
        assert_eq!((chunks.stored_bytes, chunks.reused_bytes), (7000, 24_096));
        assert_eq!((chunks.short, chunks.refused), (0, 0));
        let id = BlobId::new(ids(&lower.done)[0].as_bytes()).unwrap();
        let expected = BlobUse {
            id: id.clone(),
            chunks: 6,
            len: 24_096,
            stored_len: 24_096,
            blob_len: image.done.reuse[0].blob_len,
        };
        assert_eq!(image.done.reuse, [expected]);
        let whole = image.done.reuse[0].blob_len.unwrap();
        assert!((29_000..33_000).contains(&whole), "{whole}");
        // The blob is that of a conversion against the bootstrap.
        let by_bootstrap = Image::of_tar(
            &second,
            &options.clone().dictionary(Some(dictionary(&[&lower]))),
        );
        assert_eq!(ids(&image.done), ids(&by_bootstrap.done));
        let shape = Shape::from_bytes(file.profile()).unwrap();
        assert_eq!(from_file(&file).shape(), Some(&shape));
        let entries: Vec<BlobId> = from_file(&file)
            .entries()
            .map(|entry| entry.id.clone())
            .collect();
        assert_eq!(entries, [id]);
    }
}

/// The pool comes first, the files after it; a file's chunks have numbers after those of the pool.
#[test]
fn files_come_after_bootstraps() {
    let [first, second] = tars();
    let options = plain_options();
    let (lower, upper) = (
        Image::of_tar(&first, &options),
        Image::of_tar(&second, &options),
    );
    let file = dictionary_file(&[&lower, &upper], &["one", "two"]);
    let pool = dictionary(&[&upper]);
    let both = ChunkDictionary::clone(&pool)
        .and_file(file.clone())
        .unwrap();
    assert_eq!((both.len(), both.entries().count()), (8 + 10, 2));
    let tar = Tar::new()
        .file("a", &noise(2, 9000))
        .file("b", &noise(1, 20_000));
    let image = Image::of_tar(
        &tar.finish(),
        &options.clone().dictionary(Some(Arc::new(both.clone()))),
    );
    assert_eq!(image.done.blobs, []);
    // `old` is only in the file, but for its first chunk.
    let of = |image: &Image| ids(&image.done)[0].clone();
    assert_eq!(reused(&image.done), [of(&upper), of(&lower)]);
    let shared: Vec<_> = image.done.reuse.iter().map(|blob| blob.chunks).collect();
    assert_eq!(shared, [6, 2]);
    assert!(both != ChunkDictionary::clone(&pool));
    assert!(both == ChunkDictionary::clone(&pool).and_file(file).unwrap());
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

#[test]
fn files_that_rafs_images_cannot_use_are_refused() {
    let [first, second] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let file = dictionary_file(&[&lower], &["library/first"]);
    let error = |file: DictionaryFile<Bytes>| {
        let opened = ChunkDictionary::default().and_file(file);
        let result = opened.and_then(|dictionary| {
            let options = options.clone().dictionary(Some(Arc::new(dictionary)));
            Image::of(Streaming::new(&second[..]), &options)
        });
        let Err(error) = result else {
            panic!("it was accepted");
        };
        let source = std::error::Error::source(&error).map(ToString::to_string);
        (error.fault(), source.unwrap_or_default())
    };
    let build =
        |profile: &[u8], change: &dyn Fn(&mut chunk_dedup::BlobRecord, &mut chunk_dedup::Entry)| {
            let built = BuildOptions::default().profile(profile);
            let mut builder =
                DictionaryBuilder::new(file.algorithm(), Cursor::new(Vec::new()), built);
            for entry in file.entries() {
                let mut entry = entry.unwrap();
                let mut blob = file.blob_record(entry.placement.frame.blob).unwrap();
                change(&mut blob, &mut entry);
                entry.placement.frame.blob = builder.add_blob(blob).unwrap();
                builder.push(entry).unwrap();
            }
            let mut bytes = Vec::new();
            let _ = builder.finish(&mut bytes, &mut ()).unwrap();
            DictionaryFile::open(Bytes::from(bytes)).unwrap()
        };
    let profile = file.profile();
    for (file, fault, message) in [
        (
            build(b"other", &|_, _| ()),
            Fault::Corrupt,
            "the shape of images at byte 0: size is 0x5, but must be 20",
        ),
        (
            build(profile, &|blob, _| blob.detail = vec![1]),
            Fault::Corrupt,
            "the blob of a dictionary at byte 0: size is 0x1, but must be 256",
        ),
        (
            build(profile, &|blob, _| blob.id = BlobId::new(b"other").unwrap()),
            Fault::Corrupt,
            "blob other is described in two ways",
        ),
        (
            build(profile, &|_, entry| entry.placement.index = 77),
            Fault::Corrupt,
            "chunk of a dictionary at 0x1000: index is 77, must be less than the blob's number of chunks",
        ),
        (
            build(profile, &|_, entry| entry.placement.frame.offset += 1 << 20),
            Fault::Corrupt,
            "chunk of a dictionary at 0x101000: compressed_offset is 1052672, must be one that ends inside the blob's data",
        ),
        (
            build(profile, &|_, entry| {
                entry.placement.frame.recipe = image_model::RecipeId(2);
            }),
            Fault::Corrupt,
            "chunk of a dictionary at 0x1000: compressor is 1, must be that of the chunk",
        ),
        (
            build(profile, &|_, entry| {
                entry.placement.frame.recipe = image_model::RecipeId(4);
            }),
            Fault::Corrupt,
            "record RECORD of the dictionary: a chunk that is not a frame of its own",
        ),
    ] {
        let (found, source) = error(file);
        let known = source.starts_with("record ") && message.contains("RECORD");
        if !(source == message || known) {
            eprintln!("XX {source}");
        }
        assert_eq!(found, fault);
    }
    let other = Image::of_tar(&first, &plain_options().chunk_size(8192));
    let mixed = from_file(&file).and_file(dictionary_file(&[&other], &[""]));
    match mixed {
        Err(ConvertError::Dictionary { what }) => assert_eq!(what, "chunk size"),
        other => panic!("{other:?}"),
    }
}

/// A file that lies about where a chunk is makes an image whose reader notices.
#[test]
fn a_wrong_placement_is_noticed_when_it_is_read() {
    let [first, _] = tars();
    let options = plain_options();
    let lower = Image::of_tar(&first, &options);
    let file = dictionary_file(&[&lower], &[""]);
    let built = BuildOptions::default().profile(file.profile());
    let mut builder = DictionaryBuilder::new(file.algorithm(), Cursor::new(Vec::new()), built);
    let blob = file.blob_record(image_model::BlobIndex(0)).unwrap();
    let _ = builder.add_blob(blob).unwrap();
    // Every chunk is where the first one is.
    for entry in file.entries() {
        let mut entry = entry.unwrap();
        entry.placement.frame.offset = 0;
        builder.push(entry).unwrap();
    }
    let mut bytes = Vec::new();
    let _ = builder.finish(&mut bytes, &mut ()).unwrap();
    let lie = DictionaryFile::open(Bytes::from(bytes)).unwrap();
    lie.check().unwrap();
    let options = options.dictionary(Some(Arc::new(from_file(&lie))));
    let image = Image::of_tar(&first, &options);
    let opened = opened(&image.bootstrap_path(), &lower.output().join("blobs"));
    let mut wrong = 0;
    let _ = opened.verify(&VerifyOptions::default(), &mut (), &mut |finding| {
        let said = finding.to_string();
        wrong += usize::from(said.contains("is corrupt: the bytes have digest"));
    });
    // `shared` has five chunks, `old` three; the first of them is right.
    assert_eq!(wrong, 7);
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
