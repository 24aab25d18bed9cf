//! Blobs of several bootstraps, and their chunks.

use std::collections::HashMap;

use image_model::image::ChunkExtent;
use image_model::image::ChunkRange;
use image_model::width::usize_from;
use image_model::{
    BlobId, BlobIndex, Chunk, ChunkId, Codec, Decode, Frame, FrameId, Recipe, RecipeId, Tree,
};

use crate::bootstrap::Bootstrap;
use crate::error::DecodeError;
use crate::flags::BlobFeatures;
use crate::merge::MergeError;
use crate::owned::OwnedBootstrap;
use crate::recipes::{
    UNLOCATED_IN_POOL, all_recipes, encrypted_recipe, native_recipe, native_recipes,
    recipe_in_pool, unlocated_recipe,
};
use crate::shape::Shape;
use crate::v6::{BlobEntry, ChunkPlace};

/// The blobs of several bootstraps, and all chunks that they use: each blob once, and each chunk of it once. It serves
/// for [merging](crate::merge) layers, and as a chunk dictionary: the contents of these blobs need not be stored again.
///
/// ```
/// use bytes::Bytes;
/// use image_model::Limits;
/// use lazyoci_rafs_format::{BlobPool, Bootstrap};
///
/// # let bytes = Bytes::from_static(include_bytes!("../tests/goldens/a4-v5-none-sha256.boot"));
/// let bootstrap = Bootstrap::open(bytes, &Limits::default())?;
/// let mut pool = BlobPool::default();
/// pool.add(&bootstrap, None)?;
/// pool.add(&bootstrap, None)?;
/// assert_eq!(pool.entries().len(), 1);
/// assert_eq!(pool.chunks().len(), pool.frames().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlobPool {
    /// Of the first bootstrap, which all others have to fit.
    shape: Option<Shape>,
    /// How many bootstraps were added.
    count: usize,
    chunks: Vec<Chunk>,
    frames: Vec<Frame>,
    places: Vec<ChunkPlace>,
    entries: Vec<BlobEntry>,
    blob_of: HashMap<BlobId, BlobIndex>,
    /// Chunks by their blob and their number there.
    chunk_of: HashMap<(BlobIndex, u32), ChunkId>,
}

/// A bootstrap whose chunks are in a pool.
pub(crate) struct Pooled {
    pub(crate) tree: Tree<ChunkRange>,
    /// Of the pool's chunks.
    pub(crate) extents: Vec<ChunkExtent>,
}

impl BlobPool {
    /// Adds the blobs of a bootstrap, and the chunks that its files use. A blob that holds its bootstrap
    /// cannot know [its own name](BlobEntry::is_self): it is `own_blob`.
    ///
    /// # Errors
    /// [`MergeError`], which counts bootstraps in the order in which they came; the pool is of no use then.
    pub fn add(
        &mut self,
        bootstrap: &Bootstrap,
        own_blob: Option<&BlobId>,
    ) -> Result<(), MergeError> {
        self.take(bootstrap, own_blob, Bootstrap::to_chunked)
            .map(|_| ())
    }

    /// The same of what `copy` makes of the bootstrap; returns what that describes by them.
    pub(crate) fn take(
        &mut self,
        bootstrap: &Bootstrap,
        own_blob: Option<&BlobId>,
        copy: impl Fn(&Bootstrap) -> Result<OwnedBootstrap, DecodeError>,
    ) -> Result<Pooled, MergeError> {
        let layer = self.count;
        let blobs = self.add_blobs(bootstrap, own_blob)?;
        let OwnedBootstrap { image, places } =
            copy(bootstrap).map_err(|source| MergeError::Decode { layer, source })?;
        let mut ids = Vec::with_capacity(image.chunks.len());
        for ((chunk, frame), place) in image.chunks.iter().zip(&image.frames).zip(places) {
            let blob = blobs.get(usize_from(frame.blob.0)).copied();
            let blob = blob.expect("a bootstrap that was copied names its own blobs");
            let recipe = image.recipes.get(usize_from(frame.recipe.0));
            let recipe = recipe.expect("an image has the recipes of its frames");
            let frame = Frame {
                blob,
                recipe: recipe_for(&recipe.decode, blob),
                ..*frame
            };
            ids.push(self.chunk(*chunk, frame, place)?);
        }
        let extents = image.extents.iter().map(|extent| {
            let chunk = extent.chunk.and_then(|id| ids.get(id.index()).copied());
            ChunkExtent { chunk, ..*extent }
        });
        self.count = self.count.saturating_add(1);
        Ok(Pooled {
            extents: extents.collect(),
            tree: image.tree,
        })
    }

    /// Adds the blobs of a bootstrap that is made as the others; returns where they are.
    pub(crate) fn add_blobs(
        &mut self,
        bootstrap: &Bootstrap,
        own_blob: Option<&BlobId>,
    ) -> Result<Vec<BlobIndex>, MergeError> {
        self.fit(&Shape::of(bootstrap))?;
        let layer = self.count;
        let mut indexes = Vec::new();
        for entry in bootstrap.blob_entries() {
            let id = match (entry.is_self(), own_blob) {
                (false, _) => &entry.id,
                (true, Some(own_blob)) => own_blob,
                (true, None) => return Err(MergeError::NamelessBlob { layer }),
            };
            // A blob is referred to by a bootstrap other than the one inside it.
            let entry = BlobEntry {
                id: id.clone(),
                features: entry.features.without(BlobFeatures::INLINED_FS_META),
                ..entry.clone()
            };
            indexes.push(self.add_entry(entry)?);
        }
        Ok(indexes)
    }

    /// Adds blobs of images of this shape.
    pub(crate) fn add_entries(
        &mut self,
        shape: &Shape,
        entries: impl IntoIterator<Item = BlobEntry>,
    ) -> Result<(), MergeError> {
        self.fit(shape)?;
        for entry in entries {
            self.add_entry(entry)?;
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: BlobEntry) -> Result<BlobIndex, MergeError> {
        let layer = self.count;
        match self.blob_of.get(&entry.id) {
            Some(&index) if self.entries.get(usize_from(index.0)) == Some(&entry) => Ok(index),
            Some(_) => {
                let id = entry.id;
                Err(MergeError::Contradiction { layer, id })
            }
            None => {
                let number = u32::try_from(self.entries.len());
                let index = BlobIndex(number.map_err(|_| MergeError::TooMany { what: "blobs" })?);
                self.blob_of.insert(entry.id.clone(), index);
                self.entries.push(entry);
                Ok(index)
            }
        }
    }

    /// Refuses images that are made otherwise than those that are there.
    fn fit(&mut self, shape: &Shape) -> Result<(), MergeError> {
        let first = self.shape.get_or_insert(*shape);
        if let Some(what) = first.mismatch(shape) {
            let layer = self.count;
            return Err(MergeError::Mismatch { layer, what });
        }
        Ok(())
    }

    /// What bootstraps have to have in common with the first one; `None` if there was none.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }

    /// The chunk in the list, which is the same for all bootstraps that use it.
    fn chunk(
        &mut self,
        chunk: Chunk,
        frame: Frame,
        place: ChunkPlace,
    ) -> Result<ChunkId, MergeError> {
        let (layer, key) = (self.count, (frame.blob, place.index));
        if let Some(&id) = self.chunk_of.get(&key) {
            let same = self.chunks.get(id.index()).is_some_and(|known| {
                let alike = (known.digest, known.len) == (chunk.digest, chunk.len);
                alike && self.frames.get(id.index()) == Some(&frame)
            });
            let same = same && self.places.get(id.index()) == Some(&place);
            return match (same, self.entries.get(usize_from(frame.blob.0))) {
                (false, Some(entry)) => Err(MergeError::Contradiction {
                    layer,
                    id: entry.id.clone(),
                }),
                _ => Ok(id),
            };
        }
        let number =
            u32::try_from(self.chunks.len()).map_err(|_| MergeError::TooMany { what: "chunks" })?;
        self.chunks.push(Chunk {
            frame: FrameId(number),
            ..chunk
        });
        self.frames.push(frame);
        self.places.push(place);
        self.chunk_of.insert(key, ChunkId::new(number));
        Ok(ChunkId::new(number))
    }

    /// How many bootstraps were added.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The chunks, each in the frame of its number.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Where the chunks are stored; blobs are counted as in [`entries`](Self::entries), and recipes as in
    /// [`recipes`](Self::recipes).
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Where the chunks are in their blobs.
    #[must_use]
    pub fn places(&self) -> &[ChunkPlace] {
        &self.places
    }

    /// How frames of the recipe `id` are stored.
    pub(crate) fn recipe(&self, id: RecipeId) -> Option<Recipe> {
        recipe_in_pool(&self.entries, id)
    }

    /// What bootstraps say of the blobs.
    #[must_use]
    pub fn entries(&self) -> &[BlobEntry] {
        &self.entries
    }

    /// The number of the recipe of frames of `codec` in blob number `blob`, which is encrypted.
    #[must_use]
    pub fn encrypted_recipe(blob: BlobIndex, codec: Codec) -> RecipeId {
        encrypted_recipe(blob, codec)
    }

    /// How chunks of an image with these blobs are stored: first [those](Self::recipes) of any bootstrap, then two for
    /// each blob, if any is encrypted.
    #[must_use]
    pub fn recipes_of(entries: &[BlobEntry]) -> Vec<Recipe> {
        match entries.iter().any(BlobEntry::is_encrypted) {
            true => all_recipes(entries),
            false => Self::recipes().collect(),
        }
    }

    /// How chunks of any bootstrap are stored.
    pub fn recipes() -> impl Iterator<Item = Recipe> {
        native_recipes()
    }
}

/// The number in a pool of how chunks of its blob number `blob` are stored.
fn recipe_for(decode: &Decode, blob: BlobIndex) -> RecipeId {
    match decode {
        Decode::Encrypted(_, codec) => encrypted_recipe(blob, *codec),
        Decode::Unlocated(codec) => unlocated_recipe(UNLOCATED_IN_POOL, *codec),
        other => native_recipe(other.codec()),
    }
}
