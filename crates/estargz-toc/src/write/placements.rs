//! Placing compressed members.

use image_model::{Chunk, ChunkId, Digest, Frame, Limits, Recipe};

use crate::error::EntryFault;
use crate::frames::{FrameList, Place};
use crate::image::TocKind;

/// Places compressed members one after the other, in the order of [`Members`](super::Members).
#[derive(Debug)]
pub struct Placements {
    frames: FrameList,
    offset: u64,
}

/// The members of a blob, placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The frames with chunks, as returned by [`decode_image`](crate::image::decode_image).
    pub frames: Vec<Frame>,
    /// The chunks, including the landmark's.
    pub chunks: Vec<Chunk>,
    /// How the frames are decoded.
    pub recipes: Vec<Recipe>,
    /// Length of the decoded address space of the chunks, for [`Blob`](image_model::Blob).
    pub decoded_len: u64,
    /// Where the TOC member begins, bytes from the start of the blob.
    pub toc_offset: u64,
}

impl Placements {
    /// Begins with an empty blob.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            frames: FrameList::new(TocKind::Estargz, limits.max_chunks, limits.max_frame_len),
            offset: 0,
        }
    }

    /// Places the next member, of `stored_len` compressed bytes, and the chunk at its beginning, if
    /// it has one: length in bytes and SHA-256.
    ///
    /// # Errors
    /// [`EntryFault`] if there are too many chunks, or the chunk or its member is too long, or the blob.
    pub fn push(
        &mut self,
        stored_len: u64,
        chunk: Option<(u32, Digest)>,
    ) -> Result<Option<ChunkId>, EntryFault> {
        let place = |(len, digest): (u32, Digest)| {
            let place = Place {
                offset: self.offset,
                inner_offset: 0,
                len: len.into(),
            };
            self.frames.push(place, Some(digest))
        };
        let placed = chunk.map(place).transpose()?;
        let too_long = EntryFault::StoredTooLong {
            offset: self.offset,
            len: stored_len,
        };
        self.offset = self.offset.checked_add(stored_len).ok_or(too_long)?;
        Ok(placed)
    }

    /// All members, placed.
    ///
    /// # Errors
    /// [`EntryFault::StoredTooLong`] if the last member is too long.
    pub fn finish(self) -> Result<Placed, EntryFault> {
        let toc_offset = self.offset;
        let placed = self.frames.finish(toc_offset)?;
        Ok(Placed {
            frames: placed.frames,
            recipes: placed.recipes,
            chunks: placed.chunks,
            decoded_len: placed.decoded_len,
            toc_offset,
        })
    }
}
