//! Images whose layers stay layers: each is converted by itself.

use std::collections::HashMap;

use image_convert::{DescribedObject, Source, Streaming, recompress, to_estargz, to_tar};
use image_model::{Digest, Progress};
use image_store::ImageTarget;
use oci_image::Descriptor;

use crate::error::TranscodeError;
use crate::options::{ImageFormat, TranscodeOptions};
use crate::output::TargetOutput;
use crate::report::TranscodedLayer;
use crate::transcode::{Incoming, Made};

/// Converts each of `layers`, the lowest first; those that are there several times once.
pub(crate) fn convert(
    layers: impl Iterator<Item = Result<Incoming, TranscodeError>>,
    sources: &[Option<Descriptor>],
    target: &dyn ImageTarget,
    options: &TranscodeOptions,
    progress: &mut dyn Progress,
) -> Result<Made, TranscodeError> {
    let mut made = Made::default();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for ((position, incoming), source) in layers.enumerate().zip(sources) {
        let incoming = incoming?;
        let digest = source.as_ref().map(|layer| layer.digest.as_str());
        if let Some(&same) = digest.and_then(|digest| known.get(digest)) {
            let mut again: TranscodedLayer = made.layers[same].clone();
            again.repeated = true;
            made.layers.push(again);
            continue;
        }
        let mut output = TargetOutput::new(target, options.spool_directory.as_deref());
        let failed = TranscodeError::in_layer(position);
        let (object, diff_id, report) = match (&options.format, incoming) {
            (ImageFormat::Oci(tar), incoming) => {
                let done = match incoming {
                    Incoming::Layer(layer) => recompress(layer, &mut output, tar, progress),
                    Incoming::Image(image) => to_tar(*image, &mut output, tar, progress),
                };
                let done = done.map_err(failed)?;
                (done.blob, done.diff_id, done.report)
            }
            (ImageFormat::Estargz(estargz), incoming) => {
                let source = Source::from(incoming);
                let done = to_estargz(source, &mut output, estargz, progress).map_err(failed)?;
                (done.blob, done.diff_id, done.report)
            }
            (ImageFormat::Nydus(_), _) => unreachable!("its layers are converted together"),
        };
        match made.layers.is_empty() {
            true => made.report = report,
            false => made.report.add(report, &options.limits),
        }
        if let Some(digest) = digest {
            known.insert(digest, made.layers.len());
        }
        made.layers.push(layer(&object, &diff_id, source.as_ref()));
    }
    Ok(made)
}

/// A layer as it was written, with what was said of the one that it was made of.
fn layer(
    object: &DescribedObject,
    diff_id: &Digest,
    source: Option<&Descriptor>,
) -> TranscodedLayer {
    let mut descriptor = object.descriptor().expect("layers have types");
    if let Some(source) = source {
        for (key, value) in source
            .annotations
            .iter()
            .filter(|(key, _)| !is_of_bytes(key))
        {
            if descriptor.annotations.text(key).is_none() {
                descriptor.annotations.set(key, value);
            }
        }
    }
    TranscodedLayer {
        descriptor,
        diff_id: diff_id.to_string(),
        source: source.map(|layer| layer.digest.clone()),
        repeated: false,
    }
}

/// Whether an annotation is of the bytes of a layer, and not true of others.
fn is_of_bytes(key: &str) -> bool {
    const PREFIXES: [&str; 5] = [
        "containerd.io/snapshot/",
        "io.containers.estargz.",
        "io.containers.zstd-chunked.",
        "io.github.containers.zstd-chunked.",
        "com.amazon.soci.",
    ];
    PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

impl From<Incoming> for Source<'static> {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Layer(layer) => layer.into(),
            Incoming::Image(image) => (*image).into(),
        }
    }
}

/// A layer that is read from its first byte to its last.
pub(crate) fn streamed(
    layer: impl std::io::Read + 'static,
    options: &TranscodeOptions,
) -> Streaming<'static> {
    let streaming = Streaming::new(layer)
        .lenient(options.lenient)
        .limits(options.limits.clone());
    match &options.spool_directory {
        Some(directory) => streaming.spool_directory(directory),
        None => streaming,
    }
}
