//! Headers of gzip members.

/// Length of the header of the member that `bytes` begin with; `None` if it is longer, or they begin otherwise.
///
/// ```
/// use lazyoci_gzip_index::member_header_len;
/// let header = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 255, b'a', 0];
/// assert_eq!(member_header_len(&header), Some(12));
/// assert_eq!(member_header_len(&header[..11]), None);
/// ```
#[must_use]
pub fn member_header_len(bytes: &[u8]) -> Option<usize> {
    let mut header = Header::default();
    for (at, byte) in bytes.iter().enumerate() {
        if header.push(*byte).ok()? {
            return Some(at.saturating_add(1));
        }
    }
    None
}

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
const FIXED_LEN: u8 = 10;

const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// A header (RFC 1952 section 2.3), which is passed byte by byte, without storing any of it:
///
/// | size | field | rule |
/// |---|---|---|
/// | 2 | `ID1`, `ID2` | 1f 8b |
/// | 1 | `CM` | 8, deflate |
/// | 1 | `FLG` | bits 5 to 7 are reserved and zero |
/// | 6 | `MTIME`, `XFL`, `OS` | |
/// | 2 + `XLEN` | extra field | if `FLG` bit 2; its length first, little endian |
/// | to a NUL | name | if `FLG` bit 3 |
/// | to a NUL | comment | if `FLG` bit 4 |
/// | 2 | `CRC16` | if `FLG` bit 1; low half of the CRC-32 of all before it |
#[derive(Debug, Default)]
pub(crate) struct Header {
    part: Part,
    flags: u8,
    crc: crc32fast::Hasher,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    /// The first ten bytes, this many of which were passed.
    Fixed(u8),
    ExtraLen,
    ExtraLenHigh(u8),
    Extra(u16),
    Name,
    Comment,
    Checksum,
    ChecksumHigh(u8),
    Done,
}

impl Default for Part {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// What is wrong with a header.
pub(crate) enum Fault {
    /// Not the header of a member; the given number of bytes before this one might have been.
    Magic(u8),
    Reserved,
    Checksum,
}

impl Header {
    /// Passes a byte; returns whether the header is complete with it.
    pub(crate) fn push(&mut self, byte: u8) -> Result<bool, Fault> {
        if !matches!(self.part, Part::Checksum | Part::ChecksumHigh(_)) {
            self.crc.update(&[byte]);
        }
        self.part = match self.part {
            Part::Fixed(at) => {
                match at {
                    0..=2 if byte != MAGIC[usize::from(at)] => return Err(Fault::Magic(at)),
                    3 if byte & RESERVED != 0 => return Err(Fault::Reserved),
                    3 => self.flags = byte,
                    _ => {}
                }
                match at.saturating_add(1) {
                    FIXED_LEN => self.after(Part::Fixed(at)),
                    next => Part::Fixed(next),
                }
            }
            Part::ExtraLen => Part::ExtraLenHigh(byte),
            Part::ExtraLenHigh(low) => match u16::from_le_bytes([low, byte]) {
                0 => self.after(Part::Extra(0)),
                len => Part::Extra(len),
            },
            Part::Extra(left @ (0 | 1)) => self.after(Part::Extra(left)),
            Part::Extra(left) => Part::Extra(left.saturating_sub(1)),
            part @ (Part::Name | Part::Comment) if byte == 0 => self.after(part),
            part @ (Part::Name | Part::Comment) => part,
            Part::Checksum => Part::ChecksumHigh(byte),
            Part::ChecksumHigh(low) => {
                let [c0, c1, ..] = self.crc.clone().finalize().to_le_bytes();
                if [low, byte] != [c0, c1] {
                    return Err(Fault::Checksum);
                }
                Part::Done
            }
            Part::Done => Part::Done,
        };
        Ok(matches!(self.part, Part::Done))
    }

    /// The part after `part`.
    fn after(&self, part: Part) -> Part {
        let has = |flag| self.flags & flag != 0;
        match part {
            Part::Fixed(_) if has(HAS_EXTRA) => Part::ExtraLen,
            Part::Fixed(_) | Part::Extra(_) if has(HAS_NAME) => Part::Name,
            Part::Fixed(_) | Part::Extra(_) | Part::Name if has(HAS_COMMENT) => Part::Comment,
            _ if has(HAS_CHECKSUM) => Part::Checksum,
            _ => Part::Done,
        }
    }

    /// Number of bytes passed, while they are the start of any header.
    pub(crate) fn magic_len(&self) -> Option<u8> {
        match self.part {
            Part::Fixed(at @ 0..=2) => Some(at),
            _ => None,
        }
    }
}
