//! Layers at the same time: the work for each, and how far it is.

use std::path::Path;
use std::sync::Arc;

use image_model::{Blame as _, Cancelled, Fault};
use lazyoci_image_transcode::convert::{
    EstargzOptions, RafsOptions, ZstdChunkedDialect, ZstdChunkedOptions,
};
use lazyoci_image_transcode::store::{ImageStore, Layout, LayoutWriter};
use lazyoci_image_transcode::{
    ImageFormat, ImageProgress, LayerProgress, LayerWork, LayersProgress, TranscodeError,
    TranscodeOptions, Transcoded, transcode,
};

use crate::support::*;

fn formats(threads: usize) -> [(&'static str, ImageFormat); 4] {
    let chunked = ZstdChunkedOptions::default().dialect(ZstdChunkedDialect::Containers);
    let estargz = EstargzOptions::default();
    let gzip = frame_codec::Compression::Gzip { level: 6 };
    let tar = lazyoci_image_transcode::convert::TarOptions::default().compression(gzip);
    [
        (
            "nydus",
            ImageFormat::Nydus(RafsOptions::default().threads(threads)),
        ),
        ("estargz", ImageFormat::Estargz(estargz.threads(threads))),
        (
            "zstd-chunked",
            ImageFormat::ZstdChunked(chunked.threads(threads)),
        ),
        ("oci", ImageFormat::Oci(tar.threads(threads))),
    ]
}

fn convert(
    from: &Path,
    to: &Path,
    options: &TranscodeOptions,
    progress: &mut dyn ImageProgress,
) -> Result<Transcoded, Box<TranscodeError>> {
    let (store, image) = find(from);
    let target = LayoutWriter::open(to).unwrap();
    let done = transcode(
        &image.into(),
        &store,
        &target,
        Some(NAME),
        options,
        progress,
    );
    Ok(done?)
}

#[test]
fn the_bytes_do_not_depend_on_how_many_layers_there_are_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("source");
    source(&from);
    for at in 0..4 {
        let mut found = Vec::new();
        for (layers, threads) in [(1, 1), (2, 1), (3, 4), (50, 2)] {
            let (name, format) = formats(threads)[at].clone();
            let to = directory.path().join(format!("{name}-{layers}-{threads}"));
            let options = TranscodeOptions::new(format).layers_at_once(layers);
            let done = convert(&from, &to, &options, &mut ()).unwrap();
            found.push((name, done.published.digest, done.images[0].layers.clone()));
        }
        assert!(found.iter().all(|other| *other == found[0]), "{found:#?}");
    }
}

/// Everything about the work but the time.
fn untimed(work: &LayerWork) -> (Option<&str>, Option<&str>, [u64; 6]) {
    let bytes = [
        work.read,
        work.written,
        work.uploaded,
        work.skipped,
        work.deduplicated,
        work.reused,
    ];
    (work.source.as_deref(), work.layer.as_deref(), bytes)
}

#[test]
fn the_work_for_each_layer_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("source");
    let (_, image) = source(&from);
    let sources = &image.manifest.layers;
    for (name, format) in formats(2) {
        let options = TranscodeOptions::new(format);
        let done = convert(&from, &directory.path().join(name), &options, &mut ()).unwrap();
        let report = &done.images[0];
        let work: Vec<_> = report.work.iter().map(untimed).collect();
        let layer = |at: usize| Some(&*report.layers[at].descriptor.digest);
        let written = |at: usize| report.layers[at].descriptor.size;
        let source = |at: usize| Some(&*sources[at].digest);
        let read = |at: usize| sources[at].size;
        if name == "nydus" {
            let expected = [
                (source(0), layer(0), [read(0), written(0), 0, 0, 0, 0]),
                // A link and an empty file.
                (source(1), None, [read(1), 0, 0, 0, 0, 0]),
                (source(2), layer(1), [read(2), written(1), 0, 0, 0, 0]),
                // All of the lowest layer again.
                (source(3), None, [read(3), 0, 0, 0, 5006, 0]),
                (None, layer(2), [0, written(2), 0, 0, 0, 0]),
            ];
            assert_eq!(work, expected);
            continue;
        }
        // A layer that cannot be described is read again as a plain one.
        let again = match name {
            "oci" => 1,
            _ => 2,
        };
        let expected = [
            (source(0), layer(0), [read(0), written(0), 0, 0, 0, 0]),
            (
                source(1),
                layer(1),
                [again * read(1), written(1), 0, 0, 0, 0],
            ),
            (source(2), layer(2), [read(2), written(2), 0, 0, 0, 0]),
            // Converted once.
            (source(3), layer(0), [0; 6]),
        ];
        assert_eq!(work, expected, "{name}");
        let times = report.work.iter().map(|work| work.time.is_zero());
        assert_eq!(times.collect::<Vec<_>>(), [false, false, false, true]);
    }
}

/// Keeps what is told.
#[derive(Default)]
struct Told(Vec<(u64, u64, Vec<LayerProgress>)>);

impl ImageProgress for Told {
    fn advance_layers(&mut self, now: &LayersProgress<'_>) -> Result<(), Cancelled> {
        self.0.push((now.done, now.total, now.layers.to_vec()));
        Ok(())
    }
}

#[test]
fn progress_is_told_by_layer_and_in_all() {
    let directory = tempfile::tempdir().unwrap();
    let from = directory.path().join("source");
    let (_, image) = source(&from);
    let layers = &image.manifest.layers;
    let total: u64 = layers.iter().map(|layer| layer.size).sum();
    for (name, format) in formats(2) {
        for at_once in [1, 2] {
            let to = directory.path().join(format!("{name}-{at_once}"));
            let options = TranscodeOptions::new(format.clone()).layers_at_once(at_once);
            let mut told = Told::default();
            convert(&from, &to, &options, &mut told).unwrap();
            let mut before = 0;
            for (done, all, shown) in &told.0 {
                assert_eq!(*all, total);
                assert_eq!(*done, shown.iter().map(|layer| layer.read).sum::<u64>());
                assert!(*done >= before);
                before = *done;
                let digests = shown.iter().map(|layer| (&layer.digest, layer.len));
                let listed = layers.iter().map(|layer| (&layer.digest, layer.size));
                assert!(digests.eq(listed));
            }
            let (done, _, shown) = told.0.last().unwrap();
            assert_eq!(*done, total, "{name}");
            assert!(shown.iter().all(|layer| layer.done), "{name}: {shown:?}");
        }
    }
    // A nydus image is one source, of which a part is read.
    let from = directory.path().join("nydus-1");
    let (_, image) = find(&from);
    let options = TranscodeOptions::new(oci());
    let mut told = Told::default();
    let done = convert(&from, &directory.path().join("back"), &options, &mut told).unwrap();
    let len: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    let (done_bytes, total, shown) = told.0.last().unwrap();
    assert_eq!((*done_bytes, *total), (len, len));
    let shown: Vec<_> = shown
        .iter()
        .map(|layer| (&layer.digest, layer.read, layer.len, layer.done))
        .collect();
    assert_eq!(shown, [(&image.descriptor.digest, len, len, true)]);
    let work = &done.images[0].work[..];
    let [work] = work else { panic!("{work:?}") };
    assert!((1..=len).contains(&work.read), "{work:?}");
    assert_eq!(work.source, None);
    assert_eq!(work.written, done.images[0].layers[0].descriptor.size);
}

/// Cancels after some calls.
struct Cancel(usize);

impl ImageProgress for Cancel {
    fn advance_layers(&mut self, _: &LayersProgress<'_>) -> Result<(), Cancelled> {
        self.0 = self.0.checked_sub(1).ok_or(Cancelled)?;
        Ok(())
    }
}

#[test]
fn a_cancelled_conversion_publishes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    source(&from);
    for (name, format) in formats(2) {
        for at_once in [1, 2] {
            for calls in [0, 1, 2] {
                let options = TranscodeOptions::new(format.clone()).layers_at_once(at_once);
                let error = convert(&from, &to, &options, &mut Cancel(calls)).unwrap_err();
                assert_eq!(error.fault(), Fault::Cancelled, "{name}: {error:?}");
                assert_eq!(Layout::open(&to).unwrap().index().manifests, []);
            }
        }
    }
}

/// The error is that of the lowest layer that fails, whichever fails first.
#[test]
fn of_several_bad_layers_the_lowest_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    // The first is longer, so that the others fail before it.
    let long = noise(512 * 8000, 1);
    let mut layers = layers();
    layers[0] = tar(&[("long", &long)]);
    layers[3] = tar(&[("other", b"other")]);
    for (at, layer) in layers.iter_mut().enumerate() {
        if at != 1 {
            // The end, and all but two bytes of the last block of the last file.
            layer.truncate(layer.len() - 1024 - 510);
        }
    }
    source_of(&from, &layers, |config| config);
    for (name, format) in formats(2) {
        for at_once in [1, 2, 4] {
            let options = TranscodeOptions::new(format.clone()).layers_at_once(at_once);
            let error = convert(&from, &to, &options, &mut ()).unwrap_err();
            assert_eq!(error.fault(), Fault::Corrupt, "{name}: {error:?}");
            assert!(error_of_layer(&error, 0), "{name}: {error:?}");
        }
    }
}

fn error_of_layer(error: &TranscodeError, layer: usize) -> bool {
    use lazyoci_image_transcode::convert::ConvertError;
    match error {
        TranscodeError::Layer { layer: found, .. }
        | TranscodeError::Layers(ConvertError::InLayer { layer: found, .. }) => *found == layer,
        _ => false,
    }
}

/// A layer that is not there is told as such.
#[test]
fn layers_that_cannot_be_opened_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (_, image) = source(&from);
    let missing = &image.manifest.layers[2].digest;
    std::fs::remove_file(from.join("blobs/sha256").join(&missing["sha256:".len()..])).unwrap();
    for (name, format) in formats(2) {
        let options = TranscodeOptions::new(format);
        let error = convert(&from, &to, &options, &mut ()).unwrap_err();
        let TranscodeError::Store(error) = *error else {
            panic!("{name}: {error:?}");
        };
        let expected = "layer 2 (counted from 0, the base)";
        assert!(error.to_string().contains(expected), "{name}: {error}");
        let source = std::error::Error::source(&error).unwrap();
        assert!(source.to_string().contains(&**missing), "{name}: {source}");
    }
}

/// A layer that cannot be read is refused before those below it are converted.
#[test]
fn layers_of_other_types_are_refused_before_the_work() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (store, mut image) = source(&from);
    image.manifest.layers[3].media_type += "+encrypted";
    let target = LayoutWriter::open(&to).unwrap();
    for (name, format) in formats(2) {
        let options = TranscodeOptions::new(format);
        let images = image.clone().into();
        let error = transcode(&images, &store, &target, None, &options, &mut ()).unwrap_err();
        assert_eq!(error.fault(), Fault::Unsupported, "{name}");
        let expected = "layer 3 (counted from 0, the base)";
        assert_eq!(error.to_string(), expected, "{name}");
        assert_eq!(std::fs::read_dir(to.join("blobs")).unwrap().count(), 0);
    }
}

/// The platforms of an index are told of together.
#[test]
fn all_images_count() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("a"), directory.path().join("b"));
    let (_, image) = source(&from);
    let (_, other) = source_with(&from, |config| config.replace("amd64", "arm64"));
    let store: Arc<dyn ImageStore> = Arc::new(Layout::open(&from).unwrap());
    let mut images: lazyoci_image_transcode::store::ResolvedImages = image.clone().into();
    images.images.push(other);
    let target = LayoutWriter::open(&to).unwrap();
    let mut told = Told::default();
    let options = TranscodeOptions::new(oci());
    transcode(&images, &store, &target, Some(NAME), &options, &mut told).unwrap();
    let one: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    let (first, last) = (&told.0[0], &told.0[told.0.len() - 1]);
    assert_eq!((first.1, first.2.len()), (2 * one, 8));
    assert_eq!((last.0, last.1), (2 * one, 2 * one));
}
