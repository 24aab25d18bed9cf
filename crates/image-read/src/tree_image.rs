//! An image of a tree whose content is plain bytes in one source: a tar, a directory.

use std::ops::{ControlFlow, Range};

use image_model::image::NoSuchEntry;
use image_model::tree::Spans;
use image_model::{
    Attributes, Blob, BlobId, BlobIndex, DirEntry, Extent, ExtentSource, Frame, FrameId, Image,
    ImageError, Ino, NameRef, Recipe, RecipeId, Tree, TreeView, Xattrs,
};

/// An [`Image`] over a [`Tree<Spans>`](Tree) whose spans are ranges of one uncompressed source. It has one blob, the
/// source, and neither frames nor digests: each data span is an extent of plain bytes in the blob. Holes are zeros.
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
            if at > range.start && visit(extent).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let missing = NoSuchEntry {
            what: "frame",
            index: frame.0,
            count: 0,
        };
        Err(ImageError::new(None, missing))
    }

    fn frame_bound(&self) -> u32 {
        0
    }

    fn recipe(&self, _recipe: RecipeId) -> Option<Recipe> {
        None
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn is_implied(&self, ino: Ino) -> bool {
        self.view().is_implied(ino)
    }
}
