//! The header of an index.

use image_model::DigestAlgorithm;
use image_model::deflate::Window;
use image_model::dump::{Field, FieldValue};
use image_model::width::u64_from;

use super::digest_of;
use super::span::SpanRecord;
use crate::error::DecodeError;
use crate::index::GzipIndex;

/// What an index begins with.
const MAGIC: [u8; 8] = *b"\x89gzindex";

/// The version of the format that is written.
const VERSION: u32 = 1;

/// Flags.
const HAS_STREAM_DIGEST: u32 = 1;
const BLAKE3_SPANS: u32 = 2;

/// The header of an index:
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 8 | magic | 89 `gzindex` |
/// | 8 | 4 | version | 1 |
/// | 12 | 4 | flags | bit 0: the digest of the stream is there; bit 1, if there are spans: their digests are BLAKE3, otherwise SHA-256; the others are zero |
/// | 16 | 8 | number of spans | |
/// | 24 | 8 | length of the stream in bytes | |
/// | 32 | 8 | length of what it decodes to, in bytes | the end of the last span |
/// | 40 | 8 | number of runs of all windows | |
/// | 48 | 8 | number of known bytes of all windows | |
/// | 56 | 8 | length of the windows, compressed | |
/// | 64 | 8 | number of kept ranges | |
/// | 72 | 8 | length of the kept ranges in bytes | |
/// | 80 | 8 | the same, compressed | |
/// | 88 | 8 | length of the kept bytes | |
/// | 96 | 8 | the same, compressed | |
/// | 104 | 32 | SHA-256 of the stream | zero if it is not there |
/// | 136 | 32 | SHA-256 of all other bytes of the index | |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) spans: u64,
    pub(crate) stored_len: u64,
    pub(crate) decoded_len: u64,
    pub(crate) runs: u64,
    pub(crate) known: u64,
    pub(crate) windows_stored: u64,
    pub(crate) ranges: u64,
    pub(crate) ranges_len: u64,
    pub(crate) ranges_stored: u64,
    pub(crate) kept: u64,
    pub(crate) kept_stored: u64,
    pub(crate) stored_digest: Option<[u8; 32]>,
    pub(crate) span_digest: DigestAlgorithm,
}

impl Header {
    /// Length of a header in bytes.
    pub(crate) const LEN: usize = 168;

    /// Offset of the digest of the stream.
    const STREAM_DIGEST: usize = 104;

    /// Offset of the digest of the index.
    pub(crate) const DIGEST: usize = 136;

    const NUMBERS: usize = 11;

    /// The header of `index`.
    pub(crate) fn of(index: &GzipIndex) -> Self {
        let (windows, kept) = (&index.windows, &index.kept);
        Self {
            spans: u64_from(index.spans.len()),
            stored_len: index.lengths.stored,
            decoded_len: index.lengths.decoded,
            runs: windows.runs_len / u64_from(Window::RUN_LEN),
            known: windows.known_len,
            windows_stored: u64_from(windows.stored.len()),
            ranges: kept.count,
            ranges_len: u64_from(kept.ranges.len()),
            ranges_stored: u64_from(kept.stored_ranges.len()),
            kept: kept.len,
            kept_stored: u64_from(kept.stored.len()),
            stored_digest: index.stored_digest,
            span_digest: (index.spans.first())
                .map_or(DigestAlgorithm::Sha256, |span| span.digest.algorithm()),
        }
    }

    /// The header of an index in which `parts` follow it.
    pub(crate) fn sealed<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; Self::LEN] {
        let mut header = self.encode();
        let digest = digest_of(&header, parts);
        header[Self::DIGEST..].copy_from_slice(&digest);
        header
    }

    /// The flags of the fields.
    pub(super) fn flags(&self) -> u32 {
        let flags = [
            (HAS_STREAM_DIGEST, self.stored_digest.is_some()),
            (BLAKE3_SPANS, self.span_digest == DigestAlgorithm::Blake3),
        ];
        let set = flags.into_iter().filter(|(_, set)| *set);
        set.fold(0, |flags, (flag, _)| flags | flag)
    }

    /// The header, without the digest of the index.
    fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.flags().to_le_bytes());
        let (numbers, _) = out[16..].as_chunks_mut::<8>();
        for (field, number) in numbers.iter_mut().zip(self.numbers()) {
            *field = number.to_le_bytes();
        }
        out[Self::STREAM_DIGEST..Self::DIGEST]
            .copy_from_slice(&self.stored_digest.unwrap_or_default());
        out
    }

    /// The header, and the digest of the index.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, [u8; 32]), DecodeError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(DecodeError::Magic);
        }
        let length = DecodeError::Length {
            expected: u64_from(Self::LEN),
            found: u64_from(bytes.len()),
        };
        let bytes: &[u8; Self::LEN] = bytes.first_chunk().ok_or(length)?;
        let (words, _) = bytes.as_chunks::<4>();
        let found = u32::from_le_bytes(words[2]);
        if found != VERSION {
            return Err(DecodeError::Version { found });
        }
        let flags = u32::from_le_bytes(words[3]);
        if flags & !(HAS_STREAM_DIGEST | BLAKE3_SPANS) != 0 {
            return Err(DecodeError::Flags { flags });
        }
        let has_digest = flags & HAS_STREAM_DIGEST != 0;
        let (numbers, _) = bytes[16..].as_chunks::<8>();
        let number = |nth: usize| u64::from_le_bytes(numbers[nth]);
        let (_, digests) = bytes.split_at(Self::STREAM_DIGEST);
        let (digests, _) = digests.as_chunks::<32>();
        let header = Self {
            spans: number(0),
            stored_len: number(1),
            decoded_len: number(2),
            runs: number(3),
            known: number(4),
            windows_stored: number(5),
            ranges: number(6),
            ranges_len: number(7),
            ranges_stored: number(8),
            kept: number(9),
            kept_stored: number(10),
            stored_digest: has_digest.then_some(digests[0]),
            span_digest: match flags & BLAKE3_SPANS {
                0 => DigestAlgorithm::Sha256,
                _ => DigestAlgorithm::Blake3,
            },
        };
        if !has_digest && digests[0] != [0; 32] {
            return Err(DecodeError::Flags { flags });
        }
        Ok((header, digests[1]))
    }

    /// The fields by name, out of a header that is `sealed`.
    pub(crate) fn fields<'a>(&self, sealed: &'a [u8; Self::LEN]) -> [Field<'a>; 15] {
        let (_, digests) = sealed.split_at(Self::STREAM_DIGEST);
        let (stored_digest, digest) = digests.split_at(32);
        [
            ("version", VERSION.into()),
            ("flags", FieldValue::Word(self.flags().into())),
            ("spans", self.spans.into()),
            ("stored_len", self.stored_len.into()),
            ("decoded_len", self.decoded_len.into()),
            ("runs", self.runs.into()),
            ("known", self.known.into()),
            ("windows_stored", self.windows_stored.into()),
            ("ranges", self.ranges.into()),
            ("ranges_len", self.ranges_len.into()),
            ("ranges_stored", self.ranges_stored.into()),
            ("kept", self.kept.into()),
            ("kept_stored", self.kept_stored.into()),
            ("stored_digest", FieldValue::Bytes(stored_digest)),
            ("digest", FieldValue::Bytes(digest)),
        ]
    }

    fn numbers(&self) -> [u64; Self::NUMBERS] {
        [
            self.spans,
            self.stored_len,
            self.decoded_len,
            self.runs,
            self.known,
            self.windows_stored,
            self.ranges,
            self.ranges_len,
            self.ranges_stored,
            self.kept,
            self.kept_stored,
        ]
    }

    /// Length of the whole index in bytes; `None` if that is beyond 2^64.
    pub(crate) fn index_len(&self) -> Option<u64> {
        let spans = self.spans.checked_mul(u64_from(SpanRecord::LEN))?;
        let parts = [
            spans,
            self.windows_stored,
            self.ranges_stored,
            self.kept_stored,
        ];
        let header = u64_from(Self::LEN);
        parts.into_iter().try_fold(header, u64::checked_add)
    }
}
