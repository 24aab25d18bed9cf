//! Tables of a planned bootstrap, and what must hold for the entries of blobs.

use std::collections::HashMap;

use image_model::ChunkedImage;

use super::order::Planner;
use crate::flags::SuperFlags;
use crate::layout::{EncodeError, LayoutOptions};
use crate::native::missing_support;
use crate::v5::blob_table::{self, BlobTableEntry};
use crate::v5::superblock::{self, Superblock};
use crate::v6::BlobEntry;
use crate::view;

/// Checks the entries of blobs.
pub(super) fn check_entries(
    image: &ChunkedImage,
    entries: &[BlobEntry],
) -> Result<(), EncodeError> {
    let (count, blobs) = (entries.len(), image.blobs.len());
    if count != blobs {
        let entries = count;
        return Err(EncodeError::BlobCount { entries, blobs });
    }
    let mut positions = HashMap::new();
    for (index, entry) in (0u32..).zip(entries) {
        if let Some(first) = positions.insert(&entry.id, index) {
            return Err(EncodeError::DuplicateBlob { first, index });
        }
        if let Some(feature) = missing_support(entry) {
            return Err(EncodeError::Unsupported { index, feature });
        }
    }
    Ok(())
}

pub(super) fn blob_table(entries: &[BlobEntry], readahead: &[u32]) -> Vec<u8> {
    let sizes = readahead.iter().copied().chain(std::iter::repeat(0));
    let entries: Vec<_> = entries
        .iter()
        .zip(sizes)
        .map(|(entry, readahead_size)| BlobTableEntry {
            readahead_offset: 0,
            readahead_size,
            id: entry.id.clone(),
        })
        .collect();
    blob_table::write(entries.iter())
}

/// The superblock but for the number of inodes.
pub(super) fn plan(
    planner: &Planner<'_>,
    blob_table: &[u8],
    options: &LayoutOptions,
) -> Superblock {
    // No release names a cipher in version 5.
    let mut flags = options.compressor.super_flag() | options.digester.super_flag();
    if options.explicit_ids {
        flags = flags | SuperFlags::EXPLICIT_UID_GID;
    }
    if planner.has_xattr {
        flags = flags | SuperFlags::HAS_XATTR;
    }
    let small = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut superblock = Superblock {
        chunk_size: options.chunk_size,
        flags,
        inodes_count: 0,
        inode_table_offset: superblock::LEN,
        inode_table_entries: small(planner.names.len()),
        prefetch_table_offset: 0,
        prefetch_table_entries: small(options.prefetch.len()),
        blob_table_offset: 0,
        blob_table_size: small(blob_table.len()),
        extended_blob_table_offset: 0,
        extended_blob_table_entries: small(planner.blobs()),
    };
    superblock.prefetch_table_offset = view::align(superblock.inode_table().end, 8);
    superblock.blob_table_offset = view::align(superblock.prefetch_table().end, 8);
    superblock.extended_blob_table_offset = superblock.blob_table().end;
    superblock
}
