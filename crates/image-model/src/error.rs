//! Errors that say who is at fault.

use std::error::Error;
use std::fmt;

use crate::image::Ino;

/// Who is at fault for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The bytes are wrong: the fault of whatever wrote or transferred the image.
    Corrupt,
    /// The bytes may be right, but this library lacks what they need.
    Unsupported,
    /// Deliberately refused: by a bound of [`Limits`](crate::Limits) or by a strict mode.
    Limit,
    /// The source or the destination failed.
    Io,
    /// The caller made an invalid request.
    Misuse,
    /// The caller cancelled the operation.
    Cancelled,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "corrupt",
            Self::Unsupported => "unsupported",
            Self::Limit => "limit",
            Self::Io => "i/o",
            Self::Misuse => "misuse",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Implemented by every error type of the workspace.
pub trait Blame: Error {
    /// Who is at fault.
    fn fault(&self) -> Fault;
}

/// The error of an [`Image`](crate::Image) that cannot answer a question.
///
/// `source()` is the format's own typed error, with offset or index.
#[derive(Debug)]
pub struct ImageError {
    fault: Fault,
    ino: Option<Ino>,
    source: Box<dyn Error + Send + Sync>,
}

impl ImageError {
    /// Wraps a format's error that concerns inode `ino`, or the image as a whole.
    pub fn new(ino: impl Into<Option<Ino>>, source: impl Blame + Send + Sync + 'static) -> Self {
        Self {
            fault: source.fault(),
            ino: ino.into(),
            source: Box::new(source),
        }
    }

    /// The same error, but about `ino`: for an image that passes on errors of an underlying image.
    #[must_use]
    pub fn about(self, ino: Ino) -> Self {
        Self {
            ino: Some(ino),
            ..self
        }
    }

    /// The inode that the question was about, if any.
    #[must_use]
    pub fn ino(&self) -> Option<Ino> {
        self.ino
    }
}

impl Blame for ImageError {
    fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ino {
            Some(ino) => write!(f, "{} image, inode {ino}", self.fault),
            None => write!(f, "{} image", self.fault),
        }
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
