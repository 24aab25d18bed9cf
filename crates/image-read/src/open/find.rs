//! The driver of every machine that finds something in a file.

use std::ops::Range;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::{Limits, Object, StepMachine};

use super::error::OpenError;
use crate::blobs::StoreError;

/// Drives a machine that finds something in one file, `source`: reads what it needs, but never more
/// at once than [`Limits::max_metadata_len`].
///
/// ```
/// use estargz_toc::open::Opener;
/// use image_model::Limits;
/// use lazyoci_image_read::{OpenError, find};
///
/// let layer = bytes::Bytes::from_static(b"something else, whose last bytes are no footer of eStargz");
/// let opener = Opener::new(layer.len() as u64, &Limits::default());
/// let error = find(opener, &layer, &Limits::default());
/// assert!(matches!(error, Err(OpenError::Estargz(_))));
/// ```
///
/// # Errors
/// [`OpenError`] if the machine fails or the file cannot be read, [`OpenError::Limit`] if the machine
/// needs too much, [`OpenError::Store`] if it asks for another file.
pub fn find<M>(machine: M, source: &dyn ReadAt, limits: &Limits) -> Result<M::Found, OpenError>
where
    M: StepMachine,
    OpenError: From<M::Error>,
{
    find_in(machine, limits, |object| match object {
        Object::Opened => Ok(Asked::Lent(source)),
        Object::Blob(index) | Object::Beside(index) => {
            Err(StoreError::NoSuchBlob { index, count: 0 }.into())
        }
    })
}

/// A file that a machine asks for.
pub(super) enum Asked<'a> {
    Lent(&'a dyn ReadAt),
    Own(Arc<dyn ReadAt>),
}

/// Drives `machine` over the files that `source_of` knows.
pub(super) fn find_in<'a, M>(
    machine: M,
    limits: &Limits,
    source_of: impl Fn(Object) -> Result<Asked<'a>, OpenError>,
) -> Result<M::Found, OpenError>
where
    M: StepMachine,
    OpenError: From<M::Error>,
{
    machine.drive(|need| {
        let len = allowed_len(&need.range, limits)?;
        let start = need.range.start;
        Ok(match source_of(need.object)? {
            Asked::Lent(source) => source.read_bytes(start, len)?,
            Asked::Own(source) => source.read_bytes(start, len)?,
        })
    })
}

/// The bytes of `range`, if they are no more than [`Limits::max_metadata_len`].
pub(crate) fn read_piece(
    source: &dyn ReadAt,
    range: &Range<u64>,
    limits: &Limits,
) -> Result<Bytes, OpenError> {
    Ok(source.read_bytes(range.start, allowed_len(range, limits)?)?)
}

/// How many bytes `range` has, if memory may be spent on them.
fn allowed_len(range: &Range<u64>, limits: &Limits) -> Result<usize, OpenError> {
    let (len, limit) = (
        range.end.saturating_sub(range.start),
        limits.max_metadata_len,
    );
    match usize::try_from(len) {
        Ok(in_memory) if len <= limit => Ok(in_memory),
        _ => Err(OpenError::Limit { len, limit }),
    }
}
