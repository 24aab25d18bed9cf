//! nydus images over layers as they are.

use image_model::{Blame as _, Fault};
use lazyoci_image_transcode::convert::ZranOptions;
use lazyoci_image_transcode::oci_image::{Descriptor, NydusLayer};
use lazyoci_image_transcode::{ImageFormat, TranscodeError};
use tempfile::tempdir;

use crate::support::{digest, find, layers, make, noise, source_of, tar};

fn zran() -> ImageFormat {
    ImageFormat::NydusZran(ZranOptions::default().chunk_size(1 << 16))
}

/// The third one has no content, the last one is the first once more.
fn four() -> [Vec<u8>; 4] {
    let noise = noise(200_000, 1);
    let base = tar(&[("etc/gone", &noise), ("opt/a", b"a"), ("opt/same", &noise)]);
    let upper = tar(&[("etc/.wh.gone", b""), ("etc/b", &[7; 100_000])]);
    let bare = tar(&[("opt/.wh.a", b""), ("empty", b"")]);
    [base.clone(), upper, bare, base]
}

fn kind(layer: &Descriptor) -> NydusLayer {
    NydusLayer::read(&layer.annotations).unwrap().unwrap()
}

#[test]
fn layers_stay_as_they_are() {
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let (_, source) = source_of(from.path(), &four(), |config| config);
    let made = make(from.path(), to.path(), zran()).unwrap();
    let target = find(to.path());
    assert_eq!(digest(&target), digest(&find(from.path())));

    let image = &target.1;
    let originals = &source.manifest.layers;
    let digest_of = |layer: &Descriptor| layer.digest.clone();
    let kept = [&originals[0], &originals[1], &originals[3]].map(digest_of);
    let layers = &image.manifest.layers;
    assert_eq!(layers.len(), 3 + 2 + 1);
    assert!(layers.iter().take(3).map(digest_of).eq(kept.clone()));
    for layer in &layers[..3] {
        assert_eq!(layer.media_type, originals[0].media_type);
        let (reference, encrypted) = (None, false);
        let blob = NydusLayer::Blob {
            reference,
            encrypted,
        };
        assert_eq!(kind(layer), blob);
        assert_eq!(layer.annotations.text("com.example.team"), Some("base"));
        assert_eq!(layer.annotations.text("com.amazon.soci.span-size"), None);
    }
    // What describes a layer says of which one.
    for (meta, kept) in layers[3..5].iter().zip(kept) {
        let blob = NydusLayer::Blob {
            reference: Some(kept.parse().unwrap()),
            encrypted: false,
        };
        assert_eq!(kind(meta), blob);
    }
    assert!(matches!(kind(&layers[5]), NydusLayer::Bootstrap { .. }));

    let [before, after] = [&source, image].map(|image| image.config.as_ref().unwrap());
    let diff_ids = &after.rootfs.diff_ids;
    assert_eq!(diff_ids.len(), 6);
    let unchanged = [0, 1, 3].map(|position| before.rootfs.diff_ids[position].clone());
    assert_eq!(diff_ids[..3], unchanged);
    let empty = after.history.iter().map(|entry| entry.empty_layer);
    let expected = [false, true, false, true, false, false, false, false];
    assert!(empty.eq(expected));
    let repeated = made.layers.iter().map(|layer| layer.repeated);
    assert!(repeated.eq([false, false, true, false, false, false]));
    let work = made.work.iter().map(|work| work.layer.is_some());
    assert!(work.eq([true, true, false, true, true, true, true]));
}

#[test]
fn the_image_is_recognised() {
    use lazyoci_image_transcode::store::LayoutWriter;
    use lazyoci_image_transcode::{TranscodeOptions, made_before};
    let (from, to) = (tempdir().unwrap(), tempdir().unwrap());
    let (_, source) = source_of(from.path(), &four(), |config| config);
    make(from.path(), to.path(), zran()).unwrap();
    let target = LayoutWriter::open(to.path()).unwrap();
    let images = source.into();
    let before = |format: ImageFormat| {
        let name = Some(crate::support::NAME);
        let options = TranscodeOptions::new(format);
        made_before(&images, &target, name, &options).unwrap()
    };
    let zran_of = |options: ZranOptions| ImageFormat::NydusZran(options);
    let same = ZranOptions::default().chunk_size(1 << 16).threads(7);
    assert!(before(zran_of(same)).is_some());
    assert!(before(zran_of(ZranOptions::default())).is_none());
}

#[test]
fn what_cannot_stay_as_it_is_is_refused() {
    let (from, nydus, to) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    source_of(from.path(), &four(), |config| config);
    let rafs = ImageFormat::Nydus(Default::default());
    let made = make(from.path(), nydus.path(), rafs).unwrap();
    let error = make(nydus.path(), to.path(), zran()).unwrap_err();
    assert_eq!(error.fault(), Fault::Unsupported);
    assert!(matches!(error, TranscodeError::NoTars { digest } if digest == made.image.digest));
    // The second layer has a hard link to a file of the first one.
    let linked = tempdir().unwrap();
    source_of(linked.path(), &layers(), |config| config);
    let error = make(linked.path(), to.path(), zran()).unwrap_err();
    assert!(
        matches!(error, TranscodeError::Layer { layer: 1, .. }),
        "{error}"
    );
}
