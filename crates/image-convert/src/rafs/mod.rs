//! Any source as a RAFS image.
//!
//! ```text
//! source ─► stage: cut, digest, ask the dictionary, compress ─► blob: place, write
//!    └────► tree, of which each file holds a range of extents ─────────► bootstrap
//! ```

mod blob;
mod bootstrap;
mod compact;
mod dictionary;
mod dictionary_part;
mod keep_blobs;
mod options;
mod plan;
mod prefetch;
mod reference;
mod reference_layer;
mod report;
mod sealed;
mod tarfs;
#[cfg(feature = "gzip-index")]
mod zran;
#[cfg(feature = "gzip-index")]
mod zran_entries;
#[cfg(feature = "gzip-index")]
mod zran_options;
#[cfg(feature = "gzip-index")]
mod zran_tar;

use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};

use blob_io::{Output, WriteError};
use chunk_dedup::{ChunkList, Dictionary, FixedSize};
use image_model::image::ChunkRange;
use image_model::{ImagePath, InodeId, Limits, Node, Progress, Tree};
use rafs_format::flags::Compat;

use crate::fill::{self, Filled, Format as _};
use crate::report::{ChunkCounts, Report};
use crate::source::{KeptFrames, Origin};
use crate::stage::{self, ChunkDigest, Fetch, Rules, Setup, Stored, StoredFrames, Target};
use crate::{ConvertError, Source};
use blob::{BlobTarget, OpenBlob, Placed};
use bootstrap::{Content, Image};

pub use compact::{CompactOptions, compact};
pub use dictionary::{ChunkDictionary, add_to_dictionary};
pub use keep_blobs::{KeepBlobsError, KeepBlobsOptions, keep_blobs};
pub use options::RafsOptions;
pub use plan::{Planned, ReusePlan, plan_reuse};
pub use prefetch::{ParsePrefetchPolicyError, PrefetchPolicy};
pub use report::{RafsBlob, RafsReport};
pub use tarfs::{TarfsOptions, TarfsReport, to_tarfs};
#[cfg(feature = "gzip-index")]
pub use zran::{ZranReport, to_zran};
#[cfg(feature = "gzip-index")]
pub use zran_options::ZranOptions;

/// Writes `source` as a RAFS image to `output`: the bootstrap and, if there is file content, the blob, whose id is the
/// SHA-256 of the object. To an output that takes one object goes a blob with the bootstrap in it
/// ([`RafsOptions::inline_meta`]), and nothing else. The bytes depend only on source and options, not on the number of
/// threads. Uncompressed output is that of nydus-image, with two exceptions: fractions of a second in a tar are kept,
/// and extended attributes are sorted by name. If the source is a directory, its root loses its time, as in nydus.
/// Whiteouts of a layer are kept as ordinary files. Where neither nydus nor a prefetch rule says otherwise, content is
/// stored in the order in which the source has it.
///
/// Memory: some 24 MiB of content under way, plain and compressed, the contexts of the compressor, and
/// 200 to 300 bytes for each inode and chunk.
///
/// ```
/// use blob_io::DirectoryOutput;
/// use lazyoci_image_convert::{RafsOptions, Streaming, to_rafs};
///
/// # let dir = tempfile::tempdir()?;
/// # let output = dir.path().join("image");
/// let empty_layer = [0; 1024];
/// let source = Streaming::new(&empty_layer[..]);
/// let mut directory = DirectoryOutput::create(&output)?;
/// let done = to_rafs(source, &mut directory, &RafsOptions::default(), &mut ())?;
/// assert_eq!((done.report.inodes, done.bootstrap.len), (1, 8192));
/// assert!(output.join("image.boot").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConvertError`]; nothing is committed to the output then.
pub fn to_rafs<'a>(
    source: impl Into<Source<'a>>,
    output: &mut dyn Output,
    options: &RafsOptions,
    progress: &mut dyn Progress,
) -> Result<RafsReport, ConvertError> {
    let single = output.is_single();
    if single && !options.inline_meta {
        return Err(WriteError::SingleObject.into());
    }
    let source = source.into();
    let limits = source.limits.clone();
    let stacked = source.is_stack();
    if stacked && options.inline_meta {
        return Err(ConvertError::InlinedStack);
    }
    if options.key.is_some() && options.inline_meta {
        return Err(ConvertError::InlinedKey);
    }
    if let Some(dictionary) = &options.dictionary {
        dictionary.check(options)?;
    }
    let known = RwLock::new(ChunkList::default());
    let mut layers = Layers {
        known: &known,
        options,
        stacked,
        stored: Stored::default(),
        tree: None,
        from_tar: true,
        report: Report::default(),
        chunks: Vec::new(),
    };
    let mut placed = Placed::default();
    let mut blobs = Vec::new();
    let (lower, top) = source.into_layers();
    let top_position = lower.len();
    for (position, layer) in lower.into_iter().enumerate() {
        let blob = layers.store(layer, position, placed, output, progress)?;
        let (so_far, blob) = blob.finish()?;
        placed = so_far;
        blobs.extend(blob);
    }
    let blob = layers.store(top, top_position, placed, output, progress)?;
    let layer_chunks = std::mem::take(&mut layers.chunks);
    let (content, report) = layers.finish(&limits)?;
    let (image, bootstrap) = match options.inline_meta {
        true => {
            let (image, blob, inside) = Image::inlined(content, blob, options)?;
            blobs.push(blob);
            (image, Some(inside).filter(|_| single))
        }
        false => {
            let (placed, blob) = blob.finish()?;
            blobs.extend(blob);
            (Image::new(content, placed, options)?, None)
        }
    };
    let mut bytes_out = blobs.iter().map(|blob| blob.object.len).sum();
    let bootstrap = match bootstrap {
        Some(inside) => inside,
        None => {
            let beside = image.write(output)?;
            bytes_out += beside.len;
            beside
        }
    };
    output.commit()?;
    Ok(RafsReport {
        report: Report {
            bytes_out,
            ..report
        },
        version: options.version,
        bootstrap: report::described_bootstrap(bootstrap, options.version),
        blobs,
        layer_chunks,
        reused_blobs: image.uses.iter().map(|blob| blob.id.clone()).collect(),
        reuse: image.uses,
    })
}

/// Layers, as one comes on top of the other; or what is not a layer, alone.
struct Layers<'k> {
    known: &'k RwLock<ChunkList>,
    options: &'k RafsOptions,
    stacked: bool,
    /// Of all layers.
    stored: Stored,
    tree: Option<Tree<ChunkRange>>,
    from_tar: bool,
    report: Report,
    /// Of each layer.
    chunks: Vec<ChunkCounts>,
}

impl<'k> Layers<'k> {
    /// Stores the content of one more layer in a blob of its own, and lays it over those below it.
    fn store<'o>(
        &mut self,
        source: Source<'_>,
        position: usize,
        placed: Placed,
        output: &'o mut dyn Output,
        progress: &mut dyn Progress,
    ) -> Result<OpenBlob<'o>, ConvertError> {
        let target = BlobTarget::begin(output, self.known, (position, placed), self.options)?;
        Ok(self.run(source, position, target, progress)?.end())
    }

    /// Hands the content of one more layer to `target`, and lays it over those below it.
    fn run<T: Target>(
        &mut self,
        source: Source<'_>,
        position: usize,
        target: T,
        progress: &mut dyn Progress,
    ) -> Result<T, ConvertError> {
        let options = self.options;
        let origin = Origin::of(&source.kind);
        let kept = KeptFrames::of(&source, options.compression, true);
        let setup = Setup {
            rules: Rules {
                compression: options.compression,
                plain_if_shorter: true,
                digest: Some(ChunkDigest {
                    algorithm: options.digest,
                    with_crc: options.compat == Compat::V2_4,
                    blocks_below: 0,
                }),
                dictionary: Some(self.known),
                foreign: (options.dictionary.as_deref()).map(|foreign| foreign as &dyn Dictionary),
                room_behind: 0,
                grouped_below: options.batch_size / 2,
                origin: origin.as_ref().map(|origin| origin as &dyn Fetch),
                frames: kept.as_ref().map(|kept| kept as &dyn StoredFrames),
            },
            chunker: &mut FixedSize::new(
                NonZeroU32::new(options.chunk_size).unwrap_or(NonZeroU32::MAX),
            ),
            max_chunks: source.limits.max_chunks,
            threads: options.threads,
            before: std::mem::take(&mut self.stored),
            progress,
        };
        let (alone, report) = (!self.stacked, &mut self.report);
        let before = setup.before.counts;
        let filled = stage::run(setup, target, |stage| {
            let known = (origin.as_ref(), kept.as_ref());
            fill::fill(source, known, alone, stage, options, report)
        });
        let added = filled.and_then(|(filled, target, stored)| {
            let Filled {
                layer, from_tar, ..
            } = filled;
            let tree = match self.stacked {
                false => layer.into_tree()?,
                true => {
                    let lower = self.tree.take().unwrap_or_else(Tree::implied);
                    layer.apply_to(lower, &mut self.report.advisories)?
                }
            };
            self.tree = Some(tree);
            self.from_tar &= from_tar;
            self.chunks.push(stored.counts.since(before));
            self.stored = stored;
            Ok(target)
        });
        added.map_err(|error| match self.stacked {
            false => error,
            true => ConvertError::in_layer(position, error),
        })
    }

    /// All of the layers as one image, within `limits`.
    fn finish(self, limits: &Limits) -> Result<(Content, Report), ConvertError> {
        let Self {
            known,
            options,
            stored,
            mut report,
            ..
        } = self;
        let mut tree = self.tree.unwrap_or_else(Tree::implied);
        fill::advise_undescribed(&tree, &mut report);
        fill::settle_losses(&mut tree, options, limits, &mut report)?;
        report.inodes = tree.len() as u64;
        report.content_bytes = stored.content_bytes;
        report.chunks = stored.counts;
        let is_missed = |path: &&ImagePath| tree.resolve(path.as_bytes()).is_none();
        report.missed = options.first().iter().filter(is_missed).cloned().collect();
        let chunks = std::mem::take(&mut *known.write().unwrap_or_else(PoisonError::into_inner));
        let content = Content {
            from_tar: self.from_tar,
            tree,
            extents: stored.extents,
            chunks: chunks.into_chunks(),
        };
        report.chunks.dead = content.dead_chunks();
        Ok((content, report))
    }
}

impl Content {
    /// How many chunks no file uses.
    fn dead_chunks(&self) -> u64 {
        let mut used = vec![false; self.chunks.len()];
        for content in ranges(&self.tree) {
            let extents = &self.extents[content.start as usize..content.end as usize];
            for chunk in extents.iter().filter_map(|extent| extent.chunk) {
                used[chunk.index()] = true;
            }
        }
        used.iter().filter(|used| !**used).count() as u64
    }
}

/// The extents of all files.
fn ranges(tree: &Tree<ChunkRange>) -> impl Iterator<Item = ChunkRange> {
    let ids = (0..tree.len() as u32).map(InodeId::new);
    ids.filter_map(|id| match tree.inode(id).node {
        Node::File { content, .. } => Some(content),
        _ => None,
    })
}
