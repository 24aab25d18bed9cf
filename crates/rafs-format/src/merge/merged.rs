//! A merged image.

use image_model::ChunkedImage;

use crate::layout::{EncodeError, LayoutInput, LayoutOptions};
use crate::owned::OwnedBootstrap;
use crate::v6::BlobEntry;
use crate::version::Version;
use crate::{v5, v6};

/// A merged image, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    pub(super) bootstrap: OwnedBootstrap,
    pub(super) entries: Vec<BlobEntry>,
    pub(super) version: Version,
    pub(super) options: LayoutOptions,
}

impl Merged {
    /// The image.
    #[must_use]
    pub fn image(&self) -> &ChunkedImage {
        &self.bootstrap.image
    }

    /// Its blob table.
    #[must_use]
    pub fn entries(&self) -> &[BlobEntry] {
        &self.entries
    }

    /// Version of its metadata: that of the bootstraps that were merged.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes of its bootstrap.
    ///
    /// # Errors
    /// [`EncodeError`] if there are more blobs than a bootstrap can have, or the digests of inodes cannot
    /// be computed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let input = LayoutInput {
            image: &self.bootstrap.image,
            places: &self.bootstrap.places,
            entries: &self.entries,
        };
        let mut bytes = Vec::new();
        let written = match self.version {
            Version::V5 => v5::Layout::plan(input, &self.options)?.write_to(&mut bytes),
            _ => v6::Layout::plan(input, &self.options)?.write_to(&mut bytes),
        };
        written.expect("a vector takes all bytes");
        Ok(bytes)
    }
}
