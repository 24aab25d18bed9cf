//! A tar layer as an image.

#[cfg(feature = "gzip-index")]
mod compared;
mod error;
mod index;
#[cfg(feature = "gzip-index")]
mod index_error;
#[cfg(feature = "gzip-index")]
mod indexed;
#[cfg(feature = "gzip-index")]
mod own_index;
#[cfg(feature = "gzip-index")]
mod spans;
#[cfg(feature = "gzip-index")]
mod ztoc;

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use blob_io::{LocalFile, ReadAt, Sequential};
use image_model::advisory::Advisories;
use image_model::layer::Layer;
use image_model::tree::Spans;
use image_model::{BlobId, Ino, Limits, Progress, Tree};
use tar_stream::{Compression, LayerStream, StreamOptions};

use crate::blobs::BlobStore;
use crate::options::ReadOptions;
use crate::reader::Reader;
use crate::tree_image::{FrameTable, TreeImage};
pub use error::LayerImageError;
use index::index;
#[cfg(feature = "gzip-index")]
pub use index_error::{Difference, LayerIndexError, Unlisted};
#[cfg(feature = "gzip-index")]
pub use indexed::LayerIndex;
#[cfg(feature = "gzip-index")]
pub use spans::SpanStream;
#[cfg(feature = "gzip-index")]
pub use ztoc::ZtocOptions;

/// Bytes that are decoded at once while a layer is spooled.
const SPOOL_PIECE: usize = 256 << 10;

/// First bytes of a layer that tell how it is compressed.
const START_LEN: u64 = 6;

/// Number of bytes of a compressed layer to request at once.
const REQUEST: usize = 1 << 20;

/// Options for opening a layer.
///
/// ```
/// use lazyoci_image_read::LayerImageOptions;
/// assert!(LayerImageOptions::default().lenient(true).lenient);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LayerImageOptions {
    /// Accept what strict tar reading refuses, as Go and containerd do.
    pub lenient: bool,
    /// Bounds on the layer, decoded, and on its tree.
    pub limits: Limits,
    /// Where a compressed layer is spooled; default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
    /// The index of a gzip layer: it is read where it is, and not spooled.
    #[cfg(feature = "gzip-index")]
    pub index: Option<LayerIndex>,
}

impl LayerImageOptions {
    image_model::setters! {
        lenient: bool,
        limits: Limits,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
        #[cfg(feature = "gzip-index")]
        index: LayerIndex = Some(index),
    }
}

/// A tar layer as an image: its tree, and the tar that holds the files' bytes. A plain tar is
/// indexed in place, reading only its headers. A compressed one is first decoded into an unnamed
/// temporary file, which is deleted with the image, unless there is an index of it. Whiteouts are ordinary files.
///
/// ```
/// use std::io::Write;
/// use std::sync::Arc;
/// use image_model::{ImagePath, Metadata, Node};
/// use lazyoci_image_read::{BlobStore, Follow, LayerImage, Reader, resolve};
///
/// let mut tar = tar_stream::TarWriter::new(Vec::new());
/// let file = Node::File { size: 5, content: () };
/// tar.append(&ImagePath::clean(b"etc/motd")?, &Metadata::default(), &file)?;
/// tar.write_all(b"hello")?;
/// let tar = bytes::Bytes::from(tar.finish()?);
///
/// let layer = LayerImage::open(Arc::new(tar), &Default::default())?;
/// let ino = resolve(&layer.image, b"etc/motd", Follow::All)?;
/// let blobs = BlobStore::single(layer.source);
/// let reader = Reader::new(Arc::new(layer.image), blobs, Default::default());
/// let mut content = Vec::new();
/// reader.read_range(ino, 1..4, &mut content)?;
/// assert_eq!(content, b"ell");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct LayerImage {
    /// Names, metadata, and where in the tar each file's bytes are.
    pub image: TreeImage,
    /// The tar, not compressed; with an index, the layer as it is.
    pub source: Arc<dyn ReadAt>,
    /// How the layer was compressed.
    pub compression: Compression,
    /// Its oddities, which are read as the runtimes read them.
    pub advisories: Advisories,
}

impl std::fmt::Debug for LayerImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerImage")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl LayerImage {
    /// Opens the layer that is all of `source`; its compression is detected by content.
    ///
    /// # Errors
    /// [`LayerImageError`] on the first fault, including a hard link into a lower layer.
    pub fn open(
        source: Arc<dyn ReadAt>,
        options: &LayerImageOptions,
    ) -> Result<Self, LayerImageError> {
        TarLayer::open(source, options)?.into_image()
    }

    /// Spools the layer that `stream` gives, plain or compressed, and opens it. `progress` counts the
    /// bytes that were taken from `stream`.
    ///
    /// # Errors
    /// [`LayerImageError`] on the first thing that is wrong with it; a hard link into a lower layer is.
    pub fn from_stream(
        stream: impl Read,
        options: &LayerImageOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerImageError> {
        TarLayer::from_stream(stream, options, progress)?.into_image()
    }
}

/// A tar layer that may need lower layers: a [`LayerImage`] without its tree.
///
/// ```
/// use std::sync::Arc;
/// use lazyoci_image_read::TarLayer;
///
/// let tar = bytes::Bytes::from_static(&[0; 1024]);
/// let layer = TarLayer::open(Arc::new(tar), &Default::default())?;
/// assert_eq!(layer.layer.tree().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub struct TarLayer {
    /// Names, metadata, and where in the tar each file's bytes are.
    pub layer: Layer<Spans>,
    /// The tar, not compressed; with an index, the layer as it is.
    pub source: Arc<dyn ReadAt>,
    /// How the layer was compressed.
    pub compression: Compression,
    /// Its oddities, which are read as the runtimes read them.
    pub advisories: Advisories,
    /// Where the tar is in the source, if that is compressed.
    frames: Option<Arc<dyn FrameTable>>,
}

impl std::fmt::Debug for TarLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarLayer")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl TarLayer {
    /// Opens the layer that is all of `source`; how it is compressed is found by its content.
    ///
    /// # Errors
    /// [`LayerImageError`] on the first thing that is wrong with it.
    pub fn open(
        source: Arc<dyn ReadAt>,
        options: &LayerImageOptions,
    ) -> Result<Self, LayerImageError> {
        let reading = Arc::clone(&source);
        Self::of_file(&reading, source, options, &mut ())
    }

    /// The layer as an image of its own. Whiteouts are the files that they are in it.
    ///
    /// # Errors
    /// [`LayerImageError::Layer`] if a hard link leads into a lower layer;
    /// [`LayerImageError::Source`] if the tar has no length.
    pub fn into_image(self) -> Result<LayerImage, LayerImageError> {
        let tree = self.layer.into_tree().map_err(LayerImageError::Layer)?;
        Ok(LayerImage {
            image: tar_image(tree, &*self.source, self.frames)?,
            source: self.source,
            compression: self.compression,
            advisories: self.advisories,
        })
    }

    /// The layer, and what reads its files, which are known by their positions in the layer's tree.
    ///
    /// # Errors
    /// [`LayerImageError::Source`] if the tar has no length.
    pub fn into_parts(self) -> Result<(Layer<Ino>, Reader), LayerImageError> {
        let image = tar_image(self.layer.tree().clone(), &*self.source, self.frames)?;
        let blobs = BlobStore::single(self.source);
        let reader = Reader::new(Arc::new(image), blobs, ReadOptions::default());
        Ok((self.layer.map(|id, _, _| Ino(id.index() as u64)), reader))
    }

    /// Spools the layer that `stream` gives, plain or compressed, and opens it. `progress` counts the
    /// bytes that were taken from `stream`.
    ///
    /// # Errors
    /// [`LayerImageError`] on the first thing that is wrong with it.
    pub fn from_stream(
        stream: impl Read,
        options: &LayerImageOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerImageError> {
        Self::spooled(stream, None, options, progress)
    }

    /// Opens the layer `source`, which is read by way of `reading` meanwhile.
    pub(crate) fn of_file(
        reading: &dyn ReadAt,
        source: Arc<dyn ReadAt>,
        options: &LayerImageOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerImageError> {
        #[cfg(feature = "gzip-index")]
        if let Some(index) = &options.index {
            return indexed::open(source, index, options);
        }
        let stream = Sequential::new(reading)?;
        let len = stream.len();
        // At most 6 bytes.
        let start = reading.read_bytes(0, len.min(START_LEN) as usize)?;
        if Compression::detect(&start) != Compression::None {
            let stream = BufReader::with_capacity(REQUEST, stream);
            return Self::spooled(stream, Some(len), options, progress);
        }
        let (layer, advisories) = index(stream, options)?;
        Ok(Self {
            layer,
            source,
            compression: Compression::None,
            advisories,
            frames: None,
        })
    }

    /// Decodes the whole layer, of `len` bytes, into a temporary file.
    fn spooled(
        stream: impl Read,
        len: Option<u64>,
        options: &LayerImageOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerImageError> {
        let mut stream = LayerStream::open(stream, &StreamOptions::from(&options.limits))?;
        let compression = stream.compression().unwrap_or(Compression::None);
        let given = options.spool_directory.clone();
        let directory = given.unwrap_or_else(tempfile::env::temp_dir);
        let no_room = |source| LayerImageError::Spool {
            directory: directory.clone(),
            source,
        };
        let mut file = tempfile::tempfile_in(&directory).map_err(no_room)?;
        let mut piece = vec![0; SPOOL_PIECE];
        loop {
            let read = stream
                .read(&mut piece)
                .map_err(|error| match error.downcast() {
                    Ok(error) => LayerImageError::Stream(error),
                    Err(source) => LayerImageError::Stream(tar_stream::LayerError::Io { source }),
                })?;
            progress.advance(stream.stored_position(), len)?;
            if read == 0 {
                break;
            }
            file.write_all(&piece[..read]).map_err(no_room)?;
        }
        let tar = Arc::new(LocalFile::from(file));
        let (layer, advisories) = index(Sequential::new(&*tar)?, options)?;
        Ok(Self {
            layer,
            source: tar,
            compression,
            advisories,
            frames: None,
        })
    }
}

/// A tree whose files lie in `source`, or in `frames` of it.
fn tar_image(
    tree: Tree<Spans>,
    source: &dyn ReadAt,
    frames: Option<Arc<dyn FrameTable>>,
) -> Result<TreeImage, LayerImageError> {
    let id = BlobId::new(b"layer").expect("a valid id");
    let image = TreeImage::new(tree, id, source.len()?);
    Ok(match frames {
        None => image,
        Some(frames) => image.in_frames(frames),
    })
}
