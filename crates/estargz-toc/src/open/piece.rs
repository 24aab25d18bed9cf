//! Pieces of zstd:chunked blobs: the TOC and the tar-split, each a zstd frame in a skippable one.

use std::io::Read;

use bytes::Bytes;
use image_model::width::u64_from;
use image_model::{Digest, Limits, StoredPiece};
use tar_stream::{Compression, LayerError, LayerStream, StreamOptions};

use super::error::OpenError;
use crate::containers_toc::MAX_LEN;
use crate::footer::skippable;

/// Window of a zstd frame that is always allowed, in bytes: the encoder of the reference tools has one of 8 MiB for a
/// few bytes, and once had one of 32 MiB.
const MAX_WINDOW: u64 = 32 << 20;

/// Refuses a piece that cannot be in a blob of `blob_len` bytes, or is longer than allowed.
pub(super) fn check_place(
    what: &'static str,
    piece: StoredPiece,
    blob_len: u64,
    limits: &Limits,
) -> Result<(), OpenError> {
    let limit = limits.toc_len().min(MAX_LEN);
    let len = piece.stored_len.max(piece.len);
    if len > limit {
        return Err(OpenError::TooLong { len, limit });
    }
    let end = piece.end().filter(|&end| end <= blob_len);
    if end.is_none() || piece.offset < u64_from(skippable::HEADER_LEN) {
        return Err(OpenError::Outside {
            what,
            piece,
            blob_len,
        });
    }
    Ok(())
}

/// Compares the stored bytes of a piece with their digest.
pub(super) fn check_sum(
    what: &'static str,
    expected: &Digest,
    stored: &[u8],
) -> Result<(), OpenError> {
    let checked = verify::check(expected, stored);
    checked.map_err(|source| OpenError::Checksum { what, source })
}

/// Decompresses `stored`, which must have exactly the length that `piece` says; memory grows with what is there, not
/// with what is declared.
pub(super) fn decompress(
    what: &'static str,
    piece: StoredPiece,
    stored: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let damaged = |source| OpenError::Zstd {
        what,
        piece,
        source,
    };
    let limits = Limits::default().max_layer_len(piece.len.max(MAX_WINDOW));
    let mut stream = LayerStream::open(stored, &StreamOptions::from(&limits)).map_err(damaged)?;
    if stream.compression() != Some(Compression::Zstd) {
        return Err(OpenError::NotZstd { what, piece });
    }
    let mut plain = Vec::new();
    // One byte more tells that there is more.
    let mut stream = stream.by_ref().take(piece.len.saturating_add(1));
    stream.read_to_end(&mut plain).map_err(|error| {
        let error = error.downcast();
        damaged(error.unwrap_or_else(|source| LayerError::Io { source }))
    })?;
    let found = u64_from(plain.len());
    if found != piece.len {
        return Err(OpenError::Length { what, piece, found });
    }
    Ok(plain)
}

/// The tar-split of a blob: the lines that [`for_each_item`](crate::tar_split::for_each_item) reads. `expected` is the
/// digest that the TOC gives: without one, a tar-split cannot be trusted, and must not be used. `stored` are its bytes
/// in the blob.
///
/// # Errors
/// [`OpenError`] if it is too long, does not have that digest, or is damaged.
pub fn decompress_tar_split(
    piece: StoredPiece,
    expected: &Digest,
    stored: &Bytes,
    limits: &Limits,
) -> Result<Vec<u8>, OpenError> {
    let what = "the tar-split";
    check_place(what, piece, u64::MAX, limits)?;
    check_sum(what, expected, stored)?;
    decompress(what, piece, stored)
}
