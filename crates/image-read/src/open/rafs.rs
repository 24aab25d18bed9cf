//! Opening RAFS images.

use blob_io::ReadAt;
use image_model::BlobId;
use rafs_format::RafsImage;
use rafs_format::open::Opener;

use super::error::OpenError;
use super::find::find;
use super::options::OpenOptions;
use crate::detect::Format;

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
