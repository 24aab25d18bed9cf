//! Where a conversion gets its tree and content from.

use std::fmt;
use std::io::Read;

use blob_io::ReadAt;
use image_model::tree::Spans;
use image_model::{BlobIndex, Limits, Tree};
use image_read::{Format, OpenImage, Reader, StoreError, TreeImage};

/// A layer that is read once, from its first byte to its last: a pipe, a download, a file.
///
/// Content is stored in the order of the tar. What a later entry of the layer replaces is stored by
/// then and stays, unused; the [`Report`](crate::Report) counts it.
pub struct Streaming<'a> {
    pub(crate) layer: Box<dyn Read + 'a>,
    pub(crate) lenient: bool,
    pub(crate) limits: Limits,
}

impl<'a> Streaming<'a> {
    /// The layer that `layer` gives: a tar, plain or compressed with gzip or zstd, which is found
    /// out by its content.
    pub fn new(layer: impl Read + 'a) -> Self {
        Self {
            layer: Box::new(layer),
            lenient: false,
            limits: Limits::default(),
        }
    }

    /// Whether to accept, as Go and containerd do, what strict reading refuses.
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// Bounds on what the layer may make us do.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Streaming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("lenient", &self.lenient)
            .finish_non_exhaustive()
    }
}

/// A tree that is known before its content is read, in any order: what prefetch orders and
/// prioritized files need. Nothing that is not part of the tree is stored.
pub struct Seekable<'a> {
    pub(crate) tree: SeekableTree<'a>,
    pub(crate) limits: Limits,
}

pub(crate) enum SeekableTree<'a> {
    /// A tree whose content lies plain in one source.
    Plain {
        tree: Tree<Spans>,
        source: &'a dyn ReadAt,
        order: DataOrder,
    },
    /// Any image.
    Image(Reader),
}

/// In which order files are stored that no prefetch rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataOrder {
    /// By directory: its files in the order of their names, then its subdirectories. What nydus
    /// does with directories.
    Directories,
    /// As in the inode table, where a layer's members are in the order of the tar. What nydus does
    /// with tars.
    InodeTable,
}

impl<'a> Seekable<'a> {
    /// An image that was opened; layers as [`tar`](Self::tar), directories as
    /// [`directory`](Self::directory), everything else as [`image`](Self::image).
    ///
    /// # Errors
    /// [`StoreError`] if the layer's or directory's content is not at hand.
    pub fn opened(opened: &'a OpenImage) -> Result<Self, StoreError> {
        let Some(tree) = opened.tree() else {
            return Ok(Self::image(opened.reader().clone()));
        };
        let source = opened.blobs().blob(BlobIndex(0))?;
        Ok(match opened.format() {
            Format::Directory => Self::directory(tree, source),
            _ => Self::tar(tree, source),
        })
    }

    /// The tree of a tar whose plain bytes are in `source`. Content is stored in the order of the
    /// inode table, which is that of the tar if a [`LayerImage`](image_read::LayerImage) made it.
    #[must_use]
    pub fn tar(image: &TreeImage, source: &'a dyn ReadAt) -> Self {
        Self::plain(image.tree().clone(), source, DataOrder::InodeTable)
    }

    /// The tree of a directory whose files' bytes are in `source`. Content is stored directory by
    /// directory.
    #[must_use]
    pub fn directory(image: &TreeImage, source: &'a dyn ReadAt) -> Self {
        Self::plain(image.tree().clone(), source, DataOrder::Directories)
    }

    /// Any image that `reader` reads; it is stored directory by directory.
    #[must_use]
    pub fn image(reader: Reader) -> Self {
        Self {
            tree: SeekableTree::Image(reader),
            limits: Limits::default(),
        }
    }

    fn plain(tree: Tree<Spans>, source: &'a dyn ReadAt, order: DataOrder) -> Self {
        Self {
            tree: SeekableTree::Plain {
                tree,
                source,
                order,
            },
            limits: Limits::default(),
        }
    }

    /// Bounds on what the image may make us do.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

impl fmt::Debug for Seekable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.tree {
            SeekableTree::Plain { .. } => "Seekable(Plain)",
            SeekableTree::Image(_) => "Seekable(Image)",
        })
    }
}

/// Either kind of source.
#[derive(Debug)]
pub enum Source<'a> {
    /// Read once.
    Streaming(Streaming<'a>),
    /// Read in any order.
    Seekable(Seekable<'a>),
}

impl Source<'_> {
    /// Whether this is a tar whose content is stored in its own order.
    pub(crate) fn is_tar(&self) -> bool {
        match self {
            Self::Streaming(_) => true,
            Self::Seekable(source) => matches!(
                source.tree,
                SeekableTree::Plain {
                    order: DataOrder::InodeTable,
                    ..
                }
            ),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        match self {
            Self::Streaming(source) => &source.limits,
            Self::Seekable(source) => &source.limits,
        }
    }
}

impl<'a> From<Streaming<'a>> for Source<'a> {
    fn from(source: Streaming<'a>) -> Self {
        Self::Streaming(source)
    }
}

impl<'a> From<Seekable<'a>> for Source<'a> {
    fn from(source: Seekable<'a>) -> Self {
        Self::Seekable(source)
    }
}
