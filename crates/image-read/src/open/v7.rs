//! Opening images of RAFS v7.

use blob_io::ReadAt;
use image_model::{BlobId, BlobIndex, Image as _, Limits};
use rafs_format::v7::{Groups, Opener, V7Blob, V7Error, V7Image};

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
    // What all blobs say is held at once.
    let mut left = limits.clone();
    for index in indexes {
        if let Some(known) = image.blob(index) {
            spend(&mut left, known);
            continue;
        }
        let source = match blobs.blob(index) {
            Ok(source) => source,
            Err(error) if is_missing(&error) => continue,
            Err(error) => return Err(error.into()),
        };
        let opener = Opener::device(index, source.len()?, &left);
        let opened = find_in(opener, &left, |_| Ok(Asked::Lent(source)))?;
        let blob = opened.into();
        spend(&mut left, &blob);
        image = image.with_blob(index, blob)?;
    }
    Ok(image)
}

/// Takes what `blob` holds from what is left for others.
fn spend(left: &mut Limits, blob: &V7Blob) {
    let metadata = &blob.footer.metadata;
    let len = metadata.end.saturating_sub(metadata.start);
    let chunks = blob.groups.as_ref().map_or(0, Groups::chunk_count);
    left.max_metadata_len = left.max_metadata_len.saturating_sub(len);
    left.max_chunks = left.max_chunks.saturating_sub(chunks);
}
