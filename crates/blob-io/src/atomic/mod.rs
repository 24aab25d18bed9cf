//! Output that appears whole or not at all.
//!
//! Both kinds are written under a temporary name beside the target, which begins with `.lazyoci-`, and get
//! their name when they are committed. Dropped before that, they are removed. A killed process leaves its
//! temporary output, never an incomplete target.

mod dir;
mod file;

pub use dir::AtomicDir;
pub use file::AtomicFile;

use std::io;
use std::path::{Path, PathBuf};

use image_model::{Blame, Fault};

/// Why output cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The path cannot name an output, such as `..` or `/`.
    #[error("`{}` cannot name an output", path.display())]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// The target exists and must not be replaced: it is a directory or device where a file is to be written,
    /// or anything but an empty directory where a directory is to be written.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// The target.
        path: PathBuf,
    },
    /// The temporary output cannot be created.
    #[error("cannot create output beside `{}`", path.display())]
    Create {
        /// The target.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Discarded output cannot be removed.
    #[error("cannot remove `{}`, which is left behind", path.display())]
    Remains {
        /// The path that remains.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// A second object was begun in an output for one object.
    #[error("the output can hold only one object")]
    SingleObject,
    /// The output was committed already, or its object was dropped.
    #[error("the output has already been finished or discarded")]
    Committed,
    /// A writer cannot be flushed.
    #[error("cannot finish the output")]
    Flush {
        /// What happened.
        source: io::Error,
    },
    /// A destination other than a file does not take the output.
    #[error("cannot write the output")]
    Target {
        /// Its error.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Whose fault that is.
        fault: Fault,
    },
    /// The finished output cannot be renamed or synced.
    #[error("cannot finish `{}`", path.display())]
    Commit {
        /// The target.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl Blame for WriteError {
    fn fault(&self) -> Fault {
        match self {
            Self::NoName { .. } | Self::Exists { .. } | Self::SingleObject | Self::Committed => {
                Fault::Misuse
            }
            Self::Target { fault, .. } => *fault,
            Self::Create { .. }
            | Self::Commit { .. }
            | Self::Remains { .. }
            | Self::Flush { .. } => Fault::Io,
        }
    }
}

/// Prefix of the names of temporary output.
const PREFIX: &str = ".lazyoci-";

/// `error` as the system words it: `tempfile` adds the random name that it tried.
fn without_name(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((what, _)) => io::Error::new(error.kind(), what),
        None => error,
    }
}

/// The parent directory of `target`.
fn parent(target: &Path) -> Result<&Path, WriteError> {
    match (target.file_name(), target.parent()) {
        (Some(_), Some(parent)) if parent != Path::new("") => Ok(parent),
        (Some(_), _) => Ok(Path::new(".")),
        (None, _) => Err(WriteError::NoName {
            path: target.into(),
        }),
    }
}

/// The destination of `target` if it is a symbolic link, else `target` itself: links are not replaced.
fn resolve(target: PathBuf) -> PathBuf {
    if target.is_symlink() {
        target.canonicalize().unwrap_or(target)
    } else {
        target
    }
}
