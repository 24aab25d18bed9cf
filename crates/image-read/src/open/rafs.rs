//! Getting at the bootstrap of a RAFS image.

use blob_io::ReadAt;
use frame_codec::Decoder;
use image_model::Limits;
use rafs_format::blob::{LocateTrailer, Section, Step, Trailer};
use rafs_format::v6::Bootstrap;

use super::error::OpenError;
use super::read_metadata;
use crate::detect::Format;

/// Opens the bootstrap that is all of `source`.
pub(super) fn bootstrap(source: &dyn ReadAt, limits: &Limits) -> Result<Bootstrap, OpenError> {
    let bytes = read_metadata(source, 0..source.len()?, limits)?;
    Ok(Bootstrap::open(bytes, limits)?)
}

/// Opens the bootstrap that is inlined in the blob `source`.
pub(super) fn inlined(source: &dyn ReadAt, limits: &Limits) -> Result<Bootstrap, OpenError> {
    let bytes = match locate(source, limits)? {
        Trailer::Toc(toc) => {
            let entry = toc.entry(Section::Bootstrap)?;
            let stored = read_metadata(source, entry.range(), limits)?;
            entry.extract(&stored, &mut Decoder::new(), limits)?
        }
        Trailer::Bootstrap(range) => read_metadata(source, range, limits)?,
        _ => return Err(OpenError::NoBootstrap),
    };
    match Format::detect(&bytes, &[]) {
        Some(found @ Format::RafsV5) => Err(OpenError::Unsupported { found }),
        _ => Ok(Bootstrap::open(bytes, limits)?),
    }
}

fn locate(source: &dyn ReadAt, limits: &Limits) -> Result<Trailer, OpenError> {
    let mut locate = LocateTrailer::new(source.len()?);
    let mut step = locate.start();
    loop {
        match step {
            Step::Need(range) => step = locate.supply(&read_metadata(source, range, limits)?)?,
            Step::Done(trailer) => return Ok(trailer),
        }
    }
}
