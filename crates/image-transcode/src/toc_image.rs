//! The image with the external TOCs of the layers of other images.

use std::collections::BTreeMap;

use image_model::{Blame as _, Fault};
use image_store::toc_image::toc_image_name;
use image_store::{ImageTarget, put_bytes, put_document};
use oci_image::{Annotations, Descriptor, EstargzLayer, Family, Manifest, MediaType};

use crate::error::TranscodeError;
use crate::report::TranscodeReport;

/// The configuration: that of an image of which nothing is known.
const CONFIG: &[u8] = b"{}";

/// Writes the image with the TOCs of the layers of `made`, and publishes it, if there are any. Its layers are in the
/// order of the digests of the TOCs.
pub(crate) fn publish(
    target: &dyn ImageTarget,
    name: Option<&str>,
    made: &[TranscodeReport],
) -> Result<Option<Descriptor>, TranscodeError> {
    let layers = made.iter().flat_map(|image| &image.layers);
    let tocs = layers.filter_map(|layer| {
        let toc = layer.toc.as_ref()?;
        Some(((&*toc.digest, &*layer.descriptor.digest), toc))
    });
    let tocs: BTreeMap<_, _> = tocs.collect();
    let Some(name) = name.filter(|_| !tocs.is_empty()) else {
        return Ok(None);
    };
    let config = put_bytes(target, MediaType::Config(Family::Oci), CONFIG)?;
    let manifest = Manifest::new(config, tocs.into_values().cloned().collect());
    let image = put_document(target, MediaType::Manifest(Family::Oci), &manifest)?;
    target.publish(Some(&toc_image_name(name)), &image)?;
    Ok(Some(image))
}

/// The descriptor of the image with the TOCs of the layers of `made`, which are entered there: `Some(None)` if the layers
/// have no TOCs, `None` if any object is missing.
pub(crate) fn restore(
    target: &dyn ImageTarget,
    name: Option<&str>,
    made: &mut [TranscodeReport],
) -> Result<Option<Option<Descriptor>>, TranscodeError> {
    let layers = made.iter_mut().flat_map(|image| &mut image.layers);
    let mut layers = layers
        .filter(|layer| {
            matches!(
                EstargzLayer::read(&layer.descriptor.annotations),
                Ok(Some(_))
            )
        })
        .peekable();
    if layers.peek().is_none() {
        return Ok(Some(None));
    }
    let tocs = match target.published_tocs(name) {
        Ok(Some(tocs)) => tocs,
        Ok(None) => return Ok(None),
        Err(error) if error.fault() == Fault::Io => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    for layer in layers {
        layer.toc = tocs.toc_of(&layer.descriptor).cloned();
        if layer.toc.is_none() {
            return Ok(None);
        }
    }
    for object in tocs.manifest.layers.iter().chain([&tocs.manifest.config]) {
        if !target.has(object)? {
            return Ok(None);
        }
    }
    let mut image = tocs.descriptor;
    image.annotations = Annotations::default();
    Ok(Some(Some(image)))
}
