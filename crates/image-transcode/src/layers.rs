//! Conversions layer by layer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use image_convert::{
    ConvertError, DescribedObject, EstargzOptions, Report, Source, TarOptions, ZstdChunkedDialect,
    ZstdChunkedOptions, recompress, to_estargz, to_tar, to_zstd_chunked,
};
use image_model::layer::LayerError;
use image_model::{Digest, Progress};
use image_read::LayerImageError;
use oci_image::Descriptor;

use crate::at_once;
use crate::conversion::{Conversion, Incoming};
use crate::error::TranscodeError;
use crate::output::LayerOutput;
use crate::progress::Reporter;
use crate::report::{LayerWork, TranscodedLayer};
use crate::transcode::Made;

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
            Self::Estargz(estargz) => estargz.lossless,
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

/// Converts each layer; repeated layers are converted once. `listed` are the DiffIDs in the configuration.
pub(crate) fn convert(
    conversion: &Conversion<'_>,
    format: Layerwise<'_>,
    listed: &[String],
    reporter: &mut Reporter<'_>,
) -> Result<Made, TranscodeError> {
    // The position of the first of equal layers.
    let mut first = HashMap::new();
    let digest = |source: &Option<&Descriptor>| source.map(|layer| layer.digest.clone());
    let firsts: Vec<usize> = (conversion.sources.iter().enumerate())
        .map(|(position, source)| *first.entry(digest(source)).or_insert(position))
        .collect();
    let distinct = firsts.iter().enumerate();
    let distinct = distinct.filter(|(position, first)| position == *first);
    let distinct: Vec<usize> = distinct.map(|(position, _)| position).collect();
    let work = |position: usize, progress: &mut dyn Progress| {
        convert_one(conversion, format, listed, position, progress)
    };
    let options = conversion.options;
    let converted = at_once::run(&distinct, options.layers_at_once, &work, reporter)?;
    let converted: HashMap<usize, Converted> = distinct.into_iter().zip(converted).collect();
    let mut made = Made::default();
    let mut reports = Vec::new();
    for (position, first) in firsts.into_iter().enumerate() {
        let source = conversion.sources[position];
        let one = &converted[&first];
        conversion.tallies[position].done();
        let mut layer = layer(&one.object, &one.diff_id, source);
        layer.toc = one.toc.clone();
        layer.repeated = first != position;
        let mut work = LayerWork {
            source: layer.source.clone(),
            layer: Some(layer.descriptor.digest.clone()),
            ..LayerWork::default()
        };
        if !layer.repeated {
            let chunks = &one.report.chunks;
            work.read = conversion.tallies[position].read();
            work.deduplicated = chunks.deduplicated_bytes;
            work.time = one.time;
            work = work.became(&layer.descriptor, conversion.target);
            // Another source layer became the same: it was uploaded for that.
            let digest = &layer.descriptor.digest;
            let mut others = made.layers.iter();
            if others.any(|other| other.descriptor.digest == *digest) {
                work.skipped += std::mem::take(&mut work.uploaded);
            }
            reports.push(one.report.clone());
        }
        made.layers.push(layer);
        made.work.push(work);
    }
    made.report = Report::sum(reports, &options.limits);
    Ok(made)
}

/// A converted layer.
struct Converted {
    object: DescribedObject,
    toc: Option<Descriptor>,
    diff_id: Digest,
    report: Report,
    time: Duration,
}

fn convert_one(
    conversion: &Conversion<'_>,
    format: Layerwise<'_>,
    listed: &[String],
    position: usize,
    progress: &mut dyn Progress,
) -> Result<Converted, TranscodeError> {
    let begun = Instant::now();
    let incoming = conversion.open(position)?;
    // A kept tar must match its DiffID.
    let is_layer = matches!(incoming, Incoming::Layer(_));
    let mut kept = is_layer && format.keeps_tars();
    let mut output = LayerOutput(conversion.target);
    let mut made = convert_layer(incoming, format, &mut output, progress);
    if let (Some(tar), Err(error)) = (format.plain(), &made)
        && cannot_be_described(error)
    {
        kept = is_layer;
        let incoming = conversion.open(position)?;
        made = convert_layer(incoming, Layerwise::Oci(&tar), &mut output, progress);
    }
    let (object, toc, diff_id, report) = made.map_err(TranscodeError::in_layer(position))?;
    if let Some(listed) = listed.get(position).filter(|_| kept)
        && *listed != diff_id.to_string()
    {
        return Err(TranscodeError::DiffId {
            layer: position,
            listed: listed.clone(),
            found: diff_id.to_string(),
        });
    }
    conversion.tallies[position].done();
    Ok(Converted {
        object,
        toc: toc.and_then(|toc| toc.descriptor()),
        diff_id,
        report,
        time: begun.elapsed(),
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
    output: &mut LayerOutput<'_>,
    progress: &mut dyn Progress,
) -> Result<(DescribedObject, Option<DescribedObject>, Digest, Report), ConvertError> {
    Ok(match format {
        Layerwise::Oci(tar) => {
            let done = match incoming {
                Incoming::Layer(layer) => recompress(layer, output, tar, progress)?,
                Incoming::Image(image) => to_tar(*image, output, tar, progress)?,
            };
            (done.blob, None, done.diff_id, done.report)
        }
        Layerwise::ZstdChunked(chunked) => {
            let done = to_zstd_chunked(Source::from(incoming), output, chunked, progress)?;
            (done.blob, None, done.diff_id, done.report)
        }
        Layerwise::Estargz(estargz) => {
            let done = to_estargz(Source::from(incoming), output, estargz, progress)?;
            (done.blob, done.toc, done.diff_id, done.report)
        }
    })
}

/// Describes a layer that was written; adds what its source's descriptor says about it.
pub(crate) fn layer(
    object: &DescribedObject,
    diff_id: &impl ToString,
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
        toc: None,
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
