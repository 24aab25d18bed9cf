//! Layers that stay as they are, as blobs of RAFS images: what their bootstraps are made of.

use blob_io::{ObjectRole, Output, Written};
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{Chunk, ChunkedImage, Frame, FrameId, Limits, Recipe, Tree};
use oci_image::LayerCompression;
use oci_image::nydus::NydusLayer;
use rafs_format::layout::{LayoutInput, LayoutOptions};
use rafs_format::v6::{self, BlobEntry, ChunkPlace};

use crate::ConvertError;
use crate::described::DescribedObject;
use crate::fill::{self, Format};
use crate::object::DigestedObject;
use crate::report::Report;

/// Removes what the format cannot carry, or refuses it.
pub(super) fn settle(
    mut tree: Tree<ChunkRange>,
    format: &impl Format,
    limits: &Limits,
    report: &mut Report,
) -> Result<Tree<ChunkRange>, ConvertError> {
    fill::advise_undescribed(&tree, report);
    fill::settle_losses(&mut tree, format, limits, report)?;
    report.inodes = tree.len() as u64;
    Ok(tree)
}

/// Content in its place.
pub(super) struct Placed {
    pub(super) chunks: Vec<Chunk>,
    /// For each chunk the number of its frame, and its place.
    pub(super) placed: Vec<(u32, ChunkPlace)>,
    pub(super) extents: Vec<ChunkExtent>,
    pub(super) frames: Vec<Frame>,
    pub(super) recipes: Vec<Recipe>,
    /// That of the layer, if it has content.
    pub(super) entry: Option<BlobEntry>,
}

/// Writes the bootstrap of `tree`.
pub(super) fn write_bootstrap(
    tree: Tree<ChunkRange>,
    content: Placed,
    options: &LayoutOptions,
    output: &mut dyn Output,
) -> Result<Written, ConvertError> {
    let Placed {
        mut chunks,
        placed,
        extents,
        frames,
        recipes,
        entry,
    } = content;
    for (chunk, (frame, _)) in chunks.iter_mut().zip(&placed) {
        chunk.frame = FrameId(*frame);
    }
    let entries: Vec<_> = entry.into_iter().collect();
    let parts = ChunkedParts {
        extents,
        chunks,
        frames,
        recipes,
        blobs: entries.iter().map(BlobEntry::blob).collect(),
    };
    let image = ChunkedImage::new(tree, parts).expect("as they were stored");
    let places: Vec<_> = placed.into_iter().map(|(_, place)| place).collect();
    let input = LayoutInput {
        image: &image,
        places: &places,
        entries: &entries,
    };
    let layout = v6::Layout::plan(input, options)?;
    let mut out = DigestedObject::begin(output, ObjectRole::Bootstrap)?;
    layout.write_to(&mut out)?;
    out.finish()
}

/// What manifests say of a layer that is read lazily as it is.
pub(super) fn described_layer(written: Written, compression: LayerCompression) -> DescribedObject {
    let layer = NydusLayer::Blob {
        reference: None,
        encrypted: false,
    };
    DescribedObject::layer(written, compression, |annotations| {
        layer.write(annotations);
    })
}
