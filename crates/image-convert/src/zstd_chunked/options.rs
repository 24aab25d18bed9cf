//! Options for writing zstd:chunked.

use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::{Codec, ImagePath};

use crate::{ConvertError, EstargzOptions};

/// The two kinds of zstd:chunked, which no reader takes for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZstdChunkedDialect {
    /// Dialect A, that of stargz-snapshotter: eStargz with zstd frames.
    Stargz,
    /// Dialect B, that of containers/storage: podman, buildah, skopeo, CRI-O.
    Containers,
}

impl ZstdChunkedDialect {
    /// `a` or `b`.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Stargz => 'a',
            Self::Containers => 'b',
        }
    }
}

/// Options for writing a zstd:chunked layer.
///
/// ```
/// use frame_codec::Compression;
/// use lazyoci_image_convert::{ZstdChunkedDialect, ZstdChunkedOptions};
/// let options = ZstdChunkedOptions::default()
///     .dialect(ZstdChunkedDialect::Stargz)
///     .compression(Compression::Zstd { level: 19 });
/// assert_eq!(options.chunk_size, 4 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZstdChunkedOptions {
    /// Which kind of zstd:chunked. Default: that of containers/storage.
    pub dialect: ZstdChunkedDialect,
    /// Compression of frames, TOC and tar-split: zstd. Default: level 3.
    pub compression: Compression,
    /// As [`EstargzOptions::chunk_size`]; dialect A only, as B cuts where the content says.
    pub chunk_size: u32,
    /// As [`EstargzOptions::min_chunk_size`]; dialect A only.
    pub min_chunk_size: u32,
    /// As [`EstargzOptions::lossless`]; dialect A only, as B always keeps the tar of a layer.
    pub lossless: bool,
    /// As [`EstargzOptions::content_defined`]; dialect A only.
    pub content_defined: Option<(u32, u32)>,
    /// As [`EstargzOptions::prefetch`]; dialect A only.
    pub prefetch: Vec<ImagePath>,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it. What cannot be left out
    /// of a tar that stays as it is, is refused all the same.
    pub lossy: bool,
    /// Number of threads that digest and compress; does not affect the bytes written. Default: one per core that the
    /// process may use; at most 256.
    pub threads: usize,
}

impl Default for ZstdChunkedOptions {
    fn default() -> Self {
        Self {
            dialect: ZstdChunkedDialect::Containers,
            compression: Compression::Zstd { level: 3 },
            chunk_size: 4 << 20,
            min_chunk_size: 0,
            lossless: false,
            content_defined: None,
            prefetch: Vec::new(),
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl ZstdChunkedOptions {
    image_model::setters! {
        dialect: ZstdChunkedDialect,
        compression: Compression,
        chunk_size: u32,
        min_chunk_size: u32,
        lossless: bool,
        content_defined: Option<(u32, u32)>,
        prefetch: Vec<ImagePath>,
        lossy: bool,
        threads: usize,
    }

    /// Checks what both dialects have in common.
    pub(super) fn check(&self) -> Result<(), ConvertError> {
        match self.compression.codec() {
            Codec::Zstd => Ok(()),
            codec => Err(ConvertError::NoLayerCodec { codec }),
        }
    }

    /// The options of dialect A.
    pub(super) fn estargz(&self) -> EstargzOptions {
        EstargzOptions::default()
            .compression(self.compression)
            .chunk_size(self.chunk_size)
            .min_chunk_size(self.min_chunk_size)
            .lossless(self.lossless)
            .content_defined(self.content_defined)
            .prefetch(self.prefetch.clone())
            .lossy(self.lossy)
            .threads(self.threads)
    }
}
