//! A layer that is read where it is, by its index.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use blob_io::ReadAt;
use bytes::Bytes;
use gzip_index::{DecodeError, GzipIndex, IndexOptions};
use image_model::{Digest, FrameId, Limits, Progress};
use soci_ztoc::Ztoc;
use tar_stream::{Compression, TarReadOptions};
use verify::{CheckError, check};

use super::compared::compare;
use super::spans::SpanStream;
use super::{
    LayerImageError, LayerImageOptions, LayerIndexError, TarLayer, ZtocOptions, own_index, ztoc,
};
use crate::tree_image::FrameTable;

/// The index of a gzip layer: where it can be entered, and the headers of its tar; or a zTOC of SOCI, which also may be of
/// a layer that is not compressed. So its files can be listed without the layer, and read by the spans of it that hold
/// them. Cheap to clone.
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
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Own {
        gzip: Arc<GzipIndex>,
        /// Not before they are needed, if it was built.
        bytes: Arc<OnceLock<Bytes>>,
    },
    Ztoc {
        ztoc: Arc<Ztoc>,
        bytes: Bytes,
    },
}

impl LayerIndex {
    /// The index in `bytes`: ours, or a zTOC.
    ///
    /// # Errors
    /// [`LayerIndexError::Decode`] if they are none, or damaged; [`LayerIndexError::Ztoc`] for a zTOC.
    pub fn from_bytes(bytes: Bytes, limits: &Limits) -> Result<Self, LayerIndexError> {
        let kind = match GzipIndex::decode(&bytes, limits) {
            Err(DecodeError::Magic) if Ztoc::detect(&bytes) => Kind::Ztoc {
                ztoc: Arc::new(Ztoc::decode(&bytes, limits)?),
                bytes,
            },
            decoded => Kind::Own {
                gzip: Arc::new(decoded?),
                bytes: Arc::new(bytes.into()),
            },
        };
        Ok(Self { kind })
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
    /// bytes that were taken from `layer`. Another thread computes digests meanwhile, unless [`IndexOptions::threads`] is 1.
    /// The index is held compressed until it is used.
    ///
    /// # Errors
    /// [`LayerIndexError`] if the layer cannot be read, is damaged, or holds no tar.
    pub fn build(
        layer: impl Read,
        options: &IndexOptions,
        tar: &TarReadOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerIndexError> {
        let gzip = own_index::build(layer, options, tar, progress)?;
        Ok(Self {
            kind: Kind::Own {
                gzip: Arc::new(gzip),
                bytes: Arc::default(),
            },
        })
    }

    /// Builds the zTOC of the layer that `layer` gives, which is gzip or not compressed. `progress` counts the bytes that
    /// were taken from `layer`.
    ///
    /// # Errors
    /// [`LayerIndexError`] if the layer cannot be read, is damaged, or holds no tar, or one that a zTOC cannot list.
    pub fn build_ztoc(
        layer: impl Read,
        options: &ZtocOptions,
        tar: &TarReadOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, LayerIndexError> {
        let ztoc = ztoc::build(layer, options, tar, progress)?;
        let bytes = Bytes::from(ztoc.encode()?);
        Ok(Self {
            kind: Kind::Ztoc {
                ztoc: Arc::new(ztoc),
                bytes,
            },
        })
    }

    /// Where the layer can be entered, if the index is one of ours.
    #[must_use]
    pub fn gzip(&self) -> Option<&GzipIndex> {
        match &self.kind {
            Kind::Own { gzip, .. } => Some(gzip),
            Kind::Ztoc { .. } => None,
        }
    }

    /// The zTOC, if the index is one.
    #[must_use]
    pub fn ztoc(&self) -> Option<&Ztoc> {
        match &self.kind {
            Kind::Own { .. } => None,
            Kind::Ztoc { ztoc, .. } => Some(ztoc),
        }
    }

    /// Length of the layer in bytes.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        match &self.kind {
            Kind::Own { gzip, .. } => gzip.stored_len(),
            Kind::Ztoc { ztoc, .. } => ztoc.compressed_len,
        }
    }

    /// Length of what is read of its tar, in bytes. A zTOC knows nothing after the blocks that end it.
    #[must_use]
    pub fn decoded_len(&self) -> u64 {
        match &self.kind {
            Kind::Own { gzip, .. } => gzip.decoded_len(),
            Kind::Ztoc { ztoc, .. } => ztoc.uncompressed_len,
        }
    }

    /// Number of its spans.
    #[must_use]
    pub fn span_count(&self) -> usize {
        match &self.kind {
            Kind::Own { gzip, .. } => gzip.spans().len(),
            Kind::Ztoc { ztoc, .. } => ztoc.span_count(),
        }
    }

    /// How the layer is compressed.
    #[must_use]
    pub fn compression(&self) -> Compression {
        match &self.kind {
            Kind::Own { .. } => Compression::Gzip,
            Kind::Ztoc { ztoc, .. } => ztoc::compression(ztoc),
        }
    }

    /// The spans as frames.
    fn frames(&self) -> Arc<dyn FrameTable> {
        match &self.kind {
            Kind::Own { gzip, .. } => own_index::frames(gzip),
            Kind::Ztoc { ztoc, .. } => ztoc::frames(ztoc),
        }
    }

    /// The bytes of the index, which it holds from then on.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match &self.kind {
            Kind::Own { gzip, bytes } => bytes.get_or_init(|| gzip.encode().into()),
            Kind::Ztoc { bytes, .. } => bytes,
        }
    }

    /// Writes the bytes of the index to `out`, without holding all of them at once if it was built.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        match &self.kind {
            Kind::Own { gzip, bytes } => match bytes.get() {
                Some(bytes) => out.write_all(bytes),
                None => gzip.write_to(out),
            },
            Kind::Ztoc { bytes, .. } => out.write_all(bytes),
        }
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
        self.spans_of(layer, threads)
            .map_err(LayerImageError::Threads)
    }

    /// The tar in `layer`, whose length is right.
    pub(super) fn spans_of(
        &self,
        layer: &Arc<dyn ReadAt>,
        threads: usize,
    ) -> io::Result<SpanStream> {
        SpanStream::new(&self.frames(), self.compression(), layer, threads)
    }

    /// The position of the span that holds byte `offset` of the tar.
    pub(super) fn span_at(&self, offset: u64) -> Option<u64> {
        self.frames().at(offset).map(|(id, _)| id.0.into())
    }

    /// Whether `layer` has the length that the index says.
    fn check_len(&self, layer: &dyn ReadAt) -> Result<(), LayerImageError> {
        let (expected, found) = (self.stored_len(), layer.len()?);
        match expected == found {
            true => Ok(()),
            false => Err(LayerImageError::OtherLayer { expected, found }),
        }
    }

    /// Decodes `layer` from front to back and by the index, and compares all of it with that: what spans decode to, what the
    /// index says of the tar, and the digest of the layer, if the index has it.
    ///
    /// # Errors
    /// [`LayerIndexError::Differs`] if it is another one, [`LayerIndexError::Layer`] if it is damaged.
    pub fn compare(
        &self,
        layer: &Arc<dyn ReadAt>,
        limits: &Limits,
        progress: &mut dyn Progress,
    ) -> Result<(), LayerIndexError> {
        compare(self, layer, limits, progress)
    }

    /// Stored bytes of the layer for which none of its digests vouches: those of no span that holds bytes of the tar.
    pub(crate) fn unvouched(&self) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        if self.gzip().and_then(GzipIndex::stored_digest).is_some() {
            return gaps;
        }
        let frames = self.frames();
        let read = (0..frames.count()).map(FrameId);
        let read = read.take_while(|&id| frames.start(id) < self.decoded_len());
        let stored = read.filter_map(|id| {
            let frame = frames.frame(id)?;
            Some(frame.offset..frame.stored_end()?)
        });
        let mut end = 0;
        for span in stored {
            if span.start > end {
                gaps.push(end..span.start);
            }
            end = end.max(span.end);
        }
        if self.stored_len() > end {
            gaps.push(end..self.stored_len());
        }
        gaps
    }

    /// Compares the digest of the index with one that is trusted.
    ///
    /// # Errors
    /// [`CheckError`] if it is another one, or cannot be computed in this build.
    pub fn check(&self, expected: &Digest) -> Result<(), CheckError> {
        check(expected, self.bytes())
    }
}

/// Opens the layer `source` by its index.
pub(super) fn open(
    source: Arc<dyn ReadAt>,
    layer: &LayerIndex,
    options: &LayerImageOptions,
) -> Result<TarLayer, LayerImageError> {
    layer.check_len(&*source)?;
    match &layer.kind {
        Kind::Own { gzip, .. } => own_index::open(source, gzip, options),
        Kind::Ztoc { ztoc, .. } => ztoc::open(source, ztoc, options),
    }
}
