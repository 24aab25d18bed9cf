//! Chunks into their places in a blob.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::{PoisonError, RwLock};

use blob_io::{ObjectRole, ObjectWriter, Output, Written};
use chunk_dedup::{BlobUse, ChunkList};
use frame_codec::{Compression, Encoder};
use image_model::{BlobIndex, Chunk, ChunkId, Codec, Frame, FrameId, Recipe, RecipeId, XtsKey};
use rafs_format::BlobPool;
use rafs_format::blob::{
    BatchedChunk, BlobBuilder, BlobHasher, BlobOptions, FinishedBlob, Placement, StoredChunk,
};
use rafs_format::flags::{Compressor, Digester};
use rafs_format::v6::{BlobEntry, ChunkPlace};

use super::report::described_blob;
use super::sealed::sealed;
use super::{ChunkDictionary, RafsBlob, RafsOptions};
use crate::ConvertError;
use crate::object::BUFFER_LEN;
use crate::stage::{Grouped, Piece, PieceChunk, Target};

/// Where chunks are, in all blobs so far.
#[derive(Default)]
pub(super) struct Placed {
    /// One for each chunk, but chunks of a batch share one.
    pub(super) frames: Vec<Frame>,
    /// One for each chunk.
    pub(super) places: Vec<ChunkPlace>,
    /// Of the blobs, in the order in which the first chunk of each was met; `None` for the one that is
    /// being written.
    entries: Vec<Option<BlobEntry>>,
    /// Where the blobs of the dictionary are among them, and in `uses`.
    foreign: HashMap<BlobIndex, (BlobIndex, usize)>,
    /// What of the blobs of the dictionary is used, in the order in which they were met.
    pub(super) uses: Vec<BlobUse>,
}

impl Placed {
    /// Refers to chunk `id` of a dictionary; returns its frame, and its checksum if it is known.
    pub(super) fn refer(
        &mut self,
        dictionary: &ChunkDictionary,
        id: ChunkId,
    ) -> Result<Option<(FrameId, Option<u32>)>, ConvertError> {
        let Some(found) = dictionary.get(id)? else {
            return Ok(None);
        };
        let frame = found.frame;
        let Some(entry) = dictionary.blob(frame.blob.0) else {
            return Ok(None);
        };
        // There are no more blobs than chunks.
        let next = (BlobIndex(self.entries.len() as u32), self.uses.len());
        let (blob, place) = *self.foreign.entry(frame.blob).or_insert(next);
        if blob == next.0 {
            self.entries.push(Some(entry.clone()));
            self.uses.push(BlobUse {
                id: entry.id.clone(),
                chunks: 0,
                len: 0,
                stored_len: 0,
                blob_len: Some(entry.data_len()),
            });
        }
        let uses = &mut self.uses[place];
        uses.chunks += 1;
        uses.len += u64::from(frame.len);
        uses.stored_len += u64::from(frame.stored_len);
        let frame = self.add(Frame { blob, ..frame });
        self.places.push(found.place);
        Ok(Some((frame, found.crc32c)))
    }

    fn add(&mut self, frame: Frame) -> FrameId {
        // There are no more than chunks.
        let id = FrameId(self.frames.len() as u32);
        self.frames.push(frame);
        id
    }

    /// Says what there is to say of the blob at `index`.
    pub(super) fn describe(&mut self, index: Option<BlobIndex>, entry: Option<BlobEntry>) {
        if let Some(BlobIndex(index)) = index {
            self.entries[index as usize] = entry;
        }
    }

    /// The blobs, all of which are complete.
    pub(super) fn entries(&self) -> impl Iterator<Item = &BlobEntry> {
        self.entries.iter().flatten()
    }
}

/// Writes the data section of a blob, and keeps the lists that describe it.
pub(super) struct BlobTarget<'k, 'o> {
    known: &'k RwLock<ChunkList>,
    dictionary: Option<&'k ChunkDictionary>,
    /// Of chunks that are compressed.
    recipe: RecipeId,
    blob: OpenBlob<'o>,
    /// What it is encrypted with, if it is.
    key: Option<XtsKey>,
    /// The object that is encrypted; empty in between.
    object: Vec<u8>,
    encoder: Encoder,
    waiting: Batch,
    grouped: Grouped,
}

/// The batch that grows.
#[derive(Default)]
struct Batch {
    /// Bytes of its chunks.
    plain: Vec<u8>,
    /// The same, compressed; empty in between.
    stored: Vec<u8>,
    /// Its frame, which is complete once it is stored.
    frame: Option<FrameId>,
}

/// A blob that lacks what follows its chunks.
pub(super) struct OpenBlob<'o> {
    pub(super) builder: BlobBuilder,
    pub(super) hasher: BlobHasher,
    pub(super) placed: Placed,
    pub(super) out: BlobObject<'o>,
    /// Where it is in the table of blobs, once it has a chunk.
    pub(super) index: Option<BlobIndex>,
    /// Position of the layer whose content it takes.
    pub(super) layer: usize,
}

/// The object that a blob becomes; dropped, it leaves nothing.
pub(super) struct BlobObject<'o>(BufWriter<Box<dyn ObjectWriter + 'o>>);

impl<'k, 'o> BlobTarget<'k, 'o> {
    /// An empty blob in `output` for the content of `layer`, after the blobs that `placed` knows, whose
    /// chunks become known.
    pub(super) fn begin(
        output: &'o mut dyn Output,
        known: &'k RwLock<ChunkList>,
        (layer, placed): (usize, Placed),
        options: &'k RafsOptions,
    ) -> Result<Self, ConvertError> {
        let blob_options = BlobOptions::default()
            .version(options.version)
            .compat(options.compat)
            .compressor(Compressor::try_from(options.compression.codec())?)
            .digester(Digester::try_from(options.digest)?)
            .chunk_size(options.chunk_size)
            .toc(options.toc)
            .aligned_data(options.aligned)
            .batch_size(options.batch_size)
            .key(options.key);
        let builder = BlobBuilder::new(blob_options)?;
        let object = output.begin(ObjectRole::Blob)?;
        let compressed = Recipe::exact(options.compression.codec());
        let recipe = BlobPool::recipes().position(|recipe| recipe == compressed);
        Ok(Self {
            known,
            dictionary: options.dictionary.as_deref(),
            // One of a few.
            recipe: RecipeId(recipe.unwrap_or(0) as u32),
            blob: OpenBlob {
                builder,
                hasher: BlobHasher::default(),
                placed,
                out: BlobObject(BufWriter::with_capacity(BUFFER_LEN, object)),
                index: None,
                layer,
            },
            key: options.key,
            object: Vec::new(),
            encoder: Encoder::new(match options.batch_size {
                0 => Compression::None,
                _ => options.compression,
            })?,
            waiting: Batch::default(),
            grouped: Grouped::default(),
        })
    }

    fn push(&self, chunk: Chunk) -> ChunkId {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.push(chunk)
    }

    /// The blob with all of its chunks.
    pub(super) fn end(self) -> OpenBlob<'o> {
        self.blob
    }
}

impl Target for BlobTarget<'_, '_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        let Some(chunk) = piece.chunk else {
            return Ok(None);
        };
        if piece.grouped {
            return self.batch(piece.plain, &chunk).map(Some);
        }
        self.end_batch()?;
        let (id, _) = self.alone(piece.plain, (piece.stored, piece.codec), &chunk)?;
        Ok(Some(id))
    }

    fn reuse(
        &mut self,
        foreign: ChunkId,
        chunk: &PieceChunk,
    ) -> Result<Option<ChunkId>, ConvertError> {
        let Some(dictionary) = self.dictionary else {
            return Ok(None);
        };
        let Some((frame, crc32c)) = self.blob.placed.refer(dictionary, foreign)? else {
            return Ok(None);
        };
        Ok(Some(self.push(Chunk {
            digest: Some(chunk.digest),
            len: chunk.len,
            crc32c,
            frame,
            offset_in_frame: 0,
        })))
    }

    fn end_groups(&mut self) -> Result<Grouped, ConvertError> {
        self.end_batch()?;
        Ok(std::mem::take(&mut self.grouped))
    }
}

impl BlobTarget<'_, '_> {
    /// Stores `chunk`, whose bytes are `plain`, as a frame of its own: `stored` is what became of it, and by which codec.
    /// Returns how many bytes were written for it, too.
    fn alone(
        &mut self,
        plain: &[u8],
        stored: (&[u8], Codec),
        chunk: &PieceChunk,
    ) -> Result<(ChunkId, u32), ConvertError> {
        let (object, codec) = sealed(self.key.as_ref(), plain, stored, &mut self.object)?;
        // No longer than the chunk, which has a length of 32 bits, or 18 bytes.
        let stored_len = object.len() as u32;
        let placement = self.blob.builder.push(&StoredChunk {
            len: chunk.len,
            stored_len,
            codec,
            digest: chunk.digest,
            crc32c: chunk.crc32c,
        })?;
        self.blob.write(object)?;
        self.object.clear();
        self.blob.write(&[0; 4096][..placement.padding as usize])?;
        let frame = Frame {
            blob: self.blob.index(),
            offset: placement.offset,
            stored_len,
            len: chunk.len,
            recipe: self.recipe(codec),
        };
        let frame = self.blob.placed.add(frame);
        Ok((self.place(chunk, &placement, (frame, None)), stored_len))
    }

    /// Adds `chunk`, whose bytes are `plain`, to the batch that grows, or to the next one if it does not fit.
    fn batch(&mut self, plain: &[u8], chunk: &PieceChunk) -> Result<ChunkId, ConvertError> {
        if !self.blob.builder.fits_batch(chunk.len) {
            self.end_batch()?;
        }
        if !self.blob.builder.shares_batch(chunk.len) {
            let mut stored = std::mem::take(&mut self.waiting.stored);
            let codec = self.encoder.encode(plain, &mut stored)?;
            let (id, len) = self.alone(plain, (&stored, codec), chunk)?;
            self.grouped.stored += u64::from(len);
            stored.clear();
            self.waiting.stored = stored;
            return Ok(id);
        }
        let offset = self.blob.builder.batch_len();
        let placement = self.blob.builder.push_batched(&BatchedChunk {
            len: chunk.len,
            digest: chunk.digest,
        })?;
        self.waiting.plain.extend_from_slice(plain);
        let frame = match self.waiting.frame {
            Some(frame) => frame,
            None => {
                let frame = Frame {
                    blob: self.blob.index(),
                    offset: placement.offset,
                    stored_len: 0,
                    len: 0,
                    recipe: RecipeId(0),
                };
                *self.waiting.frame.insert(self.blob.placed.add(frame))
            }
        };
        Ok(self.place(chunk, &placement, (frame, Some(offset))))
    }

    /// Stores the batch that grows, if there is one.
    fn end_batch(&mut self) -> Result<(), ConvertError> {
        let Some(FrameId(frame)) = self.waiting.frame.take() else {
            return Ok(());
        };
        let Batch { plain, stored, .. } = &mut self.waiting;
        let codec = self.encoder.encode(plain, stored)?;
        let (object, codec) = sealed(self.key.as_ref(), plain, (stored, codec), &mut self.object)?;
        // No longer than a batch, whose length has 32 bits.
        let context = self.blob.builder.end_batch(object.len() as u32, codec)?;
        self.blob.write(object)?;
        self.object.clear();
        self.grouped.stored += u64::from(context.stored_len);
        if context.is_compressed() {
            self.grouped.compressed += u64::from(context.stored_len);
        }
        plain.clear();
        stored.clear();
        let recipe = self.recipe(codec);
        let frame = &mut self.blob.placed.frames[frame as usize];
        (frame.stored_len, frame.len, frame.recipe) = (context.stored_len, context.len, recipe);
        Ok(())
    }

    /// Of frames of `codec`.
    fn recipe(&mut self, codec: Codec) -> RecipeId {
        if self.key.is_some() {
            return BlobPool::encrypted_recipe(self.blob.index(), codec);
        }
        match codec {
            Codec::None => RecipeId(0),
            _ => self.recipe,
        }
    }

    /// Notes where `chunk` is: in a frame, and, if that is a batch, where in it.
    fn place(
        &mut self,
        chunk: &PieceChunk,
        placement: &Placement,
        (frame, in_batch): (FrameId, Option<u32>),
    ) -> ChunkId {
        self.blob.placed.places.push(ChunkPlace {
            index: placement.index,
            address: placement.address,
            in_batch: in_batch.is_some(),
        });
        self.push(Chunk {
            digest: Some(chunk.digest),
            len: chunk.len,
            crc32c: chunk.crc32c,
            frame,
            offset_in_frame: in_batch.unwrap_or(0),
        })
    }
}

impl OpenBlob<'_> {
    /// Appends `bytes`.
    fn write(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        self.out.0.write_all(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Where it is in the table of blobs, as it has a chunk.
    fn index(&mut self) -> BlobIndex {
        let placed = &mut self.placed;
        *self.index.get_or_insert_with(|| {
            placed.entries.push(None);
            BlobIndex(placed.entries.len() as u32 - 1)
        })
    }

    /// Completes the blob, if there is anything in it; otherwise there is none.
    pub(super) fn finish(self) -> Result<(Placed, Option<RafsBlob>), ConvertError> {
        let mut placed = self.placed;
        let Some(mut finished) = self.builder.finish(self.hasher)? else {
            return Ok((placed, None));
        };
        let blob = self.out.finish(&mut finished, self.layer)?;
        placed.describe(self.index, finished.entry);
        Ok((placed, Some(blob)))
    }
}

impl BlobObject<'_> {
    /// Gives the blob its last bytes and its name. Takes its file with chunk information.
    pub(super) fn finish(
        mut self,
        blob: &mut FinishedBlob,
        layer: usize,
    ) -> Result<RafsBlob, ConvertError> {
        self.0.write_all(&blob.trailer)?;
        let object = self.0.into_inner().map_err(std::io::Error::from)?;
        let written = Written::new(blob.digest, blob.len);
        let entry = blob.entry.as_ref();
        let encrypted = entry.is_some_and(|entry| entry.xts_key().is_some());
        object.finish(&written)?;
        Ok(RafsBlob {
            object: described_blob(written, encrypted),
            nydus_id: blob.nydus_id.clone(),
            layer,
            meta_file: std::mem::take(&mut blob.meta_file),
        })
    }
}
