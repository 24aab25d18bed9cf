//! Building an index in one pass over a gzip stream.

mod options;
mod output;
mod spans;
mod start;

use std::fmt;
use std::io::{self, Read};

use image_model::width::{u64_from, usize_up_to};
use sha2::{Digest as _, Sha256};
use zlib_rs::{Inflate, InflateFlush, Status};

use crate::error::{BuildError, Corruption};
use crate::header::{Fault, Header};
use crate::index::{GzipIndex, Lengths};
use crate::kept::KeptBuilder;
pub use options::IndexOptions;
use output::Output;
use spans::Spans;

/// Number of bytes to request from the source at once. Blocks are found at the same places whatever it gives at once.
const INPUT_LEN: usize = 128 << 10;

/// Length of a member's trailer: CRC-32, then the length modulo 2^32, both little endian.
const TRAILER_LEN: usize = 8;

/// Largest window of deflate, as a power of two.
const WINDOW_BITS: u8 = 15;

/// Reads the decoded bytes of a gzip stream of any number of members, and builds its index on the way. Checksums are
/// checked. Memory: about a megabyte, and what the index takes.
///
/// ```
/// use std::io::{Read, Write};
/// use lazyoci_gzip_index::{IndexBuilder, IndexOptions};
///
/// let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
/// gzip.write_all(&b"lazy ".repeat(1_000))?;
/// let gzip = gzip.finish()?;
///
/// let mut builder = IndexBuilder::new(&gzip[..], &IndexOptions::default());
/// let mut start = [0; 4];
/// builder.read_exact(&mut start)?;
/// builder.keep(0, &start)?;
/// let (index, _) = builder.finish()?;
/// assert_eq!((index.spans().len(), index.decoded_len()), (1, 5_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IndexBuilder<R> {
    source: R,
    options: IndexOptions,
    input: Box<[u8]>,
    input_start: usize,
    input_end: usize,
    ended: bool,
    /// Position of the next input byte in the stream.
    stored: u64,
    stored_digest: Option<Sha256>,
    state: State,
    members: u64,
    inflate: Inflate,
    crc: crc32fast::Hasher,
    /// Position in the decoded stream at which the member begins.
    member_start: u64,
    output: Output,
    spans: Spans,
    kept: KeptBuilder,
}

enum State {
    Header(Header),
    Deflate,
    Trailer {
        bytes: [u8; TRAILER_LEN],
        len: usize,
    },
    /// After the last member.
    Trailing,
    Failed,
}

impl<R: Read> IndexBuilder<R> {
    /// A builder of the index of the gzip stream that `source` gives.
    #[must_use]
    pub fn new(source: R, options: &IndexOptions) -> Self {
        Self {
            source,
            input: vec![0; INPUT_LEN].into(),
            input_start: 0,
            input_end: 0,
            ended: false,
            stored: 0,
            stored_digest: options.stored_digest.then(Sha256::default),
            state: State::Header(Header::default()),
            members: 0,
            inflate: Inflate::new(false, WINDOW_BITS),
            crc: crc32fast::Hasher::new(),
            member_start: 0,
            output: Output::new(),
            spans: Spans::new(options),
            kept: KeptBuilder::new(),
            options: options.clone(),
        }
    }

    /// Number of bytes of the stream decoded so far, for progress.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.stored
    }

    /// Keeps `bytes` in the index, which were read at `offset` of the decoded stream: a table of contents.
    ///
    /// # Errors
    /// [`BuildError::Keep`] if they were not read yet, or do not come after those kept before.
    pub fn keep(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BuildError> {
        let to = self.output.total();
        let end = offset.checked_add(u64_from(bytes.len()));
        if offset < self.kept.end() || end.is_none_or(|end| end > to) {
            let from = self.kept.end();
            return Err(BuildError::Keep { offset, from, to });
        }
        Ok(self.kept.push(offset, bytes)?)
    }

    /// Decodes the rest of the stream, and returns the index and the source, which is at its end.
    ///
    /// # Errors
    /// [`BuildError`] if the stream is damaged or truncated, or cannot be read.
    pub fn finish(mut self) -> Result<(GzipIndex, R), BuildError> {
        loop {
            self.output.discard();
            if !self.advance()? {
                break;
            }
        }
        let lengths = Lengths {
            stored: self.stored,
            decoded: self.output.total(),
        };
        let digest = self.stored_digest.map(|hasher| hasher.finalize().into());
        let (spans, windows) = self.spans.finish();
        let kept = self.kept.finish()?;
        let index = GzipIndex::from_parts(lengths, digest, spans, windows, kept);
        Ok((index, self.source))
    }

    /// Decodes more into the output, which has been read; returns whether there is more.
    fn advance(&mut self) -> Result<bool, BuildError> {
        if matches!(self.state, State::Failed) {
            return Err(BuildError::Io(io::ErrorKind::InvalidInput.into()));
        }
        let advanced = self.decode();
        if advanced.is_err() {
            self.state = State::Failed;
        }
        advanced
    }

    fn decode(&mut self) -> Result<bool, BuildError> {
        loop {
            if self.input_start == self.input_end && !self.ended {
                self.fill()?;
            }
            let at_end = self.ended && self.input_start == self.input_end;
            match &mut self.state {
                State::Header(_) | State::Trailer { .. } if at_end => return self.end(),
                State::Header(_) => self.header()?,
                State::Deflate => {
                    let decoded = self.output.total();
                    let ended = self.inflate()?;
                    if self.output.total() > self.options.limits.max_layer_len {
                        let limit = self.options.limits.max_layer_len;
                        return Err(BuildError::TooLarge { limit });
                    }
                    if ended {
                        self.spans.end_member()?;
                        self.state = State::Trailer {
                            bytes: [0; TRAILER_LEN],
                            len: 0,
                        };
                    } else if at_end && self.output.total() == decoded {
                        return Err(self.cut());
                    }
                    if self.output.is_full() || self.output.total() > decoded && ended {
                        return Ok(true);
                    }
                }
                State::Trailer { bytes, len } => {
                    bytes[*len] = self.input[self.input_start];
                    *len = len.saturating_add(1);
                    let full = (*len == TRAILER_LEN).then_some(*bytes);
                    self.take(1);
                    if let Some(bytes) = full {
                        self.check(bytes)?;
                        self.state = State::Header(Header::default());
                    }
                }
                State::Trailing => {
                    self.take(self.input_end.saturating_sub(self.input_start));
                    if at_end {
                        return Ok(false);
                    }
                }
                State::Failed => return Ok(false),
            }
        }
    }

    /// Passes a byte of a header.
    fn header(&mut self) -> Result<(), BuildError> {
        let State::Header(header) = &mut self.state else {
            return Ok(());
        };
        match header.push(self.input[self.input_start]) {
            Ok(done) => {
                self.take(1);
                if done {
                    self.inflate.reset(false);
                    self.crc = crc32fast::Hasher::new();
                    self.member_start = self.output.total();
                    self.members = self.members.saturating_add(1);
                    self.spans.begin_member(self.stored, self.member_start);
                    self.state = State::Deflate;
                }
                Ok(())
            }
            Err(Fault::Magic(held)) => self.no_member(held),
            Err(Fault::Reserved) => Err(self.corrupt(Corruption::Reserved)),
            Err(Fault::Checksum) => Err(self.corrupt(Corruption::HeaderChecksum)),
        }
    }

    /// What begins `held` bytes before is no member.
    fn no_member(&mut self, held: u8) -> Result<(), BuildError> {
        if self.members > 0 && self.options.ignore_trailing {
            self.state = State::Trailing;
            return Ok(());
        }
        let stored = self.stored.saturating_sub(held.into());
        Err(BuildError::NoMember { stored })
    }

    /// The stream ends in a header or trailer.
    fn end(&mut self) -> Result<bool, BuildError> {
        match &self.state {
            State::Header(header) => match header.magic_len() {
                Some(0) if self.members > 0 => Ok(false),
                Some(held) => self.no_member(held).map(|()| false),
                None => Err(self.cut()),
            },
            _ => Err(self.cut()),
        }
    }

    /// Continues with the deflate stream up to the end of a block; returns whether it has ended.
    fn inflate(&mut self) -> Result<bool, BuildError> {
        let stored = &self.input[self.input_start..self.input_end];
        let room = self.output.room();
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(stored, room, InflateFlush::Block);
        let read = usize_up_to(self.inflate.total_in().saturating_sub(total_in));
        let written = usize_up_to(self.inflate.total_out().saturating_sub(total_out));
        let Ok(status) = status else {
            return Err(self.corrupt(Corruption::Deflate));
        };
        // With input and room left it stops at the end of a block only.
        let at_boundary = read < stored.len() && written < room.len() && (read > 0 || written > 0);
        self.output.write(written);
        self.crc.update(self.output.last(written));
        let stored = &self.input[self.input_start..self.input_start.saturating_add(read)];
        self.spans.advance(stored, self.output.last(written))?;
        self.take(read);
        let ended = status == Status::StreamEnd;
        if at_boundary && !ended {
            self.spans.boundary(self.output.window())?;
        }
        Ok(ended)
    }

    fn check(&self, trailer: [u8; TRAILER_LEN]) -> Result<(), BuildError> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.clone().finalize() {
            return Err(self.corrupt(Corruption::Checksum));
        }
        let len = self.output.total().saturating_sub(self.member_start);
        if u64::from(u32::from_le_bytes([l0, l1, l2, l3])) != len & u64::from(u32::MAX) {
            return Err(self.corrupt(Corruption::Length));
        }
        Ok(())
    }

    /// Fills the input, as long as the source gives anything.
    fn fill(&mut self) -> Result<(), BuildError> {
        (self.input_start, self.input_end) = (0, 0);
        while self.input_end < self.input.len() {
            match self.source.read(&mut self.input[self.input_end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => self.input_end = self.input_end.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(hasher) = &mut self.stored_digest {
            hasher.update(&self.input[..self.input_end]);
        }
        Ok(())
    }

    fn take(&mut self, len: usize) {
        self.input_start = self.input_start.saturating_add(len);
        self.stored = self.stored.saturating_add(u64_from(len));
    }

    fn cut(&self) -> BuildError {
        BuildError::Cut {
            stored: self.stored,
            decoded: self.output.total(),
        }
    }

    fn corrupt(&self, source: Corruption) -> BuildError {
        BuildError::Corrupt {
            stored: self.stored,
            decoded: self.output.total(),
            source,
        }
    }
}

/// The decoded bytes. After an error it only fails.
impl<R: Read> Read for IndexBuilder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while self.output.unread().is_empty() {
            if !self.advance()? && self.output.unread().is_empty() {
                return Ok(0);
            }
        }
        let unread = self.output.unread();
        let len = unread.len().min(buf.len());
        buf[..len].copy_from_slice(&unread[..len]);
        self.output.take(len);
        Ok(len)
    }
}

impl<R> fmt::Debug for IndexBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexBuilder")
            .field("stored", &self.stored)
            .field("decoded", &self.output.total())
            .finish_non_exhaustive()
    }
}
