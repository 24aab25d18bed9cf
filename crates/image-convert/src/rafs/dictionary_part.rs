//! A part of a dictionary: the blobs of some bootstraps, or a file.

use std::sync::Arc;

use bytes::Bytes;
use chunk_dedup::{
    ChunkTable, Dictionary, DictionaryError, DictionaryFile, PlacedDictionary, recipes,
};
use image_model::{BlobIndex, ChunkId, Digest, Frame};
use rafs_format::BlobPool;
use rafs_format::v6::{BlobEntry, ChunkPlace};

use super::dictionary::Found;
use crate::ConvertError;

/// A part of a dictionary, asked before those that come after it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    chunks: Chunks,
    /// Its blobs, by their numbers in the dictionary.
    blobs: Vec<u32>,
    /// Number of its first chunk in the dictionary.
    pub(super) first: u32,
}

#[derive(Debug, Clone)]
enum Chunks {
    Pool {
        pool: Arc<BlobPool>,
        /// Chunks of blobs to which images may refer.
        table: ChunkTable,
        /// Those of the others.
        refused: ChunkTable,
    },
    File(Box<DictionaryFile<Bytes>>),
}

/// Where a chunk is stored.
pub(super) enum Stored {
    /// In a blob that may be used; the number in its part.
    At(u32),
    /// In one that may not.
    Refused,
    Nowhere,
}

impl Part {
    pub(super) fn of_pool(pool: Arc<BlobPool>, blobs: Vec<u32>) -> Self {
        Self {
            chunks: Chunks::Pool {
                pool,
                table: ChunkTable::new(),
                refused: ChunkTable::new(),
            },
            blobs,
            first: 0,
        }
    }

    pub(super) fn of_file(file: DictionaryFile<Bytes>, blobs: Vec<u32>) -> Self {
        Self {
            chunks: Chunks::File(Box::new(file)),
            blobs,
            first: 0,
        }
    }

    pub(super) fn len(&self) -> u32 {
        match &self.chunks {
            // It has numbers of 32 bits itself.
            Chunks::Pool { pool, .. } => pool.chunks().len() as u32,
            Chunks::File(file) => file.len(),
        }
    }

    /// Learns which blobs may be used.
    pub(super) fn index(&mut self, is_usable: &dyn Fn(u32) -> bool) {
        let Chunks::Pool {
            pool,
            table,
            refused,
        } = &mut self.chunks
        else {
            return;
        };
        (*table, *refused) = (ChunkTable::new(), ChunkTable::new());
        for (id, frame) in (0..).map(ChunkId::new).zip(pool.frames()) {
            let blob = self.blobs.get(frame.blob.0 as usize);
            match blob.is_some_and(|&blob| is_usable(blob)) {
                true => table.insert(pool.chunks(), id),
                false => refused.insert(pool.chunks(), id),
            };
        }
    }

    pub(super) fn find(
        &self,
        digest: &Digest,
        len: u32,
        is_usable: &dyn Fn(u32) -> bool,
    ) -> Result<Stored, DictionaryError> {
        Ok(match &self.chunks {
            Chunks::Pool {
                pool,
                table,
                refused,
            } => match table.find(pool.chunks(), digest, len) {
                Some(id) => Stored::At(id.index() as u32),
                None if refused.find(pool.chunks(), digest, len).is_some() => Stored::Refused,
                None => Stored::Nowhere,
            },
            Chunks::File(file) => match file.find(digest, len)? {
                Some(id) => {
                    let blob = file.entry_placement(id)?.1.frame.blob;
                    let blob = self.blobs.get(blob.0 as usize);
                    match blob.is_some_and(|&blob| is_usable(blob)) {
                        true => Stored::At(id.index() as u32),
                        false => Stored::Refused,
                    }
                }
                None => Stored::Nowhere,
            },
        })
    }

    /// The chunk that has this number here.
    pub(super) fn get<'e>(
        &self,
        number: u32,
        entry: impl Fn(u32) -> Option<&'e BlobEntry>,
    ) -> Result<Option<Found>, ConvertError> {
        let blob_of = |frame: &Frame| self.blobs.get(frame.blob.0 as usize).copied();
        let found = match &self.chunks {
            Chunks::Pool { pool, .. } => {
                let index = number as usize;
                let chunk = pool.chunks().get(index);
                let placed = pool.frames().get(index).zip(pool.places().get(index));
                chunk.zip(placed).map(|(chunk, (frame, place))| Found {
                    frame: *frame,
                    place: *place,
                    crc32c: chunk.crc32c,
                })
            }
            Chunks::File(file) => {
                let (_, placement) = file.entry_placement(ChunkId::new(number))?;
                let place = ChunkPlace {
                    in_batch: false,
                    index: placement.index,
                    address: placement.address,
                };
                let frame = placement.frame;
                // Nobody has compared them with the blob: a bootstrap that has them must not be refused.
                let recipe = recipes().nth(frame.recipe.0 as usize);
                let codec = recipe.map(|recipe| recipe.decode.codec());
                let entry = blob_of(&frame).and_then(entry);
                if let Some((entry, codec)) = entry.zip(codec) {
                    entry.check_chunk(&frame, codec, &place)?;
                }
                let native = BlobPool::recipes().count();
                if placement.offset_in_frame != 0 || frame.recipe.0 as usize >= native {
                    let what = "a chunk that is not a frame of its own";
                    let record = number;
                    return Err(DictionaryError::Record { record, what }.into());
                }
                Some(Found {
                    frame,
                    place,
                    crc32c: None,
                })
            }
        };
        let found = found.and_then(|found| {
            let blob = BlobIndex(blob_of(&found.frame)?);
            let frame = Frame {
                blob,
                ..found.frame
            };
            Some(Found { frame, ..found })
        });
        Ok(found)
    }

    /// Whether every chunk is stored at its address.
    pub(super) fn is_aligned(&self) -> Result<bool, DictionaryError> {
        match &self.chunks {
            Chunks::Pool { pool, .. } => {
                let mut placed = pool.frames().iter().zip(pool.places());
                Ok(placed.all(|(frame, place)| frame.offset == place.address))
            }
            Chunks::File(file) => {
                for entry in file.entries() {
                    let placement = entry?.placement;
                    if placement.frame.offset != placement.address {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

/// Tables follow from the rest.
impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.chunks, &other.chunks) {
            (Chunks::Pool { pool, .. }, Chunks::Pool { pool: other, .. }) => pool == other,
            (Chunks::File(file), Chunks::File(other)) => file.bytes() == other.bytes(),
            _ => false,
        };
        same && self.blobs == other.blobs
    }
}

impl Eq for Part {}
