//! Chunks: what is addressed, digested and shared.
//!
//! A *chunk* is a byte range of a file's content. A *[frame](crate::frame)* holds one or more of them
//! (RAFS plain 1:1; RAFS batch, eStargz with `innerOffset`, zran n:1), a *[blob](crate::blob)* holds
//! frames.

use std::fmt;
use std::num::NonZeroU32;

use crate::digest::Digest;
use crate::frame::FrameId;

/// Position of a chunk in an image's chunk list. Takes four bytes, even inside an `Option`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(NonZeroU32);

impl ChunkId {
    /// The chunk at `index`.
    ///
    /// # Panics
    /// If `index` is `u32::MAX`, which no image reaches (see [`Limits`](crate::Limits)).
    #[inline]
    #[must_use]
    pub fn new(index: u32) -> Self {
        let one_based = index.checked_add(1).and_then(NonZeroU32::new);
        Self(one_based.expect("chunk lists are shorter than u32::MAX"))
    }

    /// Position in the chunk list, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({})", self.index())
    }
}

/// A stored piece of file content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Digest of the plain bytes; `None` where the format keeps none.
    pub digest: Option<Digest>,
    /// Plain bytes.
    pub len: u32,
    /// CRC-32C of the plain bytes, where the format keeps one.
    pub crc32c: Option<u32>,
    /// Frame that holds the chunk.
    pub frame: FrameId,
    /// First byte in the decoded frame.
    pub offset_in_frame: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_chunk_ids_cost_nothing() {
        assert_eq!(size_of::<Option<ChunkId>>(), 4);
        assert_eq!(ChunkId::new(7).index(), 7);
    }
}
