//! New versions of nydus images.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use lazyoci_image_transcode::convert::chunk_dedup::{
    BlobRecord, BuildOptions, DictionaryBuilder, DictionaryError, DictionaryFile, Policy,
};
use lazyoci_image_transcode::convert::rafs_format::BlobPool;
use lazyoci_image_transcode::convert::{
    ConvertError, EstargzOptions, RafsOptions, add_to_dictionary,
};
use lazyoci_image_transcode::model::{BlobId, DigestAlgorithm};
use lazyoci_image_transcode::store::bytes::Bytes;
use lazyoci_image_transcode::store::{ImageStoreError, ImageTarget as _, LayoutWriter};
use lazyoci_image_transcode::{
    ImageFormat, KnownImages, TranscodeError, TranscodeOptions, TranscodeReport, made_before,
    transcode,
};

use crate::support::*;

/// An image with one layer in which one file depends on `number`.
fn version(directory: &Path, number: u32) {
    let (kept, changed) = (noise(40_000, 1), noise(30_000, number + 1));
    let mut layers = layers();
    layers[2] = tar(&[("opt/kept", &kept), ("opt/changed", &changed)]);
    source_of(directory, &layers, |config| config);
}

fn known(directories: &[&Path]) -> KnownImages {
    let add = |known: KnownImages, directory: &&Path| {
        let (store, image) = find(directory);
        known.add(&image, &store, &Default::default()).unwrap()
    };
    directories.iter().fold(KnownImages::default(), add)
}

fn options(known: Option<KnownImages>) -> TranscodeOptions {
    TranscodeOptions::new(ImageFormat::Nydus(RafsOptions::default())).known(known)
}

fn next(
    from: &Path,
    to: &Path,
    options: &TranscodeOptions,
) -> Result<TranscodeReport, Box<TranscodeError>> {
    let (store, image) = find(from);
    let target = LayoutWriter::open(to).unwrap();
    let done = transcode(&image.into(), &store, &target, Some(NAME), options, &mut ());
    Ok(done?.images.remove(0))
}

fn digests(report: &TranscodeReport) -> Vec<String> {
    let layers = report.layers.iter();
    layers
        .map(|layer| layer.descriptor.digest.clone())
        .collect()
}

#[test]
fn a_next_version_adds_the_chunks_that_it_does_not_share() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    version(&at("v1"), 1);
    version(&at("v2"), 2);
    let first = next(&at("v1"), &at("nydus"), &options(None)).unwrap();
    let before = digests(&first);
    assert_eq!(before.len(), 3);

    let known = known(&[&at("nydus")]);
    let second = next(&at("v2"), &at("nydus"), &options(Some(known))).unwrap();
    // Only the new file is stored; the blobs of the first version are listed before the bootstrap.
    let after = digests(&second);
    assert_eq!(second.report.chunks.stored, 1);
    assert!(second.layers[0].descriptor.size < 40_000);
    assert_eq!(after[1..3], before[..2]);
    assert_eq!(after.len(), 4);
    let sources: Vec<_> = second
        .layers
        .iter()
        .map(|layer| layer.source.is_some())
        .collect();
    assert_eq!(sources, [true, false, false, false]);
    let (store, image) = find(&at("nydus"));
    let config = image.config.clone().unwrap();
    assert_eq!(config.rootfs.diff_ids[1..3], before[..2]);
    let of_layers = config.history.iter().filter(|entry| !entry.empty_layer);
    assert_eq!(of_layers.count(), 4);
    assert_eq!(digest(&(store, image)), digest(&find(&at("v2"))));
}

#[test]
fn what_is_referred_to_is_put_where_the_image_is() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    version(&at("v1"), 1);
    version(&at("v2"), 2);
    version(&at("v3"), 3);
    next(&at("v1"), &at("first"), &options(None)).unwrap();
    let one = known(&[&at("first")]);
    let second = next(&at("v2"), &at("second"), &options(Some(one))).unwrap();
    assert_eq!(digest(&find(&at("second"))), digest(&find(&at("v2"))));
    // A version of a version, with the blobs of both known.
    let both = known(&[&at("second"), &at("first")]);
    let third = next(&at("v3"), &at("third"), &options(Some(both))).unwrap();
    assert_eq!(digest(&find(&at("third"))), digest(&find(&at("v3"))));
    assert_eq!(third.report.chunks.stored, 1);
    // The blob of the second version has no chunk that the third needs.
    assert!(!digests(&third).contains(&digests(&second)[0]));
    // With the same known images, the result is recognised.
    let both = options(Some(known(&[&at("second"), &at("first")])));
    let (_, image) = find(&at("v3"));
    let target = LayoutWriter::open(at("third")).unwrap();
    let found = made_before(&image.clone().into(), &target, Some(NAME), &both);
    assert_eq!(found.unwrap().unwrap().published.digest, third.image.digest);
    let other = options(Some(known(&[&at("first")])));
    let found = made_before(&image.into(), &target, Some(NAME), &other).unwrap();
    assert_eq!(found, None);
}

#[test]
fn what_cannot_be_referred_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    version(&at("v1"), 1);
    let (store, image) = find(&at("v1"));
    let plain = KnownImages::default().add(&image, &store, &Default::default());
    let Err(TranscodeError::NotKnown { digest }) = plain else {
        panic!("{plain:?}");
    };
    assert_eq!(digest, image.descriptor.digest);

    next(&at("v1"), &at("nydus"), &options(None)).unwrap();
    let estargz = ImageFormat::Estargz(EstargzOptions::default());
    let estargz = TranscodeOptions::new(estargz).known(Some(known(&[&at("nydus")])));
    let error = next(&at("v1"), &at("out"), &estargz).unwrap_err();
    assert!(matches!(*error, TranscodeError::KnownImages), "{error:?}");
    let other = RafsOptions::default().chunk_size(1 << 16);
    let other =
        TranscodeOptions::new(ImageFormat::Nydus(other)).known(Some(known(&[&at("nydus")])));
    let error = next(&at("v1"), &at("out"), &other).unwrap_err();
    assert!(
        matches!(
            *error,
            TranscodeError::Layers(ConvertError::Dictionary { .. })
        ),
        "{error:?}"
    );
    let target = LayoutWriter::open(at("out")).unwrap();
    assert_eq!(target.published(Some(NAME)).unwrap(), None);
    // A known blob that no longer exists.
    let known = known(&[&at("nydus")]);
    version(&at("v2"), 2);
    fs::remove_dir_all(at("nydus/blobs")).unwrap();
    let error = next(&at("v2"), &at("out"), &options(Some(known))).unwrap_err();
    assert!(matches!(*error, TranscodeError::Store(_)), "{error:?}");
    assert_eq!(target.published(Some(NAME)).unwrap(), None);
}

/// The chunks of the nydus image in `directory` as a dictionary file, which calls the place of its blobs `origin`.
fn file_of(directory: &Path, origin: &str) -> DictionaryFile<Bytes> {
    let (store, image) = find(directory);
    let opened = image.open(&store, &Default::default(), &mut ()).unwrap();
    let mut pool = BlobPool::default();
    pool.add(opened.bootstrap().unwrap(), None).unwrap();
    let shape = *pool.shape().unwrap();
    let options = BuildOptions::default().profile(shape.to_bytes());
    let temporary = Cursor::new(Vec::new());
    let mut builder = DictionaryBuilder::new(shape.digester.into(), temporary, options);
    add_to_dictionary(&pool, origin, &mut builder).unwrap();
    finished(builder)
}

fn finished(builder: DictionaryBuilder<Cursor<Vec<u8>>>) -> DictionaryFile<Bytes> {
    let mut bytes = Vec::new();
    let _ = builder.finish(&mut bytes, &mut ()).unwrap();
    DictionaryFile::open(bytes.into()).unwrap()
}

/// The images that are known, and those of the file, whose blobs are in `blobs`.
fn with_file(
    known: KnownImages,
    file: DictionaryFile<Bytes>,
    blobs: &Path,
) -> Result<KnownImages, TranscodeError> {
    let mut asked = Vec::new();
    let known = known.add_file(file, |origin| {
        asked.push(origin.to_owned());
        Ok::<_, TranscodeError>(find(blobs).0)
    });
    // Once, although there are two blobs.
    assert!(known.is_err() || asked == ["here"], "{asked:?}");
    known
}

#[test]
fn a_dictionary_file_is_as_good_as_the_images() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for number in 1..4 {
        version(&at(&format!("v{number}")), number);
    }
    let first = next(&at("v1"), &at("first"), &options(None)).unwrap();
    let file = || file_of(&at("first"), "here");
    let by_file = || with_file(KnownImages::default(), file(), &at("first")).unwrap();
    let second = next(&at("v2"), &at("second"), &options(Some(by_file()))).unwrap();
    assert_eq!(second.report.chunks.stored, 1);
    // What is said of the blobs is what the image says that has them.
    let blobs = |layers: &[lazyoci_image_transcode::TranscodedLayer]| -> Vec<_> {
        let layers = layers.iter();
        layers.map(|layer| layer.descriptor.clone()).collect()
    };
    assert_eq!(blobs(&second.layers[1..3]), blobs(&first.layers[..2]));
    assert_eq!(digest(&find(&at("second"))), digest(&find(&at("v2"))));
    // The same blobs by the image. Bootstraps tell more of chunks, their checksums.
    let by_image = options(Some(known(&[&at("first")])));
    let same = next(&at("v2"), &at("same"), &by_image).unwrap();
    assert_eq!(digests(&same)[..3], digests(&second)[..3]);

    let (_, image) = find(&at("v2"));
    let target = LayoutWriter::open(at("second")).unwrap();
    let before = |known: KnownImages| {
        let found = made_before(
            &image.clone().into(),
            &target,
            Some(NAME),
            &options(Some(known)),
        );
        found.unwrap().is_some()
    };
    assert!(before(by_file()));
    assert!(!before(known(&[&at("first")])));
    assert!(!before(by_file().policy(Policy::default().min_chunk(1))));

    // What comes first is asked first: `kept` is in a blob of the first image, and in one of the third.
    next(&at("v3"), &at("third"), &options(None)).unwrap();
    let kept = |directory: &str| find(&at(directory)).1.manifest.layers[1].digest.clone();
    let image_first = with_file(known(&[&at("third")]), file(), &at("first")).unwrap();
    let (store, third) = find(&at("third"));
    let file_first = by_file().add(&third, &store, &Default::default()).unwrap();
    for (name, known, blob, other) in [
        ("image first", image_first, "third", "first"),
        ("file first", file_first, "first", "third"),
    ] {
        let made = next(&at("v2"), &at(name), &options(Some(known))).unwrap();
        assert!(digests(&made).contains(&kept(blob)), "{name}");
        assert!(!digests(&made).contains(&kept(other)), "{name}");
        assert_eq!(digest(&find(&at(name))), digest(&find(&at("v2"))));
    }
}

#[test]
fn a_policy_says_which_known_blobs_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    version(&at("v1"), 1);
    version(&at("v2"), 2);
    next(&at("v1"), &at("first"), &options(None)).unwrap();
    let made = |name: &str, policy: Policy| {
        let file = file_of(&at("first"), "here");
        let known = with_file(KnownImages::default(), file, &at("first")).unwrap();
        let made = next(&at("v2"), &at(name), &options(Some(known.policy(policy)))).unwrap();
        assert_eq!(digest(&find(&at(name))), digest(&find(&at("v2"))), "{name}");
        // Of the bootstrap there is no layer either.
        let listed = made.layers.iter().filter(|layer| layer.source.is_none());
        let chunks = made.report.chunks;
        (
            listed.count() - 1,
            chunks.reused,
            chunks.short,
            chunks.refused,
        )
    };
    let all = made("all", Policy::default());
    let (_, reused, ..) = all;
    assert_eq!(all, (2, reused, 0, 0));
    let here = Policy::default().origin(Some("here".to_owned()));
    assert_eq!(made("here", here), all);
    let elsewhere = Policy::default().origin(Some("elsewhere".to_owned()));
    assert_eq!(made("elsewhere", elsewhere), (0, 0, 0, reused));
    let long = Policy::default().min_chunk(u32::MAX);
    assert_eq!(made("long", long), (0, 0, reused, 0));
    let (listed, some, short, refused) = made("one", Policy::default().max_blobs(Some(1)));
    assert_eq!((listed, some + refused, short), (1, reused, 0));
    // The other one has `kept`, but `changed`, too.
    let (listed, some, ..) = made("used", Policy::default().min_used(90));
    assert_eq!((listed, some), (1, reused - 1));
}

#[test]
fn dictionary_files_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    version(&at("v1"), 1);
    version(&at("v2"), 2);
    next(&at("v1"), &at("first"), &options(None)).unwrap();
    let builder = |profile: &[u8]| {
        let options = BuildOptions::default().profile(profile);
        DictionaryBuilder::new(DigestAlgorithm::Blake3, Cursor::new(Vec::new()), options)
    };
    let error = |file| with_file(KnownImages::default(), file, &at("first")).unwrap_err();
    let no_image = error(finished(builder(b"TOC")));
    assert!(
        matches!(&no_image, TranscodeError::KnownFile { source, .. }
            if matches!(**source, ConvertError::DictionaryContent(_))),
        "{no_image:?}"
    );
    let mut nameless = builder(b"TOC");
    let id = BlobId::new(b"blob").unwrap();
    let _ = nameless.add_blob(BlobRecord::new(id.clone())).unwrap();
    match error(finished(nameless)) {
        TranscodeError::NamelessBlob { id: found } => assert_eq!(found, id),
        other => panic!("{other:?}"),
    }
    let file = file_of(&at("first"), "here");
    // Its blobs: 128 bytes of header come before the profile, and then where descriptions end.
    let mut damaged = file.bytes().to_vec();
    let ends = 128 + file.profile().len();
    damaged[ends..ends + 8].fill(0xff);
    let damaged = error(DictionaryFile::open(damaged.into()).unwrap());
    assert!(
        matches!(&damaged, TranscodeError::KnownFile { source, .. }
            if matches!(**source, ConvertError::DictionaryFile(DictionaryError::Blob { .. }))),
        "{damaged:?}"
    );
    // Images made otherwise.
    let smaller = ImageFormat::Nydus(RafsOptions::default().chunk_size(1 << 16));
    next(&at("v2"), &at("smaller"), &TranscodeOptions::new(smaller)).unwrap();
    let mixed = with_file(known(&[&at("smaller")]), file.clone(), &at("first")).unwrap_err();
    assert!(
        matches!(&mixed, TranscodeError::KnownFile { source, .. }
            if matches!(**source, ConvertError::Dictionary { what: "chunk size" })),
        "{mixed:?}"
    );
    // A place that cannot be opened, and one without the blobs.
    let unopened = KnownImages::default().add_file(file.clone(), |_| Err(TranscodeError::NoImages));
    assert!(matches!(unopened, Err(TranscodeError::NoImages)));
    let elsewhere = with_file(KnownImages::default(), file, &at("smaller")).unwrap();
    let error = next(&at("v2"), &at("out"), &options(Some(elsewhere))).unwrap_err();
    assert!(
        matches!(
            *error,
            TranscodeError::Store(ImageStoreError::NoObject { .. })
        ),
        "{error:?}"
    );
    let target = LayoutWriter::open(at("out")).unwrap();
    assert_eq!(target.published(Some(NAME)).unwrap(), None);
}
