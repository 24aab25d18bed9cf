//! What became of a RAFS image.

use blob_io::Written;
use image_model::BlobId;
use oci_image::nydus::{FsVersion, NydusLayer};
use rafs_format::Version;

use crate::report::Report;

/// What a conversion to RAFS did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RafsReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// Version of the image.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub version: Version,
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
            fs_version: match self.version {
                Version::V5 => FsVersion::V5,
                _ => FsVersion::V6,
            },
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
