//! The footer of eStargz whose TOC is another blob.
//!
//! Source: containerd/stargz-snapshotter, `estargz/externaltoc`, and blobs that it made.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 10 | gzip header | `1f 8b 08 04 00 00 00 00 00 ff`: FEXTRA, no time, OS 255 |
//! | 10 | 2 | XLEN | 21 |
//! | 12 | 2 | subfield id | `SG` |
//! | 14 | 2 | subfield length | 17 |
//! | 16 | 17 | magic | `STARGZEXTERNALTOC` |
//! | 33 | 5 | deflate data | `01 00 00 ff ff`: one empty stored block |
//! | 38 | 8 | CRC-32, ISIZE | 0 |

use super::{FooterError, FooterKind};

/// Length of the footer in bytes.
pub const LEN: usize = 46;

const FOOTER: [u8; LEN] = *b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x15\0SG\x11\0STARGZEXTERNALTOC\x01\0\0\xff\xff\0\0\0\0\0\0\0\0";

/// The footer.
///
/// ```
/// use lazyoci_estargz_toc::footer::external;
/// assert_eq!(external::decode(&external::encode()), Ok(()));
/// ```
#[must_use]
pub const fn encode() -> [u8; LEN] {
    FOOTER
}

/// Checks a footer.
///
/// # Errors
/// [`FooterError::Magic`] on the first wrong byte.
pub fn decode(footer: &[u8; LEN]) -> Result<(), FooterError> {
    FooterKind::External.check(footer, &FOOTER, 0)
}
