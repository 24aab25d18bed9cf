//! Options for writing eStargz.

use std::num::NonZeroU32;
use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::{Codec, ImagePath, Limits};

use crate::ConvertError;

/// Options for writing an eStargz layer.
///
/// ```
/// use image_model::ImagePath;
/// use lazyoci_image_convert::EstargzOptions;
/// let first = vec![ImagePath::clean(b"/usr/bin/env")?];
/// let options = EstargzOptions::default().prefetch(first).threads(1);
/// assert_eq!(options.chunk_size, EstargzOptions::default().chunk_size);
/// # Ok::<(), image_model::path::PathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EstargzOptions {
    /// Compression of members: gzip, with either of its encoders. Default: libdeflate, level 6 (in
    /// builds without it: gzip, level 6).
    pub compression: Compression,
    /// Size of all chunks but a file's last, in bytes: at least 1, at most what readers accept by default
    /// ([`Limits::max_frame_len`]), 64 MiB. Default: 4 MiB, as in the reference implementation.
    pub chunk_size: u32,
    /// Minimum and average bytes of chunks whose boundaries follow the content ([`FastCdc`](chunk_dedup::FastCdc));
    /// [`chunk_size`](Self::chunk_size) is their maximum then, and the last chunk of a file may be shorter. TOCs list the
    /// size of each chunk, so that every reader takes them. Default: `None`, all of one size.
    pub content_defined: Option<(u32, u32)>,
    /// What readers should fetch first, most urgent first. These files, with the directories on the
    /// way to them, come first in the layer, and a landmark stands after them. Default: nothing,
    /// which a landmark says too.
    pub prefetch: Vec<ImagePath>,
    /// Whether to leave out and report what the format cannot carry, instead of refusing it.
    pub lossy: bool,
    /// Number of threads that digest and compress; does not affect the bytes written. Default: one
    /// per core that the process may use; at most 256.
    pub threads: usize,
}

impl Default for EstargzOptions {
    fn default() -> Self {
        Self {
            compression: if cfg!(feature = "libdeflate") {
                Compression::Libdeflate { level: 6 }
            } else {
                Compression::Gzip { level: 6 }
            },
            chunk_size: 4 << 20,
            content_defined: None,
            prefetch: Vec::new(),
            lossy: false,
            threads: available_parallelism().map_or(1, usize::from),
        }
    }
}

impl EstargzOptions {
    image_model::setters! {
        compression: Compression,
        chunk_size: u32,
        content_defined: Option<(u32, u32)>,
        prefetch: Vec<ImagePath>,
        lossy: bool,
        threads: usize,
    }

    /// Checks the options; the chunk size as the number that it is then.
    pub(super) fn check(&self) -> Result<NonZeroU32, ConvertError> {
        let (chunk_size, limit) = (self.chunk_size, Limits::default().max_frame_len);
        let checked = NonZeroU32::new(chunk_size).filter(|size| size.get() <= limit);
        let checked = checked.ok_or(ConvertError::ChunkSize { chunk_size, limit })?;
        match self.compression.codec() {
            Codec::Gzip => Ok(checked),
            codec => Err(ConvertError::NoLayerCodec { codec }),
        }
    }
}
