//! The memory that a tree takes: rounded, and the same on every platform.

use crate::metadata::Xattrs;

/// Bytes of an inode in the table.
pub(crate) const INODE_LEN: usize = 128;

/// Overhead of a name: its place in a directory that is half full, and an allocation.
pub(crate) const NAME_LEN: usize = 64;

/// Overhead of a directory: the first node of its map has room for eleven names.
pub(crate) const DIRECTORY_LEN: usize = 256;

/// Overhead of an extended attribute: its place in the list, and two allocations.
const XATTR_LEN: usize = 64;

/// Bytes of an inode's extended attributes.
pub(crate) fn xattrs_len(xattrs: &Xattrs) -> usize {
    let len = |x: &crate::metadata::Xattr| XATTR_LEN + x.name.len() + x.value.len();
    xattrs.iter().map(len).sum()
}
