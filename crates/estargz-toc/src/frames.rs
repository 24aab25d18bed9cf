//! Chunks in the order of the blob, and the frames that hold them.

use image_model::{BlobIndex, Chunk, ChunkId, Codec, Digest, Frame, FrameId, Recipe, RecipeId};

use crate::error::EntryFault;
use crate::image::TocKind;

/// Assigns chunks to frames. A frame is the gzip member, or zstd frame, at the offset of some chunk, up to the next
/// such offset, but no longer than the most that the codec can need for its chunks: the end of the
/// member is unknown, and any number of members that contain only tar headers (of directories and
/// links) may follow, which need not be fetched. Of containers/storage the ends are known, and every chunk is one frame.
#[derive(Debug)]
pub(crate) struct FrameList {
    recipe: Recipe,
    max_chunks: u32,
    max_frame_len: u32,
    /// The last one lacks its `stored_len` while it is open.
    frames: Vec<Frame>,
    open: bool,
    /// Where the last frame with a known end ends.
    end: u64,
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
    pub(crate) fn new(kind: TocKind, max_chunks: u32, max_frame_len: u32) -> Self {
        Self {
            recipe: kind.recipe(),
            max_chunks,
            max_frame_len,
            frames: Vec::new(),
            open: false,
            end: 0,
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
        let index = self.next_index()?;
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

    /// Adds a chunk of `len` bytes that is a frame of its own, whose end is told by [`end_frame`](Self::end_frame).
    pub(crate) fn push_frame(
        &mut self,
        offset: u64,
        len: u64,
        digest: Option<Digest>,
    ) -> Result<ChunkId, EntryFault> {
        self.end_frame(offset)?;
        let place = Place {
            offset,
            inner_offset: 0,
            len,
        };
        self.push(place, digest)
    }

    /// Ends the last frame, if it is open, at byte `end` of the blob, where the next one may begin.
    pub(crate) fn end_frame(&mut self, end: u64) -> Result<(), EntryFault> {
        let last = self.frames.last_mut().filter(|_| self.open);
        let start = last.as_ref().map_or(self.end, |frame| frame.offset);
        let len = end.checked_sub(start);
        if let Some(last) = last {
            let len = len.filter(|&len| len > 0).unwrap_or_default();
            last.stored_len =
                u32::try_from(len).map_err(|_| EntryFault::StoredTooLong { offset: start, len })?;
            self.open = false;
            self.decoded_len = self.decoded_len.saturating_add(last.len.into());
            if len == 0 {
                return Err(EntryFault::FrameEnd { offset: start, end });
            }
        }
        if len.is_none() {
            return Err(EntryFault::OffsetOrder {
                offset: end,
                previous: start,
            });
        }
        self.end = end;
        Ok(())
    }

    fn next_index(&self) -> Result<u32, EntryFault> {
        let index = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        if index >= self.max_chunks {
            let limit = self.max_chunks;
            return Err(EntryFault::TooManyChunks { limit });
        }
        Ok(index)
    }

    /// The last frame, if it begins at `offset`; otherwise a new one.
    fn frame_at(&mut self, offset: u64) -> Result<&mut Frame, EntryFault> {
        let last = self.frames.last().filter(|_| self.open);
        if last.is_none_or(|last| last.offset != offset) {
            self.close(offset)?;
            self.open = true;
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
        let Some(last) = self.frames.last_mut().filter(|_| self.open) else {
            return Ok(());
        };
        let offset = last.offset;
        let len = end.checked_sub(offset).ok_or(EntryFault::OffsetOrder {
            offset: end,
            previous: offset,
        })?;
        let len = len.min(self.recipe.decode.codec().max_stored_len(last.len));
        last.stored_len =
            u32::try_from(len).map_err(|_| EntryFault::StoredTooLong { offset, len })?;
        self.decoded_len = self.decoded_len.saturating_add(last.len.into());
        Ok(())
    }

    /// The lists, and the length of the decoded address space; the last frame ends at byte `end` of
    /// the blob at the latest.
    pub(crate) fn finish(mut self, end: u64) -> Result<Finished, EntryFault> {
        self.close(end)?;
        Ok(Finished {
            frames: self.frames,
            chunks: self.chunks,
            recipes: vec![self.recipe],
            decoded_len: self.decoded_len,
        })
    }
}

/// All chunks and frames of a blob.
pub(crate) struct Finished {
    pub(crate) frames: Vec<Frame>,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) recipes: Vec<Recipe>,
    /// Decoded bytes of all frames.
    pub(crate) decoded_len: u64,
}

impl TocKind {
    /// How the frames are decoded: but for containers/storage, whose chunks are frames, they continue with the next
    /// files' headers.
    pub(crate) fn recipe(self) -> Recipe {
        match self {
            Self::Estargz | Self::External | Self::Legacy => Recipe::prefix(Codec::Gzip),
            Self::ZstdChunked => Recipe::prefix(Codec::Zstd),
            Self::Containers => Recipe::exact(Codec::Zstd),
        }
    }
}
