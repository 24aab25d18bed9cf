//! The parts between the headers: payloads, and the trailer after the last member.

use std::io::{self, Read};

use image_model::width::{u64_from, usize_up_to};

use super::{State, TarReader};
use crate::error::{Part, TarError};

impl<R: Read> TarReader<R> {
    /// Reads from the payload of the current entry: the stored bytes, without the holes of a sparse
    /// file. Returns 0 at its end, and if `buf` is empty.
    ///
    /// # Errors
    /// [`TarError::Cut`] if the tar ends inside the payload; errors of the source.
    pub fn read_payload(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        let left = match self.state {
            State::Member { left, .. } => left,
            State::End(_) => 0,
            State::Failed => return Err(TarError::Failed),
        };
        let len = usize_up_to(left).min(buf.len());
        if len == 0 {
            return Ok(0);
        }
        let read = self.input.read(&mut buf[..len]);
        match read {
            Ok(read @ 1..) => {
                if let State::Member { left, .. } = &mut self.state {
                    *left = left.saturating_sub(u64_from(read));
                }
                Ok(read)
            }
            Ok(0) => {
                self.state = State::Failed;
                Err(self.input.cut(Part::Payload))
            }
            Err(error) => {
                self.state = State::Failed;
                Err(error)
            }
        }
    }

    /// Fills `buf` from the payload of the current entry.
    ///
    /// # Errors
    /// As [`read_payload`](Self::read_payload); [`TarError::PayloadEnd`] if less is left of the
    /// payload than requested.
    pub fn read_payload_exact(&mut self, buf: &mut [u8]) -> Result<(), TarError> {
        let left = self.payload_left();
        let asked = u64_from(buf.len());
        if left < asked {
            return Err(TarError::PayloadEnd { left, asked });
        }
        let mut rest = buf;
        while !rest.is_empty() {
            let read = self.read_payload(rest)?;
            rest = &mut rest[read..];
        }
        Ok(())
    }

    /// Skips the rest of the current entry's payload, as [`next_entry`](Self::next_entry) does: afterwards it is certain
    /// that the source has all of it.
    ///
    /// # Errors
    /// As [`read_payload`](Self::read_payload).
    pub fn skip_payload(&mut self) -> Result<(), TarError> {
        let (left, padding) = match self.state {
            State::Member { left, padding } => (left, padding),
            State::End(_) => return Ok(()),
            State::Failed => return Err(TarError::Failed),
        };
        self.state = State::Failed;
        self.input.skip(left)?;
        self.state = State::Member { left: 0, padding };
        Ok(())
    }

    /// Number of unread bytes of the current entry's payload.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        match self.state {
            State::Member { left, .. } => left,
            State::End(_) | State::Failed => 0,
        }
    }

    /// Whether all that is left of the current entry's payload was read from the source already, together with what is
    /// before it.
    #[must_use]
    pub fn has_payload(&self) -> bool {
        u64_from(self.input.at_hand()) >= self.payload_left()
    }

    /// What follows the last member; `None` until [`next_entry`](Self::next_entry) has returned
    /// `None`.
    pub fn trailer(&mut self) -> Option<Trailer<'_, R>> {
        match self.state {
            State::End(_) => Some(Trailer { reader: self }),
            _ => None,
        }
    }

    /// Reads the rest of the source without interpreting it, and returns the source. So a source
    /// that hashes its bytes has seen all of them, and a compressed one has checked its checksum.
    ///
    /// # Errors
    /// Errors of the source; [`TarError::Failed`] after an earlier error.
    pub fn finish(mut self) -> Result<R, TarError> {
        if let State::Failed = self.state {
            return Err(TarError::Failed);
        }
        while self.input.discard()? > 0 {}
        Ok(self.input.into_source())
    }
}

/// Everything after the last member's payload: its padding, extension headers without a member, the
/// end blocks and anything after them. Its bytes are available through [`Read`]; they are not held
/// in memory.
#[derive(Debug)]
pub struct Trailer<'a, R> {
    reader: &'a mut TarReader<R>,
}

impl<R: Read> Trailer<'_, R> {
    /// First byte of the trailer in the tar.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match &self.reader.state {
            State::End(end) => end.offset,
            _ => self.reader.input.position(),
        }
    }

    /// How many of the two zero blocks that end an archive are present. Without any, the tar may
    /// have been truncated between two members: readers accept that, since some writers omit them.
    #[must_use]
    pub fn zero_blocks(&self) -> u8 {
        match &self.reader.state {
            State::End(end) => end.zero_blocks,
            _ => 0,
        }
    }

    fn read_some(&mut self, buf: &mut [u8]) -> Result<usize, TarError> {
        let State::End(end) = &mut self.reader.state else {
            return Err(TarError::Failed);
        };
        let at_hand = &end.raw[end.taken..];
        if at_hand.is_empty() {
            let read = self.reader.input.read(buf);
            if read.is_err() {
                self.reader.state = State::Failed;
            }
            return read;
        }
        let len = at_hand.len().min(buf.len());
        buf[..len].copy_from_slice(&at_hand[..len]);
        end.taken = end.taken.saturating_add(len);
        Ok(len)
    }
}

impl<R: Read> Read for Trailer<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buf)?)
    }
}

/// The payload of the current entry, as [`read_payload`](TarReader::read_payload).
impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_payload(buf)?)
    }
}
