//! Results of image conversions.

use std::time::Duration;

use image_convert::Report;
use image_store::{Arrival, ImageTarget};
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
    /// The image that was published before it with the external TOCs of its layers, under its name with
    /// [`-esgztoc`](oci_image::estargz::TOC_IMAGE_SUFFIX).
    pub toc_image: Option<Descriptor>,
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
    /// The work for each layer of the source, lowest first, and for each layer of the new image that is made of no
    /// single one. Empty if the result existed already.
    #[cfg_attr(feature = "serde", serde(rename = "layer_work"))]
    pub work: Vec<LayerWork>,
}

/// The work for one layer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LayerWork {
    /// Digest of the source layer; `None` for the bootstrap and the blobs of known images in a nydus image, and for
    /// the layer that a nydus image becomes.
    #[cfg_attr(feature = "serde", serde(rename = "source_digest"))]
    pub source: Option<String>,
    /// Digest of the new layer; `None` if other layers have all of its content.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "digest", skip_serializing_if = "Option::is_none")
    )]
    pub layer: Option<String>,
    /// Bytes that were read of the source layer as it is stored, or of all of them for one that a nydus image becomes:
    /// 0 for a layer that repeats a lower one, which
    /// is read again only for nydus.
    #[cfg_attr(feature = "serde", serde(rename = "read_bytes"))]
    pub read: u64,
    /// Bytes of the new layer.
    #[cfg_attr(feature = "serde", serde(rename = "written_bytes"))]
    pub written: u64,
    /// Those that were uploaded to a registry.
    #[cfg_attr(feature = "serde", serde(rename = "uploaded_bytes"))]
    pub uploaded: u64,
    /// Those that were not, since the registry had the layer, in the repository or in another one.
    #[cfg_attr(feature = "serde", serde(rename = "skipped_bytes"))]
    pub skipped: u64,
    /// Plain bytes of chunks that were not stored again, since the layer itself has them, or to nydus a lower one.
    #[cfg_attr(feature = "serde", serde(rename = "deduplicated_bytes"))]
    pub deduplicated: u64,
    /// Plain bytes of chunks that were not stored again, since a known image has them.
    #[cfg_attr(feature = "serde", serde(rename = "reused_bytes"))]
    pub reused: u64,
    /// Time from the beginning of the layer until the target had the result. Layers overlap.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "seconds", serialize_with = "as_seconds")
    )]
    pub time: Duration,
}

impl LayerWork {
    /// Writes down which layer it became, and what that cost.
    pub(crate) fn became(mut self, layer: &Descriptor, target: &dyn ImageTarget) -> Self {
        self.layer = Some(layer.digest.clone());
        self.written = layer.size;
        let digest = layer.parse_digest().ok();
        match digest.and_then(|digest| target.arrival(&digest)) {
            Some(Arrival::Uploaded) => self.uploaded = layer.size,
            Some(_) => self.skipped = layer.size,
            None => {}
        }
        self
    }
}

#[cfg(feature = "serde")]
fn as_seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TranscodedLayer {
    /// Its descriptor.
    #[cfg_attr(feature = "serde", serde(flatten, serialize_with = "as_object"))]
    pub descriptor: Descriptor,
    /// Its external TOC, a layer of the image with the TOCs.
    #[cfg_attr(
        feature = "serde",
        serde(
            rename = "external_toc",
            skip_serializing_if = "Option::is_none",
            serialize_with = "as_optional_object"
        )
    )]
    pub toc: Option<Descriptor>,
    /// SHA-256 of the uncompressed layer.
    pub diff_id: String,
    /// Digest of the source layer; `None` for the bootstrap of a nydus image, and for layers converted from a
    /// nydus image.
    #[cfg_attr(feature = "serde", serde(rename = "source_digest"))]
    pub source: Option<String>,
    /// Whether it repeats a lower layer, and was not converted again.
    pub repeated: bool,
}

#[cfg(feature = "serde")]
fn as_optional_object<S: serde::Serializer>(
    descriptor: &Option<Descriptor>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match descriptor {
        Some(descriptor) => as_object(descriptor, serializer),
        None => serializer.serialize_none(),
    }
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
