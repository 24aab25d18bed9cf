//! The record of a span.

use image_model::deflate::WINDOW_LEN;
use image_model::dump::{Field, FieldValue};
use image_model::width::u64_from;
use image_model::{Digest, DigestAlgorithm, Limits};

use crate::error::SpanFault;
use crate::span::Span;
use crate::windows::Parts;

/// A span begins with a member, or continues the one of the span before.
const MEMBER: u8 = 0;
const CONTINUES: u8 = 1;

/// A span. Where it begins in the decoded stream follows from the spans before: no two overlap, and there are no gaps.
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 8 | stored bytes between the end of the span before, or the start of the stream, and its first whole byte | 0 if it continues a member |
/// | 8 | 4 | length in stored bytes, from the first whole byte on | |
/// | 12 | 4 | length in decoded bytes | not 0 |
/// | 16 | 4 | number of runs of its window | 0 if a member begins |
/// | 20 | 1 | number of bits before its first whole byte, the high ones of the last byte of the span before | 0 to 7; 0 if a member begins |
/// | 21 | 1 | kind | 0: a member begins; 1: it continues the member of the span before |
/// | 22 | 2 | reserved | 0 |
/// | 24 | 32 | digest of its stored bytes, that which it shares included; the flags of the header say which | |
pub(crate) struct SpanRecord {
    gap: u64,
    stored_len: u32,
    decoded_len: u32,
    runs: u32,
    bits: u8,
    kind: u8,
    digest: Digest,
}

impl SpanRecord {
    /// Length of a record in bytes.
    pub(crate) const LEN: usize = 56;

    /// The record of `span`, whose window has `runs` runs, after one that ends at `end`.
    pub(crate) fn of(span: &Span, runs: u32, end: u64) -> Self {
        let shared = u32::from(span.bits != 0);
        let first = span.stored_offset.saturating_add(shared.into());
        Self {
            gap: first.saturating_sub(end),
            stored_len: span.stored_len.saturating_sub(shared),
            decoded_len: span.decoded_len,
            runs,
            bits: span.bits,
            kind: if span.begins_member() {
                MEMBER
            } else {
                CONTINUES
            },
            digest: span.digest,
        }
    }

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&self.gap.to_le_bytes());
        out[8..12].copy_from_slice(&self.stored_len.to_le_bytes());
        out[12..16].copy_from_slice(&self.decoded_len.to_le_bytes());
        out[16..20].copy_from_slice(&self.runs.to_le_bytes());
        (out[20], out[21]) = (self.bits, self.kind);
        out[24..].copy_from_slice(self.digest.as_bytes());
        out
    }

    /// The fields by name.
    pub(crate) fn fields(&self) -> [Field<'_>; 7] {
        let kind = match self.kind {
            MEMBER => "member",
            _ => "continues",
        };
        [
            ("gap", self.gap.into()),
            ("stored_len", self.stored_len.into()),
            ("decoded_len", self.decoded_len.into()),
            ("runs", self.runs.into()),
            ("bits", self.bits.into()),
            ("kind", FieldValue::Name(kind)),
            ("digest", FieldValue::Bytes(self.digest.as_bytes())),
        ]
    }

    /// The record in `bytes`, whose digest is one of `algorithm`.
    pub(crate) fn decode(
        bytes: &[u8; Self::LEN],
        algorithm: DigestAlgorithm,
    ) -> Result<Self, SpanFault> {
        let (longs, _) = bytes.as_chunks::<8>();
        let (words, _) = bytes.as_chunks::<4>();
        let word = |nth: usize| u32::from_le_bytes(words[nth]);
        let (bits, kind) = (bytes[20], bytes[21]);
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[24..]);
        match kind {
            MEMBER | CONTINUES => {}
            _ => return Err(SpanFault::Kind { kind }),
        }
        if bits > 7 {
            return Err(SpanFault::Bits { bits });
        }
        if bytes[22..24] != [0; 2] {
            return Err(SpanFault::Reserved);
        }
        Ok(Self {
            gap: u64::from_le_bytes(longs[0]),
            stored_len: word(2),
            decoded_len: word(3),
            runs: word(4),
            bits,
            kind,
            digest: Digest::new(algorithm, digest),
        })
    }

    /// Appends the span to `spans` of a stream of `stream_len` bytes, with the next runs of `parts`.
    pub(crate) fn push_to(
        &self,
        spans: &mut Vec<Span>,
        stream_len: u64,
        parts: &mut Parts,
        limits: &Limits,
    ) -> Result<(), SpanFault> {
        let before = spans.last();
        let (stored, decoded) =
            before.map_or((0, 0), |span| (span.stored_end(), span.decoded_end()));
        let begins = self.kind == MEMBER;
        if begins && self.runs != 0 {
            return Err(SpanFault::Window);
        }
        if begins && self.bits != 0 {
            return Err(SpanFault::Member);
        }
        if !begins && (before.is_none() || self.gap != 0) {
            return Err(SpanFault::Shared);
        }
        // A block that decodes to anything takes ten bits, so it ends behind the byte that it shares.
        if self.decoded_len == 0 || self.stored_len == 0 {
            return Err(SpanFault::Empty);
        }
        if self.decoded_len > limits.max_frame_len {
            return Err(SpanFault::TooLong);
        }
        let shared = u32::from(self.bits != 0);
        let first = stored.checked_add(self.gap).ok_or(SpanFault::Outside)?;
        let end = first
            .checked_add(self.stored_len.into())
            .ok_or(SpanFault::Outside)?;
        let stored_len = self
            .stored_len
            .checked_add(shared)
            .ok_or(SpanFault::Outside)?;
        if end > stream_len {
            return Err(SpanFault::Outside);
        }
        let window = match begins {
            true => None,
            false => {
                let nth = u32::try_from(parts.count());
                let window = parts.take(self.runs)?;
                // The first run tells how far back the window reaches.
                let back = match *window.encoded_runs() {
                    [g0, g1, ..] => WINDOW_LEN.saturating_sub(u16::from_le_bytes([g0, g1]).into()),
                    _ => 0,
                };
                if u64_from(back) > decoded {
                    return Err(SpanFault::Before);
                }
                Some(nth.unwrap_or(u32::MAX))
            }
        };
        spans.push(Span {
            stored_offset: first.saturating_sub(shared.into()),
            stored_len,
            bits: self.bits,
            decoded_offset: decoded,
            decoded_len: self.decoded_len,
            digest: self.digest,
            window,
        });
        Ok(())
    }
}
