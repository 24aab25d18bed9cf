//! A gzip layer or a plain tar as it is, as a RAFS image.
//!
//! ```text
//! layer ─► blob: written as it is
//!    └───► index: where can it be entered? ─► tar ─► stage: cut, digest
//!               └──► contexts ◄── chunks ◄─────────────┘
//!                       └─────────────► what describes the layer, bootstrap
//! ```
//! A plain tar has no index and no contexts.

use std::io::{Cursor, Read, Write};

use blob_io::{ObjectRole, Output, WriteError, Written};
use image_model::image::ChunkRange;
use image_model::{Chunk, Progress, Tree};
use oci_image::nydus::NydusLayer;
use oci_image::{LayerCompression, MediaType};
use rafs_format::Version;
use rafs_format::blob::{MAX_CONTEXT_LEN, ReferenceBuilder};
use rafs_format::flags::{Compressor, Digester};
use rafs_format::layout::LayoutOptions;
use rafs_format::v6::ChunkPlace;
use tar_stream::{Compression, TarError};

use super::ZranOptions;
use super::reference::{self, Placed};
use super::reference_layer::{ReadLayer, Tee};
use super::report::described_bootstrap;
use super::zran_tar::GzipTar;
use crate::ConvertError;
use crate::described::DescribedObject;
use crate::object::DigestedObject;
use crate::report::Report;
use crate::source::Streaming;
use crate::stage::Stored;

/// What describing a layer did.
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
    #[cfg_attr(feature = "serde", serde(rename = "kept_layer"))]
    pub layer: Option<DescribedObject>,
    /// What describes it: contexts, dictionaries and chunks. `None` if it has no content.
    pub meta: Option<DescribedObject>,
    /// At how many places the layer can be entered; none of a plain tar, which is read at any.
    pub contexts: u32,
}

/// Describes a layer so that it can be read as a RAFS v6 image as it is: its bytes become the image's blob, what
/// describes them an object of its own, and the bootstrap a third. The layer is compressed with gzip; a plain tar is
/// described without contexts ("tar-ref"). It is read once, from its first byte to its last. Its files are those of the
/// tar; whiteouts are kept as ordinary files. Equal chunks are found once.
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
/// [`ConvertError`], [`ConvertError::GzipLayer`] if it is compressed otherwise, and [`ConvertError::Sparse`] among them;
/// nothing is committed to the output then.
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
    let (compression, layer) = detect(layer)?;
    let object = DigestedObject::begin(output, ObjectRole::Blob)?;
    let mut builder = ReferenceBuilder::new(options.chunk_size)?;
    let PlacedLayer {
        object,
        tree,
        stored,
        chunks,
        placed,
        mut report,
    } = place(
        (layer, compression),
        object,
        options,
        &mut builder,
        progress,
    )?;
    let tree = reference::settle(tree, options, &limits, &mut report)?;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;

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
    let contexts = match (compression, &reference) {
        (LayerCompression::None, _) | (_, None) => 0,
        (_, Some(found)) => found.frames.len(),
    };
    let (frames, recipes, entry) = match reference {
        Some(found) => (found.frames, found.recipes, Some(found.entry)),
        None => (Vec::new(), Vec::new(), None),
    };
    let content = Placed {
        chunks,
        placed,
        extents: stored.extents,
        frames,
        recipes,
        entry,
    };
    let layout_options = LayoutOptions::default()
        .compat(options.compat)
        .chunk_size(options.chunk_size)
        .compressor(Compressor::Gzip)
        .digester(Digester::Sha256)
        .root_number(1);
    let bootstrap = reference::write_bootstrap(tree, content, &layout_options, output)?;
    output.commit()?;
    let written = [Some(bootstrap), layer, meta];
    report.bytes_out = written.iter().flatten().map(|written| written.len).sum();
    Ok(ZranReport {
        report,
        bootstrap: described_bootstrap(bootstrap, Version::V6),
        layer: layer.map(|layer| reference::described_layer(layer, compression)),
        meta: meta.map(|meta| described_meta(meta, layer)),
        // There are no more than chunks.
        contexts: contexts as u32,
    })
}

/// Finds out whether a layer is a plain tar; all else is taken for gzip.
fn detect(layer: Streaming<'_>) -> Result<(LayerCompression, Streaming<'_>), ConvertError> {
    let mut layer = layer;
    let mut start = Vec::new();
    let read = layer.layer.by_ref().take(512).read_to_end(&mut start);
    read.map_err(|source| TarError::Io { offset: 0, source })?;
    let compression = match Compression::detect(&start) {
        Compression::None => LayerCompression::None,
        _ => LayerCompression::Gzip,
    };
    let rest = std::mem::replace(&mut layer.layer, Box::new(std::io::empty()));
    layer.layer = Box::new(Cursor::new(start).chain(rest));
    Ok((compression, layer))
}

/// A layer that was read.
struct PlacedLayer<'o> {
    object: DigestedObject<'o>,
    tree: Tree<ChunkRange>,
    stored: Stored,
    chunks: Vec<Chunk>,
    /// For each chunk the number of its frame, and its place.
    placed: Vec<(u32, ChunkPlace)>,
    report: Report,
}

impl<'o> PlacedLayer<'o> {
    fn new<K>(read: ReadLayer<'o, K>, placed: Vec<(u32, ChunkPlace)>) -> Self {
        Self {
            object: read.object,
            tree: read.tree,
            stored: read.stored,
            chunks: read.chunks,
            placed,
            report: read.report,
        }
    }
}

/// Reads the layer, and places its chunks: those of a plain tar are frames, of a gzip layer it is the contexts.
fn place<'o>(
    (layer, compression): (Streaming<'_>, LayerCompression),
    object: DigestedObject<'o>,
    options: &ZranOptions,
    builder: &mut ReferenceBuilder,
    progress: &mut dyn Progress,
) -> Result<PlacedLayer<'o>, ConvertError> {
    let Streaming {
        layer: source,
        lenient,
        limits,
        ..
    } = layer;
    let (tee, rules) = (Tee { source, object }, (lenient, &limits));
    let cutting = options.cutting();
    if compression == LayerCompression::None {
        let read = ReadLayer::read(tee, rules, &cutting, options, progress)?;
        let places = read.chunks.iter().zip(&read.places);
        let placed = places.map(|(chunk, &at)| builder.push_plain(at, chunk.len, chunk.crc32c));
        let placed = placed.collect::<Result<_, _>>()?;
        return Ok(PlacedLayer::new(read, placed));
    }
    let tar = GzipTar::new(tee, rules, options);
    let mut read = ReadLayer::read(tar, rules, &cutting, options, progress)?;
    let placed = (read.known).place(&mut read.chunks, &read.places, builder)?;
    Ok(PlacedLayer::new(read, placed))
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
