//! What became of a RAFS image.

use blob_io::Written;
use image_model::BlobId;
use oci_image::nydus::{FsVersion, NydusLayer};

use crate::report::Report;

/// What a conversion to RAFS v6 did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RafsReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// SHA-256 and length of the bootstrap.
    pub bootstrap: Written,
    /// The blobs that were written; none if there is no content.
    pub blobs: Vec<RafsBlob>,
}

/// A blob that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RafsBlob {
    /// SHA-256 and length of the object. The hex digits are the blob's id.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub written: Written,
    /// The id that nydus-image gives it, which leaves out the section of chunk digests.
    pub nydus_id: BlobId,
}

impl RafsReport {
    /// What the descriptor of the layer that holds the bootstrap has to say.
    #[must_use]
    pub fn layer(&self) -> NydusLayer {
        NydusLayer::Bootstrap {
            fs_version: FsVersion::V6,
        }
    }
}

impl RafsBlob {
    /// What the descriptor of the blob has to say.
    #[must_use]
    pub fn layer(&self) -> NydusLayer {
        NydusLayer::Blob {
            reference: None,
            encrypted: false,
        }
    }
}
