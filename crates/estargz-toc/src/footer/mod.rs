//! Footers: the last bytes of a blob, which say where its TOC is. Each is data that decompressors skip: an empty gzip
//! member, or a skippable zstd frame.
//!
//! | module | of | bytes |
//! |---|---|---|
//! | [`estargz`] | eStargz | 51 |
//! | [`legacy`] | stargz, the predecessor of eStargz | 47 |
//! | [`external`] | eStargz whose TOC is another blob | 46 |
//! | [`zstd_chunked`] | zstd:chunked of stargz-snapshotter | 48 |
//! | [`containers`] | zstd:chunked of containers/storage | 72 |
//! [`find`] recognises all of them.

pub mod containers;
pub mod estargz;
pub mod external;
pub mod legacy;
pub mod skippable;
pub mod zstd_chunked;

use image_model::{Blame, Fault, StoredPiece};

pub use estargz::{FOOTER_LEN, decode, encode};

/// Length of the longest footer in bytes.
pub const MAX_LEN: usize = containers::LEN;

/// Length of the shortest footer in bytes.
pub const MIN_LEN: usize = external::LEN;

/// A footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Footer {
    /// Of eStargz.
    Estargz {
        /// Where the TOC member begins, in bytes from the start of the blob.
        toc_offset: u64,
    },
    /// Of stargz.
    Legacy {
        /// Where the TOC member begins, in bytes from the start of the blob.
        toc_offset: u64,
    },
    /// Of eStargz whose TOC is another blob.
    External,
    /// Of zstd:chunked as stargz-snapshotter writes it, and containers/storage before 1.50.
    ZstdChunked {
        /// The TOC.
        toc: StoredPiece,
    },
    /// Of zstd:chunked as containers/storage writes it.
    Containers(containers::Pieces),
}

impl Footer {
    /// Its length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Estargz { .. } => estargz::FOOTER_LEN,
            Self::Legacy { .. } => legacy::LEN,
            Self::External => external::LEN,
            Self::ZstdChunked { .. } => zstd_chunked::LEN,
            Self::Containers(_) => containers::LEN,
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FooterKind {
        match self {
            Self::Estargz { .. } => FooterKind::Estargz,
            Self::Legacy { .. } => FooterKind::Legacy,
            Self::External => FooterKind::External,
            Self::ZstdChunked { .. } => FooterKind::ZstdChunked,
            Self::Containers(_) => FooterKind::Containers,
        }
    }

    /// Whether it has no bytes; never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// The last bytes of a blob are not the footer that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FooterError {
    /// A fixed byte differs.
    #[error("not {}: byte {offset} is {found:#04x}, expected {expected:#04x}", kind.name())]
    Magic {
        /// The expected footer.
        kind: FooterKind,
        /// Offset in the footer.
        offset: usize,
        /// The expected byte.
        expected: u8,
        /// What is there.
        found: u8,
    },
    /// A byte of the TOC offset is not a lower-case hex digit.
    #[error("{}: byte {offset} is {found:#04x}, not a digit of the TOC offset", kind.name())]
    Digit {
        /// The expected footer.
        kind: FooterKind,
        /// Offset in the footer.
        offset: usize,
        /// What is there.
        found: u8,
    },
    /// The TOC would begin at or after the footer.
    #[error("{}: the TOC begins at {toc_offset}, but the footer at {footer_offset}", kind.name())]
    TocOffset {
        /// The expected footer.
        kind: FooterKind,
        /// Start of the TOC according to the footer, in bytes from the start of the blob.
        toc_offset: u64,
        /// Where the footer begins.
        footer_offset: u64,
    },
    /// A piece is not where it can be: before the header of its frame, or beyond what follows it.
    #[error(
        "{}: {what} takes {} bytes from {}, which must be between {after} and {before}",
        kind.name(), piece.stored_len, piece.offset
    )]
    Piece {
        /// The expected footer.
        kind: FooterKind,
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// Where it would be.
        piece: StoredPiece,
        /// The first byte that it can have.
        after: u64,
        /// What follows it begins here.
        before: u64,
    },
    /// The TOC is of an unknown type.
    #[error("{}: the TOC is of type {found}, expected 1", kind.name())]
    TocType {
        /// The expected footer.
        kind: FooterKind,
        /// What is there.
        found: u64,
    },
    /// No footer at all.
    #[error("no footer of eStargz or zstd:chunked")]
    Unknown,
}

impl Blame for FooterError {
    fn fault(&self) -> Fault {
        Fault::Corrupt
    }
}

/// The kinds of footers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FooterKind {
    /// [`estargz`].
    Estargz,
    /// [`legacy`].
    Legacy,
    /// [`external`].
    External,
    /// [`zstd_chunked`].
    ZstdChunked,
    /// [`containers`].
    Containers,
}

impl FooterKind {
    /// What messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Estargz => "an eStargz footer",
            Self::Legacy => "a stargz footer",
            Self::External => "a footer of eStargz with an external TOC",
            Self::ZstdChunked => "a zstd:chunked footer of stargz-snapshotter",
            Self::Containers => "a zstd:chunked footer of containers/storage",
        }
    }

    /// Compares `found` with `expected`, whose first byte is at `offset` of the footer.
    fn check(self, found: &[u8], expected: &[u8], offset: usize) -> Result<(), FooterError> {
        for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            if found != expected {
                return Err(FooterError::Magic {
                    kind: self,
                    offset: offset.saturating_add(i),
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Checks that `piece` is in a skippable frame, which begins at byte `start` or later and ends at `end` or earlier.
    fn check_piece(
        self,
        what: &'static str,
        piece: StoredPiece,
        start: u64,
        end: u64,
    ) -> Result<(), FooterError> {
        let after = start.saturating_add(skippable::HEADER_LEN_U64);
        if piece.offset < after || piece.end().is_none_or(|piece_end| piece_end > end) {
            return Err(FooterError::Piece {
                kind: self,
                what,
                piece,
                after,
                before: end,
            });
        }
        Ok(())
    }
}

/// The footer at the end of `tail`, the last bytes of a blob of `blob_len` bytes: [`MAX_LEN`] of them or more, or the
/// whole blob.
///
/// ```
/// use lazyoci_estargz_toc::footer::{self, Footer};
/// let tail = [&b"TOC"[..], &footer::encode(0)].concat();
/// assert_eq!(footer::find(&tail, 54), Ok(Footer::Estargz { toc_offset: 0 }));
/// ```
///
/// # Errors
/// [`FooterError`] of the footer whose fixed bytes `tail` ends with, [`FooterError::Unknown`] if it ends with none.
pub fn find(tail: &[u8], blob_len: u64) -> Result<Footer, FooterError> {
    let first = [
        find_estargz(tail, blob_len),
        find_legacy(tail, blob_len),
        find_external(tail),
        find_containers(tail, blob_len),
        find_zstd_chunked(tail, blob_len),
    ];
    (first.into_iter().flatten().next()).unwrap_or(Err(FooterError::Unknown))
}

/// A footer of one kind, or what is wrong with it; `None` if the bytes are not of that kind.
type Found = Option<Result<Footer, FooterError>>;

fn found(footer: Result<Footer, FooterError>) -> Found {
    match footer {
        Err(FooterError::Magic { .. } | FooterError::Digit { .. }) => None,
        footer => Some(footer),
    }
}

fn footer_offset(blob_len: u64, len: usize) -> u64 {
    blob_len.saturating_sub(image_model::width::u64_from(len))
}

fn find_estargz(tail: &[u8], blob_len: u64) -> Found {
    let offset = footer_offset(blob_len, estargz::FOOTER_LEN);
    let toc_offset = estargz::decode(tail.last_chunk()?, offset);
    found(toc_offset.map(|toc_offset| Footer::Estargz { toc_offset }))
}

fn find_legacy(tail: &[u8], blob_len: u64) -> Found {
    let toc_offset = legacy::decode(tail.last_chunk()?, footer_offset(blob_len, legacy::LEN));
    found(toc_offset.map(|toc_offset| Footer::Legacy { toc_offset }))
}

fn find_external(tail: &[u8]) -> Found {
    found(external::decode(tail.last_chunk()?).map(|()| Footer::External))
}

fn find_containers(tail: &[u8], blob_len: u64) -> Found {
    let offset = footer_offset(blob_len, containers::LEN);
    found(containers::decode(tail.last_chunk()?, offset).map(Footer::Containers))
}

fn find_zstd_chunked(tail: &[u8], blob_len: u64) -> Found {
    let offset = footer_offset(blob_len, zstd_chunked::LEN);
    let toc = zstd_chunked::decode(tail.last_chunk()?, offset);
    found(toc.map(|toc| Footer::ZstdChunked { toc }))
}
