//! Opening RAFS images.

use std::sync::Arc;

use blob_io::ReadAt;
use image_model::{BlobId, BlobIndex, Image as _, Limits, Object};
use rafs_format::RafsImage;
use rafs_format::open::Opener;

use super::error::OpenError;
use super::find::{Asked, find, find_in};
use super::options::OpenOptions;
use crate::blobs::{BlobStore, StoreError};
use crate::detect::Format;

/// The file that describes blob number `index` of `rafs`, which is a layer as it was.
pub(crate) fn open_beside(
    rafs: Option<&RafsImage>,
    blobs: &BlobStore,
    index: BlobIndex,
) -> Result<Arc<dyn ReadAt>, OpenError> {
    let count = rafs.map_or(0, |rafs| rafs.blobs().len());
    let entries = rafs.map_or(&[][..], |rafs| rafs.bootstrap().blob_entries());
    let entry = entries.get(index.0 as usize);
    let entry = entry.ok_or(StoreError::NoSuchBlob { index, count })?;
    match entry.meta_id() {
        Some(id) => Ok(blobs.open_beside(index, &id)?),
        None => Err(StoreError::Undescribed {
            id: entry.id.clone(),
        }
        .into()),
    }
}

/// Loads what describes the blobs that are layers as they were, or have batches: without it their content is not found.
/// What is missing is missed only when content is read.
pub(super) fn locate(
    mut image: RafsImage,
    source: &dyn ReadAt,
    blobs: &BlobStore,
    limits: &Limits,
) -> Result<RafsImage, OpenError> {
    let indexes: Vec<_> = image.blobs_with_contexts().collect();
    for index in indexes {
        let load = image.load_meta(index)?;
        let found = find_in(load, limits, |object| match object {
            Object::Opened => Ok(Asked::Lent(source)),
            Object::Blob(index) => Ok(Asked::Lent(blobs.blob(index)?)),
            Object::Beside(index) => Ok(Asked::Own(open_beside(Some(&image), blobs, index)?)),
        });
        match found {
            Ok(meta) => image = image.with_contexts(index, meta)?,
            Err(OpenError::Store(error)) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(image)
}

/// Whether nobody has the file.
pub(super) fn is_missing(error: &StoreError) -> bool {
    match error {
        StoreError::Missing { .. } | StoreError::Undescribed { .. } => true,
        StoreError::Open { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Opens the image whose bootstrap, of the version that `format` says, is all of `source`, or is inlined
/// in it; `id` is what that file is called.
pub(super) fn open(
    source: &dyn ReadAt,
    format: Format,
    id: Option<&BlobId>,
    options: &OpenOptions,
) -> Result<RafsImage, OpenError> {
    let limits = &options.limits;
    let len = source.len()?;
    let opener = match format {
        Format::RafsBlob => Opener::blob(len, limits),
        _ => Opener::bootstrap(len, limits),
    };
    let opened = find(opener, source, limits)?;
    if let Some(expected) = &options.metadata_digest {
        opened.check(expected)?;
    }
    let image = opened.image(id, limits)?;
    let found = Format::of_version(image.bootstrap().version());
    if format != Format::RafsBlob && format != found {
        return Err(OpenError::NotFormat { expected: format });
    }
    Ok(image)
}
