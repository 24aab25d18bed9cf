//! Where content is cut.

use std::num::NonZeroU32;

/// Decides where to cut the content of a file into chunks. The boundaries depend only on the
/// content, not on the pieces in which it is fed.
pub trait Chunker {
    /// Maximum size of a chunk in bytes: what a caller needs to buffer.
    fn max_len(&self) -> u32;

    /// Processes `bytes`, which follow those fed before. `Some(n)`: the current chunk ends after
    /// the first `n` of them, and the next call starts with the byte after; `n` is 0 only if the chunk has
    /// bytes that were fed before. `None`: the chunk continues after all of them.
    fn feed(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Processes `len` zeros, as [`feed`](Self::feed) does bytes.
    fn feed_zeros(&mut self, len: u64) -> Option<u64> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut fed = 0;
        while fed < len {
            let now = (len - fed).min(ZEROS.len() as u64);
            if let Some(end) = self.feed(&ZEROS[..now as usize]) {
                return Some(fed + end as u64);
            }
            fed += now;
        }
        None
    }

    /// Ends the file, and its last chunk if that is incomplete. The next file starts afresh.
    fn end_file(&mut self);
}

/// Chunks of one size, except that the last one of a file may be shorter. With the largest size that a chunk may have
/// a chunk is a whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedSize {
    size: NonZeroU32,
    /// Bytes of the current chunk so far; less than `size`.
    filled: u32,
}

impl FixedSize {
    /// Chunks of `size` bytes.
    #[must_use]
    pub fn new(size: NonZeroU32) -> Self {
        Self { size, filled: 0 }
    }
}

impl Chunker for FixedSize {
    fn max_len(&self) -> u32 {
        self.size.get()
    }

    fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        // It ends within the slice.
        self.feed_zeros(bytes.len() as u64).map(|end| end as usize)
    }

    fn feed_zeros(&mut self, len: u64) -> Option<u64> {
        let missing = self.size.get() - self.filled;
        match u32::try_from(len) {
            Ok(len) if len < missing => {
                self.filled += len;
                None
            }
            _ => {
                self.filled = 0;
                Some(missing.into())
            }
        }
    }

    fn end_file(&mut self) {
        self.filled = 0;
    }
}
