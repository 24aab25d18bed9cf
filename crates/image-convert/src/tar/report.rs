//! What became of a tar.

use blob_io::Written;
use image_model::Digest;

use crate::report::Report;

/// What a conversion to a tar did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TarReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// SHA-256 and length of the layer as it was written.
    pub blob: Written,
    /// SHA-256 of the tar in it: the layer's DiffID.
    pub diff_id: Digest,
}
