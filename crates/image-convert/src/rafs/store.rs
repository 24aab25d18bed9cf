//! What must be done to chunks in order: deduplicating, placing and writing them.

use std::io::Write;

use image_model::image::ChunkExtent;
use image_model::{BlobIndex, Chunk, ChunkId, Codec, Frame, FrameId, Recipe, RecipeId};
use rafs_format::blob::{BlobBuilder, BlobHasher, StoredChunk};
use rafs_format::v6::ChunkPlace;

use super::batch::{Cut, DigestedChunk, Job, Payload};
use super::known::KnownChunks;
use super::worker::zeros;
use crate::ConvertError;
use crate::report::ChunkCounts;

/// Writes the data section of a blob, and keeps the lists that describe it.
pub(super) struct Store<'k, W> {
    known: &'k KnownChunks,
    pub(super) builder: BlobBuilder,
    pub(super) hasher: BlobHasher,
    pub(super) out: W,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) frames: Vec<Frame>,
    pub(super) places: Vec<ChunkPlace>,
    pub(super) counts: ChunkCounts,
    /// Plain bytes of all chunks that went through.
    pub(super) content_bytes: u64,
    zeros: Vec<u8>,
}

impl<'k, W: Write> Store<'k, W> {
    pub(super) fn new(known: &'k KnownChunks, builder: BlobBuilder, out: W) -> Self {
        Self {
            known,
            builder,
            hasher: BlobHasher::default(),
            out,
            extents: Vec::new(),
            frames: Vec::new(),
            places: Vec::new(),
            counts: ChunkCounts::default(),
            content_bytes: 0,
            zeros: Vec::new(),
        }
    }

    /// Takes the next batch, in the order of the source.
    pub(super) fn take(&mut self, job: &Job) -> Result<(), ConvertError> {
        let mut compressed = &job.stored[..];
        for (cut, chunk) in job.batch.cuts().iter().zip(&job.chunks) {
            let mut stored = None;
            if let Payload::Compressed { len, .. } = chunk.payload {
                let (this, rest) = compressed.split_at(len as usize);
                (stored, compressed) = (Some(this), rest);
            }
            let id = match self.known.find(&chunk.digest, cut.len) {
                Some(id) => {
                    self.counts.deduplicated += 1;
                    self.counts.deduplicated_bytes += u64::from(cut.len);
                    id
                }
                None => self.store(cut, chunk, stored.or_else(|| job.batch.bytes(cut)))?,
            };
            self.extents.push(ChunkExtent {
                file_offset: cut.file_offset,
                chunk: Some(id),
            });
            self.content_bytes += u64::from(cut.len);
        }
        Ok(())
    }

    /// Stores a chunk as `stored`; as zeros if that is `None`.
    fn store(
        &mut self,
        cut: &Cut,
        chunk: &DigestedChunk,
        stored: Option<&[u8]>,
    ) -> Result<ChunkId, ConvertError> {
        let stored = stored.unwrap_or_else(|| zeros(&mut self.zeros, cut.len));
        let codec = match chunk.payload {
            Payload::Compressed { codec, .. } => codec,
            Payload::Plain => Codec::None,
            Payload::Nothing => unreachable!("what a worker found is stored"),
        };
        // No longer than the chunk, which has a length of 32 bits.
        let stored_len = stored.len() as u32;
        let placement = self.builder.push(&StoredChunk {
            len: cut.len,
            stored_len,
            codec,
            digest: chunk.digest,
        })?;
        let padding = &[0; 4096][..placement.padding as usize];
        for bytes in [stored, padding] {
            self.out.write_all(bytes)?;
            self.hasher.update(bytes);
        }
        let frame = FrameId(placement.index);
        self.frames.push(Frame {
            blob: BlobIndex(0),
            offset: placement.offset,
            stored_len,
            len: cut.len,
            recipe: recipe_of(codec),
        });
        self.places.push(ChunkPlace {
            index: placement.index,
            address: placement.address,
        });
        self.counts.stored += 1;
        self.counts.stored_bytes += u64::from(stored_len);
        Ok(self.known.insert(Chunk {
            digest: Some(chunk.digest),
            len: cut.len,
            crc32c: chunk.crc32c,
            frame,
            offset_in_frame: 0,
        }))
    }
}

/// Chunks are stored as they are, or by the blob's compressor.
pub(super) fn recipes(codec: Codec) -> Vec<Recipe> {
    vec![Recipe::exact(Codec::None), Recipe::exact(codec)]
}

fn recipe_of(codec: Codec) -> RecipeId {
    RecipeId((codec != Codec::None).into())
}
