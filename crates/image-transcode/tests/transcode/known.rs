//! New versions of nydus images.

use std::fs;
use std::path::Path;

use lazyoci_image_transcode::convert::{ConvertError, EstargzOptions, RafsOptions};
use lazyoci_image_transcode::store::{ImageTarget as _, LayoutWriter};
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
