//! The inode table: where the inode of each number is.
//!
//! | offset | size | field | unit and rule |
//! |---|---|---|---|
//! | 4 n - 4 | 4 | of number n | byte of the inode, divided by 8; more than 1024 |
//!
//! Numbers begin at 1, the root. An odd number of entries is followed by 4 zero bytes, which are not
//! counted.
//!
//! Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5InodeTable`).

use image_model::width::{u64_from, usize_from};

use super::superblock;
use crate::error::{At, DecodeError};
use crate::view;

/// Size of an entry in bytes.
pub(crate) const ENTRY_LEN: usize = 4;
/// Inodes begin at multiples of this many bytes, which entries count.
pub(crate) const UNIT: u64 = 8;

/// Bytes of a table of `entries`, without those that fill it up.
pub(crate) fn len(entries: u32) -> u64 {
    u64::from(entries).saturating_mul(u64_from(ENTRY_LEN))
}

/// Where the entry of `number`, which is not 0, is in a table at `table`.
pub(crate) fn entry_offset(table: u64, number: u32) -> u64 {
    view::element_offset(table, usize_from(number.saturating_sub(1)), ENTRY_LEN)
}

/// The offset of inode `number`, which is in the table at `table`.
pub(crate) fn find(bytes: &[u8], table: u64, number: u32) -> Result<u64, DecodeError> {
    let offset = entry_offset(table, number);
    let entry: &[u8; ENTRY_LEN] = view::record(bytes, "inode table entry", offset)?;
    let rule = "behind the superblock, in units of 8 bytes";
    let at = At::new("inode table entry", offset);
    inode_offset(*entry).ok_or_else(|| at.wrong("offset", u32::from_le_bytes(*entry), rule))
}

/// The offset of the inode that `entry` leads to; `None` if there can be none.
pub(crate) fn inode_offset(entry: [u8; ENTRY_LEN]) -> Option<u64> {
    let inode = u64::from(u32::from_le_bytes(entry)) * UNIT;
    (inode > superblock::LEN).then_some(inode)
}

/// The entry of an inode at `offset`, a multiple of 8.
pub(crate) fn entry(offset: u64) -> [u8; ENTRY_LEN] {
    let entry = u32::try_from(offset / UNIT).expect("a bootstrap has at most 2 GiB");
    entry.to_le_bytes()
}
