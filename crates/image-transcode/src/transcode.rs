//! Conversions of whole images.

use std::sync::Arc;

use image_convert::{Report, Streaming};
use image_model::Progress;
use image_read::OpenImage;
use image_store::{
    ImageStore, ImageTarget, ResolvedImage, ResolvedImages, copy_image, put_document,
};
use oci_image::{
    Descriptor, EstargzLayer, Family, ImageConfig, Manifest, MediaType, NydusLayer, Platform,
    nydus as annotations,
};

use crate::before::{CONVERSION, SOURCE_DIGEST, conversion};
use crate::error::TranscodeError;
use crate::layers::{self, Layerwise};
use crate::nydus;
use crate::options::{ImageFormat, TranscodeOptions};
use crate::publication::Publication;
use crate::report::{TranscodeReport, Transcoded, TranscodedLayer};

/// Converts `images` from `store` to the format in `options`, and writes them to `target` as `name`. An index
/// is converted to an index of the new images.
///
/// Configurations are carried over, except for their lists of layers; so are the annotations of manifests and
/// layers, except those that describe the bytes of a layer. Documents have OCI media types, whatever those of
/// the source. A nydus image, whose layers are merged, becomes an image of one layer.
///
/// With [`TranscodeOptions::keep_original`] the originals are copied unchanged, and an index lists them
/// before the converted images, which also get names of their own: `NAME-FORMAT`, followed by the platform if
/// there are several.
///
/// `progress` counts the bytes of each layer.
///
/// # Errors
/// [`TranscodeError`]; nothing is published then. Complete objects remain.
pub fn transcode(
    images: &ResolvedImages,
    store: &Arc<dyn ImageStore>,
    target: &dyn ImageTarget,
    name: Option<&str>,
    options: &TranscodeOptions,
    progress: &mut dyn Progress,
) -> Result<Transcoded, TranscodeError> {
    let plan = Publication::of(images, options)?;
    for image in &images.images {
        refuse_what_cannot_be_made(image, options)?;
    }
    let mut made = Vec::new();
    for image in &images.images {
        made.push(make(image, store, target, options, progress)?);
    }
    if options.keep_original {
        for image in &images.images {
            copy_image(&**store, target, image, progress)?;
        }
    }
    let published = plan.publish(target, name, &made)?;
    Ok(Transcoded {
        published,
        images: made,
        left_out: plan.left_out(),
        made_before: false,
    })
}

/// Converts one image without publishing it.
fn make(
    image: &ResolvedImage,
    store: &Arc<dyn ImageStore>,
    target: &dyn ImageTarget,
    options: &TranscodeOptions,
    progress: &mut dyn Progress,
) -> Result<TranscodeReport, TranscodeError> {
    let mut config = config_of(image)?.clone();
    let merged = is_merged(image)?;
    let sources: Vec<Option<Descriptor>> = match merged {
        true => vec![None],
        false => image.manifest.layers.iter().cloned().map(Some).collect(),
    };
    // An image without a history remains without one.
    if merged && !config.history.is_empty() {
        config.history.retain(|entry| entry.empty_layer);
        config.history.push(Default::default());
    }
    let open = |layer| match merged {
        true => whole(image, store, options),
        false => incoming(image, &**store, layer, options),
    };
    let made = match &options.format {
        ImageFormat::Nydus(rafs) => {
            let stack = (0..sources.len()).map(|layer| open(layer).map(Into::into));
            let stack = stack.collect::<Result<Vec<_>, _>>()?;
            let made = nydus::convert(stack, &sources, target, (rafs, options), progress)?;
            nydus::add_history(&mut config, &made);
            made
        }
        ImageFormat::Estargz(estargz) => {
            let how = (Layerwise::Estargz(estargz), options);
            layers::convert(&sources, &[], open, target, how, progress)?
        }
        ImageFormat::ZstdChunked(chunked) => {
            let how = (Layerwise::ZstdChunked(chunked), options);
            let listed = &config.rootfs.diff_ids;
            layers::convert(&sources, listed, open, target, how, progress)?
        }
        ImageFormat::Oci(tar) => {
            let how = (Layerwise::Oci(tar), options);
            let listed = &config.rootfs.diff_ids;
            layers::convert(&sources, listed, open, target, how, progress)?
        }
    };
    let diff_ids = made.layers.iter().map(|layer| layer.diff_id.clone());
    config.rootfs.diff_ids = diff_ids.collect();
    let config = put_document(target, MediaType::Config(Family::Oci), &config)?;
    let layers = made.layers.iter().map(|layer| layer.descriptor.clone());
    let mut manifest = Manifest::new(config, layers.collect());
    let kept = image.manifest.annotations.iter();
    for (key, value) in kept.filter(|(key, _)| !layers::is_of_bytes(key)) {
        manifest.annotations.set(key, value);
    }
    manifest.rest = image.manifest.rest.clone();
    let artifact = manifest.rest.get("artifactType");
    if artifact.is_some_and(|kind| kind == annotations::MANIFEST_ARTIFACT_TYPE) {
        manifest.rest.remove("artifactType");
    }
    let source = &image.descriptor.digest;
    manifest.annotations.set(SOURCE_DIGEST, source);
    manifest.annotations.set(CONVERSION, conversion(options));
    if let ImageFormat::Nydus(_) = &options.format {
        manifest.annotations.set(annotations::SOURCE_DIGEST, source);
    }
    let mut descriptor = put_document(target, MediaType::Manifest(Family::Oci), &manifest)?;
    descriptor.platform = image.platform().map(plain);
    Ok(TranscodeReport {
        image: descriptor,
        manifest,
        layers: made.layers,
        report: made.report,
    })
}

/// Converted layers.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) layers: Vec<TranscodedLayer>,
    pub(crate) report: Report,
    /// For each source layer, whether its content became a blob; layers without content of their own do not.
    pub(crate) has_blob: Vec<bool>,
    /// How many blobs of known images it lists, before the bootstrap.
    pub(crate) known_blobs: usize,
}

/// A layer to convert.
pub(crate) enum Incoming {
    /// A tar stream.
    Layer(Streaming<'static>),
    /// A layer opened for random access.
    Image(Box<OpenImage>),
}

/// Most layers of an image: overlayfs, and with it every runtime, is limited to 500.
const MAX_LAYERS: usize = 500;

fn config_of(image: &ResolvedImage) -> Result<&ImageConfig, TranscodeError> {
    let config = image.config.as_ref();
    config.ok_or_else(|| TranscodeError::NoConfig {
        digest: image.descriptor.digest.clone(),
        media_type: image.manifest.config.media_type.clone(),
    })
}

fn refuse_what_cannot_be_made(
    image: &ResolvedImage,
    options: &TranscodeOptions,
) -> Result<(), TranscodeError> {
    let config = config_of(image)?;
    if !matches!(&*config.os, "linux" | "") {
        let os = config.os.clone();
        return Err(TranscodeError::System { os });
    }
    let (count, limit) = (image.manifest.layers.len(), MAX_LAYERS);
    if count > limit {
        return Err(TranscodeError::TooManyLayers { count, limit });
    }
    match &options.format {
        ImageFormat::Nydus(rafs) if rafs.dictionary.is_some() => Err(TranscodeError::Dictionary),
        ImageFormat::Nydus(_) => Ok(()),
        ImageFormat::Estargz(estargz) if estargz.external_toc => Err(TranscodeError::ExternalToc),
        _ if options.known.is_some() => Err(TranscodeError::KnownImages),
        _ => Ok(()),
    }
}

/// The platform without the feature of nydus images.
pub(crate) fn plain(mut platform: Platform) -> Platform {
    platform
        .os_features
        .retain(|feature| feature != annotations::OS_FEATURE);
    platform
}

/// Whether it is a nydus image, whose layers have been merged.
fn is_merged(image: &ResolvedImage) -> Result<bool, TranscodeError> {
    let Some(last) = image.manifest.layers.last() else {
        return Ok(false);
    };
    let last = NydusLayer::read(&last.annotations).map_err(image_store::ImageStoreError::from)?;
    Ok(matches!(last, Some(NydusLayer::Bootstrap { .. })))
}

/// The file tree of a nydus image.
fn whole(
    image: &ResolvedImage,
    store: &Arc<dyn ImageStore>,
    options: &TranscodeOptions,
) -> Result<Incoming, TranscodeError> {
    let opened = image.open(store, &options.open(), &mut ())?;
    Ok(Incoming::Image(Box::new(opened)))
}

/// Opens a layer: an eStargz layer by its TOC, without its eStargz-specific files; any other as a stream.
fn incoming(
    image: &ResolvedImage,
    store: &dyn ImageStore,
    position: usize,
    options: &TranscodeOptions,
) -> Result<Incoming, TranscodeError> {
    let annotations = &image.manifest.layers[position].annotations;
    let estargz = EstargzLayer::read(annotations).map_err(image_store::ImageStoreError::from)?;
    if estargz.is_some() && !options.as_layer {
        let opened = image.open_layer(store, position, &options.open())?;
        return Ok(Incoming::Image(Box::new(opened)));
    }
    let layer = image.stream_layer(store, position)?;
    Ok(Incoming::Layer(layers::streamed(layer, options)))
}
