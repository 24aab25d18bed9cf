//! The parts of a gzip stream that can be decoded by themselves.

use image_model::Digest;

/// A part of a gzip stream that can be decoded by itself: deflate data of one member, from a block on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Span {
    /// First stored byte, from the start of the stream. If [`bits`](Self::bits) is not 0, the span before ends in it too.
    pub stored_offset: u64,
    /// Length in stored bytes.
    pub stored_len: u32,
    /// Number of bits of the first stored byte that belong to the span, the high ones: 1 to 7; 0 for all of them.
    pub bits: u8,
    /// First decoded byte, from the start of the decoded stream: the end of the span before.
    pub decoded_offset: u64,
    /// Length in decoded bytes; not 0.
    pub decoded_len: u32,
    /// Digest of the stored bytes, by the same algorithm as those of all other spans.
    pub digest: Digest,
    /// Position of its window; `None` where a member begins.
    pub(crate) window: Option<u32>,
}

impl Span {
    /// One past the last stored byte.
    #[must_use]
    pub fn stored_end(&self) -> u64 {
        self.stored_offset.saturating_add(self.stored_len.into())
    }

    /// One past the last decoded byte.
    #[must_use]
    pub fn decoded_end(&self) -> u64 {
        self.decoded_offset.saturating_add(self.decoded_len.into())
    }

    /// Whether it begins with a member: nothing before it is needed.
    #[must_use]
    pub fn begins_member(&self) -> bool {
        self.window.is_none()
    }
}
