//! The footer: an empty gzip member at the end of the blob whose extra field says where the TOC is.
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
//! Two more footers are recognised and refused:
//!
//! | of | length | XLEN | extra field |
//! |---|---|---|---|
//! | stargz before eStargz | 47 | 22 | TOC offset and magic, without subfield id and length |
//! | eStargz whose TOC is another blob | 46 | 21 | subfield `SG` of 17 bytes: `STARGZEXTERNALTOC` |

use image_model::{Blame, Fault};

/// Length of the footer in bytes.
pub const FOOTER_LEN: usize = 51;

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
const EXTRA: [u8; 6] = [26, 0, b'S', b'G', 22, 0];
const MAGIC: &[u8; 6] = b"STARGZ";
const EMPTY_BLOCK: [u8; 13] = [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];

const TOC_OFFSET_AT: usize = HEADER.len() + EXTRA.len();
const MAGIC_AT: usize = TOC_OFFSET_AT + 16;
const BLOCK_AT: usize = MAGIC_AT + MAGIC.len();

const LEGACY_XLEN: [u8; 2] = [22, 0];
const EXTERNAL_EXTRA: [u8; 6] = [21, 0, b'S', b'G', 17, 0];
const EXTERNAL_MAGIC: &[u8; 17] = b"STARGZEXTERNALTOC";

/// The last bytes of a blob are not an eStargz footer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FooterError {
    /// A fixed byte differs.
    #[error("not an eStargz footer: byte {offset} is {found:#04x}, expected {expected:#04x}")]
    Magic {
        /// Offset in the footer.
        offset: usize,
        /// The expected byte.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// A byte of the TOC offset is not a lower-case hex digit.
    #[error("eStargz footer: byte {offset} is {found:#04x}, not a digit of the TOC offset")]
    Digit {
        /// Offset in the footer.
        offset: usize,
        /// What is there.
        found: u8,
    },
    /// The footer of stargz, the predecessor of eStargz, whose files have no digests.
    #[error("the footer is that of stargz, the predecessor of eStargz")]
    Legacy,
    /// The footer of a layer whose TOC is another blob.
    #[error("the eStargz footer says that the TOC is in another blob")]
    ExternalToc,
    /// The TOC would begin at or after the footer.
    #[error("eStargz footer: the TOC begins at {toc_offset}, but the footer at {footer_offset}")]
    TocOffset {
        /// Start of the TOC according to the footer, in bytes from the start of the blob.
        toc_offset: u64,
        /// Where the footer begins.
        footer_offset: u64,
    },
}

impl Blame for FooterError {
    fn fault(&self) -> Fault {
        match self {
            Self::Legacy | Self::ExternalToc => Fault::Unsupported,
            Self::Magic { .. } | Self::Digit { .. } | Self::TocOffset { .. } => Fault::Corrupt,
        }
    }
}

/// The footer of a blob whose TOC member begins `toc_offset` bytes into it.
///
/// ```
/// use lazyoci_estargz_toc::footer;
/// let bytes = footer::encode(325);
/// assert_eq!(footer::decode(&bytes, 1000), Ok(325));
/// ```
#[must_use]
pub fn encode(toc_offset: u64) -> [u8; FOOTER_LEN] {
    let mut footer = [0; FOOTER_LEN];
    footer[..HEADER.len()].copy_from_slice(&HEADER);
    footer[HEADER.len()..TOC_OFFSET_AT].copy_from_slice(&EXTRA);
    let mut rest = toc_offset;
    for place in footer[TOC_OFFSET_AT..MAGIC_AT].iter_mut().rev() {
        let [low, ..] = rest.to_le_bytes();
        *place = b"0123456789abcdef"[usize::from(low & 15)];
        rest >>= 4;
    }
    footer[MAGIC_AT..BLOCK_AT].copy_from_slice(MAGIC);
    footer[BLOCK_AT..].copy_from_slice(&EMPTY_BLOCK);
    footer
}

/// Where the TOC member of a blob begins, given its footer and where that begins.
///
/// # Errors
/// [`FooterError`] on the first wrong byte, or an offset past the footer.
pub fn decode(footer: &[u8; FOOTER_LEN], footer_offset: u64) -> Result<u64, FooterError> {
    if let Some(other) = other_footer(footer) {
        return Err(other);
    }
    let mut toc_offset = 0u64;
    let expected = encode(0);
    for (offset, (&found, &expected)) in footer.iter().zip(&expected).enumerate() {
        if !(TOC_OFFSET_AT..MAGIC_AT).contains(&offset) {
            if found != expected {
                return Err(FooterError::Magic {
                    offset,
                    expected,
                    found,
                });
            }
            continue;
        }
        let digit = match found {
            b'0'..=b'9' | b'a'..=b'f' => char::from(found).to_digit(16),
            _ => None,
        };
        let digit = digit.ok_or(FooterError::Digit { offset, found })?;
        toc_offset = toc_offset << 4 | u64::from(digit);
    }
    if toc_offset >= footer_offset {
        return Err(FooterError::TocOffset {
            toc_offset,
            footer_offset,
        });
    }
    Ok(toc_offset)
}

/// The error for `tail` if it ends with one of the unsupported footers.
fn other_footer(tail: &[u8; FOOTER_LEN]) -> Option<FooterError> {
    let rest = |start: usize, extra: &[u8]| {
        let footer = tail[start..].strip_prefix(&HEADER)?;
        footer.strip_prefix(extra)?.strip_suffix(&EMPTY_BLOCK)
    };
    if rest(FOOTER_LEN - 46, &EXTERNAL_EXTRA).is_some_and(|magic| magic == EXTERNAL_MAGIC) {
        return Some(FooterError::ExternalToc);
    }
    rest(FOOTER_LEN - 47, &LEGACY_XLEN)
        .is_some_and(|extra| extra.ends_with(MAGIC))
        .then_some(FooterError::Legacy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_footers_are_called_by_their_names() {
        let before = |footer: &[u8]| {
            let mut tail = vec![0x55; FOOTER_LEN - footer.len()];
            tail.extend(footer);
            decode(tail.first_chunk().unwrap(), 1000)
        };
        let legacy = [
            &HEADER[..],
            &[22, 0],
            b"0000000000000145STARGZ",
            &EMPTY_BLOCK,
        ]
        .concat();
        assert_eq!(before(&legacy), Err(FooterError::Legacy));
        assert_eq!(FooterError::Legacy.fault(), Fault::Unsupported);
        // As the reference implementation wrote it.
        let external = [
            &HEADER[..],
            &[21, 0],
            b"SG\x11\0STARGZEXTERNALTOC",
            &EMPTY_BLOCK,
        ]
        .concat();
        assert_eq!(before(&external), Err(FooterError::ExternalToc));
        let magic = |found| FooterError::Magic {
            offset: 0,
            expected: 0x1f,
            found,
        };
        assert_eq!(before(&external[1..]), Err(magic(0x55)));
    }

    #[test]
    fn every_flipped_bit_is_found_or_moves_the_toc() {
        let good = encode(0x1234);
        for byte in 0..FOOTER_LEN {
            for bit in 0..8 {
                let mut footer = good;
                footer[byte] ^= 1 << bit;
                match decode(&footer, u64::MAX) {
                    Ok(offset) => {
                        assert!((TOC_OFFSET_AT..MAGIC_AT).contains(&byte));
                        assert_ne!(offset, 0x1234);
                    }
                    Err(FooterError::Magic { offset, .. } | FooterError::Digit { offset, .. }) => {
                        assert_eq!(offset, byte);
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }

    #[test]
    fn what_the_go_reader_takes_by_mistake_is_refused() {
        let mut upper = encode(0xa);
        upper[TOC_OFFSET_AT + 15] = b'A';
        assert_eq!(
            decode(&upper, 100),
            Err(FooterError::Digit {
                offset: TOC_OFFSET_AT + 15,
                found: b'A'
            })
        );
        let mut minus = encode(1);
        minus[TOC_OFFSET_AT] = b'-';
        assert_eq!(
            decode(&minus, 100),
            Err(FooterError::Digit {
                offset: TOC_OFFSET_AT,
                found: b'-'
            })
        );
        for toc_offset in [100, 101, u64::MAX] {
            assert_eq!(
                decode(&encode(toc_offset), 100),
                Err(FooterError::TocOffset {
                    toc_offset,
                    footer_offset: 100
                })
            );
        }
    }

    #[test]
    fn the_footer_of_the_reference_implementation() {
        let hex = "1f8b08040000000000ff1a0053471600303030303030303030303030303134355354415247 5a010000ffff0000000000000000"
            .replace(' ', "");
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect();
        assert_eq!(bytes, encode(0x145));
    }
}
