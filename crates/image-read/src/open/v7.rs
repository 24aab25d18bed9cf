//! Opening images of RAFS v7.

use blob_io::ReadAt;
use image_model::{BlobId, BlobIndex, Image as _, Limits};
use rafs_format::v7::{Opener, V7Error, V7Image};

use super::error::OpenError;
use super::find::{Asked, find, find_in};
use super::options::OpenOptions;
use super::rafs::is_missing;
use crate::blobs::BlobStore;

/// Opens the image whose bootstrap is in the blob that is all of `source`; `id` is what that is called.
pub(super) fn open(
    source: &dyn ReadAt,
    id: Option<&BlobId>,
    options: &OpenOptions,
) -> Result<V7Image, OpenError> {
    let limits = &options.limits;
    let opened = find(Opener::blob(source.len()?, limits), source, limits)?;
    if opened.bootstrap.is_none() {
        return Err(V7Error::NoBootstrap.into());
    }
    if let Some(expected) = &options.metadata_digest {
        opened.check(expected)?;
    }
    Ok(V7Image::of_blob(opened, id, limits)?)
}

/// Adds what the blobs say of themselves: without it their content is not found. What is missing is missed only when
/// content is read.
pub(super) fn locate(
    mut image: V7Image,
    blobs: &BlobStore,
    limits: &Limits,
) -> Result<V7Image, OpenError> {
    let indexes = (0u32..).zip(image.blobs()).skip(1);
    let indexes: Vec<_> = indexes.map(|(index, _)| BlobIndex(index)).collect();
    for index in indexes {
        if image.blob(index).is_some() {
            continue;
        }
        let source = match blobs.blob(index) {
            Ok(source) => source,
            Err(error) if is_missing(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let opener = Opener::device(index, source.len()?, limits);
        let opened = find_in(opener, limits, |_| Ok(Asked::Lent(source)))?;
        image = image.with_blob(index, opened.into())?;
    }
    Ok(image)
}
