//! Why a layer cannot be opened.

use std::io;
use std::path::PathBuf;

use image_model::layer::LayerError;
use image_model::{Blame, Cancelled, Fault, ImagePath};
use tar_stream::TarError;
use tar_stream::member::MemberError;

/// A layer cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerImageError {
    /// The layer cannot be read.
    #[error("cannot read the layer")]
    Source(#[from] blob_io::ReadError),
    /// The layer is truncated, corrupt or too large, or its compression is not supported.
    #[error("cannot decode the layer")]
    Stream(#[from] tar_stream::LayerError),
    /// The decoded layer cannot be spooled to a temporary file.
    #[error("cannot spool the layer in {}", directory.display())]
    Spool {
        /// Where: [`LayerImageOptions::spool_directory`](super::LayerImageOptions::spool_directory), or the system's directory for temporary files.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The tar is corrupt, or strict reading refuses it.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member that cannot be part of a file tree.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A member that does not belong in the layer.
    #[error("invalid tar member {path:#} at byte {offset}")]
    Entry {
        /// First byte of the member in the tar.
        offset: u64,
        /// Its path.
        path: ImagePath,
        /// Why not.
        source: LayerError,
    },
    /// The index is of a layer of another length, or of another stream.
    #[error("the index is of a layer of {expected} bytes, but this one has {found}")]
    OtherLayer {
        /// Length by the index.
        expected: u64,
        /// Length in bytes.
        found: u64,
    },
    /// The index does not keep the headers of the tar, so its files are not known without decoding the layer.
    #[error("the index does not keep byte {offset} of the tar, which is a header")]
    NotKept {
        /// The byte.
        offset: u64,
    },
    /// The zTOC enters the layer elsewhere than at the first deflate data.
    #[error(
        "the zTOC enters the layer at byte {offset}, where the data of its first member do not begin"
    )]
    Entered {
        /// The byte.
        offset: u64,
    },
    /// The zTOC gives no time for a file, or one that cannot be read.
    #[error(
        "the zTOC gives no time for {path:#}, the tar member whose payload is at byte {offset}"
    )]
    Time {
        /// First byte of its payload in the tar.
        offset: u64,
        /// Its path.
        path: ImagePath,
    },
    /// Threads cannot be started.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The members do not form a tree.
    #[error("the members of the layer do not form a tree")]
    Layer(#[source] LayerError),
}

impl Blame for LayerImageError {
    fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Stream(error) => error.fault(),
            Self::Spool { .. } | Self::Threads(_) => Fault::Io,
            Self::OtherLayer { .. }
            | Self::NotKept { .. }
            | Self::Entered { .. }
            | Self::Time { .. } => Fault::Corrupt,
            Self::Cancelled(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Member(error) => error.fault(),
            Self::Entry { source, .. } | Self::Layer(source) => source.fault(),
        }
    }
}
