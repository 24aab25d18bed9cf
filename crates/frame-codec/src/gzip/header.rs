//! The header of a gzip member.

use flate2::Crc;
use image_model::Codec;

use crate::CodecError;

/// Bytes of a header without optional fields.
pub(super) const FIXED_LEN: usize = 10;

const FHCRC: u8 = 0x02;
const FEXTRA: u8 = 0x04;
const FNAME: u8 = 0x08;
const FCOMMENT: u8 = 0x10;
const RESERVED: u8 = 0xe0;

/// The header that we write, which is also that of Go's `compress/gzip` (eStargz spec, 2.2).
///
/// | offset | size | field | value |
/// |---|---|---|---|
/// | 0 | 2 | ID1, ID2 | `1f 8b` |
/// | 2 | 1 | CM | 8, deflate |
/// | 3 | 1 | FLG | 0, no optional field |
/// | 4 | 4 | MTIME | 0, none |
/// | 8 | 1 | XFL | 2 for level 9, 4 for level 1, else 0 |
/// | 9 | 1 | OS | 255, unknown |
pub(super) fn write(level: u32) -> [u8; FIXED_LEN] {
    let xfl = match level {
        9 => 2,
        1 => 4,
        _ => 0,
    };
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, xfl, 0xff]
}

/// End of the header that starts at byte `start` of `stored`. The optional fields follow the fixed ones:
///
/// | if FLG has | size | field |
/// |---|---|---|
/// | 0x04 FEXTRA | 2, then as many as they say | XLEN (little-endian), extra field |
/// | 0x08 FNAME | up to a NUL, included | file name |
/// | 0x10 FCOMMENT | up to a NUL, included | comment |
/// | 0x02 FHCRC | 2 | low half of the CRC-32 of the header before it, little-endian |
///
/// 0x01 FTEXT means nothing to us; the other bits are reserved and refused.
pub(super) fn parse(stored: &[u8], start: usize) -> Result<usize, CodecError> {
    let codec = Codec::Gzip;
    let malformed = |detail| CodecError::Malformed { codec, detail };
    let truncated = || CodecError::Truncated {
        codec,
        stored_len: stored.len() as u64,
    };

    let (fixed, mut rest) = stored[start..]
        .split_first_chunk::<FIXED_LEN>()
        .ok_or_else(truncated)?;
    if fixed[..2] != [0x1f, 0x8b] {
        return Err(malformed("no gzip magic number"));
    }
    if fixed[2] != 8 {
        return Err(malformed("compression method other than deflate"));
    }
    let flags = fixed[3];
    if flags & RESERVED != 0 {
        return Err(malformed("reserved header flag"));
    }
    if flags & FEXTRA != 0 {
        let (len, extra) = rest.split_first_chunk().ok_or_else(truncated)?;
        let len = usize::from(u16::from_le_bytes(*len));
        rest = extra.get(len..).ok_or_else(truncated)?;
    }
    for field in [FNAME, FCOMMENT] {
        if flags & field != 0 {
            let nul = rest.iter().position(|&b| b == 0).ok_or_else(truncated)?;
            rest = &rest[nul + 1..];
        }
    }
    if flags & FHCRC != 0 {
        let covered = &stored[start..stored.len() - rest.len()];
        let (expected, after) = rest.split_first_chunk::<2>().ok_or_else(truncated)?;
        let mut crc = Crc::new();
        crc.update(covered);
        if crc.sum().to_le_bytes()[..2] != *expected {
            return Err(malformed("header checksum"));
        }
        rest = after;
    }
    Ok(stored.len() - rest.len())
}
