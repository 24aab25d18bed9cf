//! Layers: tars, plain or compressed.
//!
//! | type | is |
//! |---|---|
//! | [`LayerDecoder`] | the machine: stored bytes in, tar bytes out, no I/O |
//! | [`LayerStream`] | the machine over a source: [`Read`](std::io::Read) over one, `AsyncRead` over the other (feature `tokio`) |
//! | [`LayerSummary`] | a summary of both sides: lengths, and with the feature `sha256` digests |

mod buffer;
mod decoder;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
mod options;
mod step;
mod stream;
mod summary;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(any(feature = "zstd", feature = "ruzstd"))]
mod zstd;

use std::fmt;

pub use decoder::LayerDecoder;
pub use error::{Corruption, LayerError};
pub use options::{StreamOptions, ZstdDecoder};
pub use step::Step;
pub use stream::LayerStream;
pub use summary::{LayerSummary, Side};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// One or more gzip members (RFC 1952).
    Gzip,
    /// One or more zstd frames, skippable ones between them (RFC 8878).
    Zstd,
    /// bzip2, which is recognised, but not decoded.
    Bzip2,
    /// xz, which is recognised, but not decoded.
    Xz,
}

/// Number of bytes that [`Compression::detect`] needs.
const START_LEN: usize = 6;

impl Compression {
    /// Detects the compression from the first bytes of a layer; six are enough.
    ///
    /// ```
    /// use lazyoci_tar_stream::Compression;
    /// assert_eq!(Compression::detect(&[0x1f, 0x8b, 8, 0, 0, 0]), Compression::Gzip);
    /// assert_eq!(Compression::detect(b""), Compression::None);
    /// ```
    #[must_use]
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}
