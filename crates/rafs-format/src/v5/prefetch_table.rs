//! The prefetch table: which files a reader should fetch first.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 4 n | 4 | of rule n | number of an inode; 0 ends the table |
//!
//! One number for each rule that matched, in the order of the rules; a directory stands for all files
//! below it. An odd number of entries is followed by 4 zero bytes, which are not counted.
//!
//! Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5PrefetchTable`).

use image_model::width::u64_from;
use zerocopy::little_endian::U32;

/// Size of an entry in bytes.
pub(crate) const ENTRY_LEN: usize = 4;

/// Bytes of a table of `entries`, without those that fill it up.
pub(crate) fn len(entries: u32) -> u64 {
    u64::from(entries).saturating_mul(u64_from(ENTRY_LEN))
}

/// The numbers in a table, up to the first 0.
pub(crate) fn numbers(table: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let (entries, _) = table.as_chunks::<ENTRY_LEN>();
    let numbers = entries.iter().map(|&entry| U32::from_bytes(entry).get());
    numbers.take_while(|&number| number != 0)
}
