//! The sources of conversions.

mod content;
mod input;
mod kept;
mod origin;
mod stack;

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use blob_io::{ReadAt, Sequential};
use image_model::{Limits, Tree};
use image_read::{LayerImageOptions, OpenImage, Reader};

pub use content::FileContent;
pub use input::FileContentError;
pub(crate) use input::{Contents, DataOrder, Input, Walkable};
pub(crate) use kept::{KeptFile, KeptFrames};
pub(crate) use origin::{FilePlaces, Origin};

/// The source of a conversion's tree and content. It can be made from:
///
/// | from | is |
/// |---|---|
/// | [`Streaming`] | a layer that is read once, from its first byte to its last |
/// | [`OpenImage`], also by reference | any opened image, with the limits it was opened with |
/// | [`Reader`], also by reference | any image, with the limits it is read with: those that the image was opened with |
/// | [`Tree<FileContent>`](FileContent) | an image built in memory |
/// | [`Source::stack`] of those | the image of several layers |
/// All but the first are known before their content is read: prefetch orders and prioritized files take effect, and
/// only what is part of the tree is stored. The content of images is read in the order in which it is stored, where the
/// target leaves that open.
///
/// ```
/// use lazyoci_image_convert::{Source, Streaming};
/// # use image_model::Limits;
/// let layer = [0; 1024];
/// let small: Source<'_> = Streaming::new(&layer[..]).into();
/// let small = small.with_limits(Limits::small());
/// ```
pub struct Source<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) limits: Limits,
    pub(crate) keep_frames: bool,
}

pub(crate) enum Kind<'a> {
    Streaming(Streaming<'a>),
    Opened(Box<OpenImage>),
    Reader(Reader),
    Tree(Tree<FileContent<'a>>),
    Stack(Vec<Source<'a>>),
}

impl<'a> Source<'a> {
    pub(crate) fn new(kind: Kind<'a>) -> Self {
        Self {
            kind,
            limits: Limits::default(),
            keep_frames: false,
        }
    }

    /// The image of several layers, lowest first: each is applied to those below it, as by
    /// [`Layer::apply_to`](image_model::layer::Layer::apply_to), and its whiteouts take effect. In RAFS each layer's
    /// content gets its own blob. The bounds are those of the top layer; each layer is read within its own.
    ///
    /// ```
    /// use lazyoci_image_convert::{RafsOptions, Source, Streaming, to_rafs};
    /// use blob_io::MemoryOutput;
    ///
    /// # let (base, update) = ([0; 1024], [0; 1024]);
    /// let layers = [Streaming::new(&base[..]), Streaming::new(&update[..])];
    /// let stack = Source::stack(layers.map(Source::from));
    /// let mut image = MemoryOutput::default();
    /// let done = to_rafs(stack, &mut image, &RafsOptions::default(), &mut ())?;
    /// assert_eq!(done.report.inodes, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stack(layers: impl IntoIterator<Item = Self>) -> Self {
        let layers: Vec<_> = layers.into_iter().collect();
        let limits = layers.last().map(|top| top.limits.clone());
        Self::new(Kind::Stack(layers)).with_limits(limits.unwrap_or_default())
    }

    /// Whether it is a stack, be it of one layer.
    pub(crate) fn is_stack(&self) -> bool {
        matches!(self.kind, Kind::Stack(_))
    }

    /// The layers, the lowest first, and the top one: the source itself if it is not a stack.
    pub(crate) fn into_layers(self) -> (Vec<Self>, Self) {
        let mut layers = match self.kind {
            Kind::Stack(layers) => layers,
            _ => vec![self],
        };
        let top = layers.pop().unwrap_or_else(|| Tree::implied().into());
        (layers, top)
    }

    /// Sets the bounds on what the source may make us do. Default: those that an [`OpenImage`] was
    /// opened with, those of a [`Reader`] ([`ReadOptions::limits`](image_read::ReadOptions)) and of a
    /// [`Streaming`] layer, for all else the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the frames of an [`OpenImage`] are copied as they are stored, where the target has the same codec and
    /// its frame would hold the same bytes: nothing is compressed again then, and only the metadata are made anew.
    /// Files are cut where the image has cut them, if the target allows that; a tar is written in the order of the
    /// image's own. Each frame that is copied is read once more, by itself, decoded and compared with the verified
    /// content; so this is for images at hand rather than in a registry, and takes the memory of a piece more for each
    /// thread. What was copied is [counted](crate::ChunkCounts::copied_bytes). Where the tar of a layer is kept as it
    /// is, it is read from front to back, and a file is compared with the digest that the TOC has of all of it.
    ///
    /// RAFS with zstd or gzip, eStargz with either kind of TOC, and zstd:chunked can be made of each other so. In
    /// eStargz and in dialect A a frame also holds the headers that follow a file, which other formats have no place
    /// for: of those, dialect B and RAFS keep the frames of long files alone. Other sources are converted as always,
    /// and so is a [stack](Self::stack), but that RAFS keeps frames of those of its layers that say so. Default: no.
    ///
    /// ```
    /// use blob_io::MemoryOutput;
    /// use lazyoci_image_convert::{EstargzOptions, Source, read, to_estargz, Streaming};
    /// # let layer = [0; 1024];
    /// let mut output = MemoryOutput::default();
    /// to_estargz(Streaming::new(&layer[..]), &mut output, &EstargzOptions::default(), &mut ())?;
    /// let stored = output.objects()[0].bytes.clone();
    ///
    /// let stored = std::sync::Arc::new(stored);
    /// let image = read::open_source(stored, None, read::NoBlobs, &Default::default())?;
    /// let external = EstargzOptions::default().external_toc(true);
    /// let source = Source::from(image).keep_frames(true);
    /// let done = to_estargz(source, &mut MemoryOutput::default(), &external, &mut ())?;
    /// println!("{} bytes copied", done.report.chunks.copied_bytes);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn keep_frames(mut self, keep_frames: bool) -> Self {
        self.keep_frames = keep_frames;
        self
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Streaming(layer) => layer.fmt(f),
            Kind::Opened(image) => image.fmt(f),
            Kind::Reader(reader) => reader.fmt(f),
            Kind::Tree(tree) => write!(f, "Tree({} inodes)", tree.len()),
            Kind::Stack(layers) => f.debug_tuple("Stack").field(layers).finish(),
        }
    }
}

/// A layer that is read once, from its first byte to its last: a pipe, a download, a file.
///
/// To RAFS its content is stored in the order of the tar, as it comes. What a later entry of the layer
/// replaces is stored by then and stays, unused; the [`Report`](crate::Report) counts it. All else is
/// made of a layer once it is decoded into an unnamed temporary file, since a tar may replace what it
/// had before.
pub struct Streaming<'a> {
    pub(crate) layer: Box<dyn Read + 'a>,
    /// The file that holds it, if it is in one.
    pub(crate) file: Option<Arc<dyn ReadAt>>,
    pub(crate) lenient: bool,
    pub(crate) limits: Limits,
    spool_directory: Option<PathBuf>,
}

impl<'a> Streaming<'a> {
    /// The layer read from `layer`: a tar, plain or compressed with gzip or zstd, detected by
    /// content.
    pub fn new(layer: impl Read + 'a) -> Self {
        Self {
            layer: Box::new(layer),
            file: None,
            lenient: false,
            limits: Limits::default(),
            spool_directory: None,
        }
    }

    /// The layer that is all of `file`. A plain tar there is read where it is, by all threads: content goes to RAFS and
    /// EROFS while the headers that follow it are still being read, and to EROFS nothing is kept meanwhile, since it is
    /// read twice.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use blob_io::WriterOutput;
    /// use lazyoci_image_convert::{ErofsOptions, Streaming, to_erofs};
    ///
    /// let layer = Streaming::of_file(Arc::new(bytes::Bytes::from_static(&[0; 1024])))?;
    /// let mut image = Vec::new();
    /// to_erofs(layer, &mut WriterOutput::new(&mut image), &ErofsOptions::default(), &mut ())?;
    /// assert_eq!(image.len(), 4096);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError`](blob_io::ReadError) if the file has no length.
    pub fn of_file(file: Arc<dyn ReadAt>) -> Result<Self, blob_io::ReadError> {
        let layer = Sequential::new(Arc::clone(&file))?;
        Ok(Self {
            file: Some(file),
            ..Self::new(layer)
        })
    }

    /// Whether to accept what strict reading refuses, as Go and containerd do.
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.lenient = lenient;
        self
    }

    /// Sets the bounds on what the layer may make us do, even if it is no [`Source`]: when it is
    /// [compressed otherwise](crate::recompress).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the directory of the unnamed temporary file into which the layer is decoded, if it has to be. Default: the
    /// system's directory for temporary files.
    #[must_use]
    pub fn spool_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spool_directory = Some(directory.into());
        self
    }

    /// How it is spooled, and the layer itself.
    fn spooling(self, limits: &Limits) -> (LayerImageOptions, Box<dyn Read + 'a>) {
        let mut spooling = LayerImageOptions::default()
            .lenient(self.lenient)
            .limits(limits.clone());
        spooling.spool_directory = self.spool_directory;
        (spooling, self.layer)
    }
}

impl fmt::Debug for Streaming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("lenient", &self.lenient)
            .finish_non_exhaustive()
    }
}

impl<'a> From<Streaming<'a>> for Source<'a> {
    fn from(layer: Streaming<'a>) -> Self {
        let limits = layer.limits.clone();
        Self::new(Kind::Streaming(layer)).with_limits(limits)
    }
}

impl From<OpenImage> for Source<'_> {
    fn from(image: OpenImage) -> Self {
        let limits = image.limits().clone();
        Self::new(Kind::Opened(Box::new(image))).with_limits(limits)
    }
}

impl From<&OpenImage> for Source<'_> {
    fn from(image: &OpenImage) -> Self {
        image.clone().into()
    }
}

impl From<Reader> for Source<'_> {
    fn from(reader: Reader) -> Self {
        let limits = reader.options().limits.clone();
        Self::new(Kind::Reader(reader)).with_limits(limits)
    }
}

impl From<&Reader> for Source<'_> {
    fn from(reader: &Reader) -> Self {
        reader.clone().into()
    }
}

impl<'a> From<Tree<FileContent<'a>>> for Source<'a> {
    fn from(tree: Tree<FileContent<'a>>) -> Self {
        Self::new(Kind::Tree(tree))
    }
}
