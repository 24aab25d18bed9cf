//! What files of a merged image use, and nothing else.

use std::collections::HashMap;

use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::width::usize_from;
use image_model::{BlobIndex, Chunk, ChunkId, Frame, FrameId, RecipeId};

use crate::pool::BlobPool;
use crate::recipes::native_recipes;
use crate::v6::{BlobEntry, ChunkPlace};

/// What files of the merged image use, in the order in which they do.
pub(super) struct Used<'m> {
    pool: &'m BlobPool,
    extents: &'m [ChunkExtent],
    pub(super) parts: ChunkedParts,
    pub(super) places: Vec<ChunkPlace>,
    pub(super) entries: Vec<BlobEntry>,
    chunk_of: HashMap<ChunkId, ChunkId>,
    blob_of: HashMap<BlobIndex, BlobIndex>,
    recipe_of: HashMap<RecipeId, RecipeId>,
}

impl<'m> Used<'m> {
    pub(super) fn new(pool: &'m BlobPool, extents: &'m [ChunkExtent]) -> Self {
        Self {
            pool,
            extents,
            parts: ChunkedParts {
                recipes: native_recipes().collect(),
                ..ChunkedParts::default()
            },
            places: Vec::new(),
            entries: Vec::new(),
            chunk_of: HashMap::new(),
            blob_of: HashMap::new(),
            recipe_of: HashMap::new(),
        }
    }

    /// The content of a file.
    pub(super) fn range(&mut self, range: ChunkRange) -> ChunkRange {
        let all = self.extents;
        let start = self.parts.extents.len();
        let extents = usize_from(range.start)..usize_from(range.end);
        for extent in all.get(extents).unwrap_or_default() {
            let chunk = extent.chunk.and_then(|id| self.chunk(id));
            self.parts.extents.push(ChunkExtent { chunk, ..*extent });
        }
        let small = |len| u32::try_from(len).expect("no more than there were");
        ChunkRange {
            start: small(start),
            end: small(self.parts.extents.len()),
        }
    }

    fn chunk(&mut self, id: ChunkId) -> Option<ChunkId> {
        if let Some(&known) = self.chunk_of.get(&id) {
            return Some(known);
        }
        let pool = self.pool;
        let chunk = pool.chunks().get(id.index())?;
        let frame = pool.frames().get(id.index())?;
        let place = pool.places().get(id.index())?;
        let blob = self.blob(frame.blob)?;
        let number = u32::try_from(self.places.len()).ok()?;
        self.parts.chunks.push(Chunk {
            frame: FrameId(number),
            ..*chunk
        });
        let recipe = self.recipe(frame.recipe)?;
        self.parts.frames.push(Frame {
            blob,
            recipe,
            ..*frame
        });
        self.places.push(*place);
        self.chunk_of.insert(id, ChunkId::new(number));
        Some(ChunkId::new(number))
    }

    /// The recipes of native chunks come first, in any image.
    fn recipe(&mut self, id: RecipeId) -> Option<RecipeId> {
        if usize_from(id.0) < native_recipes().count() {
            return Some(id);
        }
        if let Some(&known) = self.recipe_of.get(&id) {
            return Some(known);
        }
        let number = RecipeId(u32::try_from(self.parts.recipes.len()).ok()?);
        self.parts.recipes.push(self.pool.recipe(id)?);
        self.recipe_of.insert(id, number);
        Some(number)
    }

    fn blob(&mut self, index: BlobIndex) -> Option<BlobIndex> {
        if let Some(&known) = self.blob_of.get(&index) {
            return Some(known);
        }
        let entry = self.pool.entries().get(usize_from(index.0))?;
        let number = BlobIndex(u32::try_from(self.entries.len()).ok()?);
        self.parts.blobs.push(entry.blob());
        self.entries.push(entry.clone());
        self.blob_of.insert(index, number);
        Some(number)
    }
}
