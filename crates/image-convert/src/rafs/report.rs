//! What became of a RAFS image.

use blob_io::Written;
use chunk_dedup::BlobUse;
use image_model::BlobId;
use oci_image::MediaType;
use oci_image::nydus::{FsVersion, NydusLayer};
use rafs_format::Version;

use crate::described::DescribedObject;
use crate::report::{ChunkCounts, Report};

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
    /// The bootstrap, and the annotations of the layer that is to hold it: that in the blob, if the
    /// output takes one object.
    pub bootstrap: DescribedObject,
    /// The blobs that were written, at most one for each layer; none for a layer that has no content, or
    /// none that the layers below it lack.
    pub blobs: Vec<RafsBlob>,
    /// How many chunks of each layer went where, the lowest layer first. Which chunks are dead only the whole image
    /// tells.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub layer_chunks: Vec<ChunkCounts>,
    /// The blobs of a [dictionary](crate::RafsOptions::dictionary) to which the image refers.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_texts"))]
    pub reused_blobs: Vec<BlobId>,
    /// What the image uses of each of them.
    pub reuse: Vec<BlobUse>,
}

#[cfg(feature = "serde")]
fn as_texts<S: serde::Serializer>(ids: &[BlobId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(BlobId::as_str))
}

/// A blob that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RafsBlob {
    /// The object. The hex digits of its digest are the blob's id.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub object: DescribedObject,
    /// The id that nydus-image gives it, which leaves out the section of chunk digests.
    pub nydus_id: BlobId,
    /// Position of the layer whose content it holds, 0 for the lowest; 0 if the source is no
    /// [stack](crate::Source::stack).
    pub layer: usize,
    /// The chunk information as a file of its own, which the bootstrap layer of an image holds; empty in version 5.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub meta_file: Vec<u8>,
}

/// What manifests say of the bootstrap: of the layer that holds it.
pub(super) fn described_bootstrap(written: Written, version: Version) -> DescribedObject {
    let layer = NydusLayer::Bootstrap {
        fs_version: match version {
            Version::V5 => FsVersion::V5,
            _ => FsVersion::V6,
        },
    };
    DescribedObject::new(written, None, |annotations| layer.write(annotations))
}

/// What manifests say of a blob that holds its content.
pub(super) fn described_blob(written: Written, encrypted: bool) -> DescribedObject {
    let layer = NydusLayer::Blob {
        reference: None,
        encrypted,
    };
    let media_type = Some(MediaType::NydusBlob);
    DescribedObject::new(written, media_type, |annotations| layer.write(annotations))
}
