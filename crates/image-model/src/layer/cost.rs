//! What entries take in memory, and what their content costs.

use super::LayerOptions;
use super::route::Obstacle;
use crate::tree::Span;

/// What an inode takes in the table, in bytes: rounded, and the same on every platform.
pub(super) const INODE_LEN: usize = 128;

/// What a name takes besides its bytes: its place in a directory that is half full, and an
/// allocation.
pub(super) const NAME_LEN: usize = 64;

/// What a directory takes besides its inode: the first node of its map has room for eleven names.
pub(super) const DIRECTORY_LEN: usize = 256;

/// What an extended attribute takes besides its bytes: its place in the list, and two allocations.
pub(super) const XATTR_LEN: usize = 64;

/// What the content of an entry costs: see
/// [`LayerBuilder::charge_content`](super::LayerBuilder::charge_content).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentCost {
    /// Bytes of the file.
    pub len: u64,
    /// Of those, bytes that are holes.
    pub holes: u64,
    /// Bytes of memory that it takes to say where the others lie.
    pub memory: u64,
}

impl ContentCost {
    /// A file of `len` bytes whose data lies in `spans`.
    #[must_use]
    pub fn of_spans(len: u64, spans: &[Span]) -> Self {
        let data = spans
            .iter()
            .map(|span| span.len)
            .fold(0, u64::saturating_add);
        Self {
            len,
            holes: len.saturating_sub(data),
            memory: size_of_val(spans) as u64,
        }
    }
}

/// Counts `len` bytes more.
pub(super) fn spend(spent: &mut u64, len: usize, options: &LayerOptions) -> Result<(), Obstacle> {
    *spent = spent.saturating_add(len as u64);
    if *spent > options.limits.max_metadata_len {
        return Err(Obstacle::TooMuchMetadata);
    }
    Ok(())
}
