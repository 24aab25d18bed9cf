//! How a RAFS image is written.

use std::sync::Arc;
use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::{DigestAlgorithm, ImagePath, Tree, XtsKey};
use rafs_format::flags::Compat;
use rafs_format::layout::CannotCarry;
use rafs_format::{Version, v5, v6};

use super::{ChunkDictionary, PrefetchPolicy};
use crate::fill::Format;

/// Options for writing a RAFS image.
///
/// ```
/// use frame_codec::Compression;
/// use lazyoci_image_convert::RafsOptions;
/// let options = RafsOptions::default().compression(Compression::None).chunk_size(1 << 16);
/// assert_eq!(options.digest, RafsOptions::default().digest);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RafsOptions {
    /// Version of the metadata. Version 5 has the digests of files and directories, and no
    /// [`aligned`](Self::aligned) blobs or [`toc`](Self::toc). Default: 6.
    pub version: Version,
    /// Compression of chunks: none, LZ4 or zstd. A chunk that would not get smaller is stored
    /// uncompressed. Default: zstd, level 3 (in builds without zstd: none).
    pub compression: Compression,
    /// Digest algorithm for chunks. Default: BLAKE3 (in builds without it: SHA-256).
    pub digest: DigestAlgorithm,
    /// Size of all chunks but a file's last, in bytes: a power of two, 4096 to 16 MiB. Default:
    /// 1 MiB.
    pub chunk_size: u32,
    /// Release of nydus-image whose bytes to reproduce. Default: 2.4.
    pub compat: Compat,
    /// Whether each chunk is stored at its address, so that the kernel can mount bootstrap and blob
    /// directly. Not with compression.
    pub aligned: bool,
    /// Whether the chunks' digests and a table of contents are appended to the blob.
    pub toc: bool,
    /// Whether the blob holds the bootstrap too; found best with a table of contents
    /// ([`toc`](Self::toc)). A bootstrap beside the blob is written all the same, unless the output
    /// takes one object alone, such as a [`FileOutput`](blob_io::FileOutput). Not of a stack.
    pub inline_meta: bool,
    /// Bytes of a batch: files of less than half of it share one, and are compressed together. A power of two, 4096 to
    /// the chunk size. Version 6 alone, and not [`aligned`](Self::aligned). nydus reads it since release 2.3. Default:
    /// 0, no batches.
    pub batch_size: u32,
    /// What the blobs are encrypted with (feature `encryption`); the same key and vector for all of an image, so that its
    /// bytes depend on nothing else. Take new random ones for each image: equal objects are equal when encrypted. The
    /// bootstrap holds them in clear, so that it is the bootstrap that is to be kept secret: it is not
    /// [inlined](Self::inline_meta). A [table of contents](Self::toc) has the chunks' digests in clear, as that of nydus.
    /// Version 6 alone. Default: `None`, not encrypted.
    pub key: Option<XtsKey>,
    /// What readers should fetch first, most urgent first. Rules that equal an earlier one or lie
    /// below it are dropped; those that lead nowhere are [reported](crate::Report::missed). These files are stored first as
    /// well, unless the source is a layer that is [streamed](crate::Streaming).
    pub prefetch: Vec<ImagePath>,
    /// How the image says what to fetch first. Default: [`PrefetchPolicy::Fs`].
    pub prefetch_policy: PrefetchPolicy,
    /// Chunks that need not be stored: the image refers to the blobs that have them.
    pub dictionary: Option<Arc<ChunkDictionary>>,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it.
    pub lossy: bool,
    /// Number of threads that digest and compress; does not affect the bytes written. Default: one
    /// per core that the process may use; at most 256.
    pub threads: usize,
}

impl Default for RafsOptions {
    fn default() -> Self {
        Self {
            version: Version::default(),
            compression: if cfg!(feature = "zstd") {
                Compression::Zstd { level: 3 }
            } else {
                Compression::None
            },
            digest: if cfg!(feature = "blake3") {
                DigestAlgorithm::Blake3
            } else {
                DigestAlgorithm::Sha256
            },
            chunk_size: 1 << 20,
            compat: Compat::default(),
            aligned: false,
            toc: false,
            inline_meta: false,
            batch_size: 0,
            key: None,
            prefetch: Vec::new(),
            prefetch_policy: PrefetchPolicy::default(),
            dictionary: None,
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl RafsOptions {
    image_model::setters! {
        version: Version,
        compression: Compression,
        digest: DigestAlgorithm,
        chunk_size: u32,
        compat: Compat,
        aligned: bool,
        toc: bool,
        inline_meta: bool,
        batch_size: u32,
        key: Option<XtsKey>,
        prefetch: Vec<ImagePath>,
        prefetch_policy: PrefetchPolicy,
        dictionary: Option<Arc<ChunkDictionary>>,
        lossy: bool,
        threads: usize,
    }
}

impl Format for RafsOptions {
    fn name(&self) -> &'static str {
        match self.version {
            Version::V5 => "RAFS v5",
            _ => "RAFS v6",
        }
    }

    fn lossy(&self) -> bool {
        self.lossy
    }

    fn first(&self) -> &[ImagePath] {
        match self.prefetch_policy {
            PrefetchPolicy::None => &[],
            _ => &self.prefetch,
        }
    }

    fn find_losses<C: Clone>(
        &self,
        tree: &mut Tree<C>,
        report: &mut dyn FnMut(&ImagePath, CannotCarry),
    ) {
        match (self.lossy, self.version) {
            (true, Version::V5) => v5::drop_losses(tree, report),
            (true, _) => v6::drop_losses(tree, report),
            (false, Version::V5) => v5::losses(tree, report),
            (false, _) => v6::losses(tree, report),
        }
    }
}
