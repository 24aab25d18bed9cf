//! Output that appears whole or not at all.
//!
//! Both kinds are written under a temporary name beside the target, which begins with `.lazyoci-`,
//! and get their name when they are committed. Dropped before that, they are removed. A process that
//! is killed leaves its temporary output behind, never a part under the target's name.

mod dir;
mod file;

pub use dir::AtomicDir;
pub use file::AtomicFile;

use std::io;
use std::path::{Path, PathBuf};

use image_model::{Blame, Fault};

/// Why output cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The target's path names nothing that could be created, such as `..` or `/`.
    #[error("`{}` cannot name an output", path.display())]
    NoName {
        /// The target.
        path: PathBuf,
    },
    /// The target is there and must not be replaced: a directory or device where a file is to be
    /// written, anything but an empty directory where a directory is to be.
    #[error("`{}` exists, and is not replaced", path.display())]
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
    /// Output that was given up cannot be removed.
    #[error("`{}` is left behind: it cannot be removed", path.display())]
    Remains {
        /// What remains.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// An output for one object was given another one.
    #[error("the output has room for one object")]
    SingleObject,
    /// What was to be written is committed already, or its object was dropped.
    #[error("the output is complete, or was given up")]
    Committed,
    /// A writer does not take its last bytes.
    #[error("cannot finish the output")]
    Flush {
        /// What happened.
        source: io::Error,
    },
    /// A place that is no file does not take the output.
    #[error("cannot write the output")]
    Target {
        /// What it says.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Whose fault that is.
        fault: Fault,
    },
    /// The finished output cannot be given its name, or not be written through to the disk.
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

/// How the names of temporary output begin.
const PREFIX: &str = ".lazyoci-";

/// The directory that is to hold `target`.
fn parent(target: &Path) -> Result<&Path, WriteError> {
    match (target.file_name(), target.parent()) {
        (Some(_), Some(parent)) if parent != Path::new("") => Ok(parent),
        (Some(_), _) => Ok(Path::new(".")),
        (None, _) => Err(WriteError::NoName {
            path: target.into(),
        }),
    }
}

/// What `target` leads to if it is a symbolic link, else `target` itself: a link is not replaced.
fn resolve(target: PathBuf) -> PathBuf {
    if target.is_symlink() {
        target.canonicalize().unwrap_or(target)
    } else {
        target
    }
}
