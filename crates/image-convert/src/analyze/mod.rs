//! How much images have in common, however they are stored.

mod cut;
mod table;

use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::{ChunkId, DigestAlgorithm, Progress};

use crate::fill;
use crate::rafs::RafsOptions;
use crate::report::Report;
use crate::stage::{self, ChunkDigest, Piece, Rules, Setup, Stored, Target};
use crate::{ConvertError, Source};
use table::Table;

pub use cut::{Chunking, ChunkingError};

/// Options of an analysis.
///
/// ```
/// use lazyoci_image_convert::AnalyzeOptions;
/// let options = AnalyzeOptions::default().chunkings(["file".parse()?, "fixed:64KiB".parse()?]);
/// assert_eq!(options.chunkings.len(), 2);
/// # Ok::<(), lazyoci_image_convert::ChunkingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnalyzeOptions {
    /// How to cut, each of which takes a pass over all content. Default: whole files, chunks of 1 MiB and 64 KiB, and
    /// content-defined ones of some 64, 16 and 4 KiB.
    pub chunkings: Vec<Chunking>,
    /// Number of threads that digest. Default: one per core that the process may use; at most 256.
    pub threads: usize,
}

impl Default for AnalyzeOptions {
    fn default() -> Self {
        Self {
            chunkings: Chunking::usual().to_vec(),
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl AnalyzeOptions {
    image_model::setters! {
        chunkings: impl IntoIterator<Item = Chunking> = chunkings.into_iter().collect(),
        threads: usize,
    }
}

/// What images have in common if they are cut in one way. Chunks of nothing but zeros count like all others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Duplication {
    /// How they are cut.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub chunking: Chunking,
    /// Chunks of all images.
    #[cfg_attr(feature = "serde", serde(rename = "all_chunks"))]
    pub chunks: u64,
    /// Their bytes.
    #[cfg_attr(feature = "serde", serde(rename = "all_bytes"))]
    pub len: u64,
    /// Different chunks.
    pub distinct_chunks: u64,
    /// Their bytes: what has to be stored.
    #[cfg_attr(feature = "serde", serde(rename = "distinct_bytes"))]
    pub distinct_len: u64,
    /// The same of each image, in the order in which they came.
    #[cfg_attr(feature = "serde", serde(rename = "images"))]
    pub images: Vec<ImageDuplication>,
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(chunking: &Chunking, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(chunking)
}

/// What an image has in common with others, and with itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ImageDuplication {
    /// Its chunks.
    #[cfg_attr(feature = "serde", serde(rename = "all_chunks"))]
    pub chunks: u64,
    /// Their bytes.
    #[cfg_attr(feature = "serde", serde(rename = "all_bytes"))]
    pub len: u64,
    /// Its different chunks.
    pub distinct_chunks: u64,
    /// Their bytes.
    #[cfg_attr(feature = "serde", serde(rename = "distinct_bytes"))]
    pub distinct_len: u64,
    /// Different chunks that another image has, too.
    pub shared_chunks: u64,
    /// Their bytes.
    #[cfg_attr(feature = "serde", serde(rename = "shared_bytes"))]
    pub shared_len: u64,
    /// Different chunks that no image before it has: what it adds to those.
    pub added_chunks: u64,
    /// Their bytes.
    #[cfg_attr(feature = "serde", serde(rename = "added_bytes"))]
    pub added_len: u64,
}

/// Cuts the content of `images` in several ways, and counts what is the same. Each of them is opened once for each
/// way, by `open`. Hard links count once.
///
/// Memory: 64 bytes for each different chunk of the images; some 24 MiB of content under way, or the longest file, if
/// whole files are compared.
///
/// ```
/// use lazyoci_image_convert::{AnalyzeOptions, ConvertError, Streaming, analyze};
/// let empty_layer = [0; 1024];
/// let open = |_| Ok::<_, ConvertError>(Streaming::new(&empty_layer[..]).into());
/// let found = analyze(2, open, &AnalyzeOptions::default(), &mut ())?;
/// assert_eq!((found[0].images.len(), found[0].chunks), (2, 0));
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
///
/// # Errors
/// That of `open`, and [`ConvertError`] if an image cannot be read, or the caller stops.
pub fn analyze<'a, E: From<ConvertError>>(
    images: usize,
    mut open: impl FnMut(usize) -> Result<Source<'a>, E>,
    options: &AnalyzeOptions,
    progress: &mut dyn Progress,
) -> Result<Vec<Duplication>, E> {
    let mut found = Vec::with_capacity(options.chunkings.len());
    for &chunking in &options.chunkings {
        let mut table = Table::default();
        for image in 0..images {
            table.begin_image();
            chunks(
                open(image)?,
                chunking,
                options.threads,
                &mut table,
                progress,
            )?;
        }
        found.push(table.end(chunking));
    }
    Ok(found)
}

/// Hands each chunk of `source` to `table`.
fn chunks(
    source: Source<'_>,
    chunking: Chunking,
    threads: usize,
    table: &mut Table,
    progress: &mut dyn Progress,
) -> Result<(), ConvertError> {
    let algorithm = match cfg!(feature = "blake3") {
        true => DigestAlgorithm::Blake3,
        false => DigestAlgorithm::Sha256,
    };
    let mut chunker = chunking.chunker()?;
    // Nothing is written, so nothing is lost.
    let options = RafsOptions::default().lossy(true);
    let setup = Setup {
        rules: Rules {
            compression: Compression::None,
            plain_if_shorter: true,
            digest: Some(ChunkDigest {
                algorithm,
                with_crc: false,
                blocks_below: 0,
            }),
            dictionary: None,
            foreign: None,
            room_behind: 0,
            grouped_below: 0,
            // Where the content says to cut, it is read here.
            origin: None,
            frames: None,
        },
        chunker: &mut *chunker,
        max_chunks: source.limits.max_chunks,
        threads,
        before: Stored::default(),
        progress,
    };
    let alone = !source.is_stack();
    let mut report = Report::default();
    stage::run(setup, Count(table), |stage| {
        let (lower, top) = source.into_layers();
        for layer in lower.into_iter().chain([top]) {
            fill::fill(layer, (None, None), alone, stage, &options, &mut report)?;
        }
        Ok(())
    })?;
    Ok(())
}

struct Count<'t>(&'t mut Table);

impl Target for Count<'_> {
    fn store(&mut self, piece: &Piece<'_>) -> Result<Option<ChunkId>, ConvertError> {
        if let Some(chunk) = piece.chunk {
            self.0.add(chunk.digest, chunk.len);
        }
        Ok(None)
    }
}
