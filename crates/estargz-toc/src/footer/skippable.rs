//! The header of a skippable zstd frame, which decompressors pass over. Metadata of zstd:chunked is in such frames.
//!
//! Source: RFC 8878, section 3.1.2.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 4 | magic | `50 2a 4d 18`; the last half of the first byte may be any, but no writer uses another |
//! | 4 | 4 | length | bytes after the header, little-endian |

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 8;

pub(super) const HEADER_LEN_U64: u64 = 8;

const MAGIC: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// The header of a frame that holds `len` bytes.
///
/// ```
/// use lazyoci_estargz_toc::footer::skippable;
/// assert_eq!(skippable::header(64), *b"\x50\x2a\x4d\x18\x40\0\0\0");
/// ```
#[must_use]
pub const fn header(len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = MAGIC;
    let [e, f, g, h] = len.to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The length of the frame's content; `None` if `header` is not that of a skippable frame.
#[must_use]
pub fn content_len(header: &[u8; HEADER_LEN]) -> Option<u32> {
    let [magic @ .., a, b, c, d] = *header;
    (magic == MAGIC).then(|| u32::from_le_bytes([a, b, c, d]))
}
