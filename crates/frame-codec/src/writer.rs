//! One frame, written piece by piece.

use std::fmt;
use std::io::{self, Write};

#[cfg(feature = "gzip")]
use crate::gzip;
use crate::{CodecError, Compression};

/// Writes one zstd frame or gzip member whose plain bytes come in pieces, and need not be in memory together. The bytes
/// depend on the compression and on what is written, and in which pieces. A zstd frame of up to 2 MiB is that of an
/// [`Encoder`](crate::Encoder), with its content size; longer ones have a window of 2 MiB, so no frame has a window that is
/// longer than its content. libdeflate cannot write in pieces: its levels are those of [`Compression::Gzip`] here, the
/// highest three the highest of these.
///
/// ```
/// # #[cfg(feature = "zstd")] {
/// use std::io::Write;
/// use lazyoci_frame_codec::{Compression, Decoder, FrameWriter};
/// use image_model::Codec;
///
/// let mut frame = FrameWriter::new(Compression::Zstd { level: 3 }, Vec::new())?;
/// frame.write_all(b"lazy ")?;
/// frame.write_all(b"bytes")?;
/// let stored = frame.finish()?;
/// let mut plain = [0; 10];
/// Decoder::new().decode(Codec::Zstd, &stored, &mut plain)?;
/// assert_eq!(&plain, b"lazy bytes");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FrameWriter<W: Write>(Kind<W>);

enum Kind<W: Write> {
    #[cfg(feature = "zstd")]
    Zstd(crate::zstd::FrameWriter<W>),
    #[cfg(feature = "gzip")]
    Gzip(gzip::MemberWriter<W>),
    #[cfg(not(any(feature = "zstd", feature = "gzip")))]
    #[allow(dead_code, reason = "without codecs there is no frame")]
    Never(std::convert::Infallible, std::marker::PhantomData<W>),
}

impl<W: Write> FrameWriter<W> {
    /// Begins a frame, which goes to `out`.
    ///
    /// # Errors
    /// [`CodecError::Level`] if the codec has no such level, [`CodecError::Unsupported`] if it is not built in,
    /// [`CodecError::NoStream`] if it has no frames that can be written in pieces.
    pub fn new(compression: Compression, out: W) -> Result<Self, CodecError> {
        match compression {
            #[cfg(feature = "zstd")]
            Compression::Zstd { level } => {
                crate::zstd::FrameWriter::new(level, out).map(|frame| Self(Kind::Zstd(frame)))
            }
            #[cfg(feature = "gzip")]
            Compression::Gzip { level } => {
                gzip::MemberWriter::new(level, out).map(|member| Self(Kind::Gzip(member)))
            }
            #[cfg(feature = "gzip")]
            Compression::Libdeflate { level } => {
                let level = level.min(9);
                gzip::MemberWriter::new(level, out).map(|member| Self(Kind::Gzip(member)))
            }
            other => {
                drop(out);
                let codec = other.codec();
                Err(match other {
                    Compression::Zstd { .. } => CodecError::Unsupported {
                        codec,
                        feature: "zstd",
                    },
                    Compression::Gzip { .. } | Compression::Libdeflate { .. } => {
                        CodecError::Unsupported {
                            codec,
                            feature: "gzip",
                        }
                    }
                    Compression::None | Compression::Lz4Block => CodecError::NoStream { codec },
                })
            }
        }
    }

    /// Ends the frame; returns what it was written to.
    ///
    /// # Errors
    /// Those of the destination.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            #[cfg(feature = "zstd")]
            Kind::Zstd(frame) => frame.finish(),
            #[cfg(feature = "gzip")]
            Kind::Gzip(member) => member.finish(),
            #[cfg(not(any(feature = "zstd", feature = "gzip")))]
            Kind::Never(never, _) => match never {},
        }
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            #[cfg(feature = "zstd")]
            Kind::Zstd(frame) => frame.write(buf),
            #[cfg(feature = "gzip")]
            Kind::Gzip(member) => member.write(buf),
            #[cfg(not(any(feature = "zstd", feature = "gzip")))]
            Kind::Never(never, _) => {
                let _ = buf;
                match *never {}
            }
        }
    }

    /// Does nothing: a frame is complete once it is [finished](Self::finish).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> fmt::Debug for FrameWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter").finish_non_exhaustive()
    }
}
