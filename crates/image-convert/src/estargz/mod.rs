//! Any source as an eStargz layer.
//!
//! ```text
//! source ─► plan: names in order ─► assembler: members ─► batches ─► workers: digest, compress
//!                                                                          │ in order
//! footer ◄─ TOC ◄──────────────────────────────────────── sink: place, write
//! ```

mod assembler;
mod batch;
mod options;
mod plan;
mod sink;

use std::collections::BTreeMap;
use std::io::Write;

use blob_io::Written;
use estargz_toc::write::Listing;
use frame_codec::Encoder;
use image_model::image::ChunkedParts;
use image_model::{Blob, BlobId, ChunkedImage, Digest, ImagePath, InodeId, Limits, Node, Progress};
use image_read::{LayerImage, LayerImageOptions};
use oci_image::EstargzLayer;

use crate::content::{ImageContent, SpanContent};
use crate::report::Report;
use crate::source::{DataOrder, SeekableTree};
use crate::tree::copy_tree;
use crate::{ConvertError, Seekable, Source, Streaming};
use assembler::{Assembler, Parts, StoredContent, Work};
use batch::Worker;
use image_read::pipeline::{self, MAX_THREADS};
use plan::Plan;
use sink::{Finished, Sink};

pub use options::EstargzOptions;

/// What a conversion to eStargz did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EstargzReport {
    /// What every conversion reports.
    pub report: Report,
    /// SHA-256 and length of the layer as it was written.
    pub blob: Written,
    /// SHA-256 of the tar in it, TOC and landmark included: the layer's DiffID.
    pub diff_id: Digest,
    /// SHA-256 of the TOC.
    pub toc_digest: Digest,
    /// Length of the tar in it, in bytes.
    pub uncompressed_size: u64,
}

impl EstargzReport {
    /// What the layer's descriptor has to say.
    #[must_use]
    pub fn layer(&self) -> EstargzLayer {
        EstargzLayer {
            toc_digest: self.toc_digest,
            uncompressed_size: Some(self.uncompressed_size),
        }
    }
}

/// Writes `source` as an eStargz layer to `out`.
///
/// The layer is a gzip-compressed tar with its table of contents at the end. Every directory is
/// followed by all that lies in it (but for prefetched files). Of siblings the opaque marker comes
/// first, then the other whiteouts, for those who apply whiteouts as they come; the rest is in the
/// order that it has in the tar that is the source, or else in that of the names. The first name of an inode has
/// its content, further ones are hard links to it; holes are written as zeros. Whiteouts are kept as
/// the files that they are. A root without anything of its own gets no entry, nor does a directory that
/// no entry of the source described and that holds something: its attributes are unknown, and an
/// entry would change those that a lower layer has.
///
/// The bytes depend on source and options alone, not on the number of threads. A [`Streaming`] source
/// is first decoded into an unnamed temporary file, since a tar may replace what it had before;
/// `progress` counts the layer's bytes meanwhile, then those of the content.
///
/// Memory: some 16 MiB of batches (or two of a megabyte for each thread; where chunks are so long that
/// fewer fit, one for each thread), with their compressed form, and some hundred bytes for each inode
/// and chunk; in the end the TOC and its compressed form.
///
/// ```
/// use lazyoci_image_convert::{EstargzOptions, Streaming, to_estargz};
///
/// let empty_layer = [0; 1024];
/// let mut layer = Vec::new();
/// let source = Streaming::new(&empty_layer[..]);
/// let report = to_estargz(source, &mut layer, &EstargzOptions::default(), &mut ())?;
/// assert_eq!(report.blob.len, layer.len() as u64);
/// println!("diff id {}, TOC {}", report.diff_id, report.layer().toc_digest);
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// [`Streaming`]: crate::Streaming
///
/// # Errors
/// [`ConvertError`]; `out` has got a part of the layer then.
pub fn to_estargz<'a>(
    source: impl Into<Source<'a>>,
    out: &mut dyn Write,
    options: &EstargzOptions,
    progress: &mut dyn Progress,
) -> Result<EstargzReport, ConvertError> {
    options.check()?;
    match source.into() {
        Source::Seekable(source) => write(source, out, options, progress),
        Source::Streaming(layer) => {
            let Streaming {
                layer,
                lenient,
                limits,
            } = layer;
            let spooling = LayerImageOptions::default()
                .lenient(lenient)
                .limits(limits.clone());
            let layer = LayerImage::from_stream(layer, &spooling, progress)?;
            let source = Seekable::tar(&layer.image, &*layer.source).limits(limits);
            write(source, out, options, progress)
        }
    }
}

fn write(
    source: Seekable<'_>,
    out: &mut dyn Write,
    options: &EstargzOptions,
    progress: &mut dyn Progress,
) -> Result<EstargzReport, ConvertError> {
    let Seekable { tree, limits } = source;
    let mut report = Report::default();
    let target = Target {
        out,
        options,
        limits: &limits,
        progress,
    };
    match tree {
        SeekableTree::Plain {
            tree,
            source,
            order,
        } => {
            let plan = Plan::new(tree, order, options, &limits, &mut report)?;
            target.write(plan, report, |assembler, path, size, spans| {
                let spans = spans.as_slice();
                let mut content = SpanContent::new(spans, size, |offset, buf: &mut [u8]| {
                    let read = source.read_at(offset, buf);
                    read.map_err(|source| ConvertError::Source {
                        path: path.clone(),
                        source,
                    })
                });
                assembler.content(size, &mut content)
            })
        }
        SeekableTree::Image(reader) => {
            let tree = copy_tree(&**reader.image(), &limits)?;
            let plan = Plan::new(tree, DataOrder::Directories, options, &limits, &mut report)?;
            target.write(plan, report, |assembler, path, size, &ino| {
                let path = || path.clone();
                let mut content = ImageContent::new(&reader, ino, &path);
                assembler.content(size, &mut content)
            })
        }
    }
}

/// Where a layer is written to, and how.
struct Target<'a> {
    out: &'a mut dyn Write,
    options: &'a EstargzOptions,
    limits: &'a Limits,
    progress: &'a mut dyn Progress,
}

impl Target<'_> {
    /// Writes what `plan` says; `content` has the content of a file stored.
    fn write<C>(
        self,
        plan: Plan<C>,
        mut report: Report,
        mut content: impl FnMut(
            &mut Assembler<'_, '_>,
            &ImagePath,
            u64,
            &C,
        ) -> Result<StoredContent, ConvertError>,
    ) -> Result<EstargzReport, ConvertError> {
        let Self {
            out,
            options,
            limits,
            progress,
        } = self;
        let threads = options.threads.clamp(1, MAX_THREADS);
        let workers = (0..threads)
            .map(|_| worker(options))
            .collect::<Result<Vec<_>, _>>()?;
        let mut ranges = vec![Default::default(); plan.tree.len()];
        let mut file_digests = BTreeMap::new();
        let (assembled, landmark_chunk) = pipeline::run(workers, 4 * threads, |stage| {
            let mut assembler = Assembler::new(Parts {
                stage,
                sink: Sink::new(out, limits),
                progress,
                limits,
                chunk_size: options.chunk_size,
                threads,
                total: content_len(&plan),
            });
            let (before, landmark) = plan.landmark;
            let mut landmark_chunk = None;
            for (position, (name, first)) in plan.names.iter().zip(plan.first_names()).enumerate() {
                if position == before {
                    landmark_chunk = Some(assembler.landmark(landmark)?);
                }
                let inode = plan.tree.inode(name.inode);
                if let Some(first) = first {
                    let target = &plan.names[first].path;
                    assembler.link(&name.path, &inode.metadata, target)?;
                    continue;
                }
                assembler.header(&name.path, &inode.metadata, &inode.node)?;
                if let Node::File { size, content: of } = &inode.node {
                    let stored = content(&mut assembler, &name.path, *size, of)?;
                    ranges[name.inode.index()] = stored.range;
                    file_digests.extend(stored.digest.map(|digest| (name.inode, digest)));
                }
            }
            let landmark_chunk = match landmark_chunk {
                Some(chunk) => chunk,
                None => assembler.landmark(landmark)?,
            };
            Ok::<_, ConvertError>((assembler.finish()?, landmark_chunk))
        })?;
        report.inodes = plan.tree.len() as u64;
        report.content_bytes = assembled.content_bytes;
        report.chunks = assembled.sink.counts;
        let tree = plan
            .tree
            .try_map(|id: InodeId, _, _| Ok::<_, ConvertError>(ranges[id.index()]))?;
        let (placed, end) = assembled.sink.place()?;
        let mut blob = Blob::new(BlobId::new(b"layer").expect("a valid id"));
        blob.stored_len = Some(placed.toc_offset);
        blob.decoded_len = Some(placed.decoded_len);
        let parts = ChunkedParts {
            extents: assembled.extents,
            chunks: placed.chunks,
            frames: placed.frames,
            recipes: placed.recipes,
            blobs: vec![blob],
        };
        let image = ChunkedImage::new(tree, parts).expect("as they were stored");
        let (before, landmark) = plan.landmark;
        let member = Listing {
            image: &image,
            names: &plan.names,
            landmark: Some((before, landmark, landmark_chunk)),
            chunk_size: options.chunk_size,
            file_digests: &file_digests,
        }
        .to_member(limits.toc_len())?;
        drop((image, plan.names));
        let toc_digest = verify::sha256(member.json());
        let uncompressed_size = assembled.tar_len + member.plain().len() as u64;
        let mut encoder = Encoder::new(options.compression)?;
        let Finished { blob, diff_id } = end.finish(&mut encoder, member, placed.toc_offset)?;
        report.bytes_out = blob.len;
        report.missed = plan.missed;
        Ok(EstargzReport {
            report,
            blob,
            diff_id,
            toc_digest,
            uncompressed_size,
        })
    }
}

/// A worker with a context of its own.
fn worker(options: &EstargzOptions) -> Result<Work, ConvertError> {
    let mut worker = Worker::new(options)?;
    Ok(Box::new(move |batch| worker.work(batch)))
}

/// Bytes of all files.
fn content_len<C>(plan: &Plan<C>) -> u64 {
    let ids = (0..plan.tree.len() as u32).map(InodeId::new);
    let sizes = ids.map(|id| plan.tree.inode(id).node.size());
    sizes.fold(0, u64::saturating_add)
}
