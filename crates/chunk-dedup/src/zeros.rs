//! Zeros.

/// Whether all of `bytes` are zero.
///
/// ```
/// use lazyoci_chunk_dedup::is_zero;
/// assert!(is_zero(&[0; 4096]));
/// assert!(!is_zero(&[0, 0, 1]));
/// ```
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    // Zero at the start, and every byte like the one before it: a comparison of slices runs at
    // the speed of memory.
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && *rest == bytes[..rest.len()],
    }
}
