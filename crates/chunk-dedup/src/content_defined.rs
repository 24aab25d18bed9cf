//! Boundaries that the content decides.

use std::borrow::Cow;

use fastcdc::v2020::{Normalization, get_gear_with_seed, select_masks};
use image_model::{Blame, Fault};

use crate::chunker::Chunker;

/// Chunks whose boundaries move with the content (FastCDC of 2020, normalized at level 1): an insertion changes the
/// chunks around it, and no other.
///
/// The boundaries are those of the crate `fastcdc` 5 for the same bytes as one slice, with one exception: where the
/// slice has an odd length after its last boundary, that crate does not look at its last byte; here, a boundary before
/// it is seen, so that the last chunk has that byte alone.
///
/// ```
/// use lazyoci_chunk_dedup::{Chunker, FastCdc};
/// let mut chunker = FastCdc::new(64, 256, 1024)?;
/// assert_eq!(chunker.feed(&[7; 2000]), Some(1024));
/// assert!(FastCdc::new(64, 32, 1024).is_err());
/// # Ok::<(), lazyoci_chunk_dedup::ChunkSizesError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FastCdc {
    min: u32,
    avg: u32,
    max: u32,
    /// Bits that are zero before a boundary, in chunks shorter than the average and in longer ones.
    masks: [u64; 2],
    gear: Cow<'static, [u64]>,
    hash: u64,
    /// Bytes of the current chunk so far.
    filled: u32,
}

/// Sizes that content-defined chunks cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "chunks of {min}, {avg} and {max} bytes: must be even, ascending, and at least 64, 256 and 1024, at most 1 MiB, 4 MiB and 16 MiB"
)]
pub struct ChunkSizesError {
    /// Minimum bytes of a chunk.
    pub min: u32,
    /// Average bytes.
    pub avg: u32,
    /// Maximum bytes.
    pub max: u32,
}

impl Blame for ChunkSizesError {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

impl FastCdc {
    /// Chunks of at least `min`, at most `max` and on average somewhat more than `avg` bytes; the last of a file may be
    /// shorter than `min`.
    ///
    /// # Errors
    /// [`ChunkSizesError`] if they are odd, not ascending, or out of the range that the algorithm has.
    pub fn new(min: u32, avg: u32, max: u32) -> Result<Self, ChunkSizesError> {
        let even = [min, avg, max].iter().all(|size| size.is_multiple_of(2));
        let ascending = min <= avg && avg <= max;
        let in_range = (64..=1 << 20).contains(&min)
            && (256..=4 << 20).contains(&avg)
            && (1024..=16 << 20).contains(&max);
        if !(even && ascending && in_range) {
            return Err(ChunkSizesError { min, avg, max });
        }
        let average = image_model::width::usize_from(avg);
        let (strict, relaxed) = select_masks(average, Normalization::Level1);
        Ok(Self {
            min,
            avg,
            max,
            masks: [strict, relaxed],
            gear: get_gear_with_seed(0).0,
            hash: 0,
            filled: 0,
        })
    }

    /// Looks for a boundary before one of `bytes`, which are the chunk's from `filled` to `end`; `mask` holds there.
    fn scan(&mut self, bytes: &[u8], mask: u64) -> Option<usize> {
        let mut hash = self.hash;
        let found = bytes.iter().position(|&byte| {
            // The table has an entry for every byte.
            let gear = self.gear.get(usize::from(byte)).copied().unwrap_or(0);
            hash = (hash << 1).wrapping_add(gear);
            hash & mask == 0
        });
        self.hash = hash;
        found
    }
}

impl Chunker for FastCdc {
    fn max_len(&self) -> u32 {
        self.max
    }

    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        let [strict, relaxed] = self.masks;
        for (end, mask) in [
            (self.min, None),
            (self.avg, Some(strict)),
            (self.max, Some(relaxed)),
        ] {
            let left = image_model::width::usize_from(end.saturating_sub(self.filled));
            let rest = &bytes[at..];
            let now = &rest[..left.min(rest.len())];
            if let Some(found) = mask.and_then(|mask| self.scan(now, mask)) {
                self.end_file();
                return Some(at + found);
            }
            at += now.len();
            // No more than are left, which are 32 bits.
            self.filled += u32::try_from(now.len()).unwrap_or(0);
        }
        if self.filled == self.max {
            self.end_file();
            return Some(at);
        }
        None
    }

    fn end_file(&mut self) {
        (self.hash, self.filled) = (0, 0);
    }
}
