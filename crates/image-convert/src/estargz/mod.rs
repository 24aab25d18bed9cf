//! Any source as an eStargz layer.
//!
//! ```text
//! source ─► plan: names in order ─► members ─► stage: digest, compress ─► placements, layer
//!                                                                             │
//! footer ◄─ TOC ◄─────────────────────────────────────────────────────────────┘
//! ```

mod ending;
mod kept;
mod kept_entry;
mod members;
mod options;
mod plan;
mod report;
mod shared;

use std::io::{self, Write};
use std::num::NonZeroU32;

use blob_io::Output;
use chunk_dedup::{Chunker, FastCdc, FixedSize};
use estargz_toc::toc;
use estargz_toc::write::{Listing, Placed, Placements};
use image_model::image::{ChunkExtent, ChunkedParts};
use image_model::order::Named;
use image_model::{
    Blob, BlobId, ChunkedImage, DigestAlgorithm, Ino, InodeId, Limits, Progress, Tree,
};
use oci_image::{EstargzLayer, ExternalToc, LayerCompression, ZstdChunkedLayer};

use crate::described::DescribedObject;
use crate::layer::LayerWriter;
use crate::members::write_members;
use crate::report::Report;
use crate::source::{DataOrder, Input, KeptFrames, Kind};
use crate::stage::{self, ChunkDigest, Rules, Setup, Stored, StoredFrames};
use crate::tree::content_len;
use crate::zstd_chunked::ZstdChunkedReport;
use crate::{ConvertError, Source};
use ending::{End, Open, TocPlace};
use members::{Members, TarContents, TarMembers};
use plan::Plan;

pub(crate) use ending::Ending;
pub use options::EstargzOptions;
pub use report::EstargzReport;

/// Room that is kept after a chunk: padding and a few headers.
const ROOM_BEHIND: usize = 4096;

/// Bytes of content that are read before there is room for them in the stage.
const WINDOW: u64 = 5 << 20;

/// Writes `source` as an eStargz layer to `output`.
///
/// The layer is a gzip-compressed tar with its table of contents at the end. Every directory is
/// followed by all that lies in it (but for prefetched files). Of siblings the opaque marker comes
/// first, then the other whiteouts, for those who apply whiteouts as they come; the rest is in the
/// order that it has in the tar that is the source, or else in that of the names. The first name of an inode has
/// its content, further ones are hard links to it; holes are written as zeros. Whiteouts are kept as
/// the files that they are. A root without anything of its own gets no entry, nor does a directory that
/// no entry of the source described and that holds something: its attributes are unknown, and an
/// entry would change those that a lower layer has. A TOC has whole seconds: of other times it says the
/// second in which they are ([`Report::cut_times`]), while the tar has them whole.
///
/// With an [external TOC](EstargzOptions::external_toc) the layer ends after the last file, and a second object follows
/// it: the TOC. With that, and with no other, the tar of a layer can be [kept](EstargzOptions::lossless) byte for byte.
///
/// The bytes depend on source and options alone, not on the number of threads. A [`Streaming`] source
/// is first decoded into an unnamed temporary file, since a tar may replace what it had before;
/// `progress` counts the layer's bytes meanwhile, then those of the content.
///
/// Memory: some 24 MiB of content under way, plain and compressed, and some hundred bytes for each inode
/// and chunk; in the end the compressed TOC.
///
/// ```
/// use blob_io::WriterOutput;
/// use lazyoci_image_convert::{EstargzOptions, Streaming, to_estargz};
///
/// let empty_layer = [0; 1024];
/// let mut layer = Vec::new();
/// let source = Streaming::new(&empty_layer[..]);
/// let mut output = WriterOutput::new(&mut layer);
/// let report = to_estargz(source, &mut output, &EstargzOptions::default(), &mut ())?;
/// assert_eq!(report.blob.len, layer.len() as u64);
/// println!("diff id {}, TOC {}", report.diff_id, report.toc_digest);
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// [`Streaming`]: crate::Streaming
///
/// # Errors
/// [`ConvertError`].
pub fn to_estargz<'a>(
    source: impl Into<Source<'a>>,
    output: &mut dyn Output,
    options: &EstargzOptions,
    progress: &mut dyn Progress,
) -> Result<EstargzReport, ConvertError> {
    let ending = match options.external_toc {
        true => Ending::External,
        false => Ending::Inline,
    };
    let written = write_estargz(source.into(), output, options, ending, progress)?;
    Ok(written.into_estargz())
}

/// Writes `source` with its TOC where `ending` says.
pub(crate) fn write_estargz(
    source: Source<'_>,
    output: &mut dyn Output,
    options: &EstargzOptions,
    ending: Ending,
    progress: &mut dyn Progress,
) -> Result<WrittenEstargz, ConvertError> {
    let chunk_size = options.check(ending)?;
    // Chunks that share a frame are not kept.
    let kept = match options.min_chunk_size {
        0 => KeptFrames::of(&source, options.compression, false),
        _ => None,
    };
    let kept = kept.as_ref();
    let (report, end) = match (options.lossless, source) {
        (false, source) => rewritten(
            (source, kept),
            output,
            (options, chunk_size),
            ending,
            progress,
        )?,
        (true, Source { kind, limits, .. }) => {
            let layer = match kind {
                Kind::Streaming(layer) => Some(layer),
                _ => kept.and_then(KeptFrames::tar),
            };
            let what = "only the tar of a layer can be kept as it is: the source is something else";
            let layer = layer.ok_or(ConvertError::Options(what))?.limits(limits);
            kept::convert(
                (layer, kept),
                output,
                (options, chunk_size),
                ending,
                progress,
            )?
        }
    };
    WrittenEstargz::new(report, end, output)
}

/// What is done to the pieces of a layer.
fn rules<'d>(options: &EstargzOptions, kept: Option<&'d KeptFrames>) -> Rules<'d> {
    let digest = ChunkDigest {
        algorithm: DigestAlgorithm::Sha256,
        with_crc: false,
        blocks_below: 0,
    };
    Rules {
        compression: options.compression,
        plain_if_shorter: false,
        // Chunks that share a member are digested before they are in it.
        digest: (options.min_chunk_size == 0).then_some(digest),
        dictionary: None,
        foreign: None,
        origin: None,
        frames: kept.map(|kept| kept as &dyn StoredFrames),
        room_behind: ROOM_BEHIND,
        grouped_below: 0,
    }
}

/// Writes a tar of our own.
fn rewritten(
    (source, kept): (Source<'_>, Option<&KeptFrames>),
    output: &mut dyn Output,
    (options, chunk_size): (&EstargzOptions, NonZeroU32),
    ending: Ending,
    progress: &mut dyn Progress,
) -> Result<(Report, End), ConvertError> {
    let mut chunker: Box<dyn Chunker> = match options.content_defined {
        Some((min, avg)) => Box::new(FastCdc::new(min, avg, chunk_size.get())?),
        None => Box::new(FixedSize::new(chunk_size)),
    };
    let Input {
        mut tree,
        contents,
        mut order,
        limits,
        advisories,
    } = Input::new(source, progress)?;
    if let Some(in_order) = kept.and_then(KeptFrames::tar_order) {
        (tree, order) = (in_order, DataOrder::Tar);
    }
    let mut contents = contents.look_ahead(WINDOW);
    let mut report = Report {
        advisories,
        ..Report::default()
    };
    let plan = Plan::new(&mut tree, order, options, &limits, &mut report)?;
    let setup = Setup {
        rules: rules(options, kept),
        chunker: &mut *chunker,
        max_chunks: limits.max_chunks,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let target = Members::new(LayerWriter::begin(output, true)?, Placements::new(&limits));
    let (tar, target, mut stored) = stage::run(setup, target, |stage| {
        let inodes = (0..tree.len() as u32).map(InodeId::new);
        stage.expect(content_len(&tree, inodes));
        let mut members =
            TarMembers::new((stage, kept), &limits, plan.landmark, (tree.len(), options));
        write_members(&tree, &plan.names, &mut contents, &mut members)?;
        members.finish()
    })?;
    drop(contents);
    report.inodes = tree.len() as u64;
    report.missed = plan.missed;
    if let Some(shared) = tar.shared {
        stored.extents = shared.extents;
        stored.content_bytes = shared.content_bytes;
        stored.counts.stored = stored.extents.len() as u64;
        stored.counts.stored_bytes = target.shared_bytes;
    }
    // The landmark's byte does not come from the source.
    report.content_bytes = stored.content_bytes - 1;
    report.chunks = stored.counts;
    let (layer, placed) = target.finish()?;
    let open = Open {
        layer,
        offset: placed.toc_offset,
        tar_len: tar.contents.tar_len,
    };
    let listed = Listed {
        tree,
        names: plan.names,
        landmark: plan.landmark,
        extents: stored.extents,
        chunk_size,
        tar: tar.contents,
    };
    let end = listed.end(open, placed, (options, ending), &limits)?;
    Ok((report, end))
}

/// What the TOC lists.
struct Listed {
    tree: Tree<Ino>,
    names: Vec<Named>,
    landmark: (usize, estargz_toc::Landmark),
    extents: Vec<ChunkExtent>,
    chunk_size: NonZeroU32,
    tar: TarContents,
}

impl Listed {
    /// Completes the layer by its TOC and footer.
    fn end(
        self,
        open: Open<'_>,
        placed: Placed,
        (options, ending): (&EstargzOptions, Ending),
        limits: &Limits,
    ) -> Result<End, ConvertError> {
        let Self {
            tree,
            names,
            landmark: (before, landmark),
            extents,
            chunk_size,
            tar,
        } = self;
        let landmark_chunk = extents[tar.landmark as usize].chunk;
        let landmark_chunk = landmark_chunk.expect("each of its chunks is stored");
        let mut blob = Blob::new(BlobId::new(b"layer").expect("a valid id"));
        blob.stored_len = Some(placed.toc_offset);
        blob.decoded_len = Some(placed.decoded_len);
        let parts = ChunkedParts {
            extents,
            chunks: placed.chunks,
            frames: placed.frames,
            recipes: placed.recipes,
            blobs: vec![blob],
        };
        let range = |id: InodeId, _, _| Ok::<_, ConvertError>(tar.ranges[id.index()]);
        let image = ChunkedImage::new(tree.try_map(range)?, parts).expect("as they were stored");
        let listing = Listing {
            image: &image,
            names: &names,
            landmark: Some((before, landmark, landmark_chunk)),
            chunk_size,
            file_digests: &tar.digests,
        };
        let document = |mut out: &mut dyn Write| -> Result<io::Result<()>, ConvertError> {
            Ok(toc::write_json(&mut out, listing.entries())?)
        };
        open.end(ending, &document, (options.compression, limits))
    }
}

/// A layer that was written, and its TOC.
pub(crate) struct WrittenEstargz {
    report: Report,
    end: End,
    toc: Option<DescribedObject>,
}

impl WrittenEstargz {
    /// Writes the TOC if it is an object of its own, and makes all of it appear.
    fn new(mut report: Report, end: End, output: &mut dyn Output) -> Result<Self, ConvertError> {
        report.bytes_out = end.layer.blob.len;
        let mut toc = None;
        if let TocPlace::External(stored) = &end.toc {
            let written = ending::write_apart(output, stored)?;
            report.bytes_out += written.len;
            let of = ExternalToc {
                layer: end.layer.blob.digest,
            };
            toc = Some(DescribedObject::layer(
                written,
                LayerCompression::Gzip,
                |annotations| of.write(annotations),
            ));
        }
        output.commit()?;
        Ok(Self { report, end, toc })
    }

    fn described(&self) -> EstargzLayer {
        EstargzLayer::new(self.end.toc_digest).uncompressed_size(self.end.uncompressed_size)
    }

    fn into_estargz(self) -> EstargzReport {
        let described = self.described();
        let layer = self.end.layer;
        EstargzReport {
            report: self.report,
            blob: DescribedObject::layer(layer.blob, LayerCompression::Gzip, |annotations| {
                described.write(annotations);
            }),
            diff_id: layer.diff_id,
            toc_digest: self.end.toc_digest,
            uncompressed_size: self.end.uncompressed_size,
            toc: self.toc,
        }
    }

    /// The report of a layer with [`Ending::ZstdChunked`].
    pub(crate) fn into_zstd_chunked(self) -> ZstdChunkedReport {
        let described = self.described();
        let layer = self.end.layer;
        let (checksum, piece) = match self.end.toc {
            TocPlace::ZstdChunked { checksum, piece } => (checksum, piece),
            TocPlace::Inline | TocPlace::External(_) => unreachable!("it has another ending"),
        };
        let zstd_chunked = ZstdChunkedLayer::stargz(checksum, piece, described);
        ZstdChunkedReport {
            report: self.report,
            blob: DescribedObject::layer(layer.blob, LayerCompression::Zstd, |annotations| {
                zstd_chunked.write(annotations);
            }),
            diff_id: layer.diff_id,
            manifest_checksum: checksum,
            toc_digest: Some(self.end.toc_digest),
            uncompressed_size: self.end.uncompressed_size,
        }
    }
}
