//! Opening RAFS images.

use blob_io::ReadAt;
use image_model::BlobId;
use rafs_format::RafsImage;
use rafs_format::open::Opener;

use super::error::OpenError;
use super::find::find;
use super::options::OpenOptions;
use crate::detect::Format;

/// Opens the image whose bootstrap is all of `source`, or is inlined in it; `id` is what that file is
/// called.
pub(super) fn open(
    source: &dyn ReadAt,
    inlined: bool,
    id: Option<&BlobId>,
    options: &OpenOptions,
) -> Result<RafsImage, OpenError> {
    let limits = &options.limits;
    let len = source.len()?;
    let opener = match inlined {
        true => Opener::blob(len, limits),
        false => Opener::bootstrap(len, limits),
    };
    let opened = find(opener, source, limits)?;
    if let Some(expected) = &options.metadata_digest {
        opened.check(expected)?;
    }
    match Format::of_bootstrap(&opened.bytes) {
        Some(found @ Format::RafsV5) => Err(OpenError::Unsupported { found }),
        _ => Ok(opened.image(id, limits)?),
    }
}
