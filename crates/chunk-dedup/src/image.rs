//! An image as a dictionary.

use std::collections::HashMap;

use image_model::width::usize_from;
use image_model::{Blob, BlobIndex, Chunk, ChunkId, ChunkedImage, Digest, Frame, Recipe, RecipeId};

use crate::dictionary::{Dictionary, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Entry, Placement, recipe_number};
use crate::table::ChunkTable;

/// The chunks of an image, of whatever format, as a dictionary: a RAFS bootstrap or a TOC, decoded. Chunks are
/// counted, and their addresses are, in the order in which their blob has them.
///
/// ```
/// use image_model::{ChunkedImage, Tree};
/// use lazyoci_chunk_dedup::{ImageDictionary, PlacedDictionary};
/// let image = ChunkedImage::new(Tree::implied(), Default::default())?;
/// assert_eq!(ImageDictionary::of(&image).chunks(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ImageDictionary {
    chunks: Vec<Chunk>,
    placements: Vec<Option<Placement>>,
    blobs: Vec<Blob>,
    table: ChunkTable,
}

impl ImageDictionary {
    /// The chunks of `image` that have a digest.
    #[must_use]
    pub fn of(image: &ChunkedImage) -> Self {
        Self {
            placements: placements(image),
            chunks: image.chunks.clone(),
            blobs: image.blobs.clone(),
            table: ChunkTable::of(&image.chunks),
        }
    }

    /// The chunks that can be found, with their places, in the order of the image.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let placed = self.chunks.iter().zip(&self.placements);
        placed.filter_map(|(chunk, placement)| {
            Some(Entry {
                digest: chunk.digest?,
                len: chunk.len,
                placement: (*placement)?,
            })
        })
    }
}

/// Where the chunks are; `None` for those that a dictionary cannot place.
fn placements(image: &ChunkedImage) -> Vec<Option<Placement>> {
    let recipe = |recipe: &Recipe| recipe_number(recipe).map(RecipeId);
    let recipes: Vec<Option<RecipeId>> = image.recipes.iter().map(recipe).collect();
    let frame_of = |chunk: &Chunk| image.frames.get(usize_from(chunk.frame.0)).copied();
    let mut order: Vec<(Frame, usize)> = Vec::with_capacity(image.chunks.len());
    for (number, chunk) in image.chunks.iter().enumerate() {
        order.extend(frame_of(chunk).map(|frame| (frame, number)));
    }
    let begins = |number: usize| image.chunks.get(number).map(|chunk| chunk.offset_in_frame);
    order.sort_by_key(|&(frame, number)| (frame.blob, frame.offset, begins(number), number));
    let mut placements = vec![None; image.chunks.len()];
    // Of each blob: the chunks so far, the frame that was met last, and where it begins and ends.
    let mut met: HashMap<BlobIndex, (u32, u64, u64, u64)> = HashMap::new();
    for (frame, number) in order {
        let blob = met.entry(frame.blob).or_insert((0, u64::MAX, 0, 0));
        if blob.1 != frame.offset {
            let start = blob.3;
            *blob = (
                blob.0,
                frame.offset,
                start,
                start.saturating_add(frame.len.into()),
            );
        }
        let index = blob.0;
        blob.0 = index.saturating_add(1);
        let recipe = recipes.get(usize_from(frame.recipe.0)).copied().flatten();
        let place = placements.get_mut(number).zip(image.chunks.get(number));
        if let Some(((place, chunk), recipe)) = place.zip(recipe) {
            *place = Some(Placement {
                frame: Frame { recipe, ..frame },
                offset_in_frame: chunk.offset_in_frame,
                index,
                address: blob.2.saturating_add(chunk.offset_in_frame.into()),
            });
        }
    }
    placements
}

impl Dictionary for ImageDictionary {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        let found = self.table.find(&self.chunks, digest, len);
        Ok(found.filter(|id| matches!(self.placements.get(id.index()), Some(Some(_)))))
    }
}

impl PlacedDictionary for ImageDictionary {
    fn chunks(&self) -> u32 {
        // No image has more.
        u32::try_from(self.chunks.len()).unwrap_or(u32::MAX)
    }

    fn entry_placement(&self, id: ChunkId) -> Result<(u32, Placement), DictionaryError> {
        let chunk = self.chunks.get(id.index());
        let placement = self.placements.get(id.index()).copied().flatten();
        let (chunk, placement) = chunk.zip(placement).ok_or(DictionaryError::Record {
            record: u32::try_from(id.index()).unwrap_or(u32::MAX),
            what: "there is no such record",
        })?;
        Ok((chunk.len, placement))
    }

    fn blobs(&self) -> u32 {
        u32::try_from(self.blobs.len()).unwrap_or(u32::MAX)
    }

    fn blob(&self, index: BlobIndex) -> Result<BlobRecord, DictionaryError> {
        let blob = self.blobs.get(usize_from(index.0));
        let blob = blob.ok_or(DictionaryError::Blob {
            blob: index.0,
            what: "there is no such blob",
        })?;
        Ok(BlobRecord::new(blob.id.clone()))
    }
}
