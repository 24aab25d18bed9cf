//! Merging the bootstraps of layers into one.

mod error;
mod merged;
mod used;

use image_model::advisory::Advisories;
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::layer::{Entries, Layer, LayerOptions, Whiteouts};
use image_model::{BlobId, ChunkedImage, ImagePath, Limits, Tree};

use crate::bootstrap::Bootstrap;
use crate::layout::LayoutOptions;
use crate::owned::OwnedBootstrap;
use crate::pool::{BlobPool, Pooled};
use crate::prefetch::prefetch_inodes;
use crate::shape::Shape;
use crate::v6::BlobEntry;
use crate::version::Version;
use used::Used;

pub use error::MergeError;
pub use merged::Merged;

/// Merges bootstraps of layers; content stays in its blobs.
///
/// All of them have one version, chunk size and digest algorithm, in version 5 one compressor, and all or none store
/// owners. Hard links do not lead from one layer into another, as a bootstrap has no word for that, and every directory
/// is described, even those that the layer only implied; if you have the layers themselves, stack them instead
/// (`image_convert::Source::stack`). Of chunks only their records are looked at, so blobs may be layers as they were,
/// or have batches, or be encrypted; chunk information stays where it is. Blobs that no file of the merged image uses
/// are left out; the others are in the order in which the merged inodes need them.
///
/// ```
/// use bytes::Bytes;
/// use image_model::Limits;
/// use lazyoci_rafs_format::Bootstrap;
/// use lazyoci_rafs_format::merge::{Merge, MergeOptions};
///
/// # let bytes = Bytes::from_static(include_bytes!("../../tests/goldens/a4-v5-none-sha256.boot"));
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
    pool: BlobPool,
    tree: Tree<ChunkRange>,
    /// Of the pool's chunks.
    extents: Vec<ChunkExtent>,
}

/// Options for merging bootstraps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeOptions {
    /// What in a layer hides files of lower layers.
    pub whiteouts: Whiteouts,
    /// What to fetch first, in order; paths that do not exist are ignored.
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

impl Merge {
    /// Nothing yet.
    #[must_use]
    pub fn new(options: MergeOptions) -> Self {
        Self {
            options,
            pool: BlobPool::default(),
            tree: Tree::implied(),
            extents: Vec::new(),
        }
    }

    /// Adds an image that was merged before; it has no whiteouts.
    ///
    /// # Errors
    /// [`MergeError`]; the merge cannot be continued then.
    pub fn push_parent(&mut self, parent: &Bootstrap) -> Result<(), MergeError> {
        self.add(parent, None, Whiteouts::Nothing)
    }

    /// Adds a layer on top of those so far. A blob that holds its bootstrap cannot know
    /// [its own name](crate::v6::BlobEntry::is_self): it is `own_blob`.
    ///
    /// # Errors
    /// [`MergeError`]; the merge cannot be continued then.
    pub fn push(&mut self, layer: &Bootstrap, own_blob: Option<&BlobId>) -> Result<(), MergeError> {
        self.add(layer, own_blob, self.options.whiteouts)
    }

    /// Checks that a dictionary with which layers were made fits them; it adds no file. A blob that holds
    /// its bootstrap is `own_blob`. Errors count it as the next layer.
    ///
    /// # Errors
    /// [`MergeError::Mismatch`], [`MergeError::Contradiction`], [`MergeError::NamelessBlob`],
    /// [`MergeError::TooMany`].
    pub fn check_dictionary(
        &mut self,
        dictionary: &Bootstrap,
        own_blob: Option<&BlobId>,
    ) -> Result<(), MergeError> {
        self.pool.add_blobs(dictionary, own_blob).map(|_| ())
    }

    /// The same for a dictionary of which only its shape and its blobs are known.
    ///
    /// # Errors
    /// [`MergeError::Mismatch`], [`MergeError::Contradiction`], [`MergeError::TooMany`].
    pub fn check_blobs(
        &mut self,
        shape: &Shape,
        blobs: impl IntoIterator<Item = BlobEntry>,
    ) -> Result<(), MergeError> {
        self.pool.add_entries(shape, blobs)
    }

    fn add(
        &mut self,
        bootstrap: &Bootstrap,
        own_blob: Option<&BlobId>,
        whiteouts: Whiteouts,
    ) -> Result<(), MergeError> {
        let layer = self.pool.count();
        let Pooled { tree, extents } =
            self.pool
                .take(bootstrap, own_blob, Bootstrap::to_recorded)?;
        let first = self.extents.len();
        self.extents.extend(extents);
        let too_many = MergeError::TooMany {
            what: "pieces of files",
        };
        let _ = u32::try_from(self.extents.len()).map_err(|_| too_many.clone())?;
        let first = u32::try_from(first).map_err(|_| too_many)?;
        let options = LayerOptions::default()
            .entries(Entries::Listed)
            .whiteouts(whiteouts)
            .limits(self.options.limits.clone());
        let upper = Layer::from_tree(tree, options).map(|_, _, range| ChunkRange {
            start: range.start.saturating_add(first),
            end: range.end.saturating_add(first),
        });
        let lower = std::mem::replace(&mut self.tree, Tree::implied());
        // Bootstraps list every path in full, so no path leads through a symbolic link.
        let merged = upper.apply_to(lower, &mut Advisories::default());
        self.tree = merged.map_err(|source| MergeError::Layer { layer, source })?;
        Ok(())
    }

    /// The merged image, with only what is used.
    #[must_use]
    pub fn finish(mut self) -> Merged {
        let prefetch = prefetch_inodes(&self.tree, &self.options.prefetch);
        let (version, options) = match self.pool.shape() {
            Some(shape) => {
                let options = LayoutOptions::default()
                    .chunk_size(shape.chunk_size)
                    .compressor(shape.compressor)
                    .digester(shape.digester)
                    .explicit_ids(shape.explicit_ids)
                    .tarfs(shape.tarfs);
                (shape.version, options)
            }
            None => (Version::default(), LayoutOptions::default()),
        };
        let tree = std::mem::replace(&mut self.tree, Tree::implied());
        let mut used = Used::new(&self.pool, &self.extents);
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
