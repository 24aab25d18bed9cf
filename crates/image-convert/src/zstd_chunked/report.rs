//! What became of a zstd:chunked layer.

use image_model::Digest;

use crate::described::DescribedObject;
use crate::report::Report;

/// What a conversion to zstd:chunked did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ZstdChunkedReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The layer as it was written, with the annotations of its dialect.
    pub blob: DescribedObject,
    /// SHA-256 of the tar in it: the layer's DiffID. In dialect B that of the source, if that is a layer.
    pub diff_id: Digest,
    /// SHA-256 of the compressed TOC.
    pub manifest_checksum: Digest,
    /// SHA-256 of the TOC; in dialect A only.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub toc_digest: Option<Digest>,
    /// Length of the tar in it, in bytes.
    #[cfg_attr(feature = "serde", serde(rename = "tar_bytes"))]
    pub uncompressed_size: u64,
}
