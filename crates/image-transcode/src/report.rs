//! Results of image conversions.

use image_convert::Report;
use oci_image::{Descriptor, Manifest};

/// The result of converting all images of a name.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Transcoded {
    /// The published descriptor: of the new manifest, or of an index.
    pub published: Descriptor,
    /// The converted images, in the order of their sources.
    pub images: Vec<TranscodeReport>,
    /// Entries of the source index that are not carried over: attestations, artifacts, further images for the
    /// same platform.
    pub left_out: Vec<Descriptor>,
    /// Whether the result [existed already](crate::made_before), so that nothing was converted.
    pub made_before: bool,
}

/// The result of converting one image.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TranscodeReport {
    /// The reports of all layers, combined.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The descriptor of the new manifest.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "manifest", serialize_with = "as_object")
    )]
    pub image: Descriptor,
    /// The new manifest.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub manifest: Manifest,
    /// Its layers, lowest first; the last one of a nydus image is the bootstrap layer.
    #[cfg_attr(feature = "serde", serde(rename = "image_layers"))]
    pub layers: Vec<TranscodedLayer>,
}

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TranscodedLayer {
    /// Its descriptor.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "as_object"))]
    pub descriptor: Descriptor,
    /// SHA-256 of the uncompressed layer.
    pub diff_id: String,
    /// Digest of the source layer; `None` for the bootstrap of a nydus image, and for layers converted from a
    /// nydus image.
    #[cfg_attr(feature = "serde", serde(rename = "source_digest"))]
    pub source: Option<String>,
    /// Whether it repeats a lower layer, and was not converted again.
    pub repeated: bool,
}

/// Serialises like the objects in other reports.
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
