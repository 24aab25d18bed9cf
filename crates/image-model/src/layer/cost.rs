//! The cost of entries.

use super::LayerOptions;
use super::route::Obstacle;
use crate::tree::Span;

/// The cost of an entry's content: see
/// [`LayerBuilder::charge_content`](super::LayerBuilder::charge_content).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentCost {
    /// Bytes of the file.
    pub len: u64,
    /// Of those, bytes that are holes.
    pub holes: u64,
    /// Bytes of memory for the locations of the others.
    pub memory: u64,
}

impl ContentCost {
    /// A file of `len` bytes whose data is in `spans`.
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
