//! Recognising earlier conversions.

use image_convert::Report;
use image_model::{Blame as _, Fault};
use image_store::{ImageStoreError, ImageTarget, ResolvedImage, ResolvedImages};
use oci_image::{Annotations, ImageConfig};

use crate::error::TranscodeError;
use crate::options::{ImageFormat, TranscodeOptions};
use crate::publication::Publication;
use crate::report::{TranscodeReport, Transcoded, TranscodedLayer};
use crate::toc_image;
use crate::transcode::plain;

/// Annotation of a manifest: the digest of the source image's manifest.
pub const SOURCE_DIGEST: &str = "io.github.lazyoci.source.digest";

/// Annotation of a manifest: the version that wrote it, and a digest of the options that determine its bytes.
pub const CONVERSION: &str = "io.github.lazyoci.conversion";

/// The result of an earlier [`transcode`](crate::transcode()) of `images`, if `target` holds it as `name`: written
/// by this version with these options, and complete. Reads a few documents, and queries each object.
///
/// # Errors
/// [`TranscodeError`] if the target cannot be queried. A damaged image counts as missing.
pub fn made_before(
    images: &ResolvedImages,
    target: &dyn ImageTarget,
    name: Option<&str>,
    options: &TranscodeOptions,
) -> Result<Option<Transcoded>, TranscodeError> {
    let plan = Publication::of(images, options)?;
    let there = match target.published(name) {
        Ok(Some(there)) => there,
        Ok(None) => return Ok(None),
        Err(error) if error.fault() == Fault::Io => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let conversion = conversion(options);
    let mut made = Vec::new();
    for image in &images.images {
        let is_of = |found: &&ResolvedImage| {
            let text = |key| found.manifest.annotations.text(key);
            text(SOURCE_DIGEST) == Some(&image.descriptor.digest)
                && text(CONVERSION) == Some(&conversion)
        };
        let mut all = there.images.iter().chain(&there.alternatives);
        let Some(found) = all.find(is_of) else {
            return Ok(None);
        };
        made.push(report(found, image));
    }
    let published = plan.describe(&made)?;
    let is_it = (there.descriptor.as_ref()).is_some_and(|there| there.digest == published.digest);
    if !is_it || !is_complete(target, &there)? {
        return Ok(None);
    }
    let toc_image = match options.has_external_tocs() {
        true => match toc_image::restore(target, name, &mut made)? {
            Some(found) => found,
            None => return Ok(None),
        },
        false => None,
    };
    Ok(Some(Transcoded {
        published,
        images: made,
        left_out: plan.left_out(),
        toc_image,
        made_before: true,
    }))
}

/// Whether all objects of the images exist.
fn is_complete(target: &dyn ImageTarget, there: &ResolvedImages) -> Result<bool, ImageStoreError> {
    for image in there.images.iter().chain(&there.alternatives) {
        let layers = image.manifest.layers.iter();
        for object in layers.chain([&image.manifest.config]) {
            if !target.has(object)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The report of a conversion of `source` to `found`, without statistics of reads and writes.
fn report(found: &ResolvedImage, source: &ResolvedImage) -> TranscodeReport {
    let diff_ids = found
        .config
        .iter()
        .flat_map(|config: &ImageConfig| &config.rootfs.diff_ids);
    let layers = found.manifest.layers.iter().zip(diff_ids);
    let mut image = found.descriptor.clone();
    image.annotations = Annotations::default();
    image.platform = source.platform().map(plain);
    TranscodeReport {
        report: Report::default(),
        image,
        manifest: found.manifest.clone(),
        layers: layers
            .map(|(descriptor, diff_id)| TranscodedLayer {
                descriptor: descriptor.clone(),
                toc: None,
                diff_id: diff_id.clone(),
                source: None,
                repeated: false,
            })
            .collect(),
        work: Vec::new(),
    }
}

/// The options that determine the bytes of an image, in short form.
pub(crate) fn conversion(options: &TranscodeOptions) -> String {
    let TranscodeOptions {
        format,
        lenient,
        as_layer,
        known,
        ..
    } = options;
    // The bytes do not depend on the number of threads.
    let format = match format.clone() {
        ImageFormat::Nydus(rafs) => ImageFormat::Nydus(rafs.threads(1)),
        #[cfg(feature = "gzip-index")]
        ImageFormat::NydusZran(zran) => ImageFormat::NydusZran(zran.threads(1)),
        ImageFormat::Estargz(estargz) => ImageFormat::Estargz(estargz.threads(1)),
        ImageFormat::ZstdChunked(chunked) => ImageFormat::ZstdChunked(chunked.threads(1)),
        ImageFormat::Oci(tar) => ImageFormat::Oci(tar.threads(1)),
    };
    let mut decisive = format!("{format:?} {lenient} {as_layer} {known:?}");
    // It is not shown with the other options.
    if let ImageFormat::Nydus(rafs) = &format
        && let Some(key) = &rafs.key
    {
        decisive += &format!(" {:?} {:?}", key.key(), key.iv());
    }
    let digest = verify::sha256(decisive.as_bytes());
    format!("{} {digest}", env!("CARGO_PKG_VERSION"))
}
