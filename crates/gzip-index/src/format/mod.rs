//! The persistent form of an index.
//!
//! All numbers are little endian. Version 1, in this order:
//!
//! | length | part |
//! |---|---|
//! | 168 | header |
//! | 56 each | spans, in order |
//! | by the header | windows: one zstd frame of all runs ([`Window`]) and then all known bytes |
//! | by the header | kept ranges: one zstd frame of two varints each: bytes since the end of the one before, and length |
//! | by the header | kept bytes: one zstd frame, or nothing if no bytes are kept |
//!
//! A varint has seven bits a byte, the low ones first; the high bit says that another byte follows. The digest in the
//! header is that of all other bytes, so that a damaged index is not taken for another one. It does not say who made
//! the index: compare the digest of all bytes with one that is trusted.
//!
//! A new version has another version number; readers refuse what they do not know.

mod header;
mod span;

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use image_model::Limits;
use image_model::deflate::Window;
use image_model::width::{u64_from, usize_from, usize_up_to};
use sha2::{Digest as _, Sha256};

use crate::error::{DecodeError, SpanFault};
use crate::index::{GzipIndex, Lengths};
use crate::kept::{Kept, MAX_WINDOW_LOG};
use header::Header;
use span::SpanRecord;

/// Level of zstd for windows and ranges: beyond it they become a hundredth shorter, and take several times as long.
const LEVEL: i32 = 6;

/// Most bytes of runs and known bytes that a window has: every other byte alone.
const MAX_WINDOW: u64 = 3 * (32 << 10);

pub(crate) fn encode(index: &GzipIndex) -> Vec<u8> {
    let runs = index.windows.iter().map(Window::encoded_runs);
    let known = index.windows.iter().map(Window::known);
    let len = |parts: &mut dyn Iterator<Item = &[u8]>| parts.map(<[u8]>::len).sum::<usize>();
    let (runs_len, known_len) = (len(&mut runs.clone()), len(&mut known.clone()));
    let stored_windows = compress(runs.chain(known));
    let stored_ranges = compress([&index.kept.ranges[..]]);
    let header = Header {
        spans: u64_from(index.spans.len()),
        stored_len: index.lengths.stored,
        decoded_len: index.lengths.decoded,
        runs: u64_from(runs_len / Window::RUN_LEN),
        known: u64_from(known_len),
        windows_stored: u64_from(stored_windows.len()),
        ranges: index.kept.count,
        ranges_len: u64_from(index.kept.ranges.len()),
        ranges_stored: u64_from(stored_ranges.len()),
        kept: index.kept.len,
        kept_stored: u64_from(index.kept.stored.len()),
        stored_digest: index.stored_digest,
    };
    let mut out = Vec::new();
    if let Some(len) = header.index_len() {
        out.reserve_exact(usize_up_to(len));
    }
    out.extend(header.encode());
    let mut end = 0;
    for span in &index.spans {
        let window = span
            .window
            .and_then(|nth| index.windows.get(usize_from(nth)));
        out.extend(SpanRecord::of(span, window, end).encode());
        end = span.stored_end();
    }
    out.extend(stored_windows);
    out.extend(stored_ranges);
    out.extend_from_slice(&index.kept.stored);
    let digest = digest_of(&out);
    out[Header::DIGEST..Header::LEN].copy_from_slice(&digest);
    out
}

/// The digest of `bytes`, without that in the header.
fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::default();
    hasher.update(&bytes[..Header::DIGEST]);
    hasher.update(&bytes[Header::LEN..]);
    hasher.finalize().into()
}

pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<GzipIndex, DecodeError> {
    let (header, digest) = Header::decode(bytes)?;
    let found = u64_from(bytes.len());
    let expected = header.index_len().ok_or(DecodeError::Length {
        expected: u64::MAX,
        found,
    })?;
    if expected != found {
        return Err(DecodeError::Length { expected, found });
    }
    if digest != digest_of(bytes) {
        return Err(DecodeError::Digest);
    }
    check_limits(&header, limits)?;
    // All lie in the bytes, as their sum does.
    let (records, rest) =
        bytes[Header::LEN..].split_at(usize_up_to(header.spans) * SpanRecord::LEN);
    let (windows, rest) = rest.split_at(usize_up_to(header.windows_stored));
    let (ranges, kept) = rest.split_at(usize_up_to(header.ranges_stored));
    let runs_len = header.runs.saturating_mul(u64_from(Window::RUN_LEN));
    let windows = decompress("windows", windows, runs_len.saturating_add(header.known))?;
    let kept = Kept {
        ranges: decompress("kept ranges", ranges, header.ranges_len)?,
        count: header.ranges,
        len: header.kept,
        stored: Bytes::copy_from_slice(kept),
    };
    kept.check(header.decoded_len)?;
    let lengths = Lengths {
        stored: header.stored_len,
        decoded: header.decoded_len,
    };
    let mut index =
        GzipIndex::from_parts(lengths, header.stored_digest, Vec::new(), Vec::new(), kept);
    let mut parts = Parts {
        known: windows.slice(usize_up_to(runs_len)..),
        runs: windows.slice(..usize_up_to(runs_len)),
    };
    let (records, _) = records.as_chunks::<{ SpanRecord::LEN }>();
    for (nth, record) in records.iter().enumerate() {
        let pushed = SpanRecord::decode(record)
            .and_then(|record| record.push_to(&mut index, &mut parts, limits));
        pushed.map_err(|fault| DecodeError::Span {
            index: u64_from(nth),
            fault,
        })?;
    }
    let end = index.spans.last().map_or(0, crate::Span::decoded_end);
    if end != header.decoded_len {
        return Err(DecodeError::Cover {
            side: "decoded",
            expected: header.decoded_len,
            found: end,
        });
    }
    if !parts.runs.is_empty() || !parts.known.is_empty() {
        return Err(DecodeError::Part {
            part: "windows",
            expected: runs_len.saturating_add(header.known),
        });
    }
    Ok(index)
}

/// Bounds what is allocated, and the work.
fn check_limits(header: &Header, limits: &Limits) -> Result<(), DecodeError> {
    let metadata = limits.max_metadata_len;
    let windows = header.spans.saturating_mul(MAX_WINDOW).min(metadata);
    let runs_len = header.runs.saturating_mul(u64_from(Window::RUN_LEN));
    let windows_len = runs_len.saturating_add(header.known);
    for (what, found, limit) in [
        ("decoded bytes", header.decoded_len, limits.max_layer_len),
        ("spans", header.spans, u32::MAX.into()),
        ("bytes of windows", windows_len, windows),
        ("bytes of kept ranges", header.ranges_len, metadata),
        ("kept bytes", header.kept, metadata),
    ] {
        if found > limit {
            return Err(DecodeError::Limit { what, found, limit });
        }
    }
    Ok(())
}

/// Runs and known bytes that no window has taken yet.
pub(crate) struct Parts {
    runs: Bytes,
    known: Bytes,
}

impl Parts {
    /// The window of the next `runs` runs.
    pub(crate) fn take(&mut self, runs: u32) -> Result<Window, SpanFault> {
        let len = usize_from(runs).saturating_mul(Window::RUN_LEN);
        if len > self.runs.len() {
            return Err(SpanFault::Runs);
        }
        let runs = self.runs.split_to(len);
        let (lens, _) = runs.as_chunks::<{ Window::RUN_LEN }>();
        let lens = lens
            .iter()
            .map(|&[_, _, l0, l1]| usize::from(u16::from_le_bytes([l0, l1])));
        let known = lens.fold(0_usize, usize::saturating_add);
        if known > self.known.len() {
            return Err(SpanFault::Runs);
        }
        Window::new(runs, self.known.split_to(known)).ok_or(SpanFault::Runs)
    }
}

/// One frame of all `parts`, which are many bytes together: they are not put into one place.
fn compress<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let write = || {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), LEVEL)?;
        for part in parts {
            encoder.write_all(part)?;
        }
        encoder.finish()
    };
    let written: io::Result<Vec<u8>> = write();
    written.expect("vectors take everything")
}

/// Exactly `expected` bytes, out of one zstd frame.
fn decompress(part: &'static str, stored: &[u8], expected: u64) -> Result<Bytes, DecodeError> {
    let fault = DecodeError::Part { part, expected };
    let decoder = zstd::stream::read::Decoder::with_buffer(stored);
    let mut decoder = decoder.map_err(|_| fault.clone())?.single_frame();
    let bounded = decoder.window_log_max(MAX_WINDOW_LOG);
    bounded.map_err(|_| fault.clone())?;
    let mut out = Vec::new();
    let read = decoder
        .by_ref()
        .take(expected.saturating_add(1))
        .read_to_end(&mut out);
    if read.is_err() || u64_from(out.len()) != expected || !decoder.finish().is_empty() {
        return Err(fault);
    }
    Ok(out.into())
}
