//! What became of an image.

use image_convert::Report;
use oci_image::{Descriptor, Manifest};

/// What was made of an image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TranscodeReport {
    /// What refers to the new manifest.
    pub image: Descriptor,
    /// The new manifest.
    pub manifest: Manifest,
    /// Its layers, the lowest first; of a nydus image the last one is the bootstrap's.
    pub layers: Vec<TranscodedLayer>,
    /// What the conversions report: one for each layer that was converted; of a nydus image, whose layers
    /// are converted together, one in all.
    pub reports: Vec<Report>,
}

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TranscodedLayer {
    /// What refers to it.
    pub descriptor: Descriptor,
    /// SHA-256 of it, decompressed.
    pub diff_id: String,
    /// Digest of the layer that it was made of; `None` for the bootstrap of a nydus image, and what is
    /// made of such an image.
    pub source: Option<String>,
    /// Whether it is the same as a layer below it, and was not converted again.
    pub repeated: bool,
}
