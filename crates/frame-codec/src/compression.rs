//! How to compress frames: the writer's choice.

use std::fmt;
use std::str::FromStr;

use image_model::Codec;

/// A codec with its level, as in `none`, `lz4`, `zstd:3`, `gzip:6`, `libdeflate:9`.
///
/// A level left out is the library's default: `zstd` is `zstd:3`, `gzip` is `gzip:6`,
/// `libdeflate` is `libdeflate:6`. Whether a level exists is checked by
/// [`Encoder::new`](crate::Encoder::new).
///
/// ```
/// use lazyoci_frame_codec::Compression;
/// let compression: Compression = "zstd:19".parse()?;
/// assert_eq!(compression, Compression::Zstd { level: 19 });
/// assert_eq!(compression.to_string(), "zstd:19");
/// # Ok::<(), lazyoci_frame_codec::ParseCompressionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Store uncompressed.
    None,
    /// One LZ4 block.
    Lz4Block,
    /// One zstd frame with its content size in the header, as `ZSTD_compress` writes it.
    Zstd {
        /// Negative (fast) to 22; 0 means 3.
        level: i32,
    },
    /// One gzip member, written in Rust.
    Gzip {
        /// 0 (stored) to 9. Level 1 is fast, and about a fifth larger than level 2 or than
        /// libdeflate's level 1.
        level: u32,
    },
    /// One gzip member, written by libdeflate: smaller and faster than [`Gzip`](Self::Gzip), with
    /// different bytes. Any gzip reader can read it. Needs feature `libdeflate`.
    Libdeflate {
        /// 0 (stored) to 12.
        level: u32,
    },
}

impl Compression {
    /// The codec of the frames.
    #[must_use]
    pub const fn codec(self) -> Codec {
        match self {
            Self::None => Codec::None,
            Self::Lz4Block => Codec::Lz4Block,
            Self::Zstd { .. } => Codec::Zstd,
            Self::Gzip { .. } | Self::Libdeflate { .. } => Codec::Gzip,
        }
    }

    /// Bytes that an [`Encoder`](crate::Encoder) reserves before it writes a frame of `plain_len`
    /// bytes: a vector with this capacity never grows.
    ///
    /// ```
    /// use lazyoci_frame_codec::Compression;
    /// assert_eq!(Compression::None.max_frame_len(1000), 1000);
    /// assert_eq!(Compression::Lz4Block.max_frame_len(1000), 1120);
    /// ```
    #[must_use]
    pub const fn max_frame_len(self, plain_len: usize) -> usize {
        let more = match self {
            Self::None => 0,
            // LZ4_COMPRESSBOUND is less; lz4_flex requires this.
            Self::Lz4Block => 20 + plain_len / 10,
            // ZSTD_COMPRESSBOUND.
            Self::Zstd { .. } => (plain_len >> 8) + (131_072usize.saturating_sub(plain_len) >> 11),
            // Nine bits for a literal of a block with fixed codes, the only ones of this level.
            Self::Gzip { level: 1 } => 64 + plain_len / 8,
            // Header, trailer, and five bytes for each stored block.
            Self::Gzip { .. } | Self::Libdeflate { .. } => 64 + plain_len / 960,
        };
        plain_len.saturating_add(more)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Lz4Block => f.write_str("lz4"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Libdeflate { level } => write!(f, "libdeflate:{level}"),
        }
    }
}

/// Text that does not name a [`Compression`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a compression: expected none, lz4, zstd[:LEVEL], gzip[:LEVEL] or libdeflate[:LEVEL]"
)]
pub struct ParseCompressionError {
    /// The text.
    pub text: String,
}

impl FromStr for Compression {
    type Err = ParseCompressionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseCompressionError { text: text.into() })
    }
}

fn parse(text: &str) -> Option<Compression> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (text, None),
    };
    Some(match (name, level) {
        ("none", None) => Compression::None,
        ("lz4", None) => Compression::Lz4Block,
        ("zstd", level) => Compression::Zstd {
            level: level.map_or(Some(3), |l| l.parse().ok())?,
        },
        ("gzip", level) => Compression::Gzip {
            level: level.map_or(Some(6), |l| l.parse().ok())?,
        },
        ("libdeflate", level) => Compression::Libdeflate {
            level: level.map_or(Some(6), |l| l.parse().ok())?,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_agree() {
        for (text, compression, codec) in [
            ("none", Compression::None, Codec::None),
            ("lz4", Compression::Lz4Block, Codec::Lz4Block),
            ("zstd:-5", Compression::Zstd { level: -5 }, Codec::Zstd),
            ("gzip:9", Compression::Gzip { level: 9 }, Codec::Gzip),
            (
                "libdeflate:12",
                Compression::Libdeflate { level: 12 },
                Codec::Gzip,
            ),
        ] {
            assert_eq!(text.parse(), Ok(compression));
            assert_eq!(compression.to_string(), text);
            assert_eq!(compression.codec(), codec);
        }
    }

    #[test]
    fn levels_have_defaults() {
        assert_eq!("zstd".parse(), Ok(Compression::Zstd { level: 3 }));
        assert_eq!("gzip".parse(), Ok(Compression::Gzip { level: 6 }));
        assert_eq!(
            "libdeflate".parse(),
            Ok(Compression::Libdeflate { level: 6 })
        );
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "", "ZSTD", "none:1", "lz4:1", "zstd:", "zstd:x", "gzip:-1", "xz",
        ] {
            assert_eq!(
                text.parse::<Compression>(),
                Err(ParseCompressionError { text: text.into() })
            );
        }
    }
}
