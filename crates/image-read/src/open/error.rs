//! Why an image cannot be opened.

use std::io;
use std::path::PathBuf;

use estargz_toc::error::TocError;
use image_model::{Blame, Fault};
use rafs_format::DecodeError;
use rafs_format::blob::BlobError;
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
    /// Neither a file nor a directory. A pipe or a device has no length and no offsets to read at;
    /// what comes through one is to be put into a file first.
    #[error("{} is neither a file nor a directory", path.display())]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the image")]
    Read(#[from] blob_io::ReadError),
    /// It holds nothing that is known here.
    // What was found may be nobody's business, such as a file of passwords.
    #[error(
        "neither a layer nor another image: it does not start like a tar, gzip, zstd, RAFS or EROFS, and does not end like an eStargz layer or a RAFS blob"
    )]
    Unknown {
        /// Its first bytes, 16 at most.
        head: Box<[u8]>,
    },
    /// It is known what it holds, but not how to read that.
    #[error("this version cannot open {found}")]
    Unsupported {
        /// What it is.
        found: Format,
    },
    /// The caller said what it is, and was wrong.
    #[error("this is no {expected}")]
    NotFormat {
        /// What it was said to be.
        expected: Format,
    },
    /// A data blob, whose image is described by a bootstrap elsewhere.
    #[error("a RAFS data blob without a bootstrap: open the bootstrap instead")]
    NoBootstrap,
    /// A directory with several blobs and no bootstrap beside them: each may be an image.
    #[error("{} holds several blobs and no bootstrap: open one of them", path.display())]
    SeveralBlobs {
        /// The directory.
        path: PathBuf,
    },
    /// The metadata are longer than allowed.
    #[error("{len} bytes of metadata, {limit} are allowed")]
    Limit {
        /// Bytes of metadata.
        len: u64,
        /// Bytes allowed, [`Limits::max_metadata_len`](image_model::Limits::max_metadata_len).
        limit: u64,
    },
    /// The metadata have another digest than they must have.
    #[error("the metadata is not what was expected")]
    Metadata(#[from] CheckError),
    /// A digest of metadata was given, or something in them asked for, where there are none.
    #[error("a {found} has no metadata of its own")]
    NoMetadata {
        /// What it is.
        found: Format,
    },
    /// The directory cannot be taken as an image.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The layer is damaged, refused or no tree.
    #[error(transparent)]
    Layer(#[from] LayerImageError),
    /// The bootstrap is damaged or beyond a limit.
    #[error("cannot read the bootstrap")]
    Bootstrap(#[from] DecodeError),
    /// The EROFS image is damaged, compressed, or beyond a limit.
    #[error("the EROFS image")]
    Erofs(#[from] erofs_format::DecodeError),
    /// The blob does not give its bootstrap out, or what it says of its chunks.
    #[error("cannot read the metadata of the blob")]
    Blob(#[source] BlobError),
    /// There is no such blob, or it cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The TOC of eStargz cannot be found.
    #[error(transparent)]
    Estargz(#[from] estargz_toc::open::OpenError),
    /// The TOC of eStargz describes no image.
    #[error("cannot read the TOC")]
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
            Self::Store(error) => error.fault(),
            Self::Estargz(error) => error.fault(),
            Self::Toc(error) => error.fault(),
        }
    }
}
