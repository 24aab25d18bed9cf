//! The persistent form of an index.
//!
//! All numbers are little endian. Version 1, in this order:
//!
//! | length | part |
//! |---|---|
//! | 168 | header |
//! | 56 each | spans, in order |
//! | by the header | windows: one zstd frame of all known bytes and then all runs ([`Window`]) |
//! | by the header | kept ranges: one zstd frame of two varints each: bytes since the end of the one before, and length |
//! | by the header | kept bytes: one zstd frame, or nothing if no bytes are kept |
//!
//! A varint has seven bits a byte, the low ones first; the high bit says that another byte follows. The digest in the
//! header is that of all other bytes, so that a damaged index is not taken for another one. It does not say who made
//! the index: compare the digest of all bytes with one that is trusted.
//!
//! A new version has another version number; readers refuse what they do not know.

mod dump;
mod header;
mod span;

use std::io::{self, Write};

use bytes::Bytes;
use image_model::deflate::Window;
use image_model::width::{u64_from, usize_up_to};
use image_model::{DigestAlgorithm, Limits};
use sha2::{Digest as _, Sha256};

use crate::error::DecodeError;
use crate::frame;
use crate::index::{GzipIndex, Lengths};
use crate::kept::Kept;
use crate::span::Span;
use crate::windows::Parts;
use header::Header;
use span::SpanRecord;

/// Most bytes of runs and known bytes that a window has: every other byte alone.
const MAX_WINDOW: u64 = 3 * (32 << 10);

pub(crate) fn write_to(index: &GzipIndex, out: &mut impl Write) -> io::Result<()> {
    let records = records(index);
    let parts = parts(index, &records);
    let header = Header::of(index).sealed(parts);
    out.write_all(&header)?;
    parts.into_iter().try_for_each(|part| out.write_all(part))
}

/// What follows the header, in order.
fn parts<'a>(index: &'a GzipIndex, records: &'a [u8]) -> [&'a [u8]; 4] {
    let kept = &index.kept;
    [
        records,
        &index.windows.stored,
        &kept.stored_ranges,
        &kept.stored,
    ]
}

pub(crate) fn encode(index: &GzipIndex) -> Vec<u8> {
    let records = index.spans.len().saturating_mul(SpanRecord::LEN);
    let kept = &index.kept;
    let parts = [
        records,
        index.windows.stored.len(),
        kept.stored_ranges.len(),
        kept.stored.len(),
    ];
    let len = parts.into_iter().fold(Header::LEN, usize::saturating_add);
    let mut out = Vec::with_capacity(len);
    write_to(index, &mut out).expect("vectors take everything");
    out
}

/// The records of all spans.
fn records(index: &GzipIndex) -> Vec<u8> {
    let mut out = Vec::with_capacity(index.spans.len().saturating_mul(SpanRecord::LEN));
    let mut end = 0;
    for span in &index.spans {
        out.extend(SpanRecord::of(span, runs(index, span), end).encode());
        end = span.stored_end();
    }
    out
}

/// Number of runs of the window of `span`.
fn runs(index: &GzipIndex, span: &Span) -> u32 {
    span.window.map_or(0, |nth| index.windows.runs(nth))
}

/// The digest of `header`, without the one that it holds, and of what follows.
fn digest_of<'a>(header: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Sha256::default();
    hasher.update(&header[..Header::DIGEST]);
    for part in parts {
        hasher.update(part);
    }
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
    // It has as many bytes as it says.
    let (head, rest) = bytes.split_at(Header::LEN);
    if digest != digest_of(head, [rest]) {
        return Err(DecodeError::Digest);
    }
    if header.spans == 0 && header.span_digest == DigestAlgorithm::Blake3 {
        let flags = header.flags();
        return Err(DecodeError::Flags { flags });
    }
    check_limits(&header, limits)?;
    // All lie in the bytes, as their sum does.
    let (records, rest) = rest.split_at(usize_up_to(header.spans) * SpanRecord::LEN);
    let (stored_windows, rest) = rest.split_at(usize_up_to(header.windows_stored));
    let (ranges, kept) = rest.split_at(usize_up_to(header.ranges_stored));
    let runs_len = header.runs.saturating_mul(u64_from(Window::RUN_LEN));
    let windows_len = runs_len.saturating_add(header.known);
    let windows = decompress("windows", stored_windows, windows_len)?;
    let kept = Kept {
        ranges: decompress("kept ranges", ranges, header.ranges_len)?,
        stored_ranges: Bytes::copy_from_slice(ranges),
        count: header.ranges,
        len: header.kept,
        stored: Bytes::copy_from_slice(kept),
    };
    kept.check(header.decoded_len)?;
    let lengths = Lengths {
        stored: header.stored_len,
        decoded: header.decoded_len,
    };
    let mut spans = Vec::new();
    let mut parts = Parts::new(&windows, header.known);
    let (records, _) = records.as_chunks::<{ SpanRecord::LEN }>();
    for (nth, record) in records.iter().enumerate() {
        let pushed = SpanRecord::decode(record, header.span_digest)
            .and_then(|record| record.push_to(&mut spans, lengths.stored, &mut parts, limits));
        pushed.map_err(|fault| DecodeError::Span {
            index: u64_from(nth),
            fault,
        })?;
    }
    let end = spans.last().map_or(0, Span::decoded_end);
    if end != header.decoded_len {
        return Err(DecodeError::Cover {
            side: "decoded",
            expected: header.decoded_len,
            found: end,
        });
    }
    let windows =
        parts
            .finish(Bytes::copy_from_slice(stored_windows))
            .ok_or(DecodeError::Part {
                part: "windows",
                expected: windows_len,
            })?;
    let digest = header.stored_digest;
    Ok(GzipIndex::from_parts(lengths, digest, spans, windows, kept))
}

/// Exactly `expected` bytes, out of the frame that is all of `stored`.
fn decompress(part: &'static str, stored: &[u8], expected: u64) -> Result<Bytes, DecodeError> {
    frame::decompress(stored, expected).ok_or(DecodeError::Part { part, expected })
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
