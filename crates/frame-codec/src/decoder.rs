//! Frames to plain bytes.

use std::fmt;

use image_model::{Codec, Decode};

use crate::CodecError;
#[cfg(feature = "gzip")]
use crate::gzip;
#[cfg(feature = "lz4")]
use crate::lz4;
#[cfg(feature = "zstd")]
use crate::zstd;

/// Decodes frames of any codec, with one context per codec, created on first use. The caller's
/// buffer determines the length of the decoded frame. No allocation depends on what a frame
/// declares, except the window of a partially decoded zstd frame, which has a fixed limit of 32
/// MiB.
///
/// ```
/// use lazyoci_frame_codec::{CodecError, Decoder};
/// use image_model::{Codec, Decode};
///
/// let mut decoder = Decoder::new();
/// let mut plain = [0; 4];
/// decoder.decode(Codec::None, b"lazy", &mut plain)?;
/// assert_eq!(&plain, b"lazy");
///
/// let error = decoder.decode(Codec::None, b"lazy!", &mut plain);
/// assert_eq!(
///     error,
///     Err(CodecError::Length { codec: Codec::None, expected: 4, found: 5 })
/// );
/// # Ok::<(), CodecError>(())
/// ```
#[derive(Default)]
pub struct Decoder {
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::Decompressor>,
    #[cfg(feature = "gzip")]
    gzip: Option<gzip::Decompressor>,
}

impl Decoder {
    /// A decoder without any contexts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes a frame by its recipe: `stored` are its bytes, `out` receives the decoded ones.
    ///
    /// # Errors
    /// Those of [`decode`](Self::decode) and [`decode_prefix`](Self::decode_prefix), of the latter also for deflate data;
    /// [`CodecError::Truncated`], [`CodecError::Malformed`] for encrypted bytes that are too few, or padded wrongly;
    /// [`CodecError`] for a recipe that this version does not support.
    pub fn decode_frame(
        &mut self,
        how: &Decode,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match *how {
            Decode::Exact(codec) => self.decode(codec, stored, out),
            Decode::Prefix(codec) => self.decode_prefix(codec, stored, out),
            #[cfg(feature = "gzip")]
            Decode::Deflate(ref start) => self.gzip().resume(start, stored, out),
            #[cfg(feature = "gzip")]
            Decode::DeflateMembers(ref start) => self.gzip().resume_members(start, stored, out),
            #[cfg(feature = "encryption")]
            Decode::Encrypted(ref key, codec) => {
                let object = crate::xts::open(key, codec, stored, out.len())?;
                self.decode(codec, &object, out)
            }
            #[cfg(not(feature = "encryption"))]
            Decode::Encrypted(_, codec) => Err(CodecError::Unsupported {
                codec,
                feature: "encryption",
            }),
            _ => Err(missing(how.codec())),
        }
    }

    /// Decodes `stored`, which is exactly one frame, into exactly `out`.
    ///
    /// Checksums that the frame has are checked. `out` holds unspecified bytes after an error.
    ///
    /// # Errors
    /// [`CodecError`] if `stored` is not exactly one frame, if the frame does not hold exactly
    /// `out.len()` bytes, if it is damaged, or if the codec is not built in.
    pub fn decode(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match codec {
            Codec::None if stored.len() != out.len() => Err(CodecError::Length {
                codec,
                expected: out.len() as u64,
                found: stored.len() as u64,
            }),
            Codec::None => {
                out.copy_from_slice(stored);
                Ok(())
            }
            #[cfg(feature = "lz4")]
            Codec::Lz4Block => lz4::decompress(stored, out),
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.zstd().decompress(stored, out),
            #[cfg(feature = "gzip")]
            Codec::Gzip => self.gzip().decompress(stored, out),
            other => Err(missing(other)),
        }
    }

    /// Decodes the beginning of `stored` until `out` is full: for open-ended frames. The rest is
    /// ignored. `stored` may be several gzip members or zstd frames, decoded as one stream. The
    /// checksums of those that end within `out` are checked; only a digest can verify the rest.
    ///
    /// # Errors
    /// [`CodecError`] if `stored` does not hold `out.len()` bytes, if it is damaged before their
    /// end, if the codec is not built in, or ([`CodecError::NoPrefix`]) if it is LZ4.
    pub fn decode_prefix(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match codec {
            Codec::None => match stored.get(..out.len()) {
                Some(prefix) => {
                    out.copy_from_slice(prefix);
                    Ok(())
                }
                None => Err(CodecError::Truncated {
                    codec,
                    stored_len: stored.len() as u64,
                }),
            },
            Codec::Lz4Block => Err(CodecError::NoPrefix { codec }),
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.zstd().decompress_prefix(stored, out),
            #[cfg(feature = "gzip")]
            Codec::Gzip => self.gzip().decompress_prefix(stored, out),
            other => Err(missing(other)),
        }
    }

    /// Decodes `stored`, which is one or more gzip members or zstd frames and nothing else, as one stream into exactly
    /// `out`. Checksums are checked.
    ///
    /// ```
    /// use image_model::Codec;
    /// use lazyoci_frame_codec::{Compression, Decoder, Encoder};
    /// let mut encoder = Encoder::new(Compression::Zstd { level: 3 })?;
    /// let mut stored = Vec::new();
    /// encoder.encode_frame(b"lazy", &mut stored)?;
    /// encoder.encode_frame(b"oci", &mut stored)?;
    /// let mut plain = [0; 7];
    /// Decoder::new().decode_frames(Codec::Zstd, &stored, &mut plain)?;
    /// assert_eq!(&plain, b"lazyoci");
    /// # Ok::<(), lazyoci_frame_codec::CodecError>(())
    /// ```
    ///
    /// # Errors
    /// [`CodecError`] if `stored` is anything else, if it does not hold exactly `out.len()` bytes, if it is damaged, if
    /// the codec is not built in, or ([`CodecError::NoPrefix`]) if it is LZ4.
    pub fn decode_frames(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match codec {
            Codec::None => self.decode(codec, stored, out),
            Codec::Lz4Block => Err(CodecError::NoPrefix { codec }),
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.zstd().decompress_all(stored, out),
            #[cfg(feature = "gzip")]
            Codec::Gzip => self.gzip().decompress_all(stored, out),
            other => Err(missing(other)),
        }
    }

    /// The first of the zstd frames that `stored` begins with; all of it of any other codec, or if it is damaged.
    #[must_use]
    pub fn first_frame(codec: Codec, stored: &[u8]) -> &[u8] {
        match codec {
            #[cfg(feature = "zstd")]
            Codec::Zstd => zstd::first_frame(stored),
            _ => stored,
        }
    }

    /// Whether decoders that do not have all of `stored`, which are whole frames, have the window that zstd frames ask
    /// for: at most 32 MiB. Other codecs have no such choice.
    #[must_use]
    #[cfg_attr(
        not(feature = "zstd"),
        expect(unused_variables, reason = "no other codec has any")
    )]
    pub fn window_fits(codec: Codec, stored: &[u8]) -> bool {
        match codec {
            #[cfg(feature = "zstd")]
            Codec::Zstd => zstd::window_fits(stored),
            _ => true,
        }
    }

    /// How many bytes the zstd frame that `start` begins with holds, by its header, of which
    /// [`MAX_HEADER_LEN`](Self::MAX_HEADER_LEN) bytes are enough; `None` if it does not say, and of any other codec.
    ///
    /// ```
    /// use image_model::Codec;
    /// use lazyoci_frame_codec::{Compression, Decoder, Encoder};
    /// let mut stored = Vec::new();
    /// Encoder::new(Compression::Zstd { level: 3 })?.encode_frame(b"lazyoci", &mut stored)?;
    /// assert_eq!(Decoder::declared_len(Codec::Zstd, &stored), Some(7));
    /// stored.extend(b"more");
    /// let len = stored.len() - 4;
    /// assert_eq!(Decoder::first_frame(Codec::Zstd, &stored).len(), len);
    /// # Ok::<(), lazyoci_frame_codec::CodecError>(())
    /// ```
    #[must_use]
    #[cfg_attr(
        not(feature = "zstd"),
        expect(unused_variables, reason = "no other codec has any")
    )]
    pub fn declared_len(codec: Codec, start: &[u8]) -> Option<u64> {
        match codec {
            #[cfg(feature = "zstd")]
            Codec::Zstd => zstd::declared_len(start),
            _ => None,
        }
    }

    /// Most bytes of a zstd frame's header.
    pub const MAX_HEADER_LEN: usize = 18;

    #[cfg(feature = "zstd")]
    fn zstd(&mut self) -> &mut zstd::Decompressor {
        self.zstd.get_or_insert_with(zstd::Decompressor::new)
    }

    #[cfg(feature = "gzip")]
    fn gzip(&mut self) -> &mut gzip::Decompressor {
        self.gzip.get_or_insert_with(gzip::Decompressor::new)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

/// The error for a codec that [`Decoder`] does not handle.
fn missing(codec: Codec) -> CodecError {
    let feature = match codec {
        Codec::Lz4Block => "lz4",
        Codec::Zstd => "zstd",
        Codec::Gzip => "gzip",
        _ => return CodecError::UnknownCodec { codec },
    };
    CodecError::Unsupported { codec, feature }
}
