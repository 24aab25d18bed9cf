//! A tar layer as an image.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use blob_io::{LocalFile, ReadAt};
use bytes::Bytes;
use image_model::advisory::Advisories;
use image_model::layer::{ContentCost, Layer, LayerBuilder, LayerError, LayerOptions};
use image_model::tree::Spans;
use image_model::{Blame, BlobId, Cancelled, Fault, ImagePath, Ino, Limits, Node, Progress, Tree};
use tar_stream::member::MemberError;
use tar_stream::{Compression, LayerStream, Member, StreamOptions, TarError, TarReader};

use crate::blobs::BlobStore;
use crate::options::ReadOptions;
use crate::reader::Reader;
use crate::tree_image::TreeImage;

/// Bytes that are decoded at once while a layer is spooled.
const SPOOL_PIECE: usize = 256 << 10;

/// First bytes of a layer that tell how it is compressed.
const START_LEN: u64 = 6;

/// Bytes of a compressed layer that are asked for at once.
const REQUEST: usize = 1 << 20;

/// How a layer is opened.
///
/// ```
/// use lazyoci_image_read::LayerImageOptions;
/// assert!(LayerImageOptions::default().lenient(true).lenient);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LayerImageOptions {
    /// Accept, as Go and containerd do, what strict tar reading refuses.
    pub lenient: bool,
    /// Bounds on the layer, decoded, and on its tree.
    pub limits: Limits,
    /// Where a compressed layer is spooled; default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
}

impl LayerImageOptions {
    image_model::setters! {
        lenient: bool,
        limits: Limits,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
    }
}

/// A tar layer as an image: its tree, and the tar that holds the files' bytes.
///
/// A plain tar is indexed where it is, by its headers alone. A compressed one is first decoded into
/// an unnamed temporary file, which goes away with the image. Whiteouts are the files that they are
/// in the layer.
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
    /// The tar, not compressed.
    pub source: Arc<dyn ReadAt>,
    /// How the layer was compressed.
    pub compression: Compression,
    /// What is odd about it, and read as the runtimes read it.
    pub advisories: Advisories,
}

impl std::fmt::Debug for LayerImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerImage")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

/// A layer cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerImageError {
    /// The layer cannot be read.
    #[error("cannot read the layer")]
    Source(#[from] blob_io::ReadError),
    /// The layer is cut, corrupt, too large, or compressed in a way that is not read.
    #[error("cannot decode the layer")]
    Stream(#[from] tar_stream::LayerError),
    /// The decoded layer cannot be kept in a temporary file.
    #[error("cannot spool the layer in {}", directory.display())]
    Spool {
        /// Where: [`LayerImageOptions::spool_directory`], or the system's directory for temporary files.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The tar is corrupt, or strict reading refuses it.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member that no file tree can hold.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A member that has no place in the layer.
    #[error("tar member {path:#} at byte {offset}")]
    Entry {
        /// First byte of the member in the tar.
        offset: u64,
        /// Its path.
        path: ImagePath,
        /// Why it has none.
        source: LayerError,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// The members do not make a tree.
    #[error("the layer is not a tree by itself")]
    Layer(#[source] LayerError),
}

impl Blame for LayerImageError {
    fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Stream(error) => error.fault(),
            Self::Spool { .. } => Fault::Io,
            Self::Cancelled(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Member(error) => error.fault(),
            Self::Entry { source, .. } | Self::Layer(source) => source.fault(),
        }
    }
}

impl LayerImage {
    /// Opens the layer that is all of `source`; how it is compressed is found by its content.
    ///
    /// # Errors
    /// [`LayerImageError`] on the first thing that is wrong with it; a hard link into a lower layer is.
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

/// A tar layer that may need the layers below it: a [`LayerImage`], but for its tree.
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
    /// The tar, not compressed.
    pub source: Arc<dyn ReadAt>,
    /// How the layer was compressed.
    pub compression: Compression,
    /// What is odd about it, and read as the runtimes read it.
    pub advisories: Advisories,
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
            image: tar_image(tree, &*self.source)?,
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
        let image = tar_image(self.layer.tree().clone(), &*self.source)?;
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
        let stream = Sequential::new(reading)?;
        if Compression::detect(&stream.start()?) != Compression::None {
            let len = stream.len;
            let stream = BufReader::with_capacity(REQUEST, stream);
            return Self::spooled(stream, Some(len), options, progress);
        }
        let (layer, advisories) = index(stream, options)?;
        Ok(Self {
            layer,
            source,
            compression: Compression::None,
            advisories,
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
        })
    }
}

/// A tree whose files lie in `tar`.
fn tar_image(tree: Tree<Spans>, tar: &dyn ReadAt) -> Result<TreeImage, LayerImageError> {
    let id = BlobId::new(b"layer").expect("a valid id");
    Ok(TreeImage::new(tree, id, tar.len()?))
}

/// Builds the layer of a plain tar out of its headers.
fn index(
    source: Sequential<'_>,
    options: &LayerImageOptions,
) -> Result<(Layer<Spans>, Advisories), LayerImageError> {
    let LayerImageOptions {
        lenient, limits, ..
    } = options;
    let tar_options = tar_stream::TarReadOptions::default()
        .lenient(*lenient)
        .limits(limits.clone());
    let mut builder = LayerBuilder::new(
        LayerOptions::default()
            .lenient(*lenient)
            .limits(limits.clone()),
    );
    let mut reader = TarReader::seekable(source, tar_options)
        .expect("a source whose length is known can be sought in");
    let mut advisories = Advisories::default();
    while let Some(mut entry) = reader.next_entry()? {
        let offset = entry.offset;
        let oddities = std::mem::take(&mut entry.oddities);
        let member = entry.into_member(limits)?;
        let path = member.path().clone();
        advisories.add_all(Some(&path), oddities);
        let added = match member {
            Member::Node {
                path,
                metadata,
                node,
            } => {
                // What the files hold counts for whoever reads all of it: not here.
                let memory = match &node {
                    Node::File { content, .. } => size_of_val(content.as_slice()) as u64,
                    _ => 0,
                };
                let cost = ContentCost {
                    memory,
                    ..ContentCost::default()
                };
                builder
                    .charge_content(&path, cost)
                    .and_then(|()| builder.add(&path, metadata, node))
            }
            Member::HardLink { path, target } => builder.link(&path, &target),
        };
        added.map_err(|source| LayerImageError::Entry {
            offset,
            path,
            source,
        })?;
    }
    advisories.add_all(None, reader.oddities().iter().cloned());
    let layer = builder.finish().map_err(LayerImageError::Layer)?;
    advisories.append(layer.advisories().clone());
    Ok((layer, advisories))
}

/// A source read from its start on.
pub(crate) struct Sequential<'a> {
    source: &'a dyn ReadAt,
    position: u64,
    len: u64,
}

impl<'a> Sequential<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Result<Self, blob_io::ReadError> {
        Ok(Self {
            source,
            position: 0,
            len: source.len()?,
        })
    }

    /// As many of the first bytes as tell how a layer is compressed.
    fn start(&self) -> Result<Bytes, blob_io::ReadError> {
        let len = self.len.min(START_LEN);
        self.source.read_bytes(0, len as usize)
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let len = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        self.source.read_at(self.position, &mut buf[..len])?;
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Sequential<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.len.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
