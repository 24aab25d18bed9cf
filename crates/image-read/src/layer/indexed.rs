//! A gzip layer that is read where it is, by its index.

use std::cell::RefCell;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use gzip_index::{BuildError, DecodeError, GzipIndex, IndexBuilder, IndexOptions, NotKept};
use image_model::{
    Blame, BlobIndex, Digest, Fault, Frame, FrameId, Limits, Progress, Recipe, RecipeId,
};
use tar_stream::{Compression, TarError, TarReadOptions, TarReader};
use verify::{CheckError, check};

use super::compared::compare;
use super::index::index;
use super::spans::SpanStream;
use super::{LayerImageError, LayerImageOptions, TarLayer};
use crate::tree_image::FrameTable;

/// The index of a gzip layer: where it can be entered, and the headers of its tar. So its files can be listed without
/// the layer, and read by the spans of it that hold them. Cheap to clone.
///
/// ```
/// use std::io::Write;
/// use std::sync::Arc;
/// use image_model::{ImagePath, Metadata, Node};
/// use lazyoci_image_read::{LayerImage, LayerImageOptions, LayerIndex};
///
/// # let mut tar = tar_stream::TarWriter::new(Vec::new());
/// # let file = Node::File { size: 5, content: () };
/// # tar.append(&ImagePath::clean(b"etc/motd")?, &Metadata::default(), &file)?;
/// # tar.write_all(b"hello")?;
/// # let tar = tar.finish()?;
/// # let mut layer = Vec::new();
/// # frame_codec::Encoder::new(frame_codec::Compression::Gzip { level: 6 })?.encode_frame(&tar, &mut layer)?;
/// let index = LayerIndex::build(&layer[..], &Default::default(), &Default::default(), &mut ())?;
/// let stored = index.bytes().clone();
///
/// let index = LayerIndex::from_bytes(stored, &Default::default())?;
/// let options = LayerImageOptions::default().index(index);
/// let layer = LayerImage::open(Arc::new(bytes::Bytes::from(layer)), &options)?;
/// println!("{} inodes", layer.image.tree().len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct LayerIndex {
    gzip: Arc<GzipIndex>,
    bytes: Bytes,
}

/// The index of a layer cannot be built or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerIndexError {
    /// The index cannot be read.
    #[error("cannot read the index")]
    Read(#[from] blob_io::ReadError),
    /// The index is longer than [`Limits::max_metadata_len`].
    #[error("the index has {len} bytes; the limit is {limit}")]
    TooLong {
        /// Its length.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are no index, or are damaged.
    #[error("cannot use the index")]
    Decode(#[from] DecodeError),
    /// The layer is no gzip stream, or is damaged.
    #[error("cannot index the layer")]
    Build(#[from] BuildError),
    /// What the layer holds is no tar, or strict reading refuses it.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The layer cannot be decoded.
    #[error("cannot decode the layer")]
    Layer(#[from] tar_stream::LayerError),
    /// The layer is not what the index says.
    #[error("the layer is not what the index says: {0}")]
    Differs(Difference),
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] image_model::Cancelled),
}

/// How a layer differs from its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// Its digest, or its length.
    #[error("another digest or length")]
    Layer,
    /// What a span decodes to.
    #[error("span {index} has another digest")]
    Span {
        /// Its position.
        index: u64,
    },
    /// A header of its tar, from this byte of the tar on.
    #[error("the header of the tar at byte {offset} is another one")]
    Header {
        /// The byte.
        offset: u64,
    },
}

impl Blame for LayerIndexError {
    fn fault(&self) -> Fault {
        match self {
            Self::Read(error) => error.fault(),
            Self::TooLong { .. } => Fault::Limit,
            Self::Decode(error) => error.fault(),
            Self::Build(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Layer(error) => error.fault(),
            Self::Differs(_) => Fault::Corrupt,
            Self::Cancelled(error) => error.fault(),
        }
    }
}

impl LayerIndex {
    /// The index in `bytes`.
    ///
    /// # Errors
    /// [`LayerIndexError::Decode`] if they are none, or damaged.
    pub fn from_bytes(bytes: Bytes, limits: &Limits) -> Result<Self, LayerIndexError> {
        Ok(Self {
            gzip: Arc::new(GzipIndex::decode(&bytes, limits)?),
            bytes,
        })
    }

    /// The index that is all of `source`, which is read by one request.
    ///
    /// # Errors
    /// [`LayerIndexError`] if it cannot be read, is too long, or is none.
    pub fn open(source: &dyn ReadAt, limits: &Limits) -> Result<Self, LayerIndexError> {
        let (len, limit) = (source.len()?, limits.max_metadata_len);
        let too_long = LayerIndexError::TooLong { len, limit };
        if len > limit {
            return Err(too_long);
        }
        let bytes = source.read_bytes(0, usize::try_from(len).map_err(|_| too_long)?)?;
        Self::from_bytes(bytes, limits)
    }

    /// Builds the index of the gzip layer that `layer` gives, and keeps the headers of its tar in it. `progress` counts the
    /// bytes that were taken from `layer`.
    ///
    /// # Errors
    /// [`LayerIndexError`] if the layer cannot be read, is damaged, or holds no tar.
    pub fn build(
        layer: impl Read,
        options: &IndexOptions,
        tar: &TarReadOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerIndexError> {
        let builder = RefCell::new(IndexBuilder::new(layer, options));
        let mut reader = TarReader::new(Shared(&builder), tar.clone());
        while let Some(entry) = reader.next_entry().map_err(of_tar)? {
            let raw = entry.raw();
            let start = entry.payload_offset.saturating_sub(raw.len() as u64);
            let mut builder = builder.borrow_mut();
            builder.keep(start, raw)?;
            progress.advance(builder.stored_position(), None)?;
        }
        // Up to the blocks of zeros that end the tar.
        let end = reader.position();
        if let Some(trailer) = reader.trailer() {
            let start = trailer.offset();
            let mut bytes = Vec::new();
            let read = trailer
                .take(end.saturating_sub(start))
                .read_to_end(&mut bytes);
            read.map_err(BuildError::from)?;
            builder.borrow_mut().keep(start, &bytes)?;
        }
        drop(reader);
        let mut builder = builder.into_inner();
        let mut rest = vec![0; 256 << 10];
        while builder.read(&mut rest).map_err(of_stream)? > 0 {
            progress.advance(builder.stored_position(), None)?;
        }
        let (gzip, _) = builder.finish()?;
        let bytes = Bytes::from(gzip.encode());
        Ok(Self {
            gzip: Arc::new(gzip),
            bytes,
        })
    }

    /// Where the layer can be entered.
    #[must_use]
    pub fn gzip(&self) -> &GzipIndex {
        &self.gzip
    }

    /// The bytes of the index.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The tar in `layer`, decoded by `threads` threads, at most 256.
    ///
    /// # Errors
    /// [`LayerImageError::OtherLayer`] if the index is of another layer; [`LayerImageError::Source`] if it has no length;
    /// [`LayerImageError::Threads`] if threads cannot be started.
    pub fn stream(
        &self,
        layer: &Arc<dyn ReadAt>,
        threads: usize,
    ) -> Result<SpanStream, LayerImageError> {
        self.check_len(&**layer)?;
        SpanStream::new(&self.gzip, layer, threads).map_err(LayerImageError::Threads)
    }

    /// Whether `layer` has the length that the index says.
    fn check_len(&self, layer: &dyn ReadAt) -> Result<(), LayerImageError> {
        let (expected, found) = (self.gzip.stored_len(), layer.len()?);
        match expected == found {
            true => Ok(()),
            false => Err(LayerImageError::OtherLayer { expected, found }),
        }
    }

    /// Decodes the layer that `layer` gives, and compares all of it with the index.
    ///
    /// # Errors
    /// [`LayerIndexError::Differs`] if it is another one, [`LayerIndexError::Layer`] if it is damaged.
    pub fn compare(
        &self,
        layer: impl Read,
        limits: &Limits,
        progress: &mut dyn Progress,
    ) -> Result<(), LayerIndexError> {
        compare(&self.gzip, layer, limits, progress)
    }

    /// Compares the digest of the index with one that is trusted.
    ///
    /// # Errors
    /// [`CheckError`] if it is another one, or cannot be computed in this build.
    pub fn check(&self, expected: &Digest) -> Result<(), CheckError> {
        check(expected, &self.bytes)
    }
}

/// A builder that is read by a reader of the tar, and told what to keep meanwhile.
struct Shared<'a, R>(&'a RefCell<IndexBuilder<R>>);

impl<R: Read> Read for Shared<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

/// An error of the tar, or of the layer that holds it.
fn of_tar(error: TarError) -> LayerIndexError {
    match error {
        TarError::Io { offset, source } => match source.downcast::<BuildError>() {
            Ok(error) => error.into(),
            Err(source) => TarError::Io { offset, source }.into(),
        },
        error => error.into(),
    }
}

fn of_stream(error: io::Error) -> LayerIndexError {
    let error = error.downcast::<BuildError>();
    error.unwrap_or_else(BuildError::from).into()
}

/// Opens the gzip layer `source` by its index.
pub(super) fn open(
    source: Arc<dyn ReadAt>,
    layer: &LayerIndex,
    options: &LayerImageOptions,
) -> Result<TarLayer, LayerImageError> {
    layer.check_len(&*source)?;
    let indexed = index(layer.gzip.kept(), options);
    let (tree, advisories) = indexed.map_err(|error| match error {
        // Nothing but the index is read.
        LayerImageError::Tar(TarError::Io { offset, source }) => {
            let offset = source
                .downcast()
                .map_or(offset, |NotKept { offset }| offset);
            LayerImageError::NotKept { offset }
        }
        error => error,
    })?;
    Ok(TarLayer {
        layer: tree,
        source,
        compression: Compression::Gzip,
        advisories,
        frames: Some(Arc::new(Spans(Arc::clone(&layer.gzip)))),
    })
}

/// The spans of a layer as frames.
#[derive(Debug)]
struct Spans(Arc<GzipIndex>);

impl FrameTable for Spans {
    fn at(&self, offset: u64) -> Option<(FrameId, Range<u64>)> {
        let nth = self.0.span_at(offset)?;
        let span = &self.0.spans()[nth];
        let id = FrameId(u32::try_from(nth).ok()?);
        Some((id, span.decoded_offset..span.decoded_end()))
    }

    fn frame(&self, id: FrameId) -> Option<Frame> {
        let span = self.0.spans().get(id.0 as usize)?;
        Some(Frame {
            blob: BlobIndex(0),
            offset: span.stored_offset,
            stored_len: span.stored_len,
            len: span.decoded_len,
            recipe: RecipeId(id.0),
        })
    }

    fn recipe(&self, id: RecipeId) -> Option<Recipe> {
        self.0.recipe(id.0 as usize)
    }

    fn count(&self) -> u32 {
        // An index has no more.
        u32::try_from(self.0.spans().len()).unwrap_or(u32::MAX)
    }

    fn len(&self) -> u64 {
        self.0.decoded_len()
    }
}
