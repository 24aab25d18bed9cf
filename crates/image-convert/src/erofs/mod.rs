//! Any source as one EROFS image.
//!
//! ```text
//! source ─► stage: cut, digest, ask the dictionary ─► spool: each chunk once
//!    └────► tree ─► layout ─► metadata ─► output ◄─ chunks, in the order of the tree's table
//!
//! A plain tar that was opened needs no spool: its chunks are read a second time.
//! ```

mod layer_cache;
mod options;
mod report;
mod spool;
mod verity;
mod verity_superblock;
mod write;

use std::io::{self, Write};
use std::sync::{PoisonError, RwLock};

use blob_io::{Output, Written};
use chunk_dedup::{ChunkList, FixedSize};
use erofs_format::{Layout, LayoutInput};
use image_model::image::{ChunkExtent, ChunkRange};
use image_model::{Chunk, ChunkId, InodeId, Node, Progress, Tree};
#[cfg(doc)]
use image_read::OpenImage;
use verify::Hasher;

use crate::fill::{self, Filled};
use crate::report::Report;
use crate::source::Origin;
use crate::stage::{self, ChunkDigest, Fetch, Rules, Setup, Stored};
use crate::{ConvertError, Source};
use spool::{BLOCK, Spool, Spooled};
use verity::VerityTree;
use verity_superblock::superblock;
use write::ImageWriter;

pub use layer_cache::layer_cache_path;
pub use options::ErofsOptions;
pub use report::{ErofsReport, Verity};

/// Writes `source` as one EROFS image, which the kernel can mount directly: metadata, then content, uncompressed, each
/// chunk once. With [`ErofsOptions::verity`] a dm-verity hash tree follows. The bytes depend only on source and
/// options, not on the number of threads; the image's UUID is derived from its content. If the source is a directory,
/// its root loses its time. A stack of layers becomes one tree; whiteouts of a single layer are kept as ordinary files,
/// or converted to overlayfs form ([`ErofsOptions::overlay_whiteouts`]). Content is stored in the order of the source;
/// content that a later member of a layer replaces is not stored. Metadata comes before content, but is only known
/// after all content has been read, so content is spooled to an unnamed temporary file; a plain tar that is
/// [opened](OpenImage) or [in a file](crate::Streaming::of_file) is read twice instead, which is faster. Memory: about 24 MiB of content in progress, or several chunks if those
/// are longer, and 200 to 300 bytes for each inode and chunk; 64 bytes for each block of 4096 with verity.
///
/// ```
/// use blob_io::{MemoryOutput, ObjectRole};
/// use lazyoci_image_convert::{ErofsOptions, Streaming, to_erofs};
///
/// let empty_layer = [0; 1024];
/// let mut output = MemoryOutput::default();
/// let options = ErofsOptions::default();
/// let done = to_erofs(Streaming::new(&empty_layer[..]), &mut output, &options, &mut ())?;
/// assert_eq!((done.report.inodes, done.blob.len), (1, 4096));
/// assert_eq!(output.object(ObjectRole::Layer).unwrap().digest, done.blob.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConvertError`]; nothing is committed to the output then.
pub fn to_erofs<'a>(
    source: impl Into<Source<'a>>,
    output: &mut dyn Output,
    options: &ErofsOptions,
    progress: &mut dyn Progress,
) -> Result<ErofsReport, ConvertError> {
    let chunk_size = LayoutInput::check_chunk_size(options.chunk_size)?;
    let source = source.into();
    let limits = source.limits.clone();
    let known = RwLock::new(ChunkList::default());
    let mut report = Report::default();
    let origin = Origin::of(&source.kind);
    let origin = origin.as_ref();
    let directory = options.spool_directory.clone();
    let spool = Spool::begin(&known, directory, origin.is_none())?;
    let setup = Setup {
        rules: Rules {
            compression: frame_codec::Compression::None,
            plain_if_shorter: true,
            digest: Some(ChunkDigest {
                algorithm: options.digest,
                with_crc: false,
                // Those of longer ones are digested while they are written.
                blocks_below: if options.verity { chunk_size.get() } else { 0 },
            }),
            dictionary: Some(&known),
            foreign: None,
            room_behind: 0,
            grouped_below: 0,
            origin: origin.map(|origin| origin as &dyn Fetch),
            frames: None,
        },
        chunker: &mut FixedSize::new(chunk_size),
        max_chunks: limits.max_chunks,
        threads: options.threads,
        before: Stored::default(),
        progress,
    };
    let (Filled { layer, places, .. }, spool, stored) = stage::run(setup, spool, |stage| {
        fill::fill(source, (origin, None), true, stage, options, &mut report)
    })?;
    let mut tree = match options.overlay_whiteouts {
        true => layer.into_overlay_tree()?,
        false => layer.into_tree()?,
    };
    fill::advise_undescribed(&tree, &mut report);
    fill::settle_losses(&mut tree, options, &limits, &mut report)?;
    let spooled = spool.end(origin, places, &stored.extents)?;
    let chunks = std::mem::take(&mut *known.write().unwrap_or_else(PoisonError::into_inner));
    let content = Content::new(&tree, &stored.extents, chunks.into_chunks(), &spooled)?;
    report.inodes = tree.len() as u64;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    report.chunks.dead = content.dead;
    let (written, verity) = write(&tree, &stored.extents, &content, &spooled, output, options)?;
    output.commit()?;
    report.bytes_out = written.len;
    Ok(ErofsReport::new(report, written, verity))
}

/// Where chunks go.
struct Content {
    chunks: Vec<Chunk>,
    /// First block of each chunk, counted from where content begins; `None` of zeros, and of what no file
    /// uses.
    blocks: Vec<Option<u32>>,
    /// The chunks in the order of their places.
    order: Vec<ChunkId>,
    len: u32,
    /// Chunks that no file uses.
    dead: u64,
}

impl Content {
    fn new(
        tree: &Tree<ChunkRange>,
        extents: &[ChunkExtent],
        chunks: Vec<Chunk>,
        spooled: &Spooled<'_>,
    ) -> Result<Self, ConvertError> {
        let mut blocks = vec![None; chunks.len()];
        let mut used = vec![false; chunks.len()];
        let mut order = Vec::new();
        let mut next = 0u64;
        for id in (0..tree.len() as u32).map(InodeId::new) {
            let Node::File { content, .. } = tree.inode(id).node else {
                continue;
            };
            let extents = &extents[content.start as usize..content.end as usize];
            for chunk in extents.iter().filter_map(|extent| extent.chunk) {
                let position = chunk.index();
                if std::mem::replace(&mut used[position], true)
                    || spooled.starts[position].is_none()
                {
                    continue;
                }
                let block = u32::try_from(next);
                blocks[position] = Some(block.map_err(|_| too_long(next))?);
                order.push(chunk);
                next += u64::from(chunks[position].len).div_ceil(BLOCK);
            }
        }
        Ok(Self {
            chunks,
            blocks,
            order,
            len: u32::try_from(next).map_err(|_| too_long(next))?,
            dead: used.iter().filter(|used| !**used).count() as u64,
        })
    }

    /// A UUID that says what is in the image: a hash of its metadata, which have none yet, and the digests of
    /// its chunks.
    fn uuid(&self, layout: &Layout<'_>) -> Result<[u8; 16], ConvertError> {
        let mut hasher = Digesting(Hasher::sha256());
        layout.write_metadata([0; 16], &mut hasher)?;
        for chunk in &self.order {
            if let Some(digest) = self.chunks[chunk.index()].digest {
                hasher.0.update(digest.as_bytes());
            }
        }
        let digest = hasher.0.finish();
        let mut uuid = *digest.as_bytes().first_chunk::<16>().expect("32 bytes");
        // Version 8, whose other bits are free, and the usual variant.
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        Ok(uuid)
    }
}

fn too_long(blocks: u64) -> ConvertError {
    erofs_format::EncodeError::TooLong { blocks }.into()
}

struct Digesting(Hasher);

impl Write for Digesting {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the image, and the hash tree if it is to have one.
fn write(
    tree: &Tree<ChunkRange>,
    extents: &[ChunkExtent],
    content: &Content,
    spooled: &Spooled<'_>,
    output: &mut dyn Output,
    options: &ErofsOptions,
) -> Result<(Written, Option<Verity>), ConvertError> {
    let input = LayoutInput {
        tree,
        extents,
        chunks: &content.blocks,
        chunk_size: options.chunk_size,
    };
    let layout = Layout::plan(input)?.with_content(content.len)?;
    let uuid = content.uuid(&layout)?;
    std::thread::scope(|scope| {
        let scope = (options.threads > 1).then_some(scope);
        let mut out = ImageWriter::begin(output, options.verity, scope)?;
        layout.write_metadata(uuid, &mut out)?;
        for chunk in &content.order {
            spooled.copy(*chunk, content.chunks[chunk.index()].len, &mut out)?;
        }
        let tree = out.end_image()?;
        let hash_offset = out.len();
        let verity = tree.map(|tree: VerityTree| {
            if options.verity_superblock {
                out.write_all(&superblock(&tree, uuid))?;
            }
            for level in &tree.levels {
                out.write_all(level.as_flattened())?;
            }
            Ok::<_, ConvertError>(Verity {
                root: tree.root,
                data_blocks: tree.data_blocks,
                hash_offset,
                superblock: options.verity_superblock,
            })
        });
        Ok((out.finish()?, verity.transpose()?))
    })
}
