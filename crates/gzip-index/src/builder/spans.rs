//! Where spans begin and end.

use image_model::deflate::Window;
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm, Limits};
use sha2::{Digest as _, Sha256};

use super::IndexOptions;
use super::start::{StartFinder, Tried};
use crate::error::BuildError;
use crate::span::Span;

/// The spans so far.
pub(super) struct Spans {
    max_stored: u64,
    max_decoded: u64,
    limits: Limits,
    done: Vec<Span>,
    windows: Vec<Window>,
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
pub(super) struct Place {
    pub(super) stored: u64,
    pub(super) decoded: u64,
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
    digest: Sha256,
    /// The longest block so far, on either side.
    block: Place,
}

impl Spans {
    pub(super) fn new(options: &IndexOptions) -> Self {
        Self {
            max_stored: options.max_stored_span.into(),
            max_decoded: options.max_decoded_span.into(),
            limits: options.limits.clone(),
            done: Vec::new(),
            windows: Vec::new(),
            at: Place::default(),
            open: None,
            tried: None,
            finder: StartFinder::new(),
            last_byte: 0,
            block: Place::default(),
        }
    }

    /// A member begins at `stored`, after its header.
    pub(super) fn begin_member(&mut self, stored: u64, decoded: u64) {
        self.at = Place { stored, decoded };
        self.open_span(self.at, 0, None);
    }

    fn open_span(&mut self, start: Place, bits: u8, window: Option<Window>) {
        self.open = Some(Open {
            start,
            bits,
            window,
            digest: Sha256::default(),
            block: Place::default(),
        });
        self.block = start;
    }

    /// `stored` was decoded to `decoded`.
    pub(super) fn advance(&mut self, stored: &[u8], decoded: &[u8]) -> Result<(), BuildError> {
        self.at.stored = self.at.stored.saturating_add(u64_from(stored.len()));
        self.at.decoded = self.at.decoded.saturating_add(u64_from(decoded.len()));
        if let Some(&last) = stored.last() {
            self.last_byte = last;
        }
        let rest = match &mut self.tried {
            None => decoded,
            Some(tried) => {
                let rest = tried.push(stored, decoded);
                if tried.is_full() {
                    self.settle()?;
                }
                rest
            }
        };
        if let Some(open) = &mut self.open {
            open.digest.update(rest);
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
    pub(super) fn boundary(&mut self, window: &[u8]) -> Result<(), BuildError> {
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
            self.settle()?;
            if !self.is_due() {
                return Ok(());
            }
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
        let full = len.stored.saturating_add(block.stored) > self.max_stored
            || len.decoded.saturating_add(block.decoded) > self.max_decoded;
        full && len.decoded > 0
    }

    pub(super) fn end_member(&mut self) -> Result<(), BuildError> {
        if self.tried.is_some() {
            self.settle()?;
        }
        if let Some(open) = self.open.take() {
            self.close(open, self.at);
        }
        Ok(())
    }

    /// Begins the span that was tried, or continues the one before if it cannot be entered there.
    fn settle(&mut self) -> Result<(), BuildError> {
        let (Some(tried), Some(mut open)) = (self.tried.take(), self.open.take()) else {
            return Ok(());
        };
        match self.finder.find(&tried) {
            Some(start) => {
                let block = (self.block, open.block);
                self.close(open, tried.at);
                self.open_span(tried.at, start.bits, Some(start.window));
                self.block = block.0;
                if let Some(next) = &mut self.open {
                    next.digest.update(tried.decoded());
                    // The blocks to come are taken to be as long as those before.
                    next.block = block.1;
                }
            }
            None => {
                open.digest.update(tried.decoded());
                self.open = Some(open);
            }
        }
        Ok(())
    }

    fn close(&mut self, open: Open, end: Place) {
        let len = end.since(open.start);
        let shared = u32::from(open.bits != 0);
        // Both were compared with limits of 32 bits.
        let (Ok(stored_len), Ok(decoded_len)) =
            (u32::try_from(len.stored), u32::try_from(len.decoded))
        else {
            return;
        };
        if decoded_len == 0 {
            return;
        }
        let window = open.window.map(|window| {
            self.windows.push(window);
            // There are no more windows than spans, and no more spans than 4 Gi in 2^40 bytes.
            u32::try_from(self.windows.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        self.done.push(Span {
            stored_offset: open.start.stored.saturating_sub(shared.into()),
            stored_len: stored_len.saturating_add(shared),
            bits: open.bits,
            decoded_offset: open.start.decoded,
            decoded_len,
            digest: Digest::new(DigestAlgorithm::Sha256, open.digest.finalize().into()),
            window,
        });
    }

    pub(super) fn finish(self) -> (Vec<Span>, Vec<Window>) {
        (self.done, self.windows)
    }
}
