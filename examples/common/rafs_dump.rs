//! Every structure of a RAFS bootstrap or an EROFS image as JSON.

use lazyoci::erofs_format::ErofsImage;
use lazyoci::model::BlobIndex;
use lazyoci::rafs_format::Bootstrap;
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::dump::Document;
use lazyoci::rafs_format::v7::V7Image;
use lazyoci::read::OpenImage;
use serde_json::Value;

use super::{Failure, object};

/// A blob whose frames only its chunk information tells.
pub type WithContexts<'a> = (BlobIndex, &'a BlobMeta);

/// The chunk information of all blobs that have contexts, as far as it is there.
pub fn contexts(image: &OpenImage) -> Vec<WithContexts<'_>> {
    let Some(rafs) = image.rafs() else {
        return Vec::new();
    };
    let indexes = rafs.blobs_with_contexts();
    let loaded = indexes.filter_map(|index| Some((index, rafs.meta(index)?)));
    loaded.collect()
}

/// The structures of `bootstrap`, and of the chunk information of blobs with contexts, with the values of their fields.
pub fn dump(bootstrap: &Bootstrap, contexts: &[WithContexts<'_>]) -> Result<Value, Failure> {
    object(&Document::new(|tell| {
        bootstrap.structures(tell)?;
        let mut contexts = contexts.iter();
        contexts.try_for_each(|(index, meta)| meta.structures(*index, tell))
    }))
}

/// The structures of `image`, with the values of their fields.
pub fn dump_erofs(image: &ErofsImage) -> Result<Value, Failure> {
    object(&Document::new(|tell| image.structures(tell)))
}

/// The structures of the blobs and of the bootstrap of `image`, with the values of their fields.
pub fn dump_v7(image: &V7Image) -> Result<Value, Failure> {
    object(&Document::new(|tell| image.structures(tell)))
}
