//! The blob table: what the image's blobs are called.

use std::collections::HashMap;

use image_model::BlobId;
use image_model::width::u64_from;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::DecodeError;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawReadahead {
    readahead_offset: U32,
    readahead_size: U32,
}

const HEADER_LEN: usize = 8;
const _: () = assert!(size_of::<RawReadahead>() == HEADER_LEN);

/// An entry of the blob table, one for each blob.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | readahead_offset | byte in the blob; 0 |
/// | 4 | 4 | readahead_size | stored bytes to fetch first; 0 but for prefetch policy `blob` |
/// | 8 | n | blob id | ASCII, not empty, without NUL |
///
/// One NUL stands between two entries. Zeros fill the table up to a multiple of 8 bytes; as the last
/// id has no NUL of its own, it ends at the first one or with the table.
///
/// Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5BlobTable`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobTableEntry {
    /// First byte of what should be fetched first.
    pub readahead_offset: u32,
    /// Stored bytes of that; 0 if there is no such wish.
    pub readahead_size: u32,
    /// Name of the blob.
    pub id: BlobId,
}

/// Reads the table that is all of `table` and lies at `offset`, of at most `max` blobs; with each entry
/// where it begins.
pub(crate) fn read(
    table: &[u8],
    offset: u64,
    max: u32,
) -> Result<Vec<(u64, BlobTableEntry)>, DecodeError> {
    let end = offset.saturating_add(u64_from(table.len()));
    let mut entries: Vec<(u64, BlobTableEntry)> = Vec::new();
    let mut rest = table;
    let mut positions = HashMap::new();
    // The bytes after the last id are padding.
    while rest.len() > HEADER_LEN {
        let offset = end.saturating_sub(u64_from(rest.len()));
        let (header, body) =
            RawReadahead::ref_from_prefix(rest).expect("more bytes than that are left");
        let len = body.iter().position(|&byte| byte == 0);
        let (id, after) = body.split_at(len.unwrap_or(body.len()));
        let id = BlobId::new(id).map_err(|source| DecodeError::BlobId { offset, source })?;
        if let Some(first) = positions.insert(id.clone(), entries.len()) {
            return Err(DecodeError::DuplicateBlob { first, offset });
        }
        let found = u64_from(entries.len()).saturating_add(1);
        if found > max.into() {
            let (what, max) = ("blobs", max.into());
            return Err(DecodeError::Limit { what, found, max });
        }
        let entry = BlobTableEntry {
            readahead_offset: header.readahead_offset.get(),
            readahead_size: header.readahead_size.get(),
            id,
        };
        entries.push((offset, entry));
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(entries)
}

/// The table as stored.
pub(crate) fn write<'a>(entries: impl Iterator<Item = &'a BlobTableEntry>) -> Vec<u8> {
    let mut table = Vec::new();
    for entry in entries {
        if !table.is_empty() {
            table.push(0);
        }
        table.extend_from_slice(&entry.readahead_offset.to_le_bytes());
        table.extend_from_slice(&entry.readahead_size.to_le_bytes());
        table.extend_from_slice(entry.id.as_str().as_bytes());
    }
    table.resize(table.len().next_multiple_of(8), 0);
    table
}
