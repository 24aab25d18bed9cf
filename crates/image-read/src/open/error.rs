//! Why an image cannot be opened.

use std::io;
use std::path::PathBuf;

use estargz_toc::error::TocError;
use image_model::{Blame, Fault};
use rafs_format::DecodeError;
use rafs_format::blob::BlobError;
use rafs_format::v7::V7Error;
use verify::CheckError;

use crate::blobs::StoreError;
use crate::detect::Format;
use crate::directory::DirectoryError;
use crate::layer::LayerImageError;

/// An image cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Neither a file nor a directory. A pipe or a device has no length and no random access; save
    /// its content to a file first.
    #[error("{} is neither a file nor a directory", path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the image")]
    Read(#[from] blob_io::ReadError),
    /// The format is unknown.
    // The message does not quote the content, which may be secret, such as a password file.
    #[error(
        "neither a layer nor another image: does not start like a tar, gzip, zstd, RAFS or EROFS, and does not end like an eStargz layer or a RAFS blob"
    )]
    Unknown {
        /// Its first bytes, at most 16.
        head: Box<[u8]>,
    },
    /// The format is known, but not supported.
    #[error("this version cannot open {found}")]
    Unsupported {
        /// What it is.
        found: Format,
    },
    /// It does not have the format that the caller specified.
    #[error("the format is not {expected}")]
    NotFormat {
        /// The format specified.
        expected: Format,
    },
    /// A data blob, whose bootstrap is elsewhere.
    #[error("a RAFS data blob without a bootstrap: open the bootstrap instead")]
    NoBootstrap,
    /// A directory with several blobs and no bootstrap beside them: each may be an image.
    #[error("{} contains several blobs and no bootstrap: open one of them", path.display())]
    SeveralBlobs {
        /// The directory.
        path: PathBuf,
    },
    /// The metadata is longer than allowed.
    #[error("{len} bytes of metadata; the limit is {limit}")]
    Limit {
        /// Bytes of metadata.
        len: u64,
        /// Bytes allowed, [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len).
        limit: u64,
    },
    /// The metadata does not have the expected digest.
    #[error("the metadata does not have the expected digest")]
    Metadata(#[from] CheckError),
    /// The metadata's digest was given, or part of the metadata requested, but there is none.
    #[error("{found} has no metadata of its own")]
    NoMetadata {
        /// What it is.
        found: Format,
    },
    /// The directory cannot be read as an image.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The layer is damaged, refused or not a tree.
    #[error(transparent)]
    Layer(#[from] LayerImageError),
    /// The bootstrap is damaged or beyond a limit.
    #[error("cannot read the bootstrap")]
    Bootstrap(#[from] DecodeError),
    /// The EROFS image is damaged, compressed, or beyond a limit.
    #[error("cannot read the EROFS image")]
    Erofs(#[from] erofs_format::DecodeError),
    /// A blob of RAFS v7, or the bootstrap in it, is damaged, not supported, or beyond a limit.
    #[error("cannot read the blob")]
    V7(#[from] V7Error),
    /// The bootstrap in the blob, or its chunk information, cannot be read.
    #[error("cannot read the metadata of the blob")]
    Blob(#[source] BlobError),
    /// There is no such blob, or it cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The TOC of a layer cannot be found. The layer may still be readable without it.
    #[error("cannot find the TOC; the file may be readable as a plain layer")]
    Estargz(#[from] estargz_toc::open::OpenError),
    /// The TOC of a layer does not describe an image. The layer may still be readable without it.
    #[error("cannot read the TOC; the file may be readable as a plain layer")]
    Toc(#[from] TocError),
}

impl From<BlobError> for OpenError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NoBootstrap => Self::NoBootstrap,
            error => Self::Blob(error),
        }
    }
}

impl OpenError {
    /// Whether the file is a layer whose TOC is the trouble: it may be opened as a plain layer
    /// ([`OpenOptions::as_layer`](crate::OpenOptions#structfield.as_layer)).
    #[must_use]
    pub const fn may_be_layer(&self) -> bool {
        matches!(self, Self::Estargz(_) | Self::Toc(_))
    }
}

impl Blame for OpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Io,
            Self::Read(error) => error.fault(),
            Self::Unknown { .. } | Self::Unsupported { .. } => Fault::Unsupported,
            Self::NotAFile { .. }
            | Self::NotFormat { .. }
            | Self::NoBootstrap
            | Self::SeveralBlobs { .. }
            | Self::NoMetadata { .. } => Fault::Misuse,
            Self::Metadata(error) => error.fault(),
            Self::Limit { .. } => Fault::Limit,
            Self::Directory(error) => error.fault(),
            Self::Layer(error) => error.fault(),
            Self::Bootstrap(error) => error.fault(),
            Self::Erofs(error) => error.fault(),
            Self::Blob(error) => error.fault(),
            Self::V7(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Estargz(error) => error.fault(),
            Self::Toc(error) => error.fault(),
        }
    }
}
