//! Chunks in the order of the blob, and the frames that hold them.

use image_model::{BlobIndex, Chunk, ChunkId, Codec, Digest, Frame, FrameId, Recipe, RecipeId};

use crate::error::EntryFault;

/// Assigns chunks to frames. A frame is the gzip member at the offset of some chunk, up to the next
/// such offset, but no longer than the most that gzip can need for its chunks: the end of the
/// member is unknown, and any number of members that contain only tar headers (of directories and
/// links) may follow, which need not be fetched.
#[derive(Debug)]
pub(crate) struct FrameList {
    max_chunks: u32,
    max_frame_len: u32,
    /// The last one still lacks its `stored_len`.
    frames: Vec<Frame>,
    chunks: Vec<Chunk>,
    /// Decoded bytes of all frames but the last one.
    decoded_len: u64,
}

/// Where the bytes of a chunk are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// First byte of the member in the blob.
    pub(crate) offset: u64,
    /// First of the bytes in the decoded member.
    pub(crate) inner_offset: u64,
    /// Number of bytes; not 0.
    pub(crate) len: u64,
}

impl FrameList {
    pub(crate) fn new(max_chunks: u32, max_frame_len: u32) -> Self {
        Self {
            max_chunks,
            max_frame_len,
            frames: Vec::new(),
            chunks: Vec::new(),
            decoded_len: 0,
        }
    }

    /// Adds the chunk at `place`.
    pub(crate) fn push(
        &mut self,
        place: Place,
        digest: Option<Digest>,
    ) -> Result<ChunkId, EntryFault> {
        let Place {
            offset,
            inner_offset,
            len,
        } = place;
        let index = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        if index >= self.max_chunks {
            let limit = self.max_chunks;
            return Err(EntryFault::TooManyChunks { limit });
        }
        let limit = self.max_frame_len;
        let end = inner_offset.saturating_add(len);
        if end > u64::from(limit) {
            return Err(EntryFault::FrameTooLong {
                offset,
                len: end,
                limit,
            });
        }
        let bounded = |value| u32::try_from(value).expect("it is not above the limit");
        let frame = self.frame_at(offset)?;
        if inner_offset < u64::from(frame.len) {
            return Err(EntryFault::Overlap {
                offset,
                inner_offset,
                end: frame.len.into(),
            });
        }
        frame.len = bounded(end);
        let last = self.frames.len().saturating_sub(1);
        let last = u32::try_from(last).expect("not more frames than chunks");
        self.chunks.push(Chunk {
            digest,
            len: bounded(len),
            crc32c: None,
            frame: FrameId(last),
            offset_in_frame: bounded(inner_offset),
        });
        Ok(ChunkId::new(index))
    }

    /// The last frame, if it begins at `offset`; otherwise a new one.
    fn frame_at(&mut self, offset: u64) -> Result<&mut Frame, EntryFault> {
        if self.frames.last().is_none_or(|last| last.offset != offset) {
            self.close(offset)?;
            self.frames.push(Frame {
                blob: BlobIndex(0),
                offset,
                stored_len: 0,
                len: 0,
                recipe: RecipeId(0),
            });
        }
        Ok(self.frames.last_mut().expect("there is one now"))
    }

    /// Ends the last frame, at the start of the next one at the latest.
    fn close(&mut self, end: u64) -> Result<(), EntryFault> {
        let Some(last) = self.frames.last_mut() else {
            return Ok(());
        };
        let offset = last.offset;
        let len = end.checked_sub(offset).ok_or(EntryFault::OffsetOrder {
            offset: end,
            previous: offset,
        })?;
        let len = len.min(Codec::Gzip.max_stored_len(last.len));
        last.stored_len =
            u32::try_from(len).map_err(|_| EntryFault::StoredTooLong { offset, len })?;
        self.decoded_len = self.decoded_len.saturating_add(last.len.into());
        Ok(())
    }

    /// The recipes of an eStargz layer: gzip members, which continue with the next files' headers.
    pub(crate) fn recipes() -> Vec<Recipe> {
        vec![Recipe::prefix(Codec::Gzip)]
    }

    /// The lists, and the length of the decoded address space; the last frame ends at byte `end` of
    /// the blob at the latest.
    pub(crate) fn finish(mut self, end: u64) -> Result<(Vec<Frame>, Vec<Chunk>, u64), EntryFault> {
        self.close(end)?;
        Ok((self.frames, self.chunks, self.decoded_len))
    }
}
