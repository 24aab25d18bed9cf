//! A stack of layers as one image.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::advisory::Advisories;
use image_model::layer::{Layer, LayerError};
use image_model::{
    Attributes, Blame, Blob, BlobIndex, DirEntry, Extent, ExtentSource, Fault, Frame, FrameId,
    Image, ImageError, Ino, NameRef, Recipe, RecipeId, Tree, TreeView, Xattrs,
};

use crate::blobs::{BlobStore, OpenBlob, StoreError};
use crate::options::ReadOptions;
use crate::reader::{Reader, SharedImage};

/// Stacks layers, each with the reader of its files: one image, read by one [`Reader`], from the blobs of the layers.
///
/// ```
/// use image_model::Ino;
/// use lazyoci_image_read::{Stack, TarLayer};
/// use std::sync::Arc;
/// # use image_model::{ImagePath, Metadata, Node};
/// # fn tar(name: &[u8]) -> Arc<bytes::Bytes> {
/// #     let mut tar = tar_stream::TarWriter::new(Vec::new());
/// #     let (path, node) = (ImagePath::clean(name).unwrap(), Node::Fifo::<()>);
/// #     tar.append(&path, &Metadata::default(), &node).unwrap();
/// #     Arc::new(tar.finish().unwrap().into())
/// # }
///
/// let mut stack = Stack::default();
/// for layer in [tar(b"lower"), tar(b"upper")] {
///     let (layer, reader) = TarLayer::open(layer, &Default::default())?.into_parts()?;
///     stack.push(layer, &reader)?;
/// }
/// let image = stack.into_reader(Default::default());
/// assert_eq!(image.image().lookup(Ino(0), image_model::NameRef::new(b"lower")?)?, Some(Ino(1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stack {
    tree: Tree<LayerFile>,
    parts: Vec<Part>,
    blobs: Vec<Blob>,
    recipes: Vec<Recipe>,
    /// All frames have lower numbers.
    frames: u32,
    advisories: Advisories,
    /// Of each layer, with the number of its first blob.
    stores: Vec<(usize, Reader)>,
}

/// The content of a file: which layer it came from, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LayerFile {
    layer: usize,
    ino: Ino,
}

/// What numbers of a layer's image became.
struct Part {
    image: SharedImage,
    first_frame: u32,
    frames: u32,
    first_blob: u32,
    first_recipe: u32,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("first_frame", &self.first_frame)
            .field("first_blob", &self.first_blob)
            .finish_non_exhaustive()
    }
}

/// A layer that cannot be stacked on others.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// It does not fit those below it.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// There are more frames, blobs or recipes than can be numbered.
    #[error("the layers have more than 2^32 {what} together")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
}

impl Blame for StackError {
    fn fault(&self) -> Fault {
        match self {
            Self::Layer(error) => error.fault(),
            Self::TooMany { .. } => Fault::Limit,
        }
    }
}

impl Default for Stack {
    /// No layer: a root directory that nothing describes.
    fn default() -> Self {
        Self {
            advisories: Advisories::default(),
            tree: Tree::implied(),
            parts: Vec::new(),
            blobs: Vec::new(),
            recipes: Vec::new(),
            frames: 0,
            stores: Vec::new(),
        }
    }
}

impl Stack {
    /// Adds `layer` on top of those so far. Its files are identified by their numbers in the image of `reader`.
    ///
    /// # Errors
    /// [`StackError`]; the stack cannot be used then.
    pub fn push(&mut self, layer: Layer<Ino>, reader: &Reader) -> Result<(), StackError> {
        let image = Arc::clone(reader.image());
        let number =
            |count: usize, what| u32::try_from(count).map_err(|_| StackError::TooMany { what });
        let part = Part {
            first_frame: self.frames,
            frames: image.frame_bound(),
            first_blob: number(self.blobs.len(), "blobs")?,
            first_recipe: number(self.recipes.len(), "recipes")?,
            image,
        };
        let frames = self.frames.checked_add(part.frames);
        self.frames = frames.ok_or(StackError::TooMany { what: "frames" })?;
        self.stores.push((self.blobs.len(), reader.clone()));
        self.blobs.extend_from_slice(part.image.blobs());
        let recipes = (0..).map_while(|id| part.image.recipe(RecipeId(id)));
        self.recipes.extend(recipes);
        let position = self.parts.len();
        self.parts.push(part);
        let layer = layer.map(|_, _, ino| LayerFile {
            layer: position,
            ino,
        });
        let lower = std::mem::replace(&mut self.tree, Tree::implied());
        self.tree = layer.apply_to(lower, &mut self.advisories)?;
        Ok(())
    }

    /// The oddities of layers in combination with lower ones.
    #[must_use]
    pub fn advisories(&self) -> &Advisories {
        &self.advisories
    }

    /// A reader of the image that the layers are together. Inodes are numbered by their positions in
    /// [its tree](Self::tree).
    #[must_use]
    pub fn into_reader(self, options: ReadOptions) -> Reader {
        let blobs = BlobStore::new(&self.blobs, BlobsOfLayers(self.stores));
        let image = StackImage {
            links: self.tree.link_counts(),
            tree: self.tree,
            parts: self.parts,
            blobs: self.blobs,
            recipes: self.recipes,
            frames: self.frames,
        };
        Reader::new(Arc::new(image), blobs, options)
    }

    /// The tree of the layers so far; of a file, its position there.
    #[must_use]
    pub fn tree(&self) -> Tree<Ino> {
        let number = |id: image_model::InodeId, _, _| Ino(id.index() as u64);
        self.tree.clone().map(number)
    }
}

/// The image of several layers.
struct StackImage {
    tree: Tree<LayerFile>,
    links: Vec<u32>,
    parts: Vec<Part>,
    blobs: Vec<Blob>,
    recipes: Vec<Recipe>,
    frames: u32,
}

impl StackImage {
    fn view(&self) -> TreeView<'_, LayerFile> {
        TreeView::new(&self.tree, &self.links)
    }

    /// The layer that numbers `frame`, if it is one.
    fn part_of(&self, frame: FrameId) -> Option<&Part> {
        let first = |part: &Part| part.first_frame <= frame.0;
        let behind = self.parts.partition_point(first);
        self.parts.get(behind.checked_sub(1)?)
    }
}

impl Part {
    /// The extent, with the numbers of the stack.
    fn extent(&self, mut extent: Extent) -> Extent {
        match &mut extent.source {
            ExtentSource::Zeros => {}
            ExtentSource::Plain { blob, .. } => *blob = self.blob(*blob),
            // A blob that this layer does not have is in none of the others.
            ExtentSource::Chunk { frame, .. } if frame.0 >= self.frames => frame.0 = u32::MAX,
            ExtentSource::Chunk { frame, .. } => frame.0 += self.first_frame,
        }
        extent
    }

    fn blob(&self, blob: BlobIndex) -> BlobIndex {
        match (blob.0 as usize) < self.image.blobs().len() {
            true => BlobIndex(blob.0 + self.first_blob),
            false => BlobIndex(u32::MAX),
        }
    }
}

impl Image for StackImage {
    fn root(&self) -> Ino {
        self.view().root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        self.view().attributes(ino)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        self.view().xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.view().lookup(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.view().read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.view().symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let (_, of) = self.view().file(ino)?;
        let part = &self.parts[of.layer];
        let extents = (part.image).extents(of.ino, range, &mut |extent| visit(part.extent(extent)));
        extents.map_err(|error| error.about(ino))
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let Some(part) = self.part_of(frame) else {
            let (what, index, count) = ("frame", frame.0, 0);
            let missing = image_model::image::NoSuchEntry { what, index, count };
            return Err(ImageError::new(None, missing));
        };
        let found = part.image.frame(FrameId(frame.0 - part.first_frame))?;
        Ok(Frame {
            blob: part.blob(found.blob),
            recipe: RecipeId(found.recipe.0.saturating_add(part.first_recipe)),
            ..found
        })
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        let Some(part) = self.part_of(frame) else {
            return frame;
        };
        let own = FrameId(frame.0 - part.first_frame);
        match part.image.shared_frame(own).0 {
            shared if shared < part.frames => FrameId(part.first_frame + shared),
            _ => frame,
        }
    }

    fn frame_bound(&self) -> u32 {
        self.frames
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.recipes.get(recipe.0 as usize).cloned()
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn is_implied(&self, ino: Ino) -> bool {
        self.view().is_implied(ino)
    }
}

/// The blobs of several layers, each as its own reader has it.
struct BlobsOfLayers(Vec<(usize, Reader)>);

/// A blob of a layer.
struct BlobOfLayer {
    layer: Reader,
    index: BlobIndex,
}

impl OpenBlob for BlobsOfLayers {
    fn open_blob(&self, index: BlobIndex, _blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        let position = index.0 as usize;
        let behind = self.0.partition_point(|(first, _)| *first <= position);
        // Of layers with the same start, the last one has blobs.
        let layer = behind.checked_sub(1).map(|behind| &self.0[behind]);
        let (first, layer) = layer.ok_or(StoreError::NoSuchBlob { index, count: 0 })?;
        let blob = BlobOfLayer {
            layer: layer.clone(),
            // It came from there.
            index: BlobIndex((position - first) as u32),
        };
        blob.source()?;
        Ok(Arc::new(blob))
    }
}

impl BlobOfLayer {
    fn source(&self) -> Result<&dyn ReadAt, StoreError> {
        self.layer.blobs().blob(self.index)
    }

    /// The same, once it was opened.
    fn opened(&self) -> &dyn ReadAt {
        self.source().expect("a blob that was opened stays open")
    }
}

impl ReadAt for BlobOfLayer {
    fn len(&self) -> Result<u64, blob_io::ReadError> {
        self.opened().len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), blob_io::ReadError> {
        self.opened().read_at(offset, buf)
    }

    fn read_bytes(&self, offset: u64, len: usize) -> Result<Bytes, blob_io::ReadError> {
        self.opened().read_bytes(offset, len)
    }

    fn in_memory(&self, offset: u64, len: usize) -> Result<Option<Bytes>, blob_io::ReadError> {
        self.opened().in_memory(offset, len)
    }
}
