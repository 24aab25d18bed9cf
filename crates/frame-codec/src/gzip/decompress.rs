//! Members read by zlib-rs.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use image_model::Codec;

use super::{TRAILER_LEN, header, isize_of};
use crate::CodecError;

pub(crate) struct Decompressor {
    pub(super) inflate: Decompress,
}

/// How inflating one member ended.
enum End {
    /// At its end, after `plain` decoded bytes.
    Member { end: usize, plain: usize },
    /// With a full buffer before the end of the deflate stream, having read up to `at`.
    Full { at: usize },
    /// With a full buffer at the end of the deflate stream, but without all of the trailer.
    Cut,
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        Self {
            inflate: Decompress::new(false),
        }
    }

    /// Decodes exactly one member into exactly `out`.
    pub(crate) fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let codec = Codec::Gzip;
        let stored_len = stored.len() as u64;
        let expected = out.len() as u64;
        match self.member(stored, 0, out)? {
            End::Full { at } if at == stored.len() => {
                Err(CodecError::Truncated { codec, stored_len })
            }
            End::Cut => Err(CodecError::Truncated { codec, stored_len }),
            End::Full { .. } => Err(CodecError::TooLong { codec, expected }),
            End::Member { plain, .. } if plain != out.len() => Err(CodecError::Length {
                codec,
                expected,
                found: plain as u64,
            }),
            End::Member { end, .. } if end != stored.len() => Err(CodecError::TrailingBytes {
                codec,
                end: end as u64,
                stored_len,
            }),
            End::Member { .. } => Ok(()),
        }
    }

    /// Fills `out` from one or more members.
    pub(crate) fn decompress_prefix(
        &mut self,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        match self.prefix(stored, out)? {
            true => Ok(()),
            false => Err(CodecError::Truncated {
                codec: Codec::Gzip,
                stored_len: stored.len() as u64,
            }),
        }
    }

    /// Fills `out` from one or more members; whether the last one has its trailer, if it ends with `out`.
    pub(super) fn prefix(&mut self, stored: &[u8], mut out: &mut [u8]) -> Result<bool, CodecError> {
        let mut start = 0;
        while !out.is_empty() {
            match self.member(stored, start, out)? {
                End::Full { .. } => return Ok(true),
                End::Cut => return Ok(false),
                End::Member { end, plain } => {
                    start = end;
                    out = &mut out[plain..];
                }
            }
        }
        Ok(true)
    }

    /// Decodes one or more members into exactly `out`.
    pub(crate) fn decompress_all(
        &mut self,
        stored: &[u8],
        out: &mut [u8],
    ) -> Result<(), CodecError> {
        let codec = Codec::Gzip;
        let expected = out.len() as u64;
        let (mut start, mut filled) = (0, 0);
        while start < stored.len() {
            match self.member(stored, start, &mut out[filled..])? {
                End::Full { at } if at == stored.len() => {
                    let stored_len = at as u64;
                    return Err(CodecError::Truncated { codec, stored_len });
                }
                End::Cut => {
                    let stored_len = stored.len() as u64;
                    return Err(CodecError::Truncated { codec, stored_len });
                }
                End::Full { .. } => return Err(CodecError::TooLong { codec, expected }),
                End::Member { end, plain } => {
                    start = end;
                    filled += plain;
                }
            }
        }
        match filled as u64 {
            found if found == expected => Ok(()),
            found => Err(CodecError::Length {
                codec,
                expected,
                found,
            }),
        }
    }

    /// Decodes the member at byte `start` of `stored` until it ends, which checks its trailer, or
    /// until `out` is full and that is missing.
    fn member(&mut self, stored: &[u8], start: usize, out: &mut [u8]) -> Result<End, CodecError> {
        let codec = Codec::Gzip;
        let truncated = || CodecError::Truncated {
            codec,
            stored_len: stored.len() as u64,
        };
        let mut at = header::parse(stored, start)?;
        let mut filled = 0;
        self.inflate.reset(false);
        loop {
            let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(&stored[at..], &mut out[filled..], FlushDecompress::Finish)
                .map_err(|_| CodecError::Malformed {
                    codec,
                    detail: "invalid deflate stream",
                })?;
            let read = (self.inflate.total_in() - total_in) as usize;
            let written = (self.inflate.total_out() - total_out) as usize;
            at += read;
            filled += written;
            if status == Status::StreamEnd {
                break;
            }
            if read == 0 && written == 0 {
                return if filled == out.len() {
                    Ok(End::Full { at })
                } else {
                    Err(truncated())
                };
            }
        }
        let plain = &out[..filled];
        let Some(trailer) = stored[at..].first_chunk::<TRAILER_LEN>() else {
            return match filled == out.len() {
                true => Ok(End::Cut),
                false => Err(truncated()),
            };
        };
        let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
        let expected = u32::from_le_bytes([c0, c1, c2, c3]);
        let mut crc = Crc::new();
        crc.update(plain);
        if crc.sum() != expected {
            return Err(CodecError::Checksum {
                codec,
                expected,
                found: crc.sum(),
            });
        }
        if isize_of(plain) != u32::from_le_bytes([l0, l1, l2, l3]) {
            return Err(CodecError::Malformed {
                codec,
                detail: "trailer gives another length",
            });
        }
        Ok(End::Member {
            end: at + TRAILER_LEN,
            plain: filled,
        })
    }
}
