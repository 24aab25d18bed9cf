//! Errors that say whose fault they are.

use std::error::Error;
use std::fmt;

use crate::image::Ino;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The bytes are wrong: whoever made or moved the image.
    Corrupt,
    /// The bytes may be right, but this library lacks what they need.
    Unsupported,
    /// Refused on purpose: a bound of [`Limits`](crate::Limits) or of a strict mode.
    Limit,
    /// The source or the destination failed.
    Io,
    /// The caller asked for something that makes no sense.
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
    /// Whose fault the error is.
    fn fault(&self) -> Fault;
}

/// What an [`Image`](crate::Image) answers when it cannot answer.
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

    /// The same error, of a question about `ino`: what an image answers for one that it is made of.
    #[must_use]
    pub fn about(self, ino: Ino) -> Self {
        Self {
            ino: Some(ino),
            ..self
        }
    }

    /// The inode that the question was about.
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
