//! Getting at the bootstrap of a RAFS image.

use std::ops::Range;

use blob_io::ReadAt;
use bytes::Bytes;
use frame_codec::Decoder;
use image_model::Limits;
use rafs_format::blob::{LocateTrailer, Section, Step, Trailer};
use rafs_format::v6::Bootstrap;

use super::error::OpenError;
use crate::detect::Format;

/// Opens the bootstrap that is all of `source`.
pub(super) fn bootstrap(source: &dyn ReadAt, limits: &Limits) -> Result<Bootstrap, OpenError> {
    let bytes = read(source, 0..source.len()?, limits)?;
    Ok(Bootstrap::open(bytes, limits)?)
}

/// Opens the bootstrap that is inlined in the blob `source`.
pub(super) fn inlined(source: &dyn ReadAt, limits: &Limits) -> Result<Bootstrap, OpenError> {
    let bytes = match locate(source, limits)? {
        Trailer::Toc(toc) => {
            let entry = toc.entry(Section::Bootstrap)?;
            let stored = read(source, entry.range(), limits)?;
            entry.extract(&stored, &mut Decoder::new(), limits)?
        }
        Trailer::Bootstrap(range) => read(source, range, limits)?,
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
            Step::Need(range) => step = locate.supply(&read(source, range, limits)?)?,
            Step::Done(trailer) => return Ok(trailer),
        }
    }
}

fn read(source: &dyn ReadAt, range: Range<u64>, limits: &Limits) -> Result<Bytes, OpenError> {
    let len = range.end - range.start;
    let limit = limits.max_metadata_len;
    match usize::try_from(len) {
        Ok(len_in_memory) if len <= limit => Ok(source.read_bytes(range.start, len_in_memory)?),
        _ => Err(OpenError::Limit { len, limit }),
    }
}
