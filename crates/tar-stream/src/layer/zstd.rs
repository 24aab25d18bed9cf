//! Layers of zstd frames.

use std::io::{self, BufRead, Read};

use image_model::Limits;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::{Compression, LayerError, source::Source};

/// Largest window that zstd's own tools take without being asked: 128 MiB. Levels up to 22 need
/// no more.
const MAX_WINDOW_LOG: u32 = 27;

/// Smallest window that zstd has.
const MIN_WINDOW_LOG: u32 = 10;

/// `ZSTD_error_frameParameter_windowTooLarge`; zstd promises that its number stays.
const WINDOW_TOO_LARGE: usize = 16;

pub(crate) struct Zstd<R> {
    source: Source<R>,
    context: DCtx<'static>,
    window_log: u32,
    /// Whether the source may end here.
    between_frames: bool,
}

impl<R: Read> Zstd<R> {
    pub(crate) fn new(source: Source<R>, limits: &Limits) -> Self {
        let mut context = DCtx::create();
        // A window beyond the longest layer would be wasted memory.
        let window_log = limits.max_layer_len.max(1).ilog2();
        let window_log = window_log.clamp(MIN_WINDOW_LOG, MAX_WINDOW_LOG);
        context
            .set_parameter(DParameter::WindowLogMax(window_log))
            .expect("the window is between zstd's bounds");
        Self {
            source,
            context,
            window_log,
            between_frames: true,
        }
    }

    pub(crate) fn source(&self) -> &Source<R> {
        &self.source
    }

    /// Decodes into `buf`; `decoded` bytes came before.
    pub(crate) fn read(&mut self, buf: &mut [u8], decoded: u64) -> io::Result<usize> {
        let compression = Compression::Zstd;
        let mut output = OutBuffer::around(buf);
        while output.pos() == 0 {
            let stored = self.source.position();
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() && self.between_frames {
                return Ok(0);
            }
            let mut input = InBuffer::around(bytes);
            // At the end of the source, what the context still holds comes out.
            let result = self.context.decompress_stream(&mut output, &mut input);
            let (at_end, taken) = (bytes.is_empty(), input.pos());
            self.source.consume(taken);
            match result {
                Ok(due) => self.between_frames = due == 0,
                Err(code) if code.wrapping_neg() == WINDOW_TOO_LARGE => {
                    let limit = 1 << self.window_log;
                    return Err(LayerError::Window { stored, limit }.into());
                }
                Err(code) => {
                    return Err(LayerError::Corrupt {
                        compression,
                        stored,
                        decoded,
                        source: io::Error::other(get_error_name(code)),
                    }
                    .into());
                }
            }
            if at_end && output.pos() == 0 {
                return Err(LayerError::Cut {
                    compression,
                    stored,
                    decoded,
                }
                .into());
            }
        }
        Ok(output.pos())
    }
}

impl<R> std::fmt::Debug for Zstd<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Zstd")
            .field("source", &self.source)
            .field("window_log", &self.window_log)
            .finish_non_exhaustive()
    }
}
