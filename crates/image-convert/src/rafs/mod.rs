//! Any source as a RAFS v6 image.
//!
//! ```text
//! source ─► chunker ─► batches ─► workers: digest, compress ─► store: dedup, place, write ─► blob
//!    └────► tree, of which each file holds a range of extents ───────────────────► bootstrap
//! ```

mod batch;
mod chunker;
mod fill;
mod known;
mod options;
mod output;
mod store;
mod worker;

use std::path::Path;

use blob_io::AtomicDir;
use image_model::{ImagePath, Progress};
use rafs_format::blob::{BlobBuilder, BlobOptions};
use rafs_format::flags::{Compat, Compressor, Digester};

use crate::report::Report;
use crate::{ConvertError, Source};
use chunker::{Chunker, Parts, Work, batch_len};
use image_read::pipeline::{self, MAX_THREADS};
use known::KnownChunks;
use output::{BlobFile, Stored};
use store::Store;
use worker::Worker;

pub use options::RafsOptions;

/// Bytes that batches may take on their way.
const BATCHES_LEN: usize = 16 << 20;

/// Writes `source` as a RAFS v6 image into the new directory `output`: the bootstrap `image.boot`
/// and, if there is file content, the blob `blobs/ID`, whose id is the SHA-256 of the file.
///
/// The bytes depend on source and options alone, not on the number of threads. Uncompressed output is
/// that of nydus-image, with two exceptions: fractions of a second in a tar are kept, and extended
/// attributes are sorted by name. The root of a directory that is the source loses its time, as nydus
/// has it. Whiteouts of a layer are kept as the files that they are.
///
/// Memory: some 16 MiB of batches (with chunks of more than 4 MiB two for each thread), the contexts
/// of the compressor, and 200 to 300 bytes for each inode and chunk.
///
/// ```
/// use lazyoci_image_convert::{RafsOptions, Streaming, to_rafs_v6};
///
/// # let dir = tempfile::tempdir()?;
/// # let output = dir.path().join("image");
/// let empty_layer = [0; 1024];
/// let report = to_rafs_v6(Streaming::new(&empty_layer[..]), &output, &RafsOptions::default(), &mut ())?;
/// assert_eq!((report.inodes, report.bytes_out), (1, 8192));
/// assert!(output.join("image.boot").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ConvertError`]; nothing is left of the output then.
pub fn to_rafs_v6<'a>(
    source: impl Into<Source<'a>>,
    output: &Path,
    options: &RafsOptions,
    progress: &mut dyn Progress,
) -> Result<Report, ConvertError> {
    let directory = AtomicDir::create(output)?;
    let mut report = Report::default();
    let stored = store_content(
        source.into(),
        BlobFile::create(directory.path())?,
        options,
        &mut report,
        progress,
    )?;
    report.inodes = stored.tree.len() as u64;
    let is_missed = |path: &&ImagePath| stored.tree.resolve(path.as_bytes()).is_none();
    report.missed = options.prefetch.iter().filter(is_missed).cloned().collect();
    output::write(stored, directory.path(), options, &mut report)?;
    directory.commit()?;
    Ok(report)
}

/// Stores the content of `source` in `blob` and makes its tree.
fn store_content(
    source: Source<'_>,
    blob: BlobFile,
    options: &RafsOptions,
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<Stored, ConvertError> {
    let builder = BlobBuilder::new(BlobOptions {
        compat: options.compat,
        compressor: Compressor::try_from(options.compression.codec())?,
        digester: Digester::try_from(options.digest)?,
        chunk_size: options.chunk_size,
        toc: options.toc,
        aligned_data: options.aligned,
    })?;
    let max_chunks = source.limits().max_chunks;
    let from_tar = source.is_tar();
    let known = KnownChunks::default();
    let threads = options.threads.clamp(1, MAX_THREADS);
    let workers = (0..threads)
        .map(|_| work(options, &known))
        .collect::<Result<Vec<_>, _>>()?;
    let depth = BATCHES_LEN / batch_len(options.chunk_size) as usize;
    let (tree, store) = pipeline::run(workers, depth.min(4 * threads), |stage| {
        let chunker = Chunker::new(Parts {
            stage,
            store: Store::new(&known, builder, blob),
            progress,
            chunk_size: options.chunk_size,
            max_chunks,
        });
        fill::fill(source, chunker, options, report)
    })?;
    report.chunks = store.counts;
    report.content_bytes = store.content_bytes;
    let stored = Stored::new(from_tar, tree, known.take(), store);
    report.chunks.dead = stored.dead_chunks();
    Ok(stored)
}

/// A worker with contexts of its own.
fn work<'k>(options: &RafsOptions, known: &'k KnownChunks) -> Result<Work<'k>, ConvertError> {
    let with_crc = options.compat == Compat::V2_4;
    let mut worker = Worker::new(options.compression, options.digest, with_crc, known)?;
    Ok(Box::new(move |job| worker.work(job)))
}
