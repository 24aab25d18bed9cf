//! The footer of stargz (CRFS), the predecessor of eStargz. Nothing writes it any more.
//!
//! Source: containerd/stargz-snapshotter, `estargz/gzip.go`, its reader of legacy blobs.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 10 | gzip header | `1f 8b 08 04 00 00 00 00 00 ff`: FEXTRA, no time, OS 255 |
//! | 10 | 2 | XLEN | 22 |
//! | 12 | 16 | TOC offset | bytes from the start of the blob, lower-case hex digits |
//! | 28 | 6 | magic | `STARGZ` |
//! | 34 | 5 | deflate data | `01 00 00 ff ff`: one empty stored block |
//! | 39 | 8 | CRC-32, ISIZE | 0 |

use super::estargz::Fixed;
use super::{FooterError, FooterKind};

/// Length of the footer in bytes.
pub const LEN: usize = 47;

const FIXED: Fixed = Fixed {
    kind: FooterKind::Legacy,
    start: b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x16\0",
    end: b"STARGZ\x01\0\0\xff\xff\0\0\0\0\0\0\0\0",
};

/// The footer of a blob whose TOC member begins `toc_offset` bytes into it.
///
/// ```
/// use lazyoci_estargz_toc::footer::legacy;
/// assert_eq!(legacy::decode(&legacy::encode(325), 1000), Ok(325));
/// ```
#[must_use]
pub fn encode(toc_offset: u64) -> [u8; LEN] {
    FIXED.encode(toc_offset)
}

/// Where the TOC member of a blob begins, given its footer and where that begins.
///
/// # Errors
/// [`FooterError`] on the first wrong byte, or an offset past the footer.
pub fn decode(footer: &[u8; LEN], footer_offset: u64) -> Result<u64, FooterError> {
    FIXED.decode(footer, footer_offset)
}
