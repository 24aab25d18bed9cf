//! Any source as one EROFS image.
//!
//! ```text
//! source ─► stage: cut, digest, ask the dictionary ─► spool: each chunk once
//!    └────► tree ─► layout ─► metadata ─► output ◄─ chunks, in the order of the tree's table
//!
//! A plain tar that was opened or is in a file needs no spool: its chunks are read a second time.
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
/// chunk once. What a file has after its last whole block is beside its inode, if both fit into a block and the file
/// shares no chunk. With [`ErofsOptions::verity`] a dm-verity hash tree follows. The bytes depend only on source and
/// options, not on the number of threads; the image's UUID is derived from its content. If the source is a directory,
/// its root loses its time. A stack of layers becomes one tree; whiteouts of a single layer are kept as ordinary files,
/// or converted to overlayfs form ([`ErofsOptions::overlay_whiteouts`]). Content is stored in the order of the source;
/// content that a later member of a layer replaces is not stored. Metadata comes before content, but is only known
/// after all content has been read, so content is spooled to an unnamed temporary file; a plain tar that is
/// [opened](OpenImage) or [in a file](crate::Streaming::of_file) is read twice instead, which is faster. Memory: about
/// 24 MiB of content in progress, or several chunks if those are longer, and 200 to 300 bytes for each inode and chunk;
/// 64 bytes for each block of 4096 with verity.
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
    /// The chunks whose ends are beside the inode of their file.
    inline: Vec<bool>,
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
        let ids = || (0..tree.len() as u32).map(InodeId::new);
        let mut uses = vec![Uses::None; chunks.len()];
        for chunk in ids().flat_map(|id| chunks_of(tree, extents, id)) {
            let uses = &mut uses[chunk.index()];
            *uses = match uses {
                Uses::None => Uses::One,
                _ => Uses::Several,
            };
        }
        let alone = |chunk: ChunkId| {
            uses[chunk.index()] == Uses::One && spooled.starts[chunk.index()].is_some()
        };
        let mut blocks = vec![None; chunks.len()];
        let mut inline = vec![false; chunks.len()];
        let mut order = Vec::new();
        let mut next = 0u64;
        for id in ids() {
            // Else its chunks do not lie one after the other, or others have the last one too.
            let whole = chunks_of(tree, extents, id).all(alone);
            if whole
                && LayoutInput::tail_len(tree.inode(id)) != 0
                && let Some(last) = chunks_of(tree, extents, id).last()
            {
                inline[last.index()] = true;
            }
            for chunk in chunks_of(tree, extents, id) {
                let position = chunk.index();
                if blocks[position].is_some() || spooled.starts[position].is_none() {
                    continue;
                }
                let block = u32::try_from(next);
                blocks[position] = Some(block.map_err(|_| too_long(next))?);
                order.push(chunk);
                let len = u64::from(chunks[position].len);
                next += match inline[position] {
                    true => len / BLOCK,
                    false => len.div_ceil(BLOCK),
                };
            }
        }
        Ok(Self {
            chunks,
            blocks,
            inline,
            order,
            len: u32::try_from(next).map_err(|_| too_long(next))?,
            dead: uses.iter().filter(|uses| **uses == Uses::None).count() as u64,
        })
    }

    /// Bytes of `chunk` that are in blocks.
    fn len_in_blocks(&self, chunk: ChunkId) -> u32 {
        let len = self.chunks[chunk.index()].len;
        match self.inline[chunk.index()] {
            true => len - len % BLOCK as u32,
            false => len,
        }
    }

    /// A UUID that says what is in the image: a hash of its metadata and the digests of its chunks.
    fn uuid(&self, layout: &Layout<'_>) -> Result<[u8; 16], ConvertError> {
        let mut hasher = Digesting(Hasher::sha256());
        layout.write_outline(&mut hasher)?;
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

/// How many files use a chunk, or how often one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uses {
    None,
    One,
    Several,
}

/// The chunks of the inode `id`, if it is a file.
fn chunks_of(
    tree: &Tree<ChunkRange>,
    extents: &[ChunkExtent],
    id: InodeId,
) -> impl Iterator<Item = ChunkId> {
    let content = match tree.inode(id).node {
        Node::File { content, .. } => content,
        _ => ChunkRange::default(),
    };
    let extents = &extents[content.start as usize..content.end as usize];
    extents.iter().filter_map(|extent| extent.chunk)
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
        inline: &content.inline,
        chunk_size: options.chunk_size,
    };
    let layout = Layout::plan(input)?.with_content(content.len)?;
    let uuid = content.uuid(&layout)?;
    std::thread::scope(|scope| {
        let scope = (options.threads > 1).then_some(scope);
        let mut out = ImageWriter::begin(output, options.verity, scope)?;
        let tails = |id: InodeId, place: &mut [u8]| {
            let Some(last) = chunks_of(tree, extents, id).last() else {
                return Ok(());
            };
            let at = content.chunks[last.index()].len as usize - place.len();
            (spooled.read(last, at as u64, place)).map_err(io::Error::other)
        };
        let written = layout.write_metadata(uuid, &tails, &mut out);
        written.map_err(|error| error.downcast().unwrap_or_else(ConvertError::from))?;
        for &chunk in &content.order {
            spooled.copy(chunk, content.len_in_blocks(chunk), &mut out)?;
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
