//! Why a TOC cannot be found or read.

use image_model::{Blame, Fault, StoredPiece};
use tar_stream::{LayerError, TarError};
use verify::CheckError;

use crate::footer::{FooterError, FooterKind};
use crate::toc::TOC_NAME;

/// A blob whose TOC cannot be found or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Too short for a footer.
    #[error("a blob of {blob_len} bytes is too short for a footer of eStargz or zstd:chunked")]
    TooShort {
        /// Length of the blob in bytes.
        blob_len: u64,
    },
    /// The blob does not end in a footer.
    #[error("no footer of eStargz or zstd:chunked at the end of the blob")]
    Footer(#[from] FooterError),
    /// The TOC member, or the TOC in it, is longer than the limit.
    #[error("the TOC takes {len} bytes; the limit is {limit}")]
    TooLong {
        /// Bytes of the stored member, or of the document.
        len: u64,
        /// [`Limits::toc_len`](image_model::Limits::toc_len).
        limit: u64,
    },
    /// No gzip member where the TOC should be.
    #[error("the TOC at byte {toc_offset} of the blob is not a gzip member")]
    NotGzip {
        /// Where the TOC should be.
        toc_offset: u64,
    },
    /// The TOC member does not contain a tar, or is damaged.
    #[error("cannot read the TOC member at byte {toc_offset} of the blob")]
    Tar {
        /// Where the TOC member begins.
        toc_offset: u64,
        /// What is wrong; offsets in it count from the start of the member's tar.
        source: TarError,
    },
    /// The TOC member is empty, or its first file is not the TOC.
    #[error(
        "the member at byte {toc_offset} of the blob does not begin with a regular file `{TOC_NAME}`"
    )]
    NotToc {
        /// Where the TOC member begins.
        toc_offset: u64,
    },
    /// Something follows the TOC.
    #[error("unexpected data follows the TOC at byte {toc_offset} of the blob")]
    Trailing {
        /// Where the TOC member begins.
        toc_offset: u64,
    },
    /// The TOC is another blob, which was not given.
    #[error("the TOC is in another blob, which is not given")]
    External,
    /// A TOC of another blob was given, but this one has its own.
    #[error("a TOC in another blob is given, but the footer is {}", found.name())]
    NotExternal {
        /// The footer.
        found: FooterKind,
    },
    /// A piece that is described is not in the blob, or begins before its own frame can.
    #[error("{what} is said to take {} bytes from {} of a blob of {blob_len} bytes", piece.stored_len, piece.offset)]
    Outside {
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// Where it would be.
        piece: StoredPiece,
        /// Length of the blob in bytes.
        blob_len: u64,
    },
    /// A piece does not have the checksum that it should have.
    #[error("{what} does not have its checksum")]
    Checksum {
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// What it has.
        source: CheckError,
    },
    /// A piece is not one of zstd, or is damaged.
    #[error("cannot decompress {what} at byte {} of the blob", piece.offset)]
    Zstd {
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// Where it is.
        piece: StoredPiece,
        /// What is wrong.
        source: LayerError,
    },
    /// A piece is not compressed.
    #[error("{what} at byte {} of the blob is no zstd frame", piece.offset)]
    NotZstd {
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// Where it is.
        piece: StoredPiece,
    },
    /// A piece has another length than it should have.
    #[error("{what} has {found} bytes or more when decompressed, not {}", piece.len)]
    Length {
        /// `the TOC` or `the tar-split`.
        what: &'static str,
        /// Where it is.
        piece: StoredPiece,
        /// Its length in bytes; of one that is too long, one more than it should have.
        found: u64,
    },
    /// The bytes supplied are not the ones requested.
    #[error("{found} bytes were supplied, but {asked} were requested")]
    Supplied {
        /// Bytes requested.
        asked: u64,
        /// Bytes supplied.
        found: u64,
    },
}

impl Blame for OpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::TooShort { .. }
            | Self::NotGzip { .. }
            | Self::NotToc { .. }
            | Self::Trailing { .. }
            | Self::Outside { .. }
            | Self::NotZstd { .. }
            | Self::Length { .. } => Fault::Corrupt,
            Self::TooLong { .. } => Fault::Limit,
            Self::Footer(error) => error.fault(),
            Self::Tar { source, .. } => source.fault(),
            Self::Checksum { source, .. } => source.fault(),
            Self::Zstd { source, .. } => source.fault(),
            Self::External => Fault::Unsupported,
            Self::Supplied { .. } | Self::NotExternal { .. } => Fault::Misuse,
        }
    }
}
