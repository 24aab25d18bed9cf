//! Plain bytes to frames.

use std::fmt;

use image_model::Codec;

#[cfg(feature = "gzip")]
use crate::gzip;
#[cfg(feature = "lz4")]
use crate::lz4;
#[cfg(feature = "zstd")]
use crate::zstd;
use crate::{CodecError, Compression};

/// Compresses frame after frame with one context. The bytes of a frame depend only on the plain
/// bytes and the [`Compression`] (and on the version of the compression library), never on earlier
/// frames.
///
/// ```
/// use lazyoci_frame_codec::{Compression, Encoder};
/// use image_model::Codec;
///
/// let mut stored = Vec::new();
/// let codec = Encoder::new(Compression::None)?.encode(b"abc", &mut stored)?;
/// assert_eq!((codec, &stored[..]), (Codec::None, &b"abc"[..]));
/// # Ok::<(), lazyoci_frame_codec::CodecError>(())
/// ```
pub struct Encoder {
    compression: Compression,
    context: Context,
}

/// `LZ4_MAX_INPUT_SIZE` of lz4.h.
const LZ4_MAX_PLAIN_LEN: u64 = 0x7e00_0000;

enum Context {
    None,
    #[cfg(feature = "lz4")]
    Lz4(lz4::Compressor),
    #[cfg(feature = "zstd")]
    Zstd(zstd::Compressor),
    #[cfg(feature = "gzip")]
    Gzip(gzip::Compressor),
    #[cfg(feature = "libdeflate")]
    Libdeflate(gzip::LibdeflateCompressor),
}

impl Encoder {
    /// An encoder with a context for `compression`.
    ///
    /// # Errors
    /// [`CodecError::Level`] if the codec has no such level, [`CodecError::Unsupported`] if the
    /// codec is not built in.
    pub fn new(compression: Compression) -> Result<Self, CodecError> {
        Ok(Self {
            compression,
            context: Context::new(compression)?,
        })
    }

    /// The encoder's compression.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Appends `plain` to `out`, compressed if that makes it strictly smaller, otherwise
    /// uncompressed, and returns the codec used: nydus's rule for chunks.
    ///
    /// # Errors
    /// [`CodecError::PlainTooLong`], with `out` unchanged.
    pub fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<Codec, CodecError> {
        let start = out.len();
        self.encode_frame(plain, out)?;
        if out.len() - start < plain.len() {
            return Ok(self.compression.codec());
        }
        out.truncate(start);
        out.extend_from_slice(plain);
        Ok(Codec::None)
    }

    /// Appends `plain` to `out` as one frame of [`Compression::codec`], whatever its size.
    ///
    /// # Errors
    /// [`CodecError::PlainTooLong`], with `out` unchanged.
    pub fn encode_frame(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let codec = self.compression.codec();
        let max = match codec {
            Codec::Lz4Block => LZ4_MAX_PLAIN_LEN,
            _ => u64::from(u32::MAX),
        };
        if plain.len() as u64 > max {
            return Err(CodecError::PlainTooLong {
                codec,
                len: plain.len() as u64,
                max,
            });
        }
        match &mut self.context {
            Context::None => out.extend_from_slice(plain),
            #[cfg(feature = "lz4")]
            Context::Lz4(context) => context.compress(plain, out),
            #[cfg(feature = "zstd")]
            Context::Zstd(context) => context.compress(plain, out),
            #[cfg(feature = "gzip")]
            Context::Gzip(context) => context.compress(plain, out),
            #[cfg(feature = "libdeflate")]
            Context::Libdeflate(context) => context.compress(plain, out),
        }
        Ok(())
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Encoder").field(&self.compression).finish()
    }
}

impl Context {
    fn new(compression: Compression) -> Result<Self, CodecError> {
        match compression {
            Compression::None => Ok(Self::None),
            #[cfg(feature = "lz4")]
            Compression::Lz4Block => Ok(Self::Lz4(lz4::Compressor::new())),
            #[cfg(feature = "zstd")]
            Compression::Zstd { level } => zstd::Compressor::new(level).map(Self::Zstd),
            #[cfg(feature = "gzip")]
            Compression::Gzip { level } => gzip::Compressor::new(level).map(Self::Gzip),
            #[cfg(feature = "libdeflate")]
            Compression::Libdeflate { level } => {
                gzip::LibdeflateCompressor::new(level).map(Self::Libdeflate)
            }
            #[cfg(not(feature = "lz4"))]
            Compression::Lz4Block => Err(unsupported(compression, "lz4")),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd { .. } => Err(unsupported(compression, "zstd")),
            #[cfg(not(feature = "gzip"))]
            Compression::Gzip { .. } => Err(unsupported(compression, "gzip")),
            #[cfg(not(feature = "libdeflate"))]
            Compression::Libdeflate { .. } => Err(unsupported(compression, "libdeflate")),
        }
    }
}

#[cfg(not(all(feature = "lz4", feature = "zstd", feature = "libdeflate")))]
fn unsupported(compression: Compression, feature: &'static str) -> CodecError {
    CodecError::Unsupported {
        codec: compression.codec(),
        feature,
    }
}
