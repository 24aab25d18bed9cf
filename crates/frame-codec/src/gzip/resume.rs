//! Deflate data entered at the start of a block.
//!
//! zlib-rs is fed whole bytes, but a block begins at any bit. Shifting the data would move stored blocks, which begin
//! at whole bytes, so the bits of the first byte that do not belong to the block are replaced by the end of blocks that
//! hold nothing ([`lead_in`]).

use flate2::FlushDecompress;
use image_model::Codec;
use image_model::deflate::{DeflateStart, WINDOW_LEN};

use super::{Decompressor, TRAILER_LEN};
use crate::CodecError;

const MALFORMED: CodecError = CodecError::Malformed {
    codec: Codec::Gzip,
    detail: "invalid deflate stream",
};

impl Decompressor {
    /// Fills `out` from the deflate data `stored`, which begin at `start`.
    pub(crate) fn resume(
        &mut self,
        start: &DeflateStart,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let (_, filled) = self.resume_member(start, stored, out)?;
        if filled < out.len() {
            return Err(CodecError::Length {
                codec: Codec::Gzip,
                expected: out.len() as u64,
                found: filled as u64,
            });
        }
        Ok(())
    }

    /// The same, but if the member ends, `out` is filled from those after it. The trailer of the last one may be
    /// missing, as it may be here if there is only one.
    pub(crate) fn resume_members(
        &mut self,
        start: &DeflateStart,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let (read, filled) = self.resume_member(start, stored, out)?;
        if filled == out.len() {
            return Ok(());
        }
        // What was decoded before is not known, so the checksum says nothing.
        let next = stored.get(read + TRAILER_LEN..);
        let next = next.ok_or(CodecError::Truncated {
            codec: Codec::Gzip,
            stored_len: stored.len() as u64,
        })?;
        self.prefix(next, &mut out[filled..]).map(|_trailer| ())
    }

    /// Fills `out`, or as much of it as the member does; returns the bytes read and written.
    fn resume_member(
        &mut self,
        start: &DeflateStart,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), CodecError> {
        let codec = Codec::Gzip;
        let stored_len = stored.len() as u64;
        let truncated = || CodecError::Truncated { codec, stored_len };
        self.inflate.reset(false);
        if !start.window.is_empty() {
            let mut window = [0; WINDOW_LEN];
            let first = start.window.fill(&mut window);
            let set = self.inflate.set_dictionary(&window[first..]);
            set.map_err(|_| MALFORMED)?;
        }
        let mut at = 0;
        if start.bits != 0 {
            let (&first, _) = stored.split_first().ok_or_else(truncated)?;
            let bytes = lead_in(start.bits, first).ok_or(CodecError::Malformed {
                codec,
                detail: "a byte has no more than seven bits of a block that begins in it",
            })?;
            // Blocks that hold nothing need no room.
            self.step(&bytes, &mut [])?;
            at = 1;
        }
        let mut filled = 0;
        while filled < out.len() {
            let (read, written, ended) = self.step(&stored[at..], &mut out[filled..])?;
            at += read;
            filled += written;
            if ended {
                break;
            }
            if read == 0 && written == 0 {
                return Err(truncated());
            }
        }
        Ok((at, filled))
    }

    /// Inflates; returns the bytes read and written, and whether the stream has ended.
    fn step(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(usize, usize, bool), CodecError> {
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(stored, out, FlushDecompress::None);
        let status = status.map_err(|_| MALFORMED)?;
        let read = (self.inflate.total_in() - total_in) as usize;
        let written = (self.inflate.total_out() - total_out) as usize;
        Ok((read, written, status == flate2::Status::StreamEnd))
    }
}

/// An empty block with codes of its own, 93 bits: one literal, the end of the block and one distance, of one bit each.
const DYNAMIC: [(u32, u32); 10] = [
    (0b100, 3),    // not the last block; dynamic
    (0, 5),        // 257 literals and lengths
    (0, 5),        // 1 distance
    (15, 4),       // 19 lengths of the code for lengths,
    (1 << 6, 30),  // of which 18 (the third) has one bit,
    (1 << 21, 27), // and 1 (the 18th) too
    // 18: many zeros. Codes: 0 for 1, 1 for 18.
    (1 | (127 << 1), 8), // 138 zeros
    (1 | (107 << 1), 8), // 118 zeros
    (0, 2),              // the end of the block and the distance: one bit each
    (0, 1),              // the end of the block
];

/// An empty block with the fixed codes, 10 bits.
const FIXED: [(u32, u32); 1] = [(0b010, 10)];

/// Blocks that hold nothing, up to the last byte: its high `bits` bits are those of `first`. `None` if they are none or
/// more than 7.
fn lead_in(bits: u8, first: u8) -> Option<Vec<u8>> {
    if !(1..=7).contains(&bits) {
        return None;
    }
    let given = 8 - u32::from(bits);
    let mut out = Bits::default();
    if given % 2 == 1 {
        out.push(&DYNAMIC);
    }
    while out.len % 8 != given {
        out.push(&FIXED);
    }
    if let Some(last) = out.bytes.last_mut() {
        *last |= first >> given << given;
    }
    Some(out.bytes)
}

/// Bits, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: u32,
}

impl Bits {
    fn push(&mut self, fields: &[(u32, u32)]) {
        for &(value, len) in fields {
            for bit in 0..len {
                if self.len.is_multiple_of(8) {
                    self.bytes.push(0);
                }
                if let Some(last) = self.bytes.last_mut() {
                    *last |= ((value >> bit & 1) as u8) << (self.len % 8);
                }
                self.len += 1;
            }
        }
    }
}
