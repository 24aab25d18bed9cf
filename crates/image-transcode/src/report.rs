//! What became of an image.

use image_convert::Report;
use oci_image::{Descriptor, Manifest};

/// What was made of all images of a name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Transcoded {
    /// What the name leads to: the manifest that was made, or an index.
    pub published: Descriptor,
    /// The images that were made, in the order of those that they were made of.
    pub images: Vec<TranscodeReport>,
    /// What was listed with the images and is not carried along: attestations, artifacts, images for a
    /// platform that another one is for.
    pub left_out: Vec<Descriptor>,
    /// Whether all that was there [before](crate::made_before), so that nothing was converted.
    pub made_before: bool,
}

/// What was made of an image.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TranscodeReport {
    /// What the conversions report, all together.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// What refers to the new manifest.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "manifest", serialize_with = "as_object")
    )]
    pub image: Descriptor,
    /// The new manifest.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub manifest: Manifest,
    /// Its layers, the lowest first; of a nydus image the last one is the bootstrap's.
    #[cfg_attr(feature = "serde", serde(rename = "image_layers"))]
    pub layers: Vec<TranscodedLayer>,
}

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TranscodedLayer {
    /// What refers to it.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "as_object"))]
    pub descriptor: Descriptor,
    /// SHA-256 of it, decompressed.
    pub diff_id: String,
    /// Digest of the layer that it was made of; `None` for the bootstrap of a nydus image, and what is
    /// made of such an image.
    #[cfg_attr(feature = "serde", serde(rename = "source_digest"))]
    pub source: Option<String>,
    /// Whether it is the same as a layer below it, and was not converted again.
    pub repeated: bool,
}

/// As other reports have objects of a registry.
#[cfg(feature = "serde")]
fn as_object<S: serde::Serializer>(
    descriptor: &Descriptor,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let mut object = serializer.serialize_map(Some(4))?;
    object.serialize_entry("digest", &descriptor.digest)?;
    object.serialize_entry("bytes", &descriptor.size)?;
    object.serialize_entry("media_type", &descriptor.media_type)?;
    object.serialize_entry("annotations", &descriptor.annotations)?;
    object.end()
}
