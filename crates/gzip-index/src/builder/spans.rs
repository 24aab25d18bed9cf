//! Where spans begin and end.

use std::io;

use image_model::deflate::Window;
use image_model::width::{u64_from, usize_up_to};
use image_model::{Digest, DigestAlgorithm, Limits};
use zlib_rs::{Inflate, InflateFlush, Status};

use super::IndexOptions;
use super::digests::Digests;
use super::members::{Blocks, Inflated};
use super::output::Output;
use super::start::{StartFinder, Tried};
use crate::error::BuildError;
use crate::span::Span;
use crate::windows::{Windows, WindowsBuilder};

/// Largest window of deflate, as a power of two.
const WINDOW_BITS: u8 = 15;

/// The spans so far.
pub(crate) struct Spans {
    inflate: Inflate,
    max_stored: u64,
    max_decoded: u64,
    limits: Limits,
    done: Vec<Span>,
    windows: WindowsBuilder,
    shared: Vec<(u64, u8)>,
    /// Position in the stream, and in the decoded one.
    at: Place,
    open: Option<Open>,
    /// Where the next span may begin, while the bytes after it are awaited that tell.
    tried: Option<Tried>,
    finder: StartFinder,
    /// The last byte passed.
    last_byte: u8,
    /// The last boundary of blocks.
    block: Place,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub(crate) stored: u64,
    pub(crate) decoded: u64,
}

impl Place {
    fn since(self, before: Self) -> Self {
        Self {
            stored: self.stored.saturating_sub(before.stored),
            decoded: self.decoded.saturating_sub(before.decoded),
        }
    }
}

/// The span that continues.
struct Open {
    /// Its first whole byte.
    start: Place,
    bits: u8,
    window: Option<Window>,
    /// All of the window, if fewer than 32 KiB after the start were looked at for what they refer to.
    whole: Option<Window>,
    /// The longest block so far, on either side.
    block: Place,
}

impl Spans {
    pub(super) fn new(options: &IndexOptions) -> Self {
        Self {
            inflate: Inflate::new(false, WINDOW_BITS),
            max_stored: options.max_stored_span.into(),
            max_decoded: options.max_decoded_span.into(),
            limits: options.limits.clone(),
            done: Vec::new(),
            windows: WindowsBuilder::default(),
            shared: Vec::new(),
            at: Place::default(),
            open: None,
            tried: None,
            finder: StartFinder::new(),
            last_byte: 0,
            block: Place::default(),
        }
    }

    fn open_span(&mut self, start: Place, bits: u8, window: Option<Window>, digests: &mut Digests) {
        digests.begin(start.stored.saturating_sub(u64::from(bits != 0)));
        self.open = Some(Open {
            start,
            bits,
            window,
            whole: None,
            block: Place::default(),
        });
        self.block = start;
    }

    /// `stored` was decoded to `decoded`.
    fn advance(
        &mut self,
        stored: &[u8],
        decoded: &[u8],
        digests: &mut Digests,
    ) -> Result<(), BuildError> {
        self.at.stored = self.at.stored.saturating_add(u64_from(stored.len()));
        self.at.decoded = self.at.decoded.saturating_add(u64_from(decoded.len()));
        if let Some(&last) = stored.last() {
            self.last_byte = last;
        }
        if let Some(tried) = &mut self.tried {
            tried.push(stored, decoded);
            if tried.is_full() {
                self.settle(digests)?;
            }
        }
        if let Some(open) = &self.open {
            let len = self.at.since(open.start);
            let limit = u64::from(self.limits.max_frame_len);
            // A span has no more than 4 GiB stored either, whatever it decodes to.
            if len.decoded > limit || len.stored >= u64::from(u32::MAX) {
                let stored = open.start.stored;
                return Err(BuildError::SpanTooLong { stored, limit });
            }
        }
        Ok(())
    }

    /// A block has ended, after `window`, and another one begins.
    fn boundary(&mut self, window: &[u8], digests: &mut Digests) -> Result<(), BuildError> {
        let block = self.at.since(self.block);
        self.block = self.at;
        if let Some(open) = &mut self.open {
            open.block.stored = open.block.stored.max(block.stored);
            open.block.decoded = open.block.decoded.max(block.decoded);
        }
        if !self.is_due() {
            return Ok(());
        }
        // The one before was so short that nobody knows it yet.
        if self.tried.is_some() {
            self.settle(digests)?;
        }
        self.tried = Some(Tried::new(self.at, self.last_byte, window));
        Ok(())
    }

    /// Whether the span had better end here.
    fn is_due(&self) -> bool {
        // What was tried before counts as a start, until it is known better.
        let start = match (&self.tried, &self.open) {
            (Some(tried), _) => tried.at,
            (None, Some(open)) => open.start,
            (None, None) => return false,
        };
        let block = self
            .open
            .as_ref()
            .map_or(Place::default(), |open| open.block);
        let len = self.at.since(start);
        // One long block does not make all spans after it short: they have half of the length at least.
        let is_full = |len: u64, block: u64, max: u64| len.saturating_add(block.min(max / 2)) > max;
        let is_full = is_full(len.stored, block.stored, self.max_stored)
            || is_full(len.decoded, block.decoded, self.max_decoded);
        is_full && len.decoded > 0
    }

    /// Begins the span that was tried, or continues the one before if it cannot be entered there.
    fn settle(&mut self, digests: &mut Digests) -> Result<(), BuildError> {
        let (Some(tried), Some(mut open)) = (self.tried.take(), self.open.take()) else {
            return Ok(());
        };
        let whole = (!tried.is_full()).then(|| tried.whole_window()).flatten();
        match self.finder.find(&tried) {
            Some(start) => {
                if start.bits != 0 {
                    let offset = tried.at.stored.saturating_sub(1);
                    self.shared.push((offset, tried.shared_byte()));
                }
                let block = (self.block, open.block);
                self.close(&open, tried.at, digests)?;
                self.open_span(tried.at, start.bits, Some(start.window), digests);
                self.block = block.0;
                if let Some(next) = &mut self.open {
                    next.whole = whole;
                    // The blocks to come are taken to be as long as those before.
                    next.block = block.1;
                }
            }
            None => {
                // It goes on behind what was looked at.
                if let Some(whole) = open.whole.take() {
                    open.window = Some(whole);
                }
                self.open = Some(open);
            }
        }
        Ok(())
    }

    fn close(&mut self, open: &Open, end: Place, digests: &mut Digests) -> Result<(), BuildError> {
        let len = end.since(open.start);
        let shared = u32::from(open.bits != 0);
        // Both were compared with limits of 32 bits.
        let (Ok(stored_len), Ok(decoded_len)) =
            (u32::try_from(len.stored), u32::try_from(len.decoded))
        else {
            return Ok(());
        };
        if decoded_len == 0 {
            return Ok(());
        }
        let window = match &open.window {
            Some(window) => Some(self.windows.push(window)?),
            None => None,
        };
        digests.end(end.stored);
        self.done.push(Span {
            stored_offset: open.start.stored.saturating_sub(shared.into()),
            stored_len: stored_len.saturating_add(shared),
            bits: open.bits,
            decoded_offset: open.start.decoded,
            decoded_len,
            digest: Digest::new(DigestAlgorithm::Sha256, [0; 32]),
            window,
        });
        Ok(())
    }

    /// Where spans begin inside a byte, and that byte.
    pub(super) fn shared(&self) -> &[(u64, u8)] {
        &self.shared
    }

    /// The spans, with their `digests`, and their windows.
    pub(super) fn finish(mut self, digests: Vec<Digest>) -> io::Result<(Vec<Span>, Windows)> {
        for (span, digest) in self.done.iter_mut().zip(digests) {
            span.digest = digest;
        }
        Ok((self.done, self.windows.finish()?))
    }
}

impl Blocks for Spans {
    fn begin_member(
        &mut self,
        at: Place,
        _output: &Output,
        digests: &mut Digests,
    ) -> Result<(), BuildError> {
        self.inflate.reset(false);
        self.at = at;
        self.open_span(at, 0, None, digests);
        Ok(())
    }

    fn inflate(
        &mut self,
        stored: &[u8],
        output: &mut Output,
        digests: &mut Digests,
    ) -> Result<Option<Inflated>, BuildError> {
        let room = output.room();
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let Ok(status) = self.inflate.decompress(stored, room, InflateFlush::Block) else {
            return Ok(None);
        };
        let read = usize_up_to(self.inflate.total_in().saturating_sub(total_in));
        let written = usize_up_to(self.inflate.total_out().saturating_sub(total_out));
        // With input and room left it stops at the end of a block only.
        let at_boundary = read < stored.len() && written < room.len() && (read > 0 || written > 0);
        output.write(written);
        self.advance(&stored[..read], output.last(written), digests)?;
        let ended = status == Status::StreamEnd;
        if at_boundary && !ended {
            self.boundary(output.window(), digests)?;
        }
        Ok(Some(Inflated {
            read,
            written,
            ended,
        }))
    }

    fn end_member(&mut self, digests: &mut Digests) -> Result<(), BuildError> {
        if self.tried.is_some() {
            self.settle(digests)?;
        }
        if let Some(open) = self.open.take() {
            self.close(&open, self.at, digests)?;
        }
        Ok(())
    }

    fn end_stream(&mut self, _stored: u64, _digests: &mut Digests) {}

    fn settled(&self, stored: u64) -> u64 {
        // Where too much was stored for what it holds, no span begins: the open one goes on.
        let tried = self.tried.as_ref().filter(|tried| !tried.is_too_long());
        tried.map_or(stored, |tried| tried.at.stored)
    }
}
