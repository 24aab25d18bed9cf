//! Any image as a tar, and recompressed layers.

mod canonical;
mod recompress;
mod report;
mod stream;

use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::Codec;

use crate::ConvertError;

pub use canonical::to_tar;
pub use recompress::recompress;
pub use report::TarReport;

/// Options for writing a tar.
///
/// ```
/// use frame_codec::Compression;
/// use lazyoci_image_convert::TarOptions;
/// let options = TarOptions::default().compression(Compression::Gzip { level: 9 }).lossy(true);
/// assert_eq!(options.threads, TarOptions::default().threads);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarOptions {
    /// Compression of the tar: none, gzip or zstd, with one member or frame per mebibyte, so that
    /// threads can share the work. Default: none.
    pub compression: Compression,
    /// Whether to leave out what a tar cannot carry, and report it, instead of refusing it.
    pub lossy: bool,
    /// Number of threads that compress; does not affect the bytes written. Default: one per core
    /// that the process may use; at most 256.
    pub threads: usize,
}

impl Default for TarOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl TarOptions {
    image_model::setters! {
        compression: Compression,
        lossy: bool,
        threads: usize,
    }

    fn check(&self) -> Result<(), ConvertError> {
        match self.compression.codec() {
            Codec::None | Codec::Gzip | Codec::Zstd => Ok(()),
            codec => Err(ConvertError::NoLayerCodec { codec }),
        }
    }
}
