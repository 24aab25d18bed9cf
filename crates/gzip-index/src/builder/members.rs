//! Passing over the members of a gzip stream, and decoding them.

use std::io::{self, Read};
use std::sync::Arc;

use image_model::DigestAlgorithm;
use image_model::width::u64_from;

use super::digests::{Digested, Digests, Piece};
use super::output::Output;
use super::spans::Place;
use crate::error::{BuildError, Corruption};
use crate::header::{Fault, Header};

/// Number of bytes to request from the source at once. Blocks are found at the same places whatever it gives at once.
const INPUT_LEN: usize = 128 << 10;

/// Length of a member's trailer: CRC-32, then the length modulo 2^32, both little endian.
const TRAILER_LEN: usize = 8;

/// Inflates the deflate data of members block by block, and records what it finds.
pub(crate) trait Blocks {
    /// Deflate data of a member begin.
    fn begin_member(
        &mut self,
        at: Place,
        output: &Output,
        digests: &mut Digests,
    ) -> Result<(), BuildError>;

    /// Inflates from `stored` to `output`, up to the end of a block at most; `None` if the data are invalid.
    fn inflate(
        &mut self,
        stored: &[u8],
        output: &mut Output,
        digests: &mut Digests,
    ) -> Result<Option<Inflated>, BuildError>;

    /// The deflate data of the member have ended.
    fn end_member(&mut self, digests: &mut Digests) -> Result<(), BuildError>;

    /// The stream has ended, after `stored` bytes.
    fn end_stream(&mut self, stored: u64, digests: &mut Digests);

    /// The stored byte before which nothing begins or ends any more, but for one that it shares with the one before;
    /// `stored` bytes were passed.
    fn settled(&self, stored: u64) -> u64;
}

/// How far was inflated.
pub(crate) struct Inflated {
    pub(crate) read: usize,
    pub(crate) written: usize,
    pub(crate) ended: bool,
}

/// What a stream is held to.
pub(crate) struct Rules {
    pub(crate) ignore_trailing: bool,
    pub(crate) max_decoded: u64,
    pub(crate) stored_digest: bool,
    pub(crate) span_digest: DigestAlgorithm,
    pub(crate) threads: usize,
}

/// Decodes the members of a stream.
pub(crate) struct Members<R, B> {
    pub(crate) source: R,
    rules: Rules,
    input: Piece,
    input_start: usize,
    ended: bool,
    /// Position of the next input byte in the stream.
    stored: u64,
    /// The same after the last byte that gave anything.
    reached: u64,
    digests: Digests,
    state: State,
    members: u64,
    crc: crc32fast::Hasher,
    /// Position in the decoded stream at which the member begins.
    member_start: u64,
    output: Output,
    pub(crate) blocks: B,
}

/// A stream of which everything was decoded.
pub(crate) struct Finished<R, B> {
    pub(crate) source: R,
    /// Its length, and that of what it decodes to.
    pub(crate) stored: u64,
    pub(crate) decoded: u64,
    pub(crate) digests: Digested,
    pub(crate) blocks: B,
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

impl<R: Read, B: Blocks> Members<R, B> {
    pub(crate) fn new(source: R, rules: Rules, blocks: B) -> Self {
        Self {
            source,
            input: Piece::default(),
            input_start: 0,
            ended: false,
            stored: 0,
            reached: 0,
            digests: Digests::new(rules.stored_digest, rules.span_digest, rules.threads),
            state: State::Header(Header::default()),
            members: 0,
            crc: crc32fast::Hasher::new(),
            member_start: 0,
            output: Output::new(),
            blocks,
            rules,
        }
    }

    /// Number of stored bytes decoded so far.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// Number of stored bytes that give the bytes decoded so far.
    pub(crate) fn reached(&self) -> u64 {
        self.reached
    }

    /// Number of bytes decoded so far.
    pub(crate) fn decoded(&self) -> u64 {
        self.output.total()
    }

    /// Decodes the rest of the stream.
    pub(crate) fn finish(mut self) -> Result<Finished<R, B>, BuildError> {
        loop {
            self.output.discard();
            if !self.advance()? {
                break;
            }
        }
        self.blocks.end_stream(self.stored, &mut self.digests);
        Ok(Finished {
            source: self.source,
            stored: self.stored,
            decoded: self.output.total(),
            digests: self.digests.finish(),
            blocks: self.blocks,
        })
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
            if self.input_start == self.input.len() && !self.ended {
                self.fill()?;
            }
            let at_end = self.ended && self.input_start == self.input.len();
            match &mut self.state {
                State::Header(_) | State::Trailer { .. } if at_end => return self.end(),
                State::Header(_) => self.header()?,
                State::Deflate => {
                    let decoded = self.output.total();
                    let ended = self.inflate()?;
                    if self.output.total() > self.rules.max_decoded {
                        let limit = self.rules.max_decoded;
                        return Err(BuildError::TooLarge { limit });
                    }
                    if ended {
                        self.blocks.end_member(&mut self.digests)?;
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
                    self.take(self.input.len().saturating_sub(self.input_start));
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
                    self.crc = crc32fast::Hasher::new();
                    self.member_start = self.output.total();
                    self.members = self.members.saturating_add(1);
                    let at = Place {
                        stored: self.stored,
                        decoded: self.member_start,
                    };
                    self.blocks
                        .begin_member(at, &self.output, &mut self.digests)?;
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
        if self.members > 0 && self.rules.ignore_trailing {
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
        let stored = &self.input[self.input_start..];
        let inflated = self
            .blocks
            .inflate(stored, &mut self.output, &mut self.digests)?;
        let Some(inflated) = inflated else {
            return Err(self.corrupt(Corruption::Deflate));
        };
        self.crc.update(self.output.last(inflated.written));
        self.take(inflated.read);
        if inflated.written > 0 {
            self.reached = self.stored;
        }
        Ok(inflated.ended)
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
        let mut input = self.digests.memory();
        input.resize(INPUT_LEN, 0);
        let mut end = 0_usize;
        while end < input.len() {
            match self.source.read(&mut input[end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(read) => end = end.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        input.truncate(end);
        self.digests.settle(self.blocks.settled(self.stored));
        self.input = Arc::new(input);
        self.input_start = 0;
        self.digests.take(&self.input);
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
impl<R: Read, B: Blocks> Read for Members<R, B> {
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
