//! Ways to cut files.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use chunk_dedup::{ChunkSizesError, Chunker, FastCdc, FixedSize};
use image_model::{Blame, Fault};

/// A way to cut files into chunks: `file`, `fixed:SIZE` or `fastcdc:MIN,AVG,MAX`.
///
/// ```
/// use lazyoci_image_convert::Chunking;
/// let chunking: Chunking = "fastcdc:4KiB,16KiB,64KiB".parse()?;
/// assert_eq!(chunking.to_string(), "fastcdc:4096,16384,65536");
/// # Ok::<(), lazyoci_image_convert::ChunkingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chunking {
    /// Whole files, up to 4 GiB.
    File,
    /// So many bytes, but for the last chunk of a file.
    Fixed(NonZeroU32),
    /// Where the content says, as [`FastCdc`] does.
    FastCdc {
        /// Minimum bytes of a chunk.
        min: u32,
        /// Average bytes.
        avg: u32,
        /// Maximum bytes.
        max: u32,
    },
}

/// No way to cut files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkingError {
    /// The text is none.
    #[error("`{text}` is none of `file`, `fixed:SIZE` and `fastcdc:MIN,AVG,MAX`")]
    Unknown {
        /// The text.
        text: String,
    },
    /// The sizes cannot be.
    #[error(transparent)]
    Sizes(#[from] ChunkSizesError),
}

impl Blame for ChunkingError {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

impl Chunking {
    /// Those that an analysis tries if it is not told otherwise.
    pub(super) fn usual() -> [Self; 6] {
        let fixed = |size| Self::Fixed(NonZeroU32::new(size).unwrap_or(NonZeroU32::MAX));
        let around = |avg: u32| Self::FastCdc {
            min: avg / 4,
            avg,
            max: avg * 4,
        };
        [
            Self::File,
            fixed(1 << 20),
            fixed(64 << 10),
            around(64 << 10),
            around(16 << 10),
            around(4 << 10),
        ]
    }

    /// What cuts in this way.
    pub(crate) fn chunker(self) -> Result<Box<dyn Chunker>, ChunkSizesError> {
        Ok(match self {
            Self::File => Box::new(FixedSize::new(NonZeroU32::MAX)),
            Self::Fixed(size) => Box::new(FixedSize::new(size)),
            Self::FastCdc { min, avg, max } => Box::new(FastCdc::new(min, avg, max)?),
        })
    }
}

impl fmt::Display for Chunking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Fixed(size) => write!(f, "fixed:{size}"),
            Self::FastCdc { min, avg, max } => write!(f, "fastcdc:{min},{avg},{max}"),
        }
    }
}

impl FromStr for Chunking {
    type Err = ChunkingError;

    fn from_str(text: &str) -> Result<Self, ChunkingError> {
        let unknown = || ChunkingError::Unknown { text: text.into() };
        if text == "file" {
            return Ok(Self::File);
        }
        if let Some(size) = text.strip_prefix("fixed:") {
            let size = size_of_text(size).and_then(NonZeroU32::new);
            return size.map(Self::Fixed).ok_or_else(unknown);
        }
        let sizes = text.strip_prefix("fastcdc:").ok_or_else(unknown)?;
        let sizes: Option<Vec<u32>> = sizes.split(',').map(size_of_text).collect();
        match sizes.as_deref() {
            Some(&[min, avg, max]) => {
                FastCdc::new(min, avg, max)?;
                Ok(Self::FastCdc { min, avg, max })
            }
            _ => Err(unknown()),
        }
    }
}

/// A size in bytes, or with `KiB` or `MiB`.
fn size_of_text(text: &str) -> Option<u32> {
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}
