//! What a tree takes in memory: rounded, and the same on every platform.

use crate::metadata::Xattrs;

/// What an inode takes in the table, in bytes.
pub(crate) const INODE_LEN: usize = 128;

/// What a name takes besides its bytes: its place in a directory that is half full, and an
/// allocation.
pub(crate) const NAME_LEN: usize = 64;

/// What a directory takes besides its inode: the first node of its map has room for eleven names.
pub(crate) const DIRECTORY_LEN: usize = 256;

/// What an extended attribute takes besides its bytes: its place in the list, and two allocations.
const XATTR_LEN: usize = 64;

/// What the extended attributes of an inode take.
pub(crate) fn xattrs_len(xattrs: &Xattrs) -> usize {
    let len = |x: &crate::metadata::Xattr| XATTR_LEN + x.name.len() + x.value.len();
    xattrs.iter().map(len).sum()
}
