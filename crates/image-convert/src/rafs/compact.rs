//! Compacting a RAFS image with sparsely used blobs.

use std::sync::Arc;
use std::thread::available_parallelism;

use blob_io::Output;
use frame_codec::Compression;
use image_model::{BlobId, Progress};
use image_read::OpenImage;
use rafs_format::BlobPool;
use rafs_format::flags::{Compat, Compressor};

use super::keep_blobs::{KeepBlobsError, prefetched};
use super::{ChunkDictionary, RafsOptions, RafsReport, to_rafs};
use crate::ConvertError;

/// Options for compacting: which blobs to merge into a new one, and how to write it.
///
/// ```
/// use lazyoci_image_convert::CompactOptions;
/// let options = CompactOptions::default().min_used(80);
/// assert_eq!((options.min_used, options.min_len), (80, 10 << 20));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactOptions {
    /// Minimum percentage of used chunk data for a blob to be kept. Default: 50.
    pub min_used: u8,
    /// Bytes that a blob has to have to stay. A single blob that is shorter, and well used, stays, too.
    /// Default: 10 MiB.
    pub min_len: u64,
    /// How the chunks of the new blob are compressed; in version 5 by the codec of the image. Default:
    /// `None`, the codec of the image, at its default level.
    pub compression: Option<Compression>,
    /// Release of nydus-image whose bytes to reproduce. Default: 2.4.
    pub compat: Compat,
    /// Number of threads that digest and compress; does not affect the bytes written. Default: one
    /// per core that the process may use; at most 256.
    pub threads: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            min_used: 50,
            min_len: 10 << 20,
            compression: None,
            compat: Compat::default(),
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl CompactOptions {
    image_model::setters! {
        min_used: u8,
        min_len: u64,
        compression: Option<Compression>,
        compat: Compat,
        threads: usize,
    }
}

/// Writes the RAFS image `image` to `output` anew: its files refer to those of its blobs that are long
/// and well used, and one new blob holds the used chunks of all others. Chunks that no file uses are
/// gone then. What stays is [reported](RafsReport::reused_blobs).
///
/// All content is read, and so verified. The new blob has nothing of the old ones' tables of contents.
///
/// # Errors
/// [`ConvertError`]; nothing is committed to the output then.
pub fn compact(
    image: &OpenImage,
    output: &mut dyn Output,
    options: &CompactOptions,
    progress: &mut dyn Progress,
) -> Result<RafsReport, ConvertError> {
    let bootstrap = image.bootstrap().ok_or(KeepBlobsError::NotRafs)?;
    if bootstrap.layout_options().tarfs {
        return Err(KeepBlobsError::Tarfs.into());
    }
    let own_blob = image.image().blobs().first().map(|blob| &blob.id);
    let mut pool = BlobPool::default();
    pool.add(bootstrap, own_blob)?;
    let kept = kept(&pool, options);
    let said = bootstrap.layout_options();
    let compression = options.compression.unwrap_or(match said.compressor {
        Compressor::None => Compression::None,
        Compressor::Lz4Block => Compression::Lz4Block,
        _ => RafsOptions::default().compression,
    });
    let options = RafsOptions::default()
        .version(bootstrap.version())
        .compression(compression)
        .digest(said.digester.into())
        .chunk_size(said.chunk_size)
        .compat(options.compat)
        .prefetch(prefetched(bootstrap, image.limits())?)
        .threads(options.threads)
        .dictionary(Some(Arc::new(ChunkDictionary::of_blobs(pool, |entry| {
            kept.contains(&entry.id)
        }))));
    to_rafs(image, output, &options, progress)
}

/// The blobs that stay.
fn kept(pool: &BlobPool, options: &CompactOptions) -> Vec<BlobId> {
    let mut used = vec![0u64; pool.entries().len()];
    for frame in pool.frames() {
        let used = &mut used[frame.blob.0 as usize];
        *used = used.saturating_add(frame.stored_len.into());
    }
    let blobs = pool.entries().iter().zip(used);
    let blobs: Vec<_> = blobs
        .map(|(entry, used)| (&entry.id, used, entry.data_len()))
        .collect();
    let well_used = |(_, used, len): &&(_, u64, u64)| {
        let percent = u128::from(*used) * 100;
        percent >= u128::from(*len) * u128::from(options.min_used)
    };
    let is_long = |(_, _, len): &&(_, u64, u64)| *len >= options.min_len;
    let short = blobs.iter().filter(|blob| !is_long(blob)).count();
    let badly_used = blobs.iter().filter(|blob| !well_used(blob)).count();
    // A shorter one is already the new blob.
    let alone = short == 1 && badly_used == 0;
    let kept = blobs
        .iter()
        .filter(well_used)
        .filter(|blob| alone || is_long(blob));
    kept.map(|(id, ..)| (*id).clone()).collect()
}
