//! The tar of a layer as it is, as a RAFS image that the kernel mounts.
//!
//! ```text
//! layer ─► decoded ─► blob: the tar as it is ─► device of the kernel
//!             └──► tar ─► files, and at which sector the content of each begins ─► bootstrap
//! ```

use blob_io::{ObjectRole, Output, WriteError};
use image_model::{ImagePath, Progress, Recipe, Tree};
use oci_image::LayerCompression;
use rafs_format::blob::TarBuilder;
use rafs_format::flags::{Compat, Compressor, Digester};
use rafs_format::layout::{CannotCarry, LayoutOptions};
use rafs_format::{BlobPool, Version, v6};
use tar_stream::{LayerStream, StreamOptions};

use super::reference::{self, Placed};
use super::reference_layer::{Cutting, ReadLayer, Tee};
use super::report::described_bootstrap;
use crate::ConvertError;
use crate::described::DescribedObject;
use crate::fill::Format;
use crate::object::DigestedObject;
use crate::report::Report;
use crate::source::Streaming;

/// Options for describing a tar.
///
/// ```
/// use lazyoci_image_convert::TarfsOptions;
/// let options = TarfsOptions::default().chunk_size(4 << 20);
/// assert!(!options.lossy);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarfsOptions {
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 16 MiB. Default: 1 MiB.
    pub chunk_size: u32,
    /// Release of nydus-image whose bootstrap to write. Default: 2.4.
    pub compat: Compat,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it.
    pub lossy: bool,
}

impl Default for TarfsOptions {
    fn default() -> Self {
        Self {
            chunk_size: 1 << 20,
            compat: Compat::default(),
            lossy: false,
        }
    }
}

impl TarfsOptions {
    image_model::setters! {
        chunk_size: u32,
        compat: Compat,
        lossy: bool,
    }
}

impl Format for TarfsOptions {
    fn name(&self) -> &'static str {
        "RAFS v6"
    }

    fn lossy(&self) -> bool {
        self.lossy
    }

    fn first(&self) -> &[ImagePath] {
        &[]
    }

    fn find_losses<C: Clone>(
        &self,
        tree: &mut Tree<C>,
        report: &mut dyn FnMut(&ImagePath, CannotCarry),
    ) {
        match self.lossy {
            true => v6::drop_losses(tree, report),
            false => v6::losses(tree, report),
        }
    }
}

/// What describing a tar did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TarfsReport {
    /// What every conversion reports. Its chunks are parts of the tar: none is stored anew.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub report: Report,
    /// The bootstrap, and the annotations of the layer that is to hold it.
    pub bootstrap: DescribedObject,
    /// The tar, which is the image's blob, and whose digest is the layer's DiffID; `None` if it has no content.
    pub tar: Option<DescribedObject>,
}

/// Describes the tar of a layer so that it can be read as a RAFS v6 image as it is, in tarfs mode: the kernel mounts the
/// bootstrap with the tar as its device. The layer is read once, from its first byte to its last; one that is compressed
/// is decoded, as the blob is its tar. Its files are those of the tar; whiteouts are kept as ordinary files.
///
/// No content is digested: nothing vouches for a file but the digest of the whole tar, which is the blob's name. Equal
/// files are not found. The bytes depend only on the layer and the options. Memory: some 24 MiB of content under way, and
/// 200 to 300 bytes for each inode and chunk.
///
/// ```
/// use blob_io::{MemoryOutput, ObjectRole};
/// use lazyoci_image_convert::{Streaming, TarfsOptions, to_tarfs};
///
/// # let mut tar = tar_stream::TarWriter::new(Vec::new());
/// # let file = image_model::Node::File { size: 5, content: () };
/// # tar.append(&image_model::ImagePath::clean(b"motd")?, &Default::default(), &file)?;
/// # std::io::Write::write_all(&mut tar, b"hello")?;
/// # let tar = tar.finish()?;
/// let mut output = MemoryOutput::default();
/// let done = to_tarfs(Streaming::new(&tar[..]), &mut output, &TarfsOptions::default(), &mut ())?;
/// assert_eq!(done.tar.ok_or("no content")?.len, tar.len() as u64);
/// let blob = output.object(ObjectRole::Blob).ok_or("no blob")?;
/// assert_eq!(blob.bytes, tar);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConvertError`], [`ConvertError::Sparse`] among them; nothing is committed to the output then.
pub fn to_tarfs(
    layer: Streaming<'_>,
    output: &mut dyn Output,
    options: &TarfsOptions,
    progress: &mut dyn Progress,
) -> Result<TarfsReport, ConvertError> {
    if output.is_single() {
        return Err(WriteError::SingleObject.into());
    }
    let Streaming {
        layer,
        lenient,
        limits,
        ..
    } = layer;
    let mut builder = TarBuilder::new(options.chunk_size)?;
    let tar = Tee {
        source: LayerStream::open(layer, &StreamOptions::from(&limits))?,
        object: DigestedObject::begin(output, ObjectRole::Blob)?,
    };
    let cutting = Cutting {
        chunk_size: options.chunk_size,
        digest: None,
        threads: 1,
    };
    let rules = (lenient, &limits);
    let ReadLayer {
        object,
        known: (),
        tree,
        stored,
        chunks,
        places,
        mut report,
    } = ReadLayer::read(tar, rules, &cutting, options, progress)?;
    let tree = reference::settle(tree, options, &limits, &mut report)?;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    let (mut frames, mut placed) = (Vec::new(), Vec::new());
    for (number, (chunk, &at)) in (0..).zip(chunks.iter().zip(&places)) {
        let (frame, place) = builder.push(at, chunk.len)?;
        frames.push(frame);
        placed.push((number, place));
    }
    let (mut entry, mut tar) = (None, None);
    if chunks.is_empty() {
        drop(object);
    } else {
        let written = object.finish()?;
        entry = builder.finish(written.digest, written.len)?;
        tar = Some(written);
    }
    let recipes: Vec<Recipe> = BlobPool::recipes().collect();
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
        .compressor(Compressor::None)
        .digester(Digester::Sha256)
        .tarfs(true)
        .root_number(1);
    let bootstrap = reference::write_bootstrap(tree, content, &layout_options, output)?;
    output.commit()?;
    report.bytes_out = bootstrap.len + tar.map_or(0, |tar| tar.len);
    Ok(TarfsReport {
        report,
        bootstrap: described_bootstrap(bootstrap, Version::V6),
        tar: tar.map(|tar| reference::described_layer(tar, LayerCompression::None)),
    })
}
