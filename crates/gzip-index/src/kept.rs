//! Ranges of the decoded stream that an index keeps, so that they can be read without the stream.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use bytes::Bytes;
use image_model::width::{u64_from, usize_up_to};
use zstd::stream::{read::Decoder, write::Encoder};

use crate::error::DecodeError;
use crate::frame::{self, MAX_WINDOW_LOG};
use crate::varint;

/// Level of zstd: headers of tars are nearly the same. Level 8 makes them a sixth shorter, and takes eight times as long.
const LEVEL: i32 = 1;

/// Kept ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Bytes between a range and the one before, and its length, as varints.
    pub(crate) ranges: Bytes,
    /// The same, compressed by zstd.
    pub(crate) stored_ranges: Bytes,
    pub(crate) count: u64,
    /// Length of all ranges in bytes.
    pub(crate) len: u64,
    /// The bytes, compressed by zstd.
    pub(crate) stored: Bytes,
}

impl Kept {
    /// Checks that the ranges lie in a stream of `decoded_len` bytes, one after the other, and are as many as it says.
    pub(crate) fn check(&self, decoded_len: u64) -> Result<(), DecodeError> {
        let (mut at, mut len, mut index) = (0_u64, 0_u64, 0_u64);
        let mut ranges = &self.ranges[..];
        while !ranges.is_empty() {
            let fault = DecodeError::Kept { index };
            let (start, end) = next_range(&mut ranges, at).ok_or_else(|| fault.clone())?;
            if end > decoded_len || start == end {
                return Err(fault);
            }
            len = len.saturating_add(end.saturating_sub(start));
            at = end;
            index = index.saturating_add(1);
        }
        if index != self.count || len != self.len {
            return Err(DecodeError::Kept { index });
        }
        Ok(())
    }
}

impl Kept {
    /// The ranges, which were checked.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.placed_ranges().map(|(_, range)| range)
    }

    /// The ranges, which were checked, each with its place among the varints.
    pub(crate) fn placed_ranges(&self) -> impl Iterator<Item = (u64, Range<u64>)> + '_ {
        let (mut ranges, mut at) = (&self.ranges[..], 0);
        std::iter::from_fn(move || {
            let place = self.ranges.len().saturating_sub(ranges.len());
            let (start, end) = next_range(&mut ranges, at)?;
            at = end;
            Some((u64_from(place), start..end))
        })
    }
}

/// Takes a range after `at` from `ranges`.
fn next_range(ranges: &mut &[u8], at: u64) -> Option<(u64, u64)> {
    let start = at.checked_add(varint::take(ranges)?)?;
    Some((start, start.checked_add(varint::take(ranges)?)?))
}

/// Compresses what is kept as it comes.
pub(crate) struct KeptBuilder {
    ranges: Vec<u8>,
    count: u64,
    len: u64,
    /// End of the range before the current one, and the current one.
    before: u64,
    current: Option<(u64, u64)>,
    encoder: Option<Encoder<'static, Vec<u8>>>,
}

impl KeptBuilder {
    pub(crate) fn new() -> Self {
        Self {
            ranges: Vec::new(),
            count: 0,
            len: 0,
            before: 0,
            current: None,
            encoder: None,
        }
    }

    /// End of the last range.
    pub(crate) fn end(&self) -> u64 {
        self.current.map_or(self.before, |(_, end)| end)
    }

    /// Keeps `bytes`, which begin at `offset`, not before the end of the last range.
    pub(crate) fn push(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            None => self.encoder.insert(Encoder::new(Vec::new(), LEVEL)?),
        };
        encoder.write_all(bytes)?;
        let end = offset.saturating_add(u64_from(bytes.len()));
        self.len = self.len.saturating_add(u64_from(bytes.len()));
        match &mut self.current {
            Some((_, current)) if *current == offset => *current = end,
            _ => {
                self.close();
                self.current = Some((offset, end));
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some((start, end)) = self.current.take() {
            varint::push(&mut self.ranges, start.saturating_sub(self.before));
            varint::push(&mut self.ranges, end.saturating_sub(start));
            self.before = end;
            self.count = self.count.saturating_add(1);
        }
    }

    pub(crate) fn finish(mut self) -> io::Result<Kept> {
        self.close();
        let stored = match self.encoder {
            Some(encoder) => encoder.finish()?,
            None => Vec::new(),
        };
        Ok(Kept {
            stored_ranges: frame::compress(&self.ranges)?.into(),
            ranges: self.ranges.into(),
            count: self.count,
            len: self.len,
            stored: stored.into(),
        })
    }
}

/// Reads the decoded stream as far as the index keeps it; reading anything else fails. Best read from front to back.
pub struct KeptReader<'a> {
    kept: &'a Kept,
    decoded_len: u64,
    position: u64,
    ranges: &'a [u8],
    /// The current range, up to `decoded` of which the decoder has come.
    start: u64,
    end: u64,
    decoded: u64,
    decoder: Option<Decoder<'static, io::Cursor<Bytes>>>,
}

impl<'a> KeptReader<'a> {
    pub(crate) fn new(kept: &'a Kept, decoded_len: u64) -> Self {
        Self {
            kept,
            decoded_len,
            position: 0,
            ranges: &kept.ranges,
            start: 0,
            end: 0,
            decoded: 0,
            decoder: None,
        }
    }

    /// The decoder at the position, and how much of its range follows; `None` if that is in no range.
    fn at_position(&mut self) -> io::Result<Option<(&mut impl Read, u64)>> {
        if self.position < self.decoded {
            *self = Self {
                position: self.position,
                ..Self::new(self.kept, self.decoded_len)
            };
        }
        if self.decoder.is_none() {
            let mut decoder = Decoder::with_buffer(io::Cursor::new(self.kept.stored.clone()))?;
            decoder.window_log_max(MAX_WINDOW_LOG)?;
            self.decoder = Some(decoder);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok(None);
        };
        loop {
            let to = self.position.min(self.end);
            let skip = to.saturating_sub(self.decoded);
            if skip > 0 {
                let skipped = io::copy(&mut decoder.by_ref().take(skip), &mut io::sink())?;
                if skipped < skip {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.decoded = to;
            }
            if self.position < self.end {
                let left = self.end.saturating_sub(self.position);
                return Ok((self.position >= self.start).then_some((decoder, left)));
            }
            let Some((start, end)) = next_range(&mut self.ranges, self.end) else {
                return Ok(None);
            };
            (self.start, self.end, self.decoded) = (start, end, start);
            if self.position < start {
                return Ok(None);
            }
        }
    }
}

impl Read for KeptReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.position >= self.decoded_len {
            return Ok(0);
        }
        let offset = self.position;
        let Some((decoder, left)) = self.at_position()? else {
            let error = NotKept { offset };
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        };
        let len = usize_up_to(left).min(buf.len());
        let read = decoder.read(&mut buf[..len])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position = offset.saturating_add(u64_from(read));
        self.decoded = self.position;
        Ok(read)
    }
}

impl Seek for KeptReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.decoded_len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

impl fmt::Debug for KeptReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptReader")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The index does not keep a byte that was read: the error inside the [`io::Error`] of a [`KeptReader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index does not keep byte {offset} of the decoded stream")]
pub struct NotKept {
    /// The byte.
    pub offset: u64,
}
