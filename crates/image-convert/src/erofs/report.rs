//! What became of an EROFS image.

use blob_io::Written;
use image_model::Digest;
use oci_image::MediaType;

use crate::described::DescribedObject;
use crate::report::Report;

/// What a conversion to EROFS did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ErofsReport {
    /// What every conversion reports.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The image, with the hash tree if it has one.
    pub blob: DescribedObject,
    /// The hash tree after the image.
    pub verity: Option<Verity>,
}

/// A hash tree of dm-verity after an image: format 1, SHA-256, no salt, blocks of 4096 bytes.
///
/// `veritysetup verify --no-superblock --salt=- --hash-offset=OFFSET --data-blocks=BLOCKS FILE FILE ROOT`
/// accepts it; with a superblock `veritysetup verify --hash-offset=OFFSET FILE FILE ROOT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Verity {
    /// The root hash.
    pub root: Digest,
    /// Blocks of 4096 bytes that it vouches for: all of the image.
    pub data_blocks: u64,
    /// Where the tree begins, or the superblock before it.
    pub hash_offset: u64,
    /// Whether there is a superblock, of a block of 4096 bytes.
    pub superblock: bool,
}

impl ErofsReport {
    pub(super) fn new(report: Report, written: Written, verity: Option<Verity>) -> Self {
        let media_type = Some(MediaType::ErofsLayer);
        Self {
            report,
            blob: DescribedObject::new(written, media_type, |_| {}),
            verity,
        }
    }
}
