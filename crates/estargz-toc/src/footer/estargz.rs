//! The footer of eStargz: an empty gzip member whose extra field says where the TOC is.
//!
//! Source: containerd/stargz-snapshotter, `estargz/gzip.go`, and blobs that it made.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 10 | gzip header | `1f 8b 08 04 00 00 00 00 00 ff`: FEXTRA, no time, OS 255 |
//! | 10 | 2 | XLEN | 26 |
//! | 12 | 2 | subfield id | `SG` |
//! | 14 | 2 | subfield length | 22 |
//! | 16 | 16 | TOC offset | bytes from the start of the blob, lower-case hex digits |
//! | 32 | 6 | magic | `STARGZ` |
//! | 38 | 5 | deflate data | `01 00 00 ff ff`: one empty stored block |
//! | 43 | 8 | CRC-32, ISIZE | 0 |
//! The Go reader accepts upper-case digits, a sign, and offsets beyond the blob; this one does not.

use super::{FooterError, FooterKind};

/// Length of the footer in bytes.
pub const FOOTER_LEN: usize = 51;

const FIXED: Fixed = Fixed {
    kind: FooterKind::Estargz,
    start: b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0SG\x16\0",
    end: b"STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0",
};

/// The footer of a blob whose TOC member begins `toc_offset` bytes into it.
///
/// ```
/// use lazyoci_estargz_toc::footer;
/// let bytes = footer::encode(325);
/// assert_eq!(footer::decode(&bytes, 1000), Ok(325));
/// ```
#[must_use]
pub fn encode(toc_offset: u64) -> [u8; FOOTER_LEN] {
    FIXED.encode(toc_offset)
}

/// Where the TOC member of a blob begins, given its footer and where that begins.
///
/// # Errors
/// [`FooterError`] on the first wrong byte, or an offset past the footer.
pub fn decode(footer: &[u8; FOOTER_LEN], footer_offset: u64) -> Result<u64, FooterError> {
    FIXED.decode(footer, footer_offset)
}

/// What a footer has around the digits of the TOC offset.
pub(super) struct Fixed {
    pub(super) kind: FooterKind,
    pub(super) start: &'static [u8],
    pub(super) end: &'static [u8],
}

impl Fixed {
    /// The footer, `LEN` bytes with its sixteen lower-case hex digits.
    pub(super) fn encode<const LEN: usize>(&self, toc_offset: u64) -> [u8; LEN] {
        let mut footer = [0; LEN];
        let (start, rest) = footer.split_at_mut(self.start.len());
        let (digits, end) = rest.split_at_mut(16);
        start.copy_from_slice(self.start);
        let mut number = toc_offset;
        for digit in digits.iter_mut().rev() {
            let [low, ..] = number.to_le_bytes();
            *digit = b"0123456789abcdef"[usize::from(low & 15)];
            number >>= 4;
        }
        end.copy_from_slice(self.end);
        footer
    }

    /// The TOC offset in `footer`, which begins at `footer_offset`.
    pub(super) fn decode(&self, footer: &[u8], footer_offset: u64) -> Result<u64, FooterError> {
        let Self { kind, start, end } = *self;
        let (found_start, rest) = footer.split_at(start.len());
        let (digits, found_end) = rest.split_at(16);
        kind.check(found_start, start, 0)?;
        let mut toc_offset = 0u64;
        for (i, &found) in digits.iter().enumerate() {
            let digit = match found {
                b'0'..=b'9' | b'a'..=b'f' => char::from(found).to_digit(16),
                _ => None,
            };
            let offset = start.len().saturating_add(i);
            let digit = digit.ok_or(FooterError::Digit {
                kind,
                offset,
                found,
            })?;
            toc_offset = toc_offset << 4 | u64::from(digit);
        }
        kind.check(found_end, end, start.len().saturating_add(16))?;
        if toc_offset >= footer_offset {
            return Err(FooterError::TocOffset {
                kind,
                toc_offset,
                footer_offset,
            });
        }
        Ok(toc_offset)
    }
}
