//! Any source as a RAFS image.
//!
//! ```text
//! source ─► stage: cut, digest, ask the dictionary, compress ─► blob: place, write
//!    └────► tree, of which each file holds a range of extents ─────────► bootstrap
//! ```

mod blob;
mod bootstrap;
mod fill;
mod options;
mod report;

use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};

use blob_io::{Output, WriteError};
use chunk_dedup::{ChunkList, FixedSize};
use image_model::image::ChunkRange;
use image_model::{ImagePath, InodeId, Node, Progress, Tree};
use rafs_format::flags::Compat;

use crate::report::Report;
use crate::stage::{self, ChunkDigest, Rules, Setup};
use crate::{ConvertError, Source};
use blob::BlobTarget;
use bootstrap::Content;
use fill::Filled;

pub use options::RafsOptions;
pub use report::{RafsBlob, RafsReport};

/// Writes `source` as a RAFS image to `output`: the bootstrap and, if there is file content, the
/// blob, whose id is the SHA-256 of the object.
///
/// The bytes depend on source and options alone, not on the number of threads. Uncompressed output is
/// that of nydus-image, with two exceptions: fractions of a second in a tar are kept, and extended
/// attributes are sorted by name. The root of a directory that is the source loses its time, as nydus
/// has it. Whiteouts of a layer are kept as the files that they are. Where neither nydus nor a prefetch
/// rule says otherwise, content is stored in the order in which the source has it.
///
/// Memory: some 25 MiB of content under way, plain and compressed, the contexts of the compressor, and
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
    if output.is_single() {
        return Err(WriteError::SingleObject.into());
    }
    let source = source.into();
    let known = RwLock::new(ChunkList::default());
    let target = BlobTarget::begin(output, &known, options)?;
    let setup = Setup {
        rules: Rules {
            compression: options.compression,
            plain_if_shorter: true,
            digest: Some(ChunkDigest {
                algorithm: options.digest,
                with_crc: options.compat == Compat::V2_4,
            }),
            dictionary: Some(&known),
            room_behind: 0,
        },
        chunker: &mut FixedSize::new(
            NonZeroU32::new(options.chunk_size).unwrap_or(NonZeroU32::MAX),
        ),
        max_chunks: source.limits.max_chunks,
        threads: options.threads,
        progress,
    };
    let mut report = Report::default();
    let (Filled { tree, from_tar }, target, stored) = stage::run(setup, target, |stage| {
        fill::fill(source, stage, options, &mut report)
    })?;
    let blob = target.end();
    let chunks = known.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.inodes = tree.len() as u64;
    report.content_bytes = stored.content_bytes;
    report.chunks = stored.counts;
    let is_missed = |path: &&ImagePath| tree.resolve(path.as_bytes()).is_none();
    report.missed = options.prefetch.iter().filter(is_missed).cloned().collect();
    let content = Content {
        from_tar,
        tree,
        extents: stored.extents,
        chunks: chunks.into_chunks(),
    };
    report.chunks.dead = content.dead_chunks();
    let (image, blob) = bootstrap::finish_blob(content, blob, options)?;
    let bootstrap = image.write(output)?;
    output.commit()?;
    let blobs: Vec<_> = blob.into_iter().collect();
    let blob_bytes: u64 = blobs.iter().map(|blob| blob.object.len).sum();
    report.bytes_out = bootstrap.len + blob_bytes;
    Ok(RafsReport {
        report,
        version: options.version,
        bootstrap: report::described_bootstrap(bootstrap, options.version),
        blobs,
    })
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
