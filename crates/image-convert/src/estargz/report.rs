//! What became of an eStargz layer.

use image_model::Digest;

use crate::described::DescribedObject;
use crate::report::Report;

/// What a conversion to eStargz did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EstargzReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The layer as it was written.
    pub blob: DescribedObject,
    /// SHA-256 of the tar in it, landmark and inline TOC included: the layer's DiffID.
    pub diff_id: Digest,
    /// SHA-256 of the TOC.
    pub toc_digest: Digest,
    /// Length of the tar in it, in bytes.
    #[cfg_attr(feature = "serde", serde(rename = "tar_bytes"))]
    pub uncompressed_size: u64,
    /// The external TOC, with the annotation that names its layer.
    #[cfg_attr(
        feature = "serde",
        serde(rename = "external_toc", skip_serializing_if = "Option::is_none")
    )]
    pub toc: Option<DescribedObject>,
}
