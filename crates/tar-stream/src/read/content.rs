//! What lies between the headers: payloads, and the trailer behind the last member.

use std::io::{self, Read};

use image_model::width::{u64_from, usize_up_to};

use super::{State, TarReader};
use crate::error::{Part, TarError};

impl<R: Read> TarReader<R> {
    /// Reads from the payload of the current entry: the bytes that the tar stores, without the
    /// holes of a sparse file. 0 at its end, and if `buf` is empty.
    ///
    /// # Errors
    /// [`TarError::Cut`] if the tar ends inside the payload; what the source says.
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
    /// payload than asked for.
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

    /// Bytes of the current entry's payload that were not read yet.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        match self.state {
            State::Member { left, .. } => left,
            State::End(_) | State::Failed => 0,
        }
    }

    /// What follows the last member; `None` before [`next_entry`](Self::next_entry) answered
    /// `None`.
    pub fn trailer(&mut self) -> Option<Trailer<'_, R>> {
        match self.state {
            State::End(_) => Some(Trailer { reader: self }),
            _ => None,
        }
    }

    /// Reads whatever is left of the source, without looking at it, and gives the source back.
    /// So a source that hashes what is read has seen all, and a compressed one has checked its
    /// checksum.
    ///
    /// # Errors
    /// What the source says; [`TarError::Failed`] after an earlier error.
    pub fn finish(mut self) -> Result<R, TarError> {
        if let State::Failed = self.state {
            return Err(TarError::Failed);
        }
        while self.input.discard()? > 0 {}
        Ok(self.input.into_source())
    }
}

/// Everything behind the last member's payload: its padding, extension headers that belong to no
/// member, the end blocks and whatever follows them.
///
/// [`Read`] gives its bytes; they are not held in memory.
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

    /// How many of the two zero blocks are there that end an archive. Without any, the tar may
    /// have been cut between two members: readers do not mind, since some writers leave them out.
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
