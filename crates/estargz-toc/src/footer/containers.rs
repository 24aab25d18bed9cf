//! The footer of zstd:chunked as containers/storage writes it (dialect B): a skippable zstd frame.
//!
//! Source: containers/storage, `pkg/chunked/internal/minimal`, and blobs that skopeo 1.18 made. Its readers use
//! annotations and never read this.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 8 | header of the frame | [`skippable`], 64 bytes |
//! | 8 | 8 | TOC offset | bytes from the start of the blob; 8 after the start of the TOC's own skippable frame |
//! | 16 | 8 | TOC stored length | bytes of the compressed TOC |
//! | 24 | 8 | TOC length | bytes of the JSON |
//! | 32 | 8 | TOC type | 1 |
//! | 40 | 8 | tar-split offset | as that of the TOC; 0 if there is none |
//! | 48 | 8 | tar-split stored length | bytes of the compressed tar-split |
//! | 56 | 8 | tar-split length | bytes of the tar-split |
//! | 64 | 8 | magic | `GNUlInUx` |
//! Numbers are little-endian.

use image_model::StoredPiece;

use super::{FooterError, FooterKind, skippable};

/// Length of the frame in bytes.
pub const LEN: usize = skippable::HEADER_LEN + PAYLOAD_LEN;

/// Length of the frame's content in bytes, which other descriptions of the format call the footer.
pub const PAYLOAD_LEN: usize = 64;

/// The only type of TOC.
pub const TOC_TYPE: u64 = 1;

const HEADER: [u8; skippable::HEADER_LEN] = skippable::header(64);
const MAGIC: &[u8; 8] = b"GNUlInUx";

/// Where the metadata of a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Pieces {
    /// The TOC.
    pub toc: StoredPiece,
    /// The tar-split; old writers made none.
    pub tar_split: Option<StoredPiece>,
}

impl Pieces {
    /// A TOC without a tar-split.
    #[must_use]
    pub const fn new(toc: StoredPiece) -> Self {
        Self {
            toc,
            tar_split: None,
        }
    }

    image_model::setters! {
        tar_split: impl Into<Option<StoredPiece>> = tar_split.into(),
    }
}

/// The frame at the end of a blob with this metadata.
///
/// ```
/// use image_model::StoredPiece;
/// use lazyoci_estargz_toc::footer::containers::{self, Pieces};
///
/// let toc = StoredPiece::new(364, 539, 1298);
/// let pieces = Pieces::new(toc).tar_split(StoredPiece::new(911, 483, 11_564));
/// let footer = containers::encode(&pieces);
/// assert_eq!(containers::decode(&footer, 1394), Ok(pieces));
/// ```
#[must_use]
pub fn encode(pieces: &Pieces) -> [u8; LEN] {
    let mut footer = [0; LEN];
    let (header, rest) = footer.split_at_mut(HEADER.len());
    header.copy_from_slice(&HEADER);
    let toc = pieces.toc;
    let tar_split = pieces.tar_split.unwrap_or(StoredPiece::new(0, 0, 0));
    let fields = [
        toc.offset,
        toc.stored_len,
        toc.len,
        TOC_TYPE,
        tar_split.offset,
        tar_split.stored_len,
        tar_split.len,
    ];
    for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    let magic_at = LEN - MAGIC.len();
    footer[magic_at..].copy_from_slice(MAGIC);
    footer
}

/// Where the metadata of a blob is, given its footer and where that begins.
///
/// # Errors
/// [`FooterError`] on the first wrong byte, another type, a TOC that is not before the tar-split, or one of them that
/// is not before the footer.
pub fn decode(footer: &[u8; LEN], footer_offset: u64) -> Result<Pieces, FooterError> {
    let kind = FooterKind::Containers;
    let magic_at = LEN - MAGIC.len();
    kind.check(footer, &HEADER, 0)?;
    kind.check(&footer[magic_at..], MAGIC, magic_at)?;
    let [
        offset,
        stored_len,
        len,
        found,
        split_offset,
        split_stored_len,
        split_len,
        _,
    ] = numbers(&footer[HEADER.len()..]);
    if found != TOC_TYPE {
        return Err(FooterError::TocType { kind, found });
    }
    let toc = StoredPiece::new(offset, stored_len, len);
    let tar_split = StoredPiece::new(split_offset, split_stored_len, split_len);
    kind.check_piece("the TOC", toc, 0, footer_offset)?;
    if tar_split == StoredPiece::new(0, 0, 0) {
        return Ok(Pieces::new(toc));
    }
    let toc_end = toc.end().unwrap_or(footer_offset);
    kind.check_piece("the tar-split", tar_split, toc_end, footer_offset)?;
    Ok(Pieces::new(toc).tar_split(tar_split))
}

/// The little-endian numbers in `bytes`.
pub(super) fn numbers<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut numbers = [0; N];
    for (number, bytes) in numbers.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *number = u64::from_le_bytes(*bytes);
    }
    numbers
}
