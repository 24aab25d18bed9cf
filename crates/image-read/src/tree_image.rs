//! An image over a tree whose content lies plain in one source: a tar, a directory.

use std::ops::{ControlFlow, Range};

use image_model::tree::Spans;
use image_model::{
    Attributes, Blob, BlobId, BlobIndex, Codec, DirEntry, Extent, ExtentSource, Frame, Image,
    ImageError, Ino, NameRef, Tree, TreeView, Xattrs,
};

/// Longest frame of a [`TreeImage`], in bytes.
pub const PIECE_LEN: u32 = 1 << 20;

/// An [`Image`] over a [`Tree<Spans>`](Tree) whose spans are ranges of one uncompressed source.
///
/// It has one blob, the source. Each data span is cut into frames of [`PIECE_LEN`] bytes at most,
/// stored as they are, which nothing vouches for: a tar holds no digests. Holes are zeros.
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
/// let mut pieces = 0;
/// image.extents(file, 0..3_000_000, &mut |_| { pieces += 1; std::ops::ControlFlow::Continue(()) })?;
/// assert_eq!(pieces, 3);
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
        Self {
            links: tree.link_counts(),
            tree,
            blobs: [Blob {
                id: source,
                stored_len: source_len,
                decoded_len: source_len,
                chunk_count: 0,
            }],
        }
    }

    /// The tree; [`Ino`]s of the image are positions in its table.
    #[must_use]
    pub fn tree(&self) -> &Tree<Spans> {
        &self.tree
    }

    /// Gives the tree back.
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
        // Where the current run, a hole or a piece of a span, begins.
        let mut at = match next.checked_sub(1).map(|before| spans[before]) {
            Some(before) => before.file_offset + before.len,
            None => 0,
        };
        while at < end {
            let extent = match spans.get(next) {
                Some(span) if span.file_offset <= at => {
                    let first = span.file_offset;
                    // Pieces are counted from the start of the span, wherever the range begins.
                    let piece = (at.max(range.start) - first) / u64::from(PIECE_LEN);
                    let skip = piece * u64::from(PIECE_LEN);
                    let len = u64::from(PIECE_LEN).min(span.len - skip);
                    if skip + len == span.len {
                        next += 1;
                    }
                    piece_of(first + skip, span.source_offset + skip, len)
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

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn is_implied(&self, ino: Ino) -> bool {
        self.view().is_implied(ino)
    }
}

fn piece_of(file_offset: u64, source_offset: u64, len: u64) -> Extent {
    let frame_len = u32::try_from(len).expect("pieces have at most PIECE_LEN bytes");
    Extent {
        file_offset,
        len,
        source: ExtentSource::Chunk {
            frame: Frame {
                blob: BlobIndex(0),
                offset: source_offset,
                stored_len: frame_len,
                len: frame_len,
                codec: Codec::None,
                open_ended: false,
            },
            offset_in_frame: 0,
            digest: None,
            crc32c: None,
        },
    }
}
