//! The state machine that decodes a layer.

use std::fmt;

use image_model::width::{u64_from, usize_up_to};

use super::error::Found;
#[cfg(feature = "gzip")]
use super::gzip::Gzip;
use super::step::{Begun, Buffers};
use super::summary::Meter;
#[cfg(any(feature = "zstd", feature = "ruzstd"))]
use super::zstd::Zstd;
use super::{Compression, LayerError, LayerSummary, START_LEN, Step, StreamOptions};

/// Decodes a layer without any I/O: it turns the stored bytes, in any pieces, into the bytes of the
/// tar. Call [`decode`](Self::decode) while there is input, then [`finish`](Self::finish) until it
/// returns 0. The output does not depend on the pieces. Memory: about 40 KiB for gzip; for zstd the
/// window of the frame and about 256 KiB.
///
/// ```
/// use lazyoci_tar_stream::{Compression, LayerDecoder, StreamOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut decoder = LayerDecoder::new(&StreamOptions::default());
/// let (mut tar, mut output) = (Vec::new(), [0; 4096]);
/// for piece in [&[0; 700][..], &[0; 324]] {
///     let mut input = piece;
///     while !input.is_empty() {
///         let step = decoder.decode(input, &mut output)?;
///         input = &input[step.taken..];
///         tar.extend_from_slice(&output[..step.written]);
///     }
/// }
/// loop {
///     match decoder.finish(&mut output)? {
///         0 => break,
///         len => tar.extend_from_slice(&output[..len]),
///     }
/// }
/// let summary = decoder.summary().ok_or("finished")?;
/// assert_eq!((tar.len(), summary.compression), (1024, Compression::None));
/// # Ok(())
/// # }
/// ```
pub struct LayerDecoder {
    options: StreamOptions,
    compression: Option<Compression>,
    inner: Inner,
    /// First bytes, consumed before the compression was known.
    held: [u8; START_LEN],
    held_start: usize,
    held_end: usize,
    stored: Meter,
    decoded: Meter,
    trailing: u64,
    /// Whether there may be more output without further input.
    has_more: bool,
    /// The error in the bytes after those decoded last.
    pending: Option<LayerError>,
}

enum Inner {
    Undetected,
    Plain,
    #[cfg(feature = "gzip")]
    Gzip(Box<Gzip>),
    #[cfg(any(feature = "zstd", feature = "ruzstd"))]
    Zstd(Box<Zstd>),
    /// After the last member or frame.
    Trailing,
    Finished,
    Failed,
}

impl LayerDecoder {
    /// A decoder of one layer.
    #[must_use]
    pub fn new(options: &StreamOptions) -> Self {
        Self {
            compression: None,
            inner: Inner::Undetected,
            held: [0; START_LEN],
            held_start: 0,
            held_end: 0,
            stored: Meter::new(options),
            decoded: Meter::new(options),
            trailing: 0,
            has_more: false,
            pending: None,
            options: options.clone(),
        }
    }

    /// Decodes until all of `input` is consumed or `output` is full, whichever comes first. With an empty `output`
    /// nothing is consumed. With an empty `input` it returns what did not fit into the last output.
    ///
    /// # Errors
    /// [`LayerError`], after all output before the fault; then only [`LayerError::Failed`].
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, LayerError> {
        let mut step = Step::default();
        if output.is_empty() {
            return Ok(step);
        }
        match self.inner {
            Inner::Failed => return Err(LayerError::Failed),
            Inner::Finished if !input.is_empty() => return Err(self.fail(LayerError::Failed)),
            _ => {}
        }
        if self.compression.is_none() {
            step.taken = self.detect(input)?;
            if self.compression.is_none() {
                return Ok(step);
            }
        }
        step.written = self.run_held(output);
        if self.held_start == self.held_end {
            let room = &mut output[step.written..];
            let more = self.run(&input[step.taken..], room);
            step.taken = step.taken.saturating_add(more.taken);
            step.written = step.written.saturating_add(more.written);
        }
        self.settle(step.written)?;
        Ok(step)
    }

    /// Ends the input and returns the remaining output; 0 when the layer is complete, or `output`
    /// is empty.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); [`LayerError::Cut`] inside a member or frame.
    pub fn finish(&mut self, output: &mut [u8]) -> Result<usize, LayerError> {
        if output.is_empty() || matches!(self.inner, Inner::Finished) {
            return Ok(0);
        }
        if matches!(self.inner, Inner::Failed) {
            return Err(LayerError::Failed);
        }
        if self.compression.is_none() {
            let held = self.held;
            self.begin(&held[..self.held_end])?;
        }
        let mut written = self.run_held(output);
        if self.held_start == self.held_end {
            let more = self.run(&[], &mut output[written..]);
            written = written.saturating_add(more.written);
        }
        self.settle(written)?;
        if written == 0 {
            self.end()?;
        }
        Ok(written)
    }

    /// The layer's compression; `None` until its first bytes, or its end, are known.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Number of bytes of the tar output so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.decoded.len()
    }

    /// Number of bytes of the layer decoded so far.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.stored.len()
    }

    /// The summary of the layer, once [`finish`](Self::finish) has returned 0.
    #[must_use]
    pub fn summary(&self) -> Option<LayerSummary> {
        let compression = self.compression?;
        matches!(self.inner, Inner::Finished).then(|| LayerSummary {
            compression,
            stored: self.stored.side(),
            decoded: self.decoded.side(),
            trailing: self.trailing,
        })
    }

    /// Inspects the first bytes of the layer, as many as matter or exist, without consuming them.
    pub(super) fn begin(&mut self, start: &[u8]) -> Result<(), LayerError> {
        let compression = Compression::detect(start);
        self.inner = match compression {
            Compression::None => Inner::Plain,
            #[cfg(feature = "gzip")]
            Compression::Gzip => Inner::Gzip(Box::new(Gzip::new())),
            #[cfg(any(feature = "zstd", feature = "ruzstd"))]
            Compression::Zstd => match Zstd::new(&self.options) {
                Some(zstd) => Inner::Zstd(Box::new(zstd)),
                None => return Err(self.fail(LayerError::Unsupported { compression })),
            },
            #[allow(unreachable_patterns, reason = "reached without the features")]
            compression => return Err(self.fail(LayerError::Unsupported { compression })),
        };
        self.compression = Some(compression);
        Ok(())
    }

    /// How many bytes of a plain tar the caller may read directly into an output of `len` bytes, reporting them to
    /// [`passed`](Self::passed). 0 if this is not a plain tar, or held bytes come first.
    pub(super) fn may_pass(&self, len: usize) -> usize {
        match self.inner {
            Inner::Plain if self.held_start == self.held_end => len.min(self.allowed()),
            _ => 0,
        }
    }

    pub(super) fn passed(&mut self, bytes: &[u8]) {
        self.stored.update(bytes);
        self.decoded.update(bytes);
    }

    /// Detects the compression, if need be by holding bytes; returns how many of `input` were consumed.
    fn detect(&mut self, input: &[u8]) -> Result<usize, LayerError> {
        if self.held_end == 0 && input.len() >= START_LEN {
            self.begin(input)?;
            return Ok(0);
        }
        let mut nothing = [];
        let mut buffers = Buffers::new(input, &mut nothing);
        if buffers.hold(&mut self.held, &mut self.held_end, START_LEN) {
            let held = self.held;
            self.begin(&held)?;
        }
        Ok(buffers.step.taken)
    }

    /// Decodes the held bytes; returns the length of the output.
    fn run_held(&mut self, output: &mut [u8]) -> usize {
        if self.held_start == self.held_end {
            return 0;
        }
        let held = self.held;
        let step = self.run(&held[self.held_start..self.held_end], output);
        self.held_start = self.held_start.saturating_add(step.taken);
        step.written
    }

    /// Decodes until all of `input` is consumed, `output` is full, or an error is pending.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut step = Step::default();
        if input.is_empty() && !self.has_more {
            return step;
        }
        while self.pending.is_none() && step.written < output.len() {
            let rest = &input[step.taken..];
            let allowed = self.allowed();
            let more = if allowed == 0 {
                // What still fits is no byte: the end of the layer, or a byte too many.
                let more = self.advance(rest, &mut [0]);
                if more.written > 0 {
                    let limit = self.options.limits.max_layer_len;
                    self.pending = Some(LayerError::TooLarge { limit });
                    return step;
                }
                more
            } else {
                let room = &mut output[step.written..];
                let len = room.len().min(allowed);
                self.advance(rest, &mut room[..len])
            };
            step.taken = step.taken.saturating_add(more.taken);
            step.written = step.written.saturating_add(more.written);
            if step.taken == input.len() || more == Step::default() {
                break;
            }
        }
        self.has_more = step.written == output.len() || self.allowed() == 0;
        step
    }

    /// Number of bytes that may still be output.
    fn allowed(&self) -> usize {
        let limit = self.options.limits.max_layer_len;
        usize_up_to(limit.saturating_sub(self.decoded.len()))
    }

    fn advance(&mut self, input: &[u8], output: &mut [u8]) -> Step {
        let mut buffers = Buffers::new(input, output);
        let result = match &mut self.inner {
            Inner::Plain => {
                let rest = buffers.rest();
                let room = buffers.room();
                let len = rest.len().min(room.len());
                room[..len].copy_from_slice(&rest[..len]);
                buffers.take(len);
                buffers.write(len);
                Ok(())
            }
            #[cfg(feature = "gzip")]
            Inner::Gzip(gzip) => gzip.decode(&mut buffers),
            #[cfg(any(feature = "zstd", feature = "ruzstd"))]
            Inner::Zstd(zstd) => zstd.decode(&mut buffers),
            Inner::Trailing => {
                buffers.take(input.len());
                self.trailing = self.trailing.saturating_add(u64_from(input.len()));
                Ok(())
            }
            Inner::Undetected | Inner::Finished | Inner::Failed => Ok(()),
        };
        if let Err(Found::Trailing { held }) = result
            && self.options.ignore_trailing
        {
            self.inner = Inner::Trailing;
            let rest = buffers.rest().len();
            self.trailing = u64_from(held).saturating_add(u64_from(rest));
            buffers.take(rest);
            self.measure(&buffers);
        } else {
            self.measure(&buffers);
            if let Err(found) = result {
                let (stored, decoded) = (self.stored.len(), self.decoded.len());
                self.pending = Some(found.at(self.known(), stored, decoded));
            }
        }
        buffers.step
    }

    /// The decoder, once there is something to decode.
    fn known(&self) -> Compression {
        self.compression.unwrap_or(Compression::None)
    }

    fn measure(&mut self, buffers: &Buffers<'_>) {
        let (taken, written) = buffers.done();
        self.stored.update(taken);
        self.decoded.update(written);
    }

    /// Returns the pending error once there is no output before it.
    fn settle(&mut self, written: usize) -> Result<(), LayerError> {
        if written > 0 {
            return Ok(());
        }
        match self.pending.take() {
            Some(error) => Err(self.fail(error)),
            None => Ok(()),
        }
    }

    fn fail(&mut self, error: LayerError) -> LayerError {
        self.inner = Inner::Failed;
        error
    }

    /// Checks that the layer may end here.
    fn end(&mut self) -> Result<(), LayerError> {
        let begun = match &self.inner {
            #[cfg(feature = "gzip")]
            Inner::Gzip(gzip) => gzip.begun(),
            #[cfg(any(feature = "zstd", feature = "ruzstd"))]
            Inner::Zstd(zstd) => zstd.begun(),
            _ => Begun::Nothing,
        };
        match begun {
            Begun::Nothing => {}
            Begun::Magic { held } if self.options.ignore_trailing => {
                self.trailing = u64_from(held);
            }
            _ => {
                let error = LayerError::Cut {
                    compression: self.known(),
                    stored: self.stored.len(),
                    decoded: self.decoded.len(),
                };
                return Err(self.fail(error));
            }
        }
        self.inner = Inner::Finished;
        Ok(())
    }
}

impl fmt::Debug for LayerDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerDecoder")
            .field("compression", &self.compression)
            .field("position", &self.position())
            .field("stored_position", &self.stored_position())
            .finish_non_exhaustive()
    }
}
