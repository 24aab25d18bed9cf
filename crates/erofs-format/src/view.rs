//! Checked slices of bytes in memory, and the arithmetic of places in a file.

use image_model::width::u64_from;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::error::StructureError;

/// The `len` bytes of `what` at `offset`.
///
/// # Errors
/// [`StructureError::Truncated`] if `bytes` are fewer.
#[inline]
pub fn slice<'a>(
    bytes: &'a [u8],
    what: &'static str,
    offset: u64,
    len: u64,
) -> Result<&'a [u8], StructureError> {
    let range = || {
        let start = usize::try_from(offset).ok()?;
        let end = usize::try_from(offset.checked_add(len)?).ok()?;
        bytes.get(start..end)
    };
    range().ok_or(StructureError::Truncated {
        what,
        offset,
        len,
        available: u64_from(bytes.len()),
    })
}

/// The fixed-size structure `what` at `offset`.
///
/// # Errors
/// As [`slice()`].
#[inline]
pub fn record<'a, T>(
    bytes: &'a [u8],
    what: &'static str,
    offset: u64,
) -> Result<&'a T, StructureError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    let bytes = slice(bytes, what, offset, u64_from(size_of::<T>()))?;
    Ok(T::ref_from_bytes(bytes).expect("the slice has the size of T, which needs no alignment"))
}

/// `value` rounded up to a multiple of `step`, a power of two; saturates at the last such multiple.
#[inline]
#[must_use]
pub const fn align(value: u64, step: u64) -> u64 {
    let below = step.saturating_sub(1);
    value.saturating_add(below) & !below
}

/// Where element `index` of a table at `table` begins, whose elements have `len` bytes; saturates.
#[inline]
#[must_use]
pub const fn element_offset(table: u64, index: usize, len: usize) -> u64 {
    let before = u64_from(index).saturating_mul(u64_from(len));
    table.saturating_add(before)
}

/// The bytes before the first NUL of a zero-padded text field.
#[inline]
#[must_use]
pub fn text(field: &[u8]) -> &[u8] {
    let len = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..len]
}
