//! The index of a gzip layer in our form: built, and as an image.

use std::cell::RefCell;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use blob_io::ReadAt;
use gzip_index::{BuildError, GzipIndex, IndexBuilder, IndexOptions, NotKept};
use image_model::{BlobIndex, Frame, FrameId, Progress, Recipe, RecipeId};
use tar_stream::{Compression, TarError, TarReadOptions, TarReader};

use super::index::index;
use super::{LayerImageError, LayerImageOptions, LayerIndexError, TarLayer};
use crate::tree_image::FrameTable;

/// Builds the index of the layer that `layer` gives, and keeps the headers of its tar.
pub(super) fn build(
    layer: impl Read,
    options: &IndexOptions,
    tar: &TarReadOptions,
    progress: &mut dyn Progress,
) -> Result<GzipIndex, LayerIndexError> {
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
    Ok(gzip)
}

/// A builder that is read by a reader of the tar, and told what to keep meanwhile.
struct Shared<'a, R>(&'a RefCell<IndexBuilder<R>>);

impl<R: Read> Read for Shared<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buf)
    }
}

/// An error of the tar, or of the layer that holds it.
pub(super) fn of_tar(error: TarError) -> LayerIndexError {
    match error {
        TarError::Io { offset, source } => match source.downcast::<BuildError>() {
            Ok(error) => error.into(),
            Err(source) => TarError::Io { offset, source }.into(),
        },
        error => error.into(),
    }
}

pub(super) fn of_stream(error: io::Error) -> LayerIndexError {
    let error = error.downcast::<BuildError>();
    error.unwrap_or_else(BuildError::from).into()
}

/// Opens the gzip layer `source` by its index.
pub(super) fn open(
    source: Arc<dyn ReadAt>,
    gzip: &Arc<GzipIndex>,
    options: &LayerImageOptions,
) -> Result<TarLayer, LayerImageError> {
    let indexed = index(gzip.kept(), options);
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
        frames: Some(frames(gzip)),
    })
}

/// The spans of a layer as frames.
pub(super) fn frames(gzip: &Arc<GzipIndex>) -> Arc<dyn FrameTable> {
    Arc::new(Spans(Arc::clone(gzip)))
}

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

    fn start(&self, id: FrameId) -> u64 {
        let span = self.0.spans().get(id.0 as usize);
        span.map_or(self.0.decoded_len(), |span| span.decoded_offset)
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
