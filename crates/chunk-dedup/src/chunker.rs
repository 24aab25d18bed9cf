//! Where content is cut.

use std::num::NonZeroU32;

/// Decides where the content of a file is cut into chunks.
///
/// The boundaries depend on the content alone, not on the pieces in which it is fed.
pub trait Chunker {
    /// The longest chunk that is made, in bytes: what a caller needs to buffer.
    fn max_len(&self) -> u32;

    /// Looks at `bytes`, which follow those fed before.
    ///
    /// `Some(n)`: the current chunk ends after the first `n` of them (at least 1), and the next
    /// call starts at the byte after. `None`: the chunk goes on after all of them.
    fn feed(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Looks at `len` zeros, as [`feed`](Self::feed) does at bytes.
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

    /// Ends the file, and its last chunk if that is not complete. The next file starts anew.
    fn end_file(&mut self);
}

/// Chunks of one size; the last of a file is shorter if need be. What RAFS and eStargz do.
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
