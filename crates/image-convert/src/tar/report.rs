//! What became of a tar.

use image_model::Digest;

use crate::described::DescribedObject;
use crate::report::Report;

/// What a conversion to a tar did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TarReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The layer as it was written.
    pub blob: DescribedObject,
    /// SHA-256 of the tar in it: the layer's DiffID.
    pub diff_id: Digest,
}
