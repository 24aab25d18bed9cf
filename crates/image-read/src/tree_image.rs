//! An image of a tree whose content is bytes of one source: a tar, a directory.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use image_model::image::NoSuchEntry;
use image_model::tree::Spans;
use image_model::{
    Attributes, Blob, BlobId, BlobIndex, DirEntry, Extent, ExtentSource, Frame, FrameId, Image,
    ImageError, Ino, NameRef, Recipe, RecipeId, Tree, TreeView, Xattrs,
};

/// An [`Image`] over a [`Tree<Spans>`](Tree) whose spans are ranges of one uncompressed source. It has one blob, the
/// source, and neither frames nor digests: each data span is an extent of plain bytes in the blob. Holes are zeros. With
/// the index of a gzip layer the blob is the layer as it is, and spans are in frames.
///
/// ```
/// use image_model::tree::Spans;
/// use image_model::{BlobId, Image, Metadata, Name, NameRef, Node, Tree};
/// use lazyoci_image_read::TreeImage;
///
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let content = Spans::contiguous(512, 3_000_000);
/// let file = tree.add(Metadata::default(), Node::File { size: 3_000_000, content });
/// tree.link(Tree::<Spans>::ROOT, Name::new(*b"f").unwrap(), file)?;
///
/// let image = TreeImage::new(tree, BlobId::new(b"layer.tar")?, 3_001_344);
/// let file = image.lookup(image.root(), NameRef::new(b"f")?)?.unwrap();
/// let mut len = 0;
/// image.extents(file, 0..10, &mut |extent| { len = extent.len; std::ops::ControlFlow::Continue(()) })?;
/// assert_eq!(len, 3_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TreeImage {
    tree: Tree<Spans>,
    links: Vec<u32>,
    blobs: [Blob; 1],
    /// Where the source's bytes are stored, if not as they are.
    frames: Option<Arc<dyn FrameTable>>,
}

/// Frames that together are a source of plain bytes, in order and without gaps.
pub(crate) trait FrameTable: fmt::Debug + Send + Sync {
    /// The frame that holds byte `offset` of the source, and which bytes of it that holds.
    fn at(&self, offset: u64) -> Option<(FrameId, Range<u64>)>;

    /// A frame.
    fn frame(&self, id: FrameId) -> Option<Frame>;

    /// Where a frame begins in the source; its end if there is no such frame.
    #[cfg(feature = "gzip-index")]
    fn start(&self, id: FrameId) -> u64;

    /// A recipe.
    fn recipe(&self, id: RecipeId) -> Option<Recipe>;

    /// How many frames there are.
    fn count(&self) -> u32;

    /// Length of the source in bytes.
    fn len(&self) -> u64;
}

impl TreeImage {
    /// The image of `tree`, whose spans lie in a source of `source_len` bytes that is called `source`.
    #[must_use]
    pub fn new(tree: Tree<Spans>, source: BlobId, source_len: u64) -> Self {
        let mut blob = Blob::new(source);
        blob.stored_len = Some(source_len);
        blob.decoded_len = Some(source_len);
        Self {
            links: tree.link_counts(),
            tree,
            blobs: [blob],
            frames: None,
        }
    }

    /// The same, with a source that is stored in `frames` of the blob.
    pub(crate) fn in_frames(self, frames: Arc<dyn FrameTable>) -> Self {
        let [mut blob] = self.blobs;
        blob.decoded_len = Some(frames.len());
        Self {
            blobs: [blob],
            frames: Some(frames),
            ..self
        }
    }

    /// The tree; [`Ino`]s of the image are positions in its table.
    #[must_use]
    pub fn tree(&self) -> &Tree<Spans> {
        &self.tree
    }

    /// Returns the tree.
    #[must_use]
    pub fn into_tree(self) -> Tree<Spans> {
        self.tree
    }

    fn view(&self) -> TreeView<'_, Spans> {
        TreeView::new(&self.tree, &self.links)
    }

    /// Passes `extent` to `visit`: by frames, as far as they overlap `range`, if its bytes lie in them.
    fn pass(
        &self,
        extent: Extent,
        range: &Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ImageError> {
        let (Some(frames), ExtentSource::Plain { offset, .. }) = (&self.frames, extent.source)
        else {
            return Ok(visit(extent));
        };
        let end = extent.len.min(range.end.saturating_sub(extent.file_offset));
        // The frames before the range hold none of it.
        let before = range.start.saturating_sub(extent.file_offset);
        let mut passed = match frames.at(offset + before) {
            Some((_, held)) => held.start.saturating_sub(offset),
            None => 0,
        };
        while passed < end {
            let at = offset + passed;
            let Some((frame, held)) = frames.at(at) else {
                let missing = NoSuchEntry {
                    what: "frame",
                    index: self.frame_bound(),
                    count: self.frame_bound() as usize,
                };
                return Err(ImageError::new(None, missing));
            };
            let len = (held.end - at).min(extent.len - passed);
            let part = Extent {
                file_offset: extent.file_offset + passed,
                len,
                source: ExtentSource::Chunk {
                    frame,
                    // Frames are no longer than 4 GiB.
                    offset_in_frame: u32::try_from(at - held.start).unwrap_or(u32::MAX),
                    digest: None,
                    crc32c: None,
                },
            };
            if visit(part).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            passed += len;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Image for TreeImage {
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
        let (size, spans) = self.view().file(ino)?;
        let end = range.end.min(size);
        let spans = spans.as_slice();
        let mut next =
            spans.partition_point(|s| s.file_offset.saturating_add(s.len) <= range.start);
        // Where the current extent, a hole or a span, begins.
        let mut at = match next.checked_sub(1).map(|before| spans[before]) {
            Some(before) => before.file_offset + before.len,
            None => 0,
        };
        while at < end {
            let extent = match spans.get(next) {
                Some(span) if span.file_offset <= at => {
                    next += 1;
                    Extent {
                        file_offset: span.file_offset,
                        len: span.len,
                        source: ExtentSource::Plain {
                            blob: BlobIndex(0),
                            offset: span.source_offset,
                        },
                    }
                }
                following => Extent {
                    file_offset: at,
                    len: following.map_or(size, |s| s.file_offset.min(size)) - at,
                    source: ExtentSource::Zeros,
                },
            };
            at = extent.file_offset + extent.len;
            if at > range.start && self.pass(extent, &range, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let found = self.frames.as_ref().and_then(|frames| frames.frame(frame));
        found.ok_or_else(|| {
            let missing = NoSuchEntry {
                what: "frame",
                index: frame.0,
                count: self.frame_bound() as usize,
            };
            ImageError::new(None, missing)
        })
    }

    fn frame_bound(&self) -> u32 {
        self.frames.as_ref().map_or(0, |frames| frames.count())
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.frames.as_ref()?.recipe(recipe)
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn is_implied(&self, ino: Ino) -> bool {
        self.view().is_implied(ino)
    }
}
