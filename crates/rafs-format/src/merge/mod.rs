//! Bootstraps of layers as one bootstrap.

mod error;
mod merged;
mod used;

use std::collections::HashMap;

use image_model::image::{ChunkExtent, ChunkRange};
use image_model::layer::{Entries, Layer, LayerOptions, Whiteouts};
use image_model::width::usize_from;
use image_model::{
    BlobId, BlobIndex, Chunk, ChunkId, ChunkedImage, Frame, FrameId, ImagePath, Limits, Tree,
};

use crate::bootstrap::Bootstrap;
use crate::flags::BlobFeatures;
use crate::layout::LayoutOptions;
use crate::owned::OwnedBootstrap;
use crate::prefetch::prefetch_inodes;
use crate::v6::{BlobEntry, ChunkPlace};
use crate::version::Version;
use used::Used;

pub use error::MergeError;
pub use merged::Merged;

/// Lays bootstraps of layers over one another: content stays in the blobs in which it is.
///
/// All of them have one version, chunk size, compressor and digest algorithm, and all or none store
/// owners. Hard links do not lead from one layer into another, as a bootstrap has no word for that, and
/// every directory is described, also those that the layer only implied; who has the layers themselves
/// knows both, and stacks them instead (`image_convert::Source::stack`).
/// Blobs of which no file of the merged image has anything are left out; the others stand in the order in
/// which the merged inodes need them.
///
/// ```
/// use bytes::Bytes;
/// use image_model::Limits;
/// use lazyoci_rafs_format::Bootstrap;
/// use lazyoci_rafs_format::merge::{Merge, MergeOptions};
///
/// # let bytes = Bytes::from_static(include_bytes!("../tests/goldens/a4-v5-none-sha256.boot"));
/// let layer = Bootstrap::open(bytes, &Limits::default())?;
/// let mut merge = Merge::new(MergeOptions::default());
/// merge.push(&layer, None)?;
/// merge.push(&layer, None)?;
/// let merged = merge.finish();
/// assert_eq!(merged.entries().len(), 1);
/// let bytes = merged.to_bytes()?;
/// assert_eq!(Bootstrap::open(bytes.into(), &Limits::default())?.blob_entries().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Merge {
    options: MergeOptions,
    /// Of the first bootstrap, which all others have to fit.
    shape: Option<Shape>,
    /// How many were merged.
    count: usize,
    tree: Tree<ChunkRange>,
    extents: Vec<ChunkExtent>,
    chunks: Vec<Chunk>,
    frames: Vec<Frame>,
    places: Vec<ChunkPlace>,
    entries: Vec<BlobEntry>,
    blob_of: HashMap<BlobId, BlobIndex>,
    /// Chunks by their blob and their number there.
    chunk_of: HashMap<(BlobIndex, u32), ChunkId>,
}

/// How bootstraps are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeOptions {
    /// What of a layer hides files of the layers below.
    pub whiteouts: Whiteouts,
    /// What is fetched first, in order; paths that are not there are ignored.
    pub prefetch: Vec<ImagePath>,
    /// Bounds on inodes and depth of the merged image; each bootstrap keeps to those with which it was
    /// opened.
    pub limits: Limits,
}

impl MergeOptions {
    image_model::setters! {
        whiteouts: Whiteouts,
        prefetch: Vec<ImagePath>,
        limits: Limits,
    }
}

/// What all bootstraps of an image have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape {
    version: Version,
    options: LayoutOptions,
}

impl Merge {
    /// Nothing yet.
    #[must_use]
    pub fn new(options: MergeOptions) -> Self {
        Self {
            options,
            shape: None,
            count: 0,
            tree: Tree::implied(),
            extents: Vec::new(),
            chunks: Vec::new(),
            frames: Vec::new(),
            places: Vec::new(),
            entries: Vec::new(),
            blob_of: HashMap::new(),
            chunk_of: HashMap::new(),
        }
    }

    /// Lays an image that was merged before over those so far: it has no whiteouts.
    ///
    /// # Errors
    /// [`MergeError`]; what was merged so far is of no use then.
    pub fn push_parent(&mut self, parent: &Bootstrap) -> Result<(), MergeError> {
        self.add(parent, None, Whiteouts::Nothing)
    }

    /// Lays a layer over those so far. A blob that holds its bootstrap cannot know
    /// [its own name](BlobEntry::is_self): it is `own_blob`.
    ///
    /// # Errors
    /// [`MergeError`]; what was merged so far is of no use then.
    pub fn push(&mut self, layer: &Bootstrap, own_blob: Option<&BlobId>) -> Result<(), MergeError> {
        self.add(layer, own_blob, self.options.whiteouts)
    }

    /// Checks that a dictionary with which layers were made fits them; it adds no file. Errors count it
    /// as the next layer.
    ///
    /// # Errors
    /// [`MergeError::Mismatch`], [`MergeError::Contradiction`], [`MergeError::NamelessBlob`],
    /// [`MergeError::TooMany`].
    pub fn check_dictionary(&mut self, dictionary: &Bootstrap) -> Result<(), MergeError> {
        self.fit(dictionary)?;
        self.add_blobs(dictionary.blob_entries(), None)?;
        Ok(())
    }

    fn add(
        &mut self,
        bootstrap: &Bootstrap,
        own_blob: Option<&BlobId>,
        whiteouts: Whiteouts,
    ) -> Result<(), MergeError> {
        let layer = self.count;
        self.fit(bootstrap)?;
        let blobs = self.add_blobs(bootstrap.blob_entries(), own_blob)?;
        let copy = bootstrap.to_chunked();
        let OwnedBootstrap { image, places } =
            copy.map_err(|source| MergeError::Decode { layer, source })?;
        let mut ids = Vec::with_capacity(image.chunks.len());
        for ((chunk, frame), place) in image.chunks.iter().zip(&image.frames).zip(places) {
            let blob = blobs.get(usize_from(frame.blob.0)).copied();
            let blob = blob.expect("a bootstrap that was copied names its own blobs");
            ids.push(self.chunk(*chunk, Frame { blob, ..*frame }, place)?);
        }
        let first = self.extents.len();
        self.extents.extend(image.extents.iter().map(|extent| {
            let chunk = extent.chunk.and_then(|id| ids.get(id.index()).copied());
            ChunkExtent { chunk, ..*extent }
        }));
        let too_many = MergeError::TooMany {
            what: "pieces of files",
        };
        let _ = u32::try_from(self.extents.len()).map_err(|_| too_many.clone())?;
        let first = u32::try_from(first).map_err(|_| too_many)?;
        let options = LayerOptions::default()
            .entries(Entries::Listed)
            .whiteouts(whiteouts)
            .limits(self.options.limits.clone());
        let upper = Layer::from_tree(image.tree, options).map(|_, _, range| ChunkRange {
            start: range.start.saturating_add(first),
            end: range.end.saturating_add(first),
        });
        let lower = std::mem::replace(&mut self.tree, Tree::implied());
        let merged = upper.apply_to(lower);
        self.tree = merged.map_err(|source| MergeError::Layer { layer, source })?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Refuses a bootstrap that is made otherwise than those so far.
    fn fit(&mut self, bootstrap: &Bootstrap) -> Result<(), MergeError> {
        let shape = Shape {
            version: bootstrap.version(),
            options: bootstrap.layout_options(),
        };
        let Some(first) = &self.shape else {
            self.shape = Some(shape);
            return Ok(());
        };
        let (ours, theirs) = (&first.options, &shape.options);
        let what = if first.version != shape.version {
            "version"
        } else if ours.chunk_size != theirs.chunk_size {
            "chunk size"
        } else if ours.compressor != theirs.compressor {
            "compressor"
        } else if ours.digester != theirs.digester {
            "digest algorithm"
        } else if ours.explicit_ids != theirs.explicit_ids {
            "rule for owners"
        } else {
            return Ok(());
        };
        let layer = self.count;
        Err(MergeError::Mismatch { layer, what })
    }

    /// Where the blobs of a bootstrap are in the merged table.
    fn add_blobs(
        &mut self,
        entries: &[BlobEntry],
        own_blob: Option<&BlobId>,
    ) -> Result<Vec<BlobIndex>, MergeError> {
        let layer = self.count;
        let mut indexes = Vec::with_capacity(entries.len());
        for entry in entries {
            let id = match (entry.is_self(), own_blob) {
                (false, _) => &entry.id,
                (true, Some(own_blob)) => own_blob,
                (true, None) => return Err(MergeError::NamelessBlob { layer }),
            };
            // The merged bootstrap is in none of its blobs.
            let entry = BlobEntry {
                id: id.clone(),
                features: entry.features.without(BlobFeatures::INLINED_FS_META),
                ..entry.clone()
            };
            let index = match self.blob_of.get(&entry.id) {
                Some(&index) if self.entries.get(usize_from(index.0)) == Some(&entry) => index,
                Some(_) => {
                    let id = entry.id;
                    return Err(MergeError::Contradiction { layer, id });
                }
                None => {
                    let number = u32::try_from(self.entries.len());
                    let index =
                        BlobIndex(number.map_err(|_| MergeError::TooMany { what: "blobs" })?);
                    self.blob_of.insert(entry.id.clone(), index);
                    self.entries.push(entry);
                    index
                }
            };
            indexes.push(index);
        }
        Ok(indexes)
    }

    /// The chunk in the merged list, which is the same for all layers that use it.
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

    /// The merged image, of what is used alone.
    #[must_use]
    pub fn finish(mut self) -> Merged {
        let prefetch = prefetch_inodes(&self.tree, &self.options.prefetch);
        let (version, options) = match &self.shape {
            Some(shape) => (shape.version, shape.options.clone()),
            None => (Version::default(), LayoutOptions::default()),
        };
        let tree = std::mem::replace(&mut self.tree, Tree::implied());
        let mut used = Used::new(&self);
        let tree = tree.map(|_, _, range| used.range(range));
        let Used {
            parts,
            places,
            entries,
            ..
        } = used;
        let image = ChunkedImage::new(tree, parts);
        let image = image.expect("layers over layers are a tree, and its parts were put together");
        Merged {
            bootstrap: OwnedBootstrap { image, places },
            entries,
            version,
            options: options.prefetch(prefetch),
        }
    }
}
