//! Layers: tars, plain or compressed.

mod error;
#[cfg(feature = "gzip")]
mod gzip;
mod source;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, Read};

use image_model::Limits;
use image_model::width::{u64_from, usize_up_to};

pub use error::LayerError;
use source::Source;

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

impl Compression {
    /// What the first bytes of a layer say; six are enough.
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

/// The tar bytes of a layer, whatever its compression: found by content, never by media type,
/// since registries hold gzip under Docker's plain type.
///
/// All gzip members and all zstd frames are read; skippable zstd frames are passed over. What
/// follows the last member or frame and is none itself is an error, as it is for Go (and so for
/// containerd), zeros included; `gzip(1)` would only warn.
///
/// [`Read`] fails with a [`LayerError`] inside its [`io::Error`] for a cut, corrupt or too large
/// layer; any other error is the source's. [`TarReader`](crate::TarReader) takes it out again.
#[derive(Debug)]
pub struct LayerStream<R: Read> {
    decoder: Decoder<R>,
    position: u64,
    limit: u64,
}

#[derive(Debug)]
enum Decoder<R: Read> {
    Plain(Source<R>),
    #[cfg(feature = "gzip")]
    Gzip(Box<gzip::Gzip<R>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::Zstd<R>>),
}

impl<R: Read> LayerStream<R> {
    /// Looks at the first bytes of `source`. Not more than [`Limits::max_layer_len`] bytes will
    /// come out.
    ///
    /// # Errors
    /// [`LayerError::Io`] if they cannot be read; [`LayerError::Unsupported`] for a compression
    /// that is not read, or not compiled in.
    pub fn open(source: R, limits: &Limits) -> Result<Self, LayerError> {
        let mut source = Source::new(source);
        let start = source.peek(6).map_err(|source| LayerError::Io { source })?;
        let decoder = match Compression::detect(start) {
            Compression::None => Decoder::Plain(source),
            #[cfg(feature = "gzip")]
            Compression::Gzip => Decoder::Gzip(Box::new(gzip::Gzip::new(source))),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::Zstd::new(source, limits))),
            #[allow(unreachable_patterns, reason = "reached without the features")]
            compression => return Err(LayerError::Unsupported { compression }),
        };
        Ok(Self {
            decoder,
            position: 0,
            limit: limits.max_layer_len,
        })
    }

    /// How the layer is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        match &self.decoder {
            Decoder::Plain(_) => Compression::None,
            #[cfg(feature = "gzip")]
            Decoder::Gzip(_) => Compression::Gzip,
            #[cfg(feature = "zstd")]
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }

    /// Bytes of the tar that were read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the layer that were decoded, for progress.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.source().position()
    }

    fn source(&self) -> &Source<R> {
        match &self.decoder {
            Decoder::Plain(source) => source,
            #[cfg(feature = "gzip")]
            Decoder::Gzip(gzip) => gzip.source(),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(zstd) => zstd.source(),
        }
    }

    /// Decodes into `buf`, not empty.
    fn decode(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Plain(source) => source.read(buf),
            #[cfg(feature = "gzip")]
            Decoder::Gzip(gzip) => gzip.read(buf, self.position),
            #[cfg(feature = "zstd")]
            Decoder::Zstd(zstd) => zstd.read(buf, self.position),
        }
    }
}

impl<R: Read> Read for LayerStream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let allowed = self.limit.saturating_sub(self.position);
        if allowed == 0 && !buf.is_empty() {
            return match self.decode(&mut [0])? {
                0 => Ok(0),
                _ => Err(LayerError::TooLarge { limit: self.limit }.into()),
            };
        }
        let len = usize_up_to(allowed).min(buf.len());
        if len == 0 {
            return Ok(0);
        }
        let read = self.decode(&mut buf[..len])?;
        self.position = self.position.saturating_add(u64_from(read));
        Ok(read)
    }
}
