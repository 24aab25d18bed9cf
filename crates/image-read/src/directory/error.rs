//! Errors of a directory as a source.

use std::io;
use std::path::PathBuf;

use image_model::metadata::XattrError;
use image_model::name::NameError;
use image_model::{Blame, Fault};

/// A directory cannot be read as an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The operating system reported an error.
    #[error("{}: cannot {action}", path.display())]
    Io {
        /// The entry.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A name that cannot be stored in an image.
    #[error("{}: the name cannot be stored in an image", path.display())]
    Name {
        /// The entry.
        path: PathBuf,
        /// What is wrong with its name.
        source: NameError,
    },
    /// Extended attributes that cannot be stored in an image.
    #[error("{}: the extended attributes cannot be stored in an image", path.display())]
    Xattrs {
        /// The entry.
        path: PathBuf,
        /// What is wrong with them.
        source: XattrError,
    },
    /// An entry of none of the seven kinds.
    #[error("{}: a file of unknown kind (mode {mode:#o})", path.display())]
    Kind {
        /// The entry.
        path: PathBuf,
        /// `st_mode`.
        mode: u32,
    },
    /// The length of a file has changed since the directory was walked.
    #[error("{}: changed while being read: {expected} bytes became {found}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length during the walk, in bytes.
        expected: u64,
        /// Its length now, in bytes.
        found: u64,
    },
    /// A file was replaced by something else since the directory was walked.
    #[error("{}: was a file during the walk, and no longer is", path.display())]
    Replaced {
        /// The entry.
        path: PathBuf,
    },
    /// More than [`Limits`](image_model::Limits) allow.
    #[error("{}: more than {limit} {what}", path.display())]
    Limit {
        /// Where the limit was exceeded.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
}

impl Blame for DirectoryError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Changed { .. } | Self::Replaced { .. } => Fault::Io,
            Self::Name { .. } | Self::Xattrs { .. } | Self::Kind { .. } => Fault::Unsupported,
            Self::Limit { .. } => Fault::Limit,
        }
    }
}
