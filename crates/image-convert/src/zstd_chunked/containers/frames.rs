//! Frames on their way to the blob, and the TOC that grows with them.

use std::collections::VecDeque;

use estargz_toc::containers_toc::{ContainersEntry, Document, ZEROS};
use estargz_toc::toc::EntryType;
use frame_codec::{Compression, FrameWriter};
use image_model::{ChunkId, Digest};

use super::super::bounded::{Bounded, Compressed};
use crate::ConvertError;
use crate::layer::LayerWriter;
use crate::stage::{Piece, Target};

/// A chunk, as it was cut.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cut {
    pub(super) len: u32,
    pub(super) hole: bool,
}

/// A member of the tar whose entry needs the places of its chunks.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entry: ContainersEntry<'static>,
    pub(super) chunks: Vec<Cut>,
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy)]
struct Placed {
    offset: u64,
    end: u64,
    digest: Digest,
}

/// Takes frames in order. An entry is written as soon as its chunks are placed.
pub(super) struct Frames<'o> {
    layer: LayerWriter<'o>,
    /// Bytes of the blob so far.
    offset: u64,
    toc: TocStream,
    placed: VecDeque<Placed>,
    waiting: VecDeque<Waiting>,
    chunks: u32,
}

impl<'o> Frames<'o> {
    pub(super) fn new(
        layer: LayerWriter<'o>,
        compression: Compression,
    ) -> Result<Self, ConvertError> {
        Ok(Self {
            layer,
            offset: 0,
            toc: TocStream::new(compression)?,
            placed: VecDeque::new(),
            waiting: VecDeque::new(),
            chunks: 0,
        })
    }

    /// The layer, its length so far, and the TOC.
    pub(super) fn finish(self) -> (LayerWriter<'o>, u64, TocStream) {
        (self.layer, self.offset, self.toc)
    }

    /// Has a member described once its chunks are placed, after all members before it.
    pub(super) fn describe(&mut self, member: Waiting) -> Result<(), ConvertError> {
        self.waiting.push_back(member);
        self.settle()
    }

    /// Describes the members whose chunks are placed.
    fn settle(&mut self) -> Result<(), ConvertError> {
        while let Some(first) = self.waiting.front()
            && first.chunks.len() <= self.placed.len()
            && let Some(member) = self.waiting.pop_front()
        {
            let placed: Vec<_> = self.placed.drain(..member.chunks.len()).collect();
            self.toc.describe(member, &placed)?;
        }
        Ok(())
    }
}

impl Target for Frames<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let offset = self.offset;
        self.layer.write(piece.plain, piece.stored)?;
        self.offset += piece.stored.len() as u64;
        let Some(chunk) = piece.chunk else {
            return Ok(None);
        };
        self.placed.push_back(Placed {
            offset,
            end: self.offset,
            digest: chunk.digest,
        });
        self.settle()?;
        // No more than the stage counts.
        self.chunks += 1;
        Ok(Some(ChunkId::new(self.chunks - 1)))
    }
}

/// The TOC, compressed as it grows.
pub(super) struct TocStream(Document<Bounded<FrameWriter<Vec<u8>>>>);

impl TocStream {
    fn new(compression: Compression) -> Result<Self, ConvertError> {
        let frame = FrameWriter::new(compression, Vec::new())?;
        Ok(Self(Document::new(Bounded::new(frame))))
    }

    fn describe(&mut self, member: Waiting, placed: &[Placed]) -> Result<(), ConvertError> {
        let Waiting { mut entry, chunks } = member;
        if let ([first, ..], [.., last]) = (placed, placed) {
            entry.offset = number(first.offset);
            entry.end_offset = number(last.end);
        }
        let several = chunks.len() > 1;
        let mut pairs = chunks.iter().zip(placed);
        if several && let Some((cut, at)) = pairs.next() {
            put_chunk(&mut entry, *cut, at);
        }
        self.write(&entry)?;
        if !several {
            return Ok(());
        }
        let mut file_offset = entry.chunk_size;
        for (cut, at) in pairs {
            let mut chunk = ContainersEntry::new(EntryType::Chunk, &*entry.name);
            chunk.offset = number(at.offset);
            chunk.chunk_offset = file_offset;
            put_chunk(&mut chunk, *cut, at);
            self.write(&chunk)?;
            file_offset += chunk.chunk_size;
        }
        Ok(())
    }

    fn write(&mut self, entry: &ContainersEntry<'_>) -> Result<(), ConvertError> {
        let written = self.0.entry(entry);
        written.map_err(|error| Bounded::<()>::failure(error, "TOC"))
    }

    /// Completes the document, with the digest of the tar-split.
    pub(super) fn finish(self, tar_split_digest: &str) -> Result<Compressed, ConvertError> {
        let ended = self.0.finish(tar_split_digest);
        ended
            .map_err(|error| Bounded::<()>::failure(error, "TOC"))?
            .finish("TOC")
    }
}

fn put_chunk(entry: &mut ContainersEntry<'_>, cut: Cut, at: &Placed) {
    entry.chunk_size = cut.len.into();
    entry.chunk_digest = at.digest.to_string().into();
    if cut.hole {
        entry.chunk_type = ZEROS.into();
    }
}

/// Offsets of what is stored are far below 2^63.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
