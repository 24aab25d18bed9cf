//! A gzip layer as it is, as a RAFS image.
//!
//! ```text
//! layer ─► blob: written as it is
//!    └───► index: where can it be entered? ─► tar ─► stage: cut, digest
//!               └──► contexts ◄── chunks ◄─────────────┘
//!                       └─────────────► what describes the layer, bootstrap
//! ```

use std::io::Write;

use blob_io::{ObjectRole, Output, WriteError, Written};
use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
use image_model::{Chunk, ChunkedImage, FrameId, Limits, Progress, Tree};
use oci_image::nydus::NydusLayer;
use oci_image::{LayerCompression, MediaType};
use rafs_format::Version;
use rafs_format::blob::{MAX_CONTEXT_LEN, Reference, ReferenceBuilder};
use rafs_format::flags::{Compressor, Digester};
use rafs_format::layout::{LayoutInput, LayoutOptions};
use rafs_format::v6::{self, BlobEntry, ChunkPlace};

use super::ZranOptions;
use super::report::described_bootstrap;
use super::zran_entries::Entries;
use super::zran_layer::ReadLayer;
use crate::ConvertError;
use crate::described::DescribedObject;
use crate::fill;
use crate::object::DigestedObject;
use crate::report::Report;
use crate::source::Streaming;

/// What describing a gzip layer did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ZranReport {
    /// What every conversion reports. Its chunks are parts of the layer: none is stored anew.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The bootstrap, and the annotations of the layer that is to hold it.
    pub bootstrap: DescribedObject,
    /// The layer as it was, which is the image's blob; `None` if it has no content.
    pub layer: Option<DescribedObject>,
    /// What describes it: contexts, dictionaries and chunks. `None` if it has no content.
    pub meta: Option<DescribedObject>,
    /// At how many places the layer can be entered.
    pub contexts: u32,
}

/// Describes a gzip layer so that it can be read as a RAFS v6 image as it is: its bytes become the image's blob, what
/// describes them an object of its own, and the bootstrap a third. The layer is read once, from its first byte to its
/// last. Its files are those of the tar; whiteouts are kept as ordinary files. Equal chunks are found once.
///
/// The bytes depend only on the layer and the options. Memory: some 24 MiB of content under way, the dictionaries of all
/// places at which the layer can be entered, 16 bytes for each 256 KiB of the tar and each member, and 200 to 300 bytes for
/// each inode and chunk.
///
/// ```
/// use blob_io::{MemoryOutput, ObjectRole};
/// use lazyoci_image_convert::{Streaming, ZranOptions, to_zran};
///
/// # let mut tar = tar_stream::TarWriter::new(Vec::new());
/// # let file = image_model::Node::File { size: 5, content: () };
/// # tar.append(&image_model::ImagePath::clean(b"motd")?, &Default::default(), &file)?;
/// # std::io::Write::write_all(&mut tar, b"hello")?;
/// # let tar = tar.finish()?;
/// # let mut layer = Vec::new();
/// # let gzip = frame_codec::Compression::Gzip { level: 6 };
/// # frame_codec::Encoder::new(gzip)?.encode_frame(&tar, &mut layer)?;
/// let mut output = MemoryOutput::default();
/// let done = to_zran(Streaming::new(&layer[..]), &mut output, &ZranOptions::default(), &mut ())?;
/// assert_eq!(done.contexts, 1);
/// let blob = output.object(ObjectRole::Blob).ok_or("no blob")?;
/// assert_eq!(blob.bytes, layer);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConvertError`], [`ConvertError::GzipLayer`] if it is not gzip, and [`ConvertError::Sparse`] among them; nothing is
/// committed to the output then.
pub fn to_zran(
    layer: Streaming<'_>,
    output: &mut dyn Output,
    options: &ZranOptions,
    progress: &mut dyn Progress,
) -> Result<ZranReport, ConvertError> {
    if output.is_single() {
        return Err(WriteError::SingleObject.into());
    }
    if options
        .span
        .is_some_and(|span| span.get() > MAX_CONTEXT_LEN)
    {
        return Err(ConvertError::Options(
            "spans of a layer are at most 16 MiB long",
        ));
    }
    if options.chunk_size > MAX_CONTEXT_LEN / 2 {
        return Err(ConvertError::Options(
            "chunks of a layer are at most 8 MiB long",
        ));
    }
    let limits = layer.limits.clone();
    let object = DigestedObject::begin(output, ObjectRole::Blob)?;
    let ReadLayer {
        object,
        index,
        shared_bytes,
        tree,
        stored,
        mut chunks,
        places,
        checkpoints,
        mut report,
    } = ReadLayer::read(layer, object, options, progress)?;
    let tree = settle(tree, options, &limits, &mut report)?;
    report.inodes = tree.len() as u64;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    report.chunks.stored_bytes = 0;

    let mut builder = ReferenceBuilder::new(options.chunk_size)?;
    let entries = Entries {
        index: &index,
        shared_bytes: &shared_bytes,
        checkpoints: &checkpoints,
    };
    let placed = entries.place(&mut chunks, &places, &mut builder)?;
    let (mut reference, mut layer, mut meta) = (None, None, None);
    if chunks.is_empty() {
        drop(object);
    } else {
        let written = object.finish()?;
        layer = Some(written);
        reference = builder.finish(written.digest, written.len)?;
    }
    if let Some(reference) = &reference {
        let mut object = DigestedObject::begin(output, ObjectRole::Blob)?;
        object.write_all(&reference.meta)?;
        meta = Some(object.finish()?);
    }
    let contexts = reference.as_ref().map_or(0, |found| found.frames.len());
    let content = Placed {
        chunks,
        placed,
        extents: stored.extents,
    };
    let bootstrap = write_bootstrap(tree, content, reference, options, output)?;
    output.commit()?;
    let written = [Some(bootstrap), layer, meta];
    report.bytes_out = written.iter().flatten().map(|written| written.len).sum();
    Ok(ZranReport {
        report,
        bootstrap: described_bootstrap(bootstrap, Version::V6),
        layer: layer.map(described_layer),
        meta: meta.map(|meta| described_meta(meta, layer)),
        // There are no more than chunks.
        contexts: contexts as u32,
    })
}

/// Removes what the format cannot carry, or refuses it.
fn settle(
    mut tree: Tree<ChunkRange>,
    options: &ZranOptions,
    limits: &Limits,
    report: &mut Report,
) -> Result<Tree<ChunkRange>, ConvertError> {
    fill::advise_undescribed(&tree, report);
    fill::settle_losses(&mut tree, options, limits, report)?;
    Ok(tree)
}

/// Content in its place: for each chunk the number of its context, and its place.
struct Placed {
    chunks: Vec<Chunk>,
    placed: Vec<(u32, ChunkPlace)>,
    extents: Vec<ChunkExtent>,
}

fn write_bootstrap(
    tree: Tree<ChunkRange>,
    content: Placed,
    reference: Option<Reference>,
    options: &ZranOptions,
    output: &mut dyn Output,
) -> Result<Written, ConvertError> {
    let Placed {
        mut chunks,
        placed,
        extents,
    } = content;
    for (chunk, (frame, _)) in chunks.iter_mut().zip(&placed) {
        chunk.frame = FrameId(*frame);
    }
    let (mut frames, mut recipes, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(reference) = reference {
        (frames, recipes) = (reference.frames, reference.recipes);
        entries.push(reference.entry);
    }
    let parts = ChunkedParts {
        extents,
        chunks,
        frames,
        recipes,
        blobs: entries.iter().map(BlobEntry::blob).collect(),
    };
    let image = ChunkedImage::new(tree, parts).expect("as they were stored");
    let places: Vec<_> = placed.into_iter().map(|(_, place)| place).collect();
    let layout_options = LayoutOptions::default()
        .compat(options.compat)
        .chunk_size(options.chunk_size)
        .compressor(Compressor::Gzip)
        .digester(Digester::Sha256)
        .root_number(1);
    let input = LayoutInput {
        image: &image,
        places: &places,
        entries: &entries,
    };
    let layout = v6::Layout::plan(input, &layout_options)?;
    let mut out = DigestedObject::begin(output, ObjectRole::Bootstrap)?;
    layout.write_to(&mut out)?;
    out.finish()
}

/// What manifests say of a layer that is read lazily as it is.
fn described_layer(written: Written) -> DescribedObject {
    let layer = NydusLayer::Blob {
        reference: None,
        encrypted: false,
    };
    DescribedObject::layer(written, LayerCompression::Gzip, |annotations| {
        layer.write(annotations);
    })
}

/// What manifests say of what describes `layer`.
fn described_meta(meta: Written, layer: Option<Written>) -> DescribedObject {
    let blob = NydusLayer::Blob {
        reference: layer.map(|layer| layer.digest),
        encrypted: false,
    };
    let media_type = Some(MediaType::NydusBlob);
    DescribedObject::new(meta, media_type, |annotations| blob.write(annotations))
}
