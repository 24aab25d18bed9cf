//! Conversions of whole images.

use std::sync::Arc;
use std::time::Duration;

use image_convert::{ChunkDictionary, Report};
use image_store::{
    ImageStore, ImageStoreError, ImageTarget, ResolvedImage, ResolvedImages, copy_image,
    put_document,
};
use oci_image::{
    Descriptor, Family, ImageConfig, Manifest, MediaType, Platform, nydus as annotations,
};

use crate::before::{self, CONVERSION, SOURCE_DIGEST};
use crate::conversion::{Conversion, is_merged};
use crate::error::TranscodeError;
#[cfg(feature = "gzip-index")]
use crate::kept;
use crate::known::KnownImages;
use crate::layers::{self, Layerwise};
use crate::nydus;
use crate::options::{ImageFormat, TranscodeOptions};
use crate::progress::{ImageProgress, Reporter};
use crate::publication::Publication;
use crate::report::{LayerWork, TranscodeReport, Transcoded, TranscodedLayer};
use crate::toc_image;

/// Converts `images` from `store` to the format in `options`, and writes them to `target` as `name`. An index
/// is converted to an index of the new images.
///
/// Configurations are carried over, except for their lists of layers; so are the annotations of manifests and
/// layers, except those that describe the bytes of a layer. Documents have OCI media types, whatever those of
/// the source. A nydus image, whose layers are merged, becomes an image of one layer.
///
/// eStargz layers with external TOCs get an image that holds these, for all platforms together: its name is `name` with
/// [`-esgztoc`](oci_image::estargz::TOC_IMAGE_SUFFIX), and it is published before `name`.
///
/// With [`TranscodeOptions::keep_original`] the originals are copied unchanged, and an index lists them
/// before the converted images, which also get names of their own: `NAME-FORMAT`, followed by the platform if
/// there are several.
///
/// `progress` is told on this thread how far the layers are, while they are converted. An upload that has begun is not
/// cancelled.
///
/// # Errors
/// [`TranscodeError`]; nothing is published then. Complete objects remain.
pub fn transcode(
    images: &ResolvedImages,
    store: &Arc<dyn ImageStore>,
    target: &dyn ImageTarget,
    name: Option<&str>,
    options: &TranscodeOptions,
    progress: &mut dyn ImageProgress,
) -> Result<Transcoded, TranscodeError> {
    let plan = Publication::of(images, options)?;
    if options.has_external_tocs() && name.is_none_or(str::is_empty) {
        return Err(TranscodeError::NoName);
    }
    for image in &images.images {
        refuse_what_cannot_be_made(image, options)?;
    }
    let dictionary = options.known.as_ref().map(KnownImages::dictionary);
    let dictionary = dictionary.transpose()?;
    let conversions = images.images.iter();
    let conversions = conversions.map(|image| Conversion::new(image, store, target, options));
    let conversions = conversions.collect::<Result<Vec<_>, _>>()?;
    let tallies = conversions.iter().flat_map(|image| image.tallies.clone());
    let reporter = &mut Reporter::new(tallies.collect(), progress);
    let mut made = Vec::new();
    for conversion in &conversions {
        made.push(make(conversion, dictionary.as_ref(), reporter)?);
        reporter.tell().map_err(ImageStoreError::from)?;
    }
    if options.keep_original {
        for image in &images.images {
            copy_image(&**store, target, image, reporter)?;
        }
    }
    let toc_image = toc_image::publish(target, name, &made)?;
    let published = plan.publish(target, name, &made)?;
    Ok(Transcoded {
        published,
        images: made,
        left_out: plan.left_out(),
        toc_image,
        made_before: false,
    })
}

/// Converts one image without publishing it.
fn make(
    conversion: &Conversion<'_>,
    dictionary: Option<&Arc<ChunkDictionary>>,
    reporter: &mut Reporter<'_>,
) -> Result<TranscodeReport, TranscodeError> {
    let Conversion {
        image,
        target,
        options,
        ..
    } = *conversion;
    let mut config = config_of(image)?.clone();
    // An image without a history remains without one.
    if is_merged(image)? && !config.history.is_empty() {
        config.history.retain(|entry| entry.empty_layer);
        config.history.push(Default::default());
    }
    let listed = &config.rootfs.diff_ids;
    let made = match &options.format {
        ImageFormat::Nydus(rafs) => {
            let made = nydus::convert(conversion, rafs, dictionary, reporter)?;
            nydus::add_history(&mut config, &made);
            made
        }
        #[cfg(feature = "gzip-index")]
        ImageFormat::NydusZran(zran) => {
            let made = kept::convert(conversion, zran, listed, reporter)?;
            nydus::add_history(&mut config, &made);
            made
        }
        ImageFormat::Estargz(estargz) => {
            layers::convert(conversion, Layerwise::Estargz(estargz), listed, reporter)?
        }
        ImageFormat::ZstdChunked(chunked) => layers::convert(
            conversion,
            Layerwise::ZstdChunked(chunked),
            listed,
            reporter,
        )?,
        ImageFormat::Oci(tar) => {
            layers::convert(conversion, Layerwise::Oci(tar), listed, reporter)?
        }
    };
    check_layer_count(made.layers.len())?;
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
    manifest
        .annotations
        .set(CONVERSION, before::conversion(options));
    if options.is_nydus() {
        manifest.annotations.set(annotations::SOURCE_DIGEST, source);
    }
    let mut descriptor = put_document(target, MediaType::Manifest(Family::Oci), &manifest)?;
    descriptor.platform = image.platform().map(plain);
    Ok(TranscodeReport {
        image: descriptor,
        manifest,
        layers: made.layers,
        work: made.work,
        report: made.report,
    })
}

/// Converted layers.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) layers: Vec<TranscodedLayer>,
    /// One for each source layer, then one for each other layer.
    pub(crate) work: Vec<LayerWork>,
    pub(crate) report: Report,
    /// What its history says of layers between those of the source and the bootstrap.
    pub(crate) added: Vec<&'static str>,
}

impl Made {
    /// Adds a layer that no layer of the source became.
    pub(crate) fn add(
        &mut self,
        descriptor: Descriptor,
        diff_id: String,
        time: Duration,
        target: &dyn ImageTarget,
    ) {
        let work = LayerWork {
            time,
            ..LayerWork::default()
        };
        self.work.push(work.became(&descriptor, target));
        self.layers.push(TranscodedLayer {
            diff_id,
            descriptor,
            toc: None,
            source: None,
            repeated: false,
        });
    }
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

fn check_layer_count(count: usize) -> Result<(), TranscodeError> {
    let limit = MAX_LAYERS;
    match count > limit {
        true => Err(TranscodeError::TooManyLayers { count, limit }),
        false => Ok(()),
    }
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
    check_layer_count(image.manifest.layers.len())?;
    if !is_merged(image)? {
        image.check_layer_types()?;
    }
    match &options.format {
        ImageFormat::Nydus(rafs) if rafs.dictionary.is_some() => Err(TranscodeError::Dictionary),
        ImageFormat::Nydus(_) => Ok(()),
        #[cfg(feature = "gzip-index")]
        ImageFormat::NydusZran(_) if is_merged(image)? => {
            let digest = image.descriptor.digest.clone();
            Err(TranscodeError::NoTars { digest })
        }
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
