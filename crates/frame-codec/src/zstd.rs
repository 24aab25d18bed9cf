//! zstd frames with the C library, one-shot if the frame is decoded completely.

use std::io::{self, Write};

use image_model::Codec;
use zstd::stream::write::Encoder;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{
    self, CCtx, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective,
};

use crate::{CodecError, Compression};

/// First bytes of every zstd frame with content; skippable frames have other ones.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Maximum window of a partially decoded frame, as a power of two: 32 MiB, enough for the best
/// level of klauspost/compress (podman, stargz-snapshotter) and zstd's levels up to 21. Completely
/// decoded frames need no window beside the caller's buffer.
const MAX_WINDOW_LOG: u32 = 25;

pub(crate) struct Compressor {
    context: CCtx<'static>,
    level: i32,
}

impl Compressor {
    pub(crate) fn new(level: i32) -> Result<Self, CodecError> {
        let (min, max) = (zstd_safe::min_c_level(), zstd_safe::max_c_level());
        if (min..=max).contains(&level) {
            Ok(Self {
                context: CCtx::create(),
                level,
            })
        } else {
            Err(CodecError::Level {
                compression: Compression::Zstd { level },
                min,
                max,
            })
        }
    }

    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let level = self.level;
        out.reserve(Compression::Zstd { level }.max_frame_len(plain.len()));
        let mut spare = std::io::Cursor::new(out);
        spare.set_position(spare.get_ref().len() as u64);
        self.context
            .compress(&mut spare, plain, self.level)
            .expect("the output has the maximum size");
    }
}

/// Window of a frame that is written in pieces, as a power of two, and the longest one that is not.
const STREAM_WINDOW_LOG: u32 = 21;

/// A frame whose bytes come in pieces.
pub(crate) struct FrameWriter<W: Write> {
    level: i32,
    state: State<W>,
}

enum State<W: Write> {
    /// Short so far: the frame may yet have a content size.
    Held(Vec<u8>, W),
    Stream(Encoder<'static, W>),
    /// It failed.
    Failed,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(level: i32, out: W) -> Result<Self, CodecError> {
        Compressor::new(level)?;
        Ok(Self {
            level,
            state: State::Held(Vec::new(), out),
        })
    }

    pub(crate) fn finish(self) -> io::Result<W> {
        match self.state {
            State::Held(plain, mut out) => {
                let mut stored = Vec::new();
                let compressor = Compressor::new(self.level);
                compressor
                    .map_err(io::Error::other)?
                    .compress(&plain, &mut stored);
                out.write_all(&stored)?;
                Ok(out)
            }
            State::Stream(encoder) => encoder.finish(),
            State::Failed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Begins to write.
    fn begin(&mut self) -> io::Result<()> {
        let State::Held(plain, out) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        let mut encoder = Encoder::new(out, self.level)?;
        encoder.window_log(STREAM_WINDOW_LOG)?;
        encoder.write_all(&plain)?;
        self.state = State::Stream(encoder);
        Ok(())
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let State::Held(plain, _) = &mut self.state {
            if plain.len() + buf.len() <= 1 << STREAM_WINDOW_LOG {
                plain.extend_from_slice(buf);
                return Ok(buf.len());
            }
            self.begin()?;
        }
        match &mut self.state {
            State::Stream(encoder) => encoder.write(buf),
            State::Held(..) | State::Failed => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Decompressor {
    context: DCtx<'static>,
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG))
            .expect("the window limit is one that zstd knows");
        Self { context }
    }

    /// Decodes exactly one frame into exactly `out`.
    pub(crate) fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let codec = Codec::Zstd;
        let expected = out.len() as u64;
        let stored_len = stored.len() as u64;
        let length = |found| CodecError::Length {
            codec,
            expected,
            found,
        };
        if stored.len() >= MAGIC.len() && !stored.starts_with(&MAGIC) {
            return Err(CodecError::Malformed {
                codec,
                detail: "no zstd magic number",
            });
        }
        let end = zstd_safe::find_frame_compressed_size(stored)
            .map_err(|code| error(code, stored_len, expected))? as u64;
        if end != stored_len {
            return Err(CodecError::TrailingBytes {
                codec,
                end,
                stored_len,
            });
        }
        if let Ok(Some(found)) = zstd_safe::get_frame_content_size(stored)
            && found != expected
        {
            return Err(length(found));
        }
        let found = self
            .context
            .decompress(out, stored)
            .map_err(|code| error(code, stored_len, expected))? as u64;
        if found == expected {
            Ok(())
        } else {
            Err(length(found))
        }
    }

    /// Fills `out` from one or more frames, skippable ones between them.
    pub(crate) fn decompress_prefix(
        &mut self,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let stored_len = stored.len() as u64;
        let expected = out.len() as u64;
        self.context
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset");
        let mut input = InBuffer::around(stored);
        let mut output = OutBuffer::around(out);
        while output.pos() < output.capacity() {
            let before = (input.pos(), output.pos());
            self.context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| error(code, stored_len, expected))?;
            if (input.pos(), output.pos()) == before {
                return Err(CodecError::Truncated {
                    codec: Codec::Zstd,
                    stored_len,
                });
            }
        }
        Ok(())
    }

    /// Decodes one or more frames, skippable ones between them, into exactly `out`.
    pub(crate) fn decompress_all(
        &mut self,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let codec = Codec::Zstd;
        let stored_len = stored.len() as u64;
        let expected = out.len() as u64;
        self.context
            .reset(ResetDirective::SessionOnly)
            .expect("a session can always be reset");
        let mut input = InBuffer::around(stored);
        let mut output = OutBuffer::around(out);
        let mut missing = 0;
        while input.pos() < stored.len() {
            let before = (input.pos(), output.pos());
            missing = self
                .context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| error(code, stored_len, expected))?;
            if (input.pos(), output.pos()) == before {
                return Err(CodecError::TooLong { codec, expected });
            }
        }
        match output.pos() as u64 {
            _ if missing > 0 => Err(CodecError::Truncated { codec, stored_len }),
            found if found == expected => Ok(()),
            found => Err(CodecError::Length {
                codec,
                expected,
                found,
            }),
        }
    }
}

/// The first of one or more frames; all of them if it is damaged.
pub(crate) fn first_frame(stored: &[u8]) -> &[u8] {
    let len = zstd_safe::find_frame_compressed_size(stored).ok();
    len.and_then(|len| stored.get(..len)).unwrap_or(stored)
}

/// Whether none of the frames of `stored` wants a longer window than decoding in pieces has.
pub(crate) fn window_fits(mut stored: &[u8]) -> bool {
    while !stored.is_empty() {
        let frame = first_frame(stored);
        // Bit 5 of the descriptor: a single segment, without a window. Otherwise the window's exponent follows.
        if frame.starts_with(&MAGIC)
            && let Some(&[descriptor, window]) = frame.get(4..6)
            && descriptor & 1 << 5 == 0
            && u32::from(window) > (MAX_WINDOW_LOG - 10) << 3
        {
            return false;
        }
        stored = &stored[frame.len()..];
    }
    true
}

/// How many bytes the frame holds that begins with `start`, if it says so.
pub(crate) fn declared_len(start: &[u8]) -> Option<u64> {
    match start.starts_with(&MAGIC) {
        true => zstd_safe::get_frame_content_size(start).ok().flatten(),
        false => None,
    }
}

fn error(code: ErrorCode, stored_len: u64, expected: u64) -> CodecError {
    let codec = Codec::Zstd;
    let is = |kind| zstd_safe::is_error_kind(code, kind);
    if is(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) {
        CodecError::TooLong { codec, expected }
    } else if is(ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) {
        CodecError::Truncated { codec, stored_len }
    } else if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        CodecError::Window {
            codec,
            limit: 1 << MAX_WINDOW_LOG,
        }
    } else {
        CodecError::Malformed {
            codec,
            detail: zstd_safe::get_error_name(code),
        }
    }
}
