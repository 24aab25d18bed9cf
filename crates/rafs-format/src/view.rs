//! Reading structures out of the bytes of a bootstrap: all slicing is here.

use std::ops::Range;

use image_model::Limits;
use image_model::width::u64_from;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

pub(crate) use erofs_format::view::{align, element_offset, text};

use crate::error::{DecodeError, limit};

/// Longest bootstrap that readers accept, in bytes.
pub(crate) const MAX_LEN: u64 = 2 << 30;

/// The `len` bytes of `what` at `offset`.
#[inline]
pub(crate) fn slice<'a>(
    bytes: &'a [u8],
    what: &'static str,
    offset: u64,
    len: u64,
) -> Result<&'a [u8], DecodeError> {
    Ok(erofs_format::view::slice(bytes, what, offset, len)?)
}

/// The fixed-size structure `what` at `offset`.
pub(crate) fn record<'a, T>(
    bytes: &'a [u8],
    what: &'static str,
    offset: u64,
) -> Result<&'a T, DecodeError>
where
    T: FromBytes + Immutable + KnownLayout + Unaligned,
{
    Ok(erofs_format::view::record(bytes, what, offset)?)
}

/// How many elements of `len` bytes fit a table of `table_len` bytes.
pub(crate) const fn element_count(table_len: u64, len: usize) -> u64 {
    match table_len.checked_div(u64_from(len)) {
        Some(count) => count,
        None => 0,
    }
}

/// The low and the high half of a word.
pub(crate) const fn halves(word: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

/// Refuses a bootstrap of `len` bytes that is too long.
pub(crate) fn check_len(len: u64, limits: &Limits) -> Result<(), DecodeError> {
    let max = limits.max_metadata_len.min(MAX_LEN);
    limit("bytes of metadata", len, max)
}

/// Checks that tables lie apart, inside a bootstrap of `len` bytes; sorts them.
pub(crate) fn check_tables(
    tables: &mut [(&'static str, Range<u64>)],
    len: u64,
) -> Result<(), DecodeError> {
    for (what, range) in &*tables {
        if range.end > len {
            return Err(DecodeError::Truncated {
                what,
                offset: range.start,
                len: range.end.saturating_sub(range.start),
                available: len,
            });
        }
    }
    tables.sort_by_key(|(_, range)| (range.start, range.end));
    let mut filled = tables.iter().filter(|(_, range)| !range.is_empty());
    let Some(mut last) = filled.next() else {
        return Ok(());
    };
    for next in filled {
        if next.1.start < last.1.end {
            return Err(DecodeError::Overlap {
                first: last.0,
                second: next.0,
                offset: next.1.start,
            });
        }
        last = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the caller's limit: positions in what a bootstrap holds are numbers of 32 bits.
    #[test]
    fn two_gib_are_the_most() {
        let limits = Limits::default().max_metadata_len(u64::MAX);
        assert_eq!(check_len(0x8000_0000, &limits), Ok(()));
        let expected = DecodeError::Limit {
            what: "bytes of metadata",
            found: 0x8000_1000,
            max: 0x8000_0000,
        };
        assert_eq!(check_len(0x8000_1000, &limits), Err(expected));
    }
}
