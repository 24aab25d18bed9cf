//! Layers of gzip members.

mod header;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use image_model::width::usize_up_to;

use super::Corruption;
use super::error::Found;
use super::step::{Begun, Buffers};
use header::Header;

const TRAILER_LEN: usize = 8;

/// Decodes members. Each is a [`Header`], a deflate stream, and a trailer (RFC 1952 section 2.3.1):
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | `CRC32` of what is decoded, little endian |
/// | 4 | 4 | `ISIZE`: its length modulo 2^32 |
pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
}

enum State {
    Header(Header),
    Deflate,
    Trailer {
        bytes: [u8; TRAILER_LEN],
        len: usize,
    },
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header(Header::default()),
            inflate: Decompress::new(false),
            crc: Crc::new(),
        }
    }

    /// Decodes until the input is consumed or the output is full.
    pub(super) fn decode(&mut self, buffers: &mut Buffers<'_>) -> Result<(), Found> {
        loop {
            match &mut self.state {
                State::Header(header) => {
                    if !header.read(buffers)? {
                        return Ok(());
                    }
                    self.inflate.reset(false);
                    self.crc.reset();
                    self.state = State::Deflate;
                }
                State::Deflate => {
                    if buffers.room().is_empty() || !self.inflate(buffers)? {
                        return Ok(());
                    }
                    self.state = State::Trailer {
                        bytes: [0; TRAILER_LEN],
                        len: 0,
                    };
                }
                State::Trailer { bytes, len } => {
                    if !buffers.hold(bytes, len, TRAILER_LEN) {
                        return Ok(());
                    }
                    let [c0, c1, c2, c3, l0, l1, l2, l3] = *bytes;
                    if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
                        return Err(Corruption::Checksum.into());
                    }
                    if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
                        return Err(Corruption::Length.into());
                    }
                    self.state = State::Header(Header::default());
                }
            }
        }
    }

    /// Continues with the deflate stream; returns whether it has ended.
    fn inflate(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let rest = buffers.rest();
            let room = buffers.room();
            let result = self.inflate.decompress(rest, room, FlushDecompress::None);
            let read = usize_up_to(self.inflate.total_in().saturating_sub(read));
            let written = usize_up_to(self.inflate.total_out().saturating_sub(written));
            self.crc.update(&room[..written]);
            buffers.take(read);
            buffers.write(written);
            match result {
                Ok(Status::StreamEnd) => return Ok(true),
                Ok(Status::Ok | Status::BufError) => {}
                Err(_) => return Err(Corruption::Deflate.into()),
            }
            let stuck = read == 0 && written == 0;
            if stuck || buffers.rest().is_empty() || buffers.room().is_empty() {
                return Ok(false);
            }
        }
    }

    pub(super) fn begun(&self) -> Begun {
        match &self.state {
            State::Header(header) => header.begun(),
            State::Deflate | State::Trailer { .. } => Begun::Unit,
        }
    }
}
