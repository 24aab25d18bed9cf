//! Headers of gzip members.

use flate2::Crc;

use crate::layer::Corruption;
use crate::layer::error::Found;
use crate::layer::step::{Begun, Buffers};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIXED_LEN: usize = 10;

const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// A header (RFC 1952 section 2.3), which is skipped as it arrives, without storing any of it:
///
/// | size | field | rule |
/// |---|---|---|
/// | 2 | `ID1`, `ID2` | 1f 8b |
/// | 1 | `CM` | 8, deflate |
/// | 1 | `FLG` | bits 5 to 7 are reserved and zero |
/// | 4 | `MTIME` | |
/// | 1 | `XFL` | |
/// | 1 | `OS` | |
/// | 2 + `XLEN` | extra field | if `FLG` bit 2; its length first, little endian |
/// | to a NUL | name | if `FLG` bit 3 |
/// | to a NUL | comment | if `FLG` bit 4 |
/// | 2 | `CRC16` | if `FLG` bit 1; low half of the CRC-32 of all before it |
#[derive(Default)]
pub(super) struct Header {
    part: Part,
    /// The part being read, if its length is known, and how much of it has been read.
    bytes: [u8; FIXED_LEN],
    len: usize,
    flags: u8,
    crc: Crc,
}

#[derive(Default)]
enum Part {
    #[default]
    Fixed,
    ExtraLen,
    Extra {
        left: u16,
    },
    Name,
    Comment,
    Checksum,
}

impl Header {
    /// Continues reading; returns whether the header is complete.
    pub(super) fn read(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        loop {
            match self.part {
                Part::Fixed => {
                    let full = self.hold(buffers, FIXED_LEN);
                    let start = self.len.min(MAGIC.len());
                    if self.bytes[..start] != MAGIC[..start] {
                        return Err(Found::Trailing { held: self.len });
                    }
                    if !full {
                        return Ok(false);
                    }
                    self.flags = self.bytes[3];
                    if self.flags & RESERVED != 0 {
                        return Err(Corruption::Reserved.into());
                    }
                    self.next(Part::ExtraLen);
                }
                Part::ExtraLen if self.has(HAS_EXTRA) => {
                    if !self.hold(buffers, 2) {
                        return Ok(false);
                    }
                    let left = u16::from_le_bytes([self.bytes[0], self.bytes[1]]);
                    self.next(Part::Extra { left });
                }
                Part::ExtraLen | Part::Extra { left: 0 } => self.next(Part::Name),
                Part::Extra { left } => {
                    let rest = buffers.rest();
                    let step = rest.len().min(usize::from(left));
                    if step == 0 {
                        return Ok(false);
                    }
                    self.pass(buffers, step);
                    let step = u16::try_from(step).unwrap_or(left);
                    self.part = Part::Extra {
                        left: left.saturating_sub(step),
                    };
                }
                Part::Name => {
                    if self.has(HAS_NAME) && !self.pass_text(buffers) {
                        return Ok(false);
                    }
                    self.next(Part::Comment);
                }
                Part::Comment => {
                    if self.has(HAS_COMMENT) && !self.pass_text(buffers) {
                        return Ok(false);
                    }
                    self.next(Part::Checksum);
                }
                Part::Checksum if self.has(HAS_CHECKSUM) => {
                    if !buffers.hold(&mut self.bytes, &mut self.len, 2) {
                        return Ok(false);
                    }
                    let [c0, c1, ..] = self.crc.sum().to_le_bytes();
                    if self.bytes[..2] != [c0, c1] {
                        return Err(Corruption::HeaderChecksum.into());
                    }
                    return Ok(true);
                }
                Part::Checksum => return Ok(true),
            }
        }
    }

    pub(super) fn begun(&self) -> Begun {
        match self.part {
            Part::Fixed if self.len == 0 => Begun::Nothing,
            Part::Fixed if self.len < MAGIC.len() => Begun::Magic { held: self.len },
            _ => Begun::Unit,
        }
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn next(&mut self, part: Part) {
        self.part = part;
        self.len = 0;
    }

    /// Holds bytes of the part until there are `len`; returns whether there are.
    fn hold(&mut self, buffers: &mut Buffers<'_>, len: usize) -> bool {
        let had = self.len;
        let full = buffers.hold(&mut self.bytes, &mut self.len, len);
        self.crc.update(&self.bytes[had..self.len]);
        full
    }

    /// Skips `len` available bytes.
    fn pass(&mut self, buffers: &mut Buffers<'_>, len: usize) {
        self.crc.update(&buffers.rest()[..len]);
        buffers.take(len);
    }

    /// Skips a text; returns whether its end was found.
    fn pass_text(&mut self, buffers: &mut Buffers<'_>) -> bool {
        let rest = buffers.rest();
        match rest.iter().position(|byte| *byte == 0) {
            Some(end) => {
                self.pass(buffers, end.saturating_add(1));
                true
            }
            None => {
                self.pass(buffers, rest.len());
                false
            }
        }
    }
}
