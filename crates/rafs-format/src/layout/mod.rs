//! What the plans of both versions share: what they are made from, what cannot be carried, how
//! content must be stored.

pub(crate) mod content;
mod error;
mod options;

use image_model::ChunkedImage;

use crate::v6::{BlobEntry, ChunkPlace, is_chunk_size};
use crate::version::Version;

pub use erofs_format::loss::{CannotCarry, Loss, MAX_TARGET_LEN};
pub use error::{BadContent, EncodeError};
pub use options::LayoutOptions;

/// The input for planning a bootstrap.
#[derive(Debug, Clone, Copy)]
pub struct LayoutInput<'a> {
    /// The image.
    pub image: &'a ChunkedImage,
    /// Where its chunks are in their blobs, in the order of the image's list.
    pub places: &'a [ChunkPlace],
    /// What is known of its blobs, in the order of the image's list.
    pub entries: &'a [BlobEntry],
}

impl LayoutInput<'_> {
    /// Checks what can be told without the entries of the blobs: that there is a place for every chunk,
    /// and that chunks may be as long as `options` say.
    pub(crate) fn check(&self, options: &LayoutOptions) -> Result<(), EncodeError> {
        if self.places.len() != self.image.chunks.len() {
            return Err(EncodeError::Broken { what: "place" });
        }
        let chunk_size = options.chunk_size;
        match is_chunk_size(chunk_size) {
            true => Ok(()),
            false => Err(EncodeError::ChunkSize { chunk_size }),
        }
    }
}

/// Fails on the first thing that `version` cannot carry.
pub(crate) fn refuse_losses(image: &ChunkedImage, version: Version) -> Result<(), EncodeError> {
    let mut first = None;
    erofs_format::losses(&image.tree, version.room(), &mut |path, what| {
        first.get_or_insert_with(|| Loss {
            path: path.clone(),
            what,
        });
    });
    match first {
        Some(loss) => Err(loss.into()),
        None => Ok(()),
    }
}
