//! A layer that is read by a zTOC.

mod build;
mod files;

use std::ops::Range;
use std::sync::Arc;

use blob_io::ReadAt;
use gzip_index::member_header_len;
use image_model::advisory::Advisories;
use image_model::deflate::{DeflateStart, WINDOW_LEN, Window};
use image_model::layer::{LayerBuilder, LayerOptions};
use image_model::{BlobIndex, Codec, Decode, Frame, FrameId, Limits, Recipe, RecipeId, Vouched};
use soci_ztoc::{Checkpoint, Span, Zinfo, Ztoc};
use tar_stream::Compression;

use super::index::add;
use super::{LayerImageError, LayerImageOptions, TarLayer};
use crate::tree_image::FrameTable;
pub(super) use build::{build, first_difference, list};

/// Longest header of a layer's first member to look for.
const MAX_HEADER: u64 = 1 << 20;

/// Options for building a zTOC.
///
/// ```
/// use lazyoci_image_read::ZtocOptions;
/// assert_eq!(ZtocOptions::default().span_size(1 << 20).span_size, 1 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ZtocOptions {
    /// Length of a span in bytes of the tar; of a gzip layer it ends at the first block boundary beyond. At least 1.
    /// Default: 4 MiB, as `soci` has it.
    pub span_size: u64,
    /// Of more than one thread, the second one computes the digests of a gzip layer; the zTOC is the same. Default: 2.
    pub threads: usize,
    /// Bounds on the tar and its members, and on a span.
    pub limits: Limits,
}

impl ZtocOptions {
    image_model::setters! { span_size: u64, threads: usize, limits: Limits }
}

impl Default for ZtocOptions {
    fn default() -> Self {
        Self {
            span_size: 4 << 20,
            threads: 2,
            limits: Limits::default(),
        }
    }
}

/// How the layer of `ztoc` is compressed.
pub(super) fn compression(ztoc: &Ztoc) -> Compression {
    match ztoc.zinfo {
        Zinfo::Gzip(_) => Compression::Gzip,
        Zinfo::Tar(_) => Compression::None,
    }
}

/// Opens the layer `source` by its zTOC.
pub(super) fn open(
    source: Arc<dyn ReadAt>,
    ztoc: &Arc<Ztoc>,
    options: &LayerImageOptions,
) -> Result<TarLayer, LayerImageError> {
    check_header(ztoc, &*source)?;
    let layer_options = LayerOptions::default()
        .lenient(options.lenient)
        .limits(options.limits.clone());
    let mut builder = LayerBuilder::new(layer_options);
    for file in &ztoc.files {
        let member = files::member(file, &options.limits)?;
        add(&mut builder, member, file.offset)?;
    }
    let layer = builder.finish().map_err(LayerImageError::Layer)?;
    let mut advisories = Advisories::default();
    advisories.append(layer.advisories().clone());
    Ok(TarLayer {
        layer,
        source,
        compression: compression(ztoc),
        advisories,
        frames: Some(frames(ztoc)),
    })
}

/// Whether the first checkpoint is where the first member's data begin: no digest covers its header.
fn check_header(ztoc: &Ztoc, source: &dyn ReadAt) -> Result<(), LayerImageError> {
    let Zinfo::Gzip(zinfo) = &ztoc.zinfo else {
        return Ok(());
    };
    let Some(first) = zinfo.checkpoint(0) else {
        return Ok(());
    };
    let offset = first.stored_offset;
    let wrong = LayerImageError::Entered { offset };
    if offset > MAX_HEADER.min(ztoc.compressed_len) {
        return Err(wrong);
    }
    // At most a mebibyte.
    let header = source.read_bytes(0, offset as usize)?;
    match member_header_len(&header) {
        Some(len) if len == header.len() => Ok(()),
        _ => Err(wrong),
    }
}

/// The spans as frames.
pub(super) fn frames(ztoc: &Arc<Ztoc>) -> Arc<dyn FrameTable> {
    Arc::new(Spans(Arc::clone(ztoc)))
}

#[derive(Debug)]
struct Spans(Arc<Ztoc>);

impl Spans {
    fn span(&self, id: u32) -> Option<Span> {
        self.0.span(usize::try_from(id).ok()?)
    }
}

impl FrameTable for Spans {
    fn at(&self, offset: u64) -> Option<(FrameId, Range<u64>)> {
        // The first span that begins beyond it.
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.start(FrameId(middle)) <= offset {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let id = low.checked_sub(1)?;
        let decoded = self.span(id)?.decoded;
        decoded.contains(&offset).then_some((FrameId(id), decoded))
    }

    fn frame(&self, id: FrameId) -> Option<Frame> {
        let span = self.span(id.0)?;
        let len = |range: &Range<u64>| u32::try_from(range.end.saturating_sub(range.start)).ok();
        // Of a tar that is not compressed, frames have what is stored.
        let decoded = match self.0.zinfo {
            Zinfo::Gzip(_) => &span.decoded,
            Zinfo::Tar(_) => &span.stored,
        };
        Some(Frame {
            blob: BlobIndex(0),
            offset: span.stored.start,
            stored_len: len(&span.stored)?,
            len: len(decoded)?,
            recipe: RecipeId(id.0),
        })
    }

    fn start(&self, id: FrameId) -> u64 {
        self.span(id.0)
            .map_or(self.0.uncompressed_len, |span| span.decoded.start)
    }

    fn recipe(&self, id: RecipeId) -> Option<Recipe> {
        let nth = usize::try_from(id.0).ok()?;
        let decode = match &self.0.zinfo {
            Zinfo::Gzip(zinfo) => {
                let checkpoint = zinfo.checkpoint(nth)?;
                Decode::DeflateMembers(DeflateStart {
                    bits: checkpoint.bits,
                    window: window(&checkpoint)?,
                })
            }
            Zinfo::Tar(_) => Decode::Exact(Codec::None),
        };
        let digest = *self.0.digests.get(nth)?;
        Some(Recipe::from(decode).vouched(Vouched::Stored(digest)))
    }

    fn count(&self) -> u32 {
        u32::try_from(self.0.span_count()).unwrap_or(u32::MAX)
    }

    fn len(&self) -> u64 {
        self.0.uncompressed_len
    }
}

/// The window of a checkpoint, as far as there is anything before it.
fn window(checkpoint: &Checkpoint) -> Option<Window> {
    let before = usize::try_from(checkpoint.decoded_offset).unwrap_or(WINDOW_LEN);
    let known = before.min(WINDOW_LEN);
    if known == 0 {
        return Some(Window::default());
    }
    let gap = WINDOW_LEN.checked_sub(known)?;
    let numbers = [u16::try_from(gap).ok()?, u16::try_from(known).ok()?];
    let runs = numbers.map(u16::to_le_bytes).concat();
    Window::new(runs.into(), checkpoint.window.slice(gap..))
}
