//! Lossless integer conversions: sizes in memory are `usize`, those in files have a fixed width.
//!
//! Decoders convert with these and with `From` and `TryFrom`, never with `as`.

const _: () = assert!(u32::BITS <= usize::BITS && usize::BITS <= u64::BITS);

/// A size in memory as one in a file.
///
/// ```
/// use lazyoci_image_model::width::u64_from;
/// assert_eq!(u64_from(usize::MAX), usize::MAX as u64);
/// ```
#[must_use]
#[inline]
pub const fn u64_from(size: usize) -> u64 {
    size as u64
}

/// A number of 32 bits as a size in memory.
///
/// ```
/// use lazyoci_image_model::width::usize_from;
/// assert_eq!(usize_from(u32::MAX), 0xffff_ffff);
/// ```
#[must_use]
#[inline]
pub const fn usize_from(number: u32) -> usize {
    number as usize
}

/// A size in a file, saturated to the range of memory sizes; for use before a check against a bound in memory.
///
/// ```
/// use lazyoci_image_model::width::usize_up_to;
/// assert_eq!(usize_up_to(u64::MAX), usize::MAX);
/// assert_eq!(usize_up_to(7), 7);
/// ```
#[must_use]
#[inline]
pub const fn usize_up_to(size: u64) -> usize {
    if size > u64_from(usize::MAX) {
        usize::MAX
    } else {
        size as usize
    }
}
