//! Conversions layer by layer.

use std::collections::HashMap;
use std::io::Read;

use image_convert::{
    ConvertError, DescribedObject, EstargzOptions, Report, Source, Streaming, TarOptions,
    ZstdChunkedDialect, ZstdChunkedOptions, recompress, to_estargz, to_tar, to_zstd_chunked,
};
use image_model::layer::LayerError;
use image_model::{Digest, Progress};
use image_read::LayerImageError;
use image_store::ImageTarget;
use oci_image::Descriptor;

use crate::error::TranscodeError;
use crate::options::TranscodeOptions;
use crate::output::TargetOutput;
use crate::report::TranscodedLayer;
use crate::transcode::{Incoming, Made};

/// The format of each layer.
#[derive(Clone, Copy)]
pub(crate) enum Layerwise<'o> {
    Estargz(&'o EstargzOptions),
    ZstdChunked(&'o ZstdChunkedOptions),
    Oci(&'o TarOptions),
}

impl Layerwise<'_> {
    /// Whether the tar of a layer stays as it is.
    fn keeps_tars(self) -> bool {
        match self {
            Self::Estargz(_) => false,
            Self::ZstdChunked(chunked) => {
                chunked.lossless || chunked.dialect == ZstdChunkedDialect::Containers
            }
            Self::Oci(_) => true,
        }
    }

    /// How a layer is written that the format cannot describe; `None` if every layer can be.
    fn plain(self) -> Option<TarOptions> {
        let (compression, threads) = match self {
            Self::Estargz(estargz) => (estargz.compression, estargz.threads),
            Self::ZstdChunked(chunked) => (chunked.compression, chunked.threads),
            Self::Oci(_) => return None,
        };
        let tar = TarOptions::default();
        Some(tar.compression(compression).threads(threads))
    }
}

/// Converts each of `sources`, lowest first; repeated layers are converted once. `open` opens the layer at a
/// position; `listed` are the DiffIDs in the configuration.
pub(crate) fn convert(
    sources: &[Option<Descriptor>],
    listed: &[String],
    open: impl Fn(usize) -> Result<Incoming, TranscodeError>,
    target: &dyn ImageTarget,
    (format, options): (Layerwise<'_>, &TranscodeOptions),
    progress: &mut dyn Progress,
) -> Result<Made, TranscodeError> {
    let mut layers = Vec::new();
    let mut reports = Vec::new();
    let mut known: HashMap<&str, (DescribedObject, Digest)> = HashMap::new();
    for (position, source) in sources.iter().enumerate() {
        let digest = source.as_ref().map(|layer| layer.digest.as_str());
        if let Some((object, diff_id)) = digest.and_then(|digest| known.get(digest)) {
            let mut again = layer(object, diff_id, source.as_ref());
            again.repeated = true;
            layers.push(again);
            continue;
        }
        let incoming = open(position)?;
        // A kept tar must match its DiffID.
        let is_layer = matches!(incoming, Incoming::Layer(_));
        let mut kept = is_layer && format.keeps_tars();
        let mut output = TargetOutput::new(target, options.spool_directory.as_deref());
        let mut made = convert_layer(incoming, format, &mut output, progress);
        if let (Some(tar), Err(error)) = (format.plain(), &made)
            && cannot_be_described(error)
        {
            kept = is_layer;
            made = convert_layer(open(position)?, Layerwise::Oci(&tar), &mut output, progress);
        }
        let (object, diff_id, report) = made.map_err(TranscodeError::in_layer(position))?;
        if let Some(listed) = listed.get(position).filter(|_| kept)
            && *listed != diff_id.to_string()
        {
            return Err(TranscodeError::DiffId {
                layer: position,
                listed: listed.clone(),
                found: diff_id.to_string(),
            });
        }
        layers.push(layer(&object, &diff_id, source.as_ref()));
        reports.push(report);
        if let Some(digest) = digest {
            known.insert(digest, (object, diff_id));
        }
    }
    Ok(Made {
        layers,
        report: Report::sum(reports, &options.limits),
        has_blob: vec![true; sources.len()],
        known_blobs: 0,
    })
}

/// Whether a TOC cannot describe a layer: it depends on lower ones, as it contains a hard link to one, or its tar is to
/// be kept and has something for which there is no form.
fn cannot_be_described(error: &ConvertError) -> bool {
    matches!(
        error,
        ConvertError::LayerImage(LayerImageError::Layer(
            LayerError::TargetOutsideLayer { .. }
        )) | ConvertError::KeptTar(_)
    )
}

fn convert_layer(
    incoming: Incoming,
    format: Layerwise<'_>,
    output: &mut TargetOutput<'_>,
    progress: &mut dyn Progress,
) -> Result<(DescribedObject, Digest, Report), ConvertError> {
    Ok(match format {
        Layerwise::Oci(tar) => {
            let done = match incoming {
                Incoming::Layer(layer) => recompress(layer, output, tar, progress)?,
                Incoming::Image(image) => to_tar(*image, output, tar, progress)?,
            };
            (done.blob, done.diff_id, done.report)
        }
        Layerwise::ZstdChunked(chunked) => {
            let done = to_zstd_chunked(Source::from(incoming), output, chunked, progress)?;
            (done.blob, done.diff_id, done.report)
        }
        Layerwise::Estargz(estargz) => {
            let done = to_estargz(Source::from(incoming), output, estargz, progress)?;
            (done.blob, done.diff_id, done.report)
        }
    })
}

/// Describes a layer that was written; adds what its source's descriptor says about it.
fn layer(
    object: &DescribedObject,
    diff_id: &Digest,
    source: Option<&Descriptor>,
) -> TranscodedLayer {
    let mut descriptor = object.descriptor().expect("layers have types");
    let kept = source
        .into_iter()
        .flat_map(|source| source.annotations.iter());
    for (key, value) in kept.filter(|(key, _)| !is_of_bytes(key)) {
        if descriptor.annotations.text(key).is_none() {
            descriptor.annotations.set(key, value);
        }
    }
    TranscodedLayer {
        descriptor,
        diff_id: diff_id.to_string(),
        source: source.map(|layer| layer.digest.clone()),
        repeated: false,
    }
}

/// Whether an annotation describes the bytes of a layer or image, and is invalid after conversion.
pub(crate) fn is_of_bytes(key: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "containerd.io/snapshot/",
        "containerd.io/uncompressed",
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

/// A layer read as a stream.
pub(crate) fn streamed(
    layer: impl Read + 'static,
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
