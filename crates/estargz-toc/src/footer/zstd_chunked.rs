//! The footer of zstd:chunked as stargz-snapshotter writes it (dialect A): a skippable zstd frame.
//!
//! Source: containerd/stargz-snapshotter, `estargz/zstdchunked`, and blobs that it made. Its reader checks nothing but
//! the magic. containers/storage wrote the same footer before version 1.50, before a TOC of its own.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 8 | header of the frame | [`skippable`], 40 bytes |
//! | 8 | 8 | TOC offset | bytes from the start of the blob; 8 after the start of the TOC's own skippable frame |
//! | 16 | 8 | TOC stored length | bytes of the compressed TOC |
//! | 24 | 8 | TOC length | bytes of the JSON |
//! | 32 | 8 | TOC type | 1 |
//! | 40 | 8 | magic | `GnUlInUx` |
//! Numbers are little-endian.

use image_model::StoredPiece;

use super::containers::numbers;
use super::{FooterError, FooterKind, skippable};

/// Length of the frame in bytes.
pub const LEN: usize = skippable::HEADER_LEN + PAYLOAD_LEN;

/// Length of the frame's content in bytes, which other descriptions of the format call the footer.
pub const PAYLOAD_LEN: usize = 40;

const HEADER: [u8; skippable::HEADER_LEN] = skippable::header(40);
const MAGIC: &[u8; 8] = b"GnUlInUx";

/// The frame at the end of a blob with this TOC.
///
/// ```
/// use image_model::StoredPiece;
/// use lazyoci_estargz_toc::footer::zstd_chunked;
///
/// let toc = StoredPiece::new(336, 410, 1063);
/// let footer = zstd_chunked::encode(toc);
/// assert_eq!(zstd_chunked::decode(&footer, 746), Ok(toc));
/// ```
#[must_use]
pub fn encode(toc: StoredPiece) -> [u8; LEN] {
    let mut footer = [0; LEN];
    let (header, rest) = footer.split_at_mut(HEADER.len());
    header.copy_from_slice(&HEADER);
    let fields = [
        toc.offset,
        toc.stored_len,
        toc.len,
        super::containers::TOC_TYPE,
    ];
    for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    let magic_at = LEN - MAGIC.len();
    footer[magic_at..].copy_from_slice(MAGIC);
    footer
}

/// The TOC of a blob, given its footer and where that begins.
///
/// # Errors
/// [`FooterError`] on the first wrong byte, another type, or a TOC that is not before the footer.
pub fn decode(footer: &[u8; LEN], footer_offset: u64) -> Result<StoredPiece, FooterError> {
    let kind = FooterKind::ZstdChunked;
    let magic_at = LEN - MAGIC.len();
    kind.check(footer, &HEADER, 0)?;
    kind.check(&footer[magic_at..], MAGIC, magic_at)?;
    let [offset, stored_len, len, found, _] = numbers(&footer[HEADER.len()..]);
    if found != super::containers::TOC_TYPE {
        return Err(FooterError::TocType { kind, found });
    }
    let toc = StoredPiece::new(offset, stored_len, len);
    kind.check_piece("the TOC", toc, 0, footer_offset)?;
    Ok(toc)
}
