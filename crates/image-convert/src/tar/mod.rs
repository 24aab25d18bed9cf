//! Any image as a tar, and layers compressed anew.

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

/// How a tar is written.
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
    /// How the tar is compressed: none, gzip or zstd, a member or frame for every mebibyte, so that
    /// threads share the work. Default: none.
    pub compression: Compression,
    /// Whether to leave out what a tar cannot carry, and report it, instead of refusing it.
    pub lossy: bool,
    /// How many threads compress; the bytes written do not depend on it. Default: one for each core
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
