//! Any source as an eStargz layer.
//!
//! ```text
//! source ─► plan: names in order ─► members ─► stage: digest, compress ─► placements, layer
//!                                                                             │
//! footer ◄─ TOC ◄─────────────────────────────────────────────────────────────┘
//! ```

mod members;
mod options;
mod plan;
mod report;

use std::num::NonZeroU32;

use blob_io::Output;
use chunk_dedup::{Chunker, FastCdc, FixedSize};
use estargz_toc::footer;
use estargz_toc::write::{Listing, Placements};
use frame_codec::Encoder;
use image_model::image::{ChunkExtent, ChunkedParts};
use image_model::order::Named;
use image_model::{
    Blob, BlobId, ChunkedImage, DigestAlgorithm, Ino, InodeId, Limits, Progress, Tree,
};
use oci_image::{EstargzLayer, LayerCompression};

use crate::described::DescribedObject;
use crate::layer::{LayerWriter, WrittenLayer};
use crate::members::write_members;
use crate::report::Report;
use crate::source::Input;
use crate::stage::{self, ChunkDigest, Rules, Setup, Stored};
use crate::tree::content_len;
use crate::{ConvertError, Source};
use members::{Members, TarContents, TarMembers};
use plan::Plan;

pub use options::EstargzOptions;
pub use report::EstargzReport;

/// Room that is kept after a chunk: padding and a few headers.
const ROOM_BEHIND: usize = 4096;

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
/// The bytes depend on source and options alone, not on the number of threads. A [`Streaming`] source
/// is first decoded into an unnamed temporary file, since a tar may replace what it had before;
/// `progress` counts the layer's bytes meanwhile, then those of the content.
///
/// Memory: some 24 MiB of content under way, plain and compressed, and some hundred bytes for each inode
/// and chunk; in the end the TOC and its compressed form.
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
    let chunk_size = options.check()?;
    let mut chunker: Box<dyn Chunker> = match options.content_defined {
        Some((min, avg)) => Box::new(FastCdc::new(min, avg, chunk_size.get())?),
        None => Box::new(FixedSize::new(chunk_size)),
    };
    let Input {
        mut tree,
        mut contents,
        order,
        limits,
        advisories,
    } = Input::new(source.into(), progress)?;
    let mut report = Report {
        advisories,
        ..Report::default()
    };
    let plan = Plan::new(&mut tree, order, options, &limits, &mut report)?;
    let setup = Setup {
        rules: Rules {
            compression: options.compression,
            plain_if_shorter: false,
            digest: Some(ChunkDigest {
                algorithm: DigestAlgorithm::Sha256,
                with_crc: false,
            }),
            dictionary: None,
            foreign: None,
            room_behind: ROOM_BEHIND,
        },
        chunker: &mut *chunker,
        max_chunks: limits.max_chunks,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let target = Members {
        layer: LayerWriter::begin(output, true)?,
        placements: Placements::new(&limits),
    };
    let (tar, target, stored) = stage::run(setup, target, |stage| {
        let inodes = (0..tree.len() as u32).map(InodeId::new);
        stage.expect(content_len(&tree, inodes));
        // Longer files may have several chunks.
        let longest = (options.content_defined).map_or(options.chunk_size, |(min, _)| min);
        let sizes = (tree.len(), longest);
        let mut members = TarMembers::new(stage, &limits, plan.landmark, sizes);
        write_members(&tree, &plan.names, &mut contents, &mut members)?;
        members.finish()
    })?;
    drop(contents);
    report.inodes = tree.len() as u64;
    // The landmark's byte does not come from the source.
    report.content_bytes = stored.content_bytes - 1;
    report.chunks = stored.counts;
    report.missed = plan.missed;
    let listed = Listed {
        tree,
        names: plan.names,
        landmark: plan.landmark,
        extents: stored.extents,
        chunk_size,
        tar,
    };
    let end = listed.end(target, options, &limits)?;
    output.commit()?;
    let WrittenLayer { blob, diff_id } = end.layer;
    report.bytes_out = blob.len;
    let described = EstargzLayer::new(end.toc_digest).uncompressed_size(end.uncompressed_size);
    Ok(EstargzReport {
        report,
        blob: DescribedObject::layer(blob, LayerCompression::Gzip, |annotations| {
            described.write(annotations);
        }),
        diff_id,
        toc_digest: end.toc_digest,
        uncompressed_size: end.uncompressed_size,
    })
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

/// A layer with its TOC.
struct End {
    layer: WrittenLayer,
    toc_digest: image_model::Digest,
    uncompressed_size: u64,
}

impl Listed {
    /// Completes the layer of `target` by its TOC and footer.
    fn end(
        self,
        target: Members<'_>,
        options: &EstargzOptions,
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
        let Members {
            mut layer,
            placements,
        } = target;
        let landmark_chunk = extents[tar.landmark as usize].chunk;
        let landmark_chunk = landmark_chunk.expect("each of its chunks is stored");
        let placed = placements.finish()?;
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
        let member = Listing {
            image: &image,
            names: &names,
            landmark: Some((before, landmark, landmark_chunk)),
            chunk_size,
            file_digests: &tar.digests,
        }
        .to_member(limits.toc_len())?;
        drop((image, names));
        let toc_digest = verify::sha256(member.json());
        let uncompressed_size = tar.tar_len + member.plain().len() as u64;
        let mut stored = Vec::new();
        Encoder::new(options.compression)?.encode_frame(member.plain(), &mut stored)?;
        layer.write(member.plain(), &stored)?;
        layer.write(&[], &footer::encode(placed.toc_offset))?;
        Ok(End {
            layer: layer.finish()?,
            toc_digest,
            uncompressed_size,
        })
    }
}
