//! Options for writing eStargz.

use std::num::NonZeroU32;
use std::thread::available_parallelism;

use frame_codec::Compression;
use image_model::{Codec, ImagePath, Limits};

use super::Ending;
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
    /// Bytes of files, with the headers between them, that a member holds at least before the next one begins, so that
    /// small files share members; 0 for members of their own. The reference implementation counts them after
    /// compression. Readers older than 2022 cannot read such a layer. Default: 0.
    pub min_chunk_size: u32,
    /// Whether the TOC is an object of its own instead of the last member of the tar. Default: no.
    pub external_toc: bool,
    /// Whether the tar of the layer is kept byte for byte, and with it the DiffID: in its order, without a landmark.
    /// Only for a [`Streaming`](crate::Streaming) layer, and with an external TOC (or as zstd:chunked), as a TOC in the
    /// tar would change it. What a TOC cannot describe is refused ([`KeptTarFault`](crate::KeptTarFault)).
    pub lossless: bool,
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
            min_chunk_size: 0,
            external_toc: false,
            lossless: false,
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
        min_chunk_size: u32,
        external_toc: bool,
        lossless: bool,
        content_defined: Option<(u32, u32)>,
        prefetch: Vec<ImagePath>,
        lossy: bool,
        threads: usize,
    }

    /// Checks the options for a layer with this ending; the chunk size as the number that it is then.
    pub(super) fn check(&self, ending: Ending) -> Result<NonZeroU32, ConvertError> {
        let (chunk_size, limit) = (self.chunk_size, Limits::default().max_frame_len);
        let checked = NonZeroU32::new(chunk_size).filter(|size| size.get() <= limit);
        let checked = checked.ok_or(ConvertError::ChunkSize { chunk_size, limit })?;
        let most = (limit - chunk_size).saturating_sub(MAX_BETWEEN);
        if self.min_chunk_size > most {
            return Err(ConvertError::MinChunkSize {
                min_chunk_size: self.min_chunk_size,
                limit: most,
            });
        }
        let excluded = match ending {
            Ending::Inline if self.lossless => Some(
                "a tar that is kept as it is has no room for a TOC: it needs an external one, or zstd:chunked",
            ),
            _ if self.lossless && !self.prefetch.is_empty() => {
                Some("a tar that is kept as it is keeps its order: nothing can be put first")
            }
            _ if self.lossless && self.min_chunk_size > 0 => {
                Some("files of a tar that is kept as it is do not share members")
            }
            _ if self.content_defined.is_some() && (self.lossless || self.min_chunk_size > 0) => {
                Some(
                    "content-defined chunks are not for a tar that is kept as it is, nor for shared members",
                )
            }
            _ => None,
        };
        if let Some(what) = excluded {
            return Err(ConvertError::Options(what));
        }
        let expected = match ending {
            Ending::Inline | Ending::External => Codec::Gzip,
            Ending::ZstdChunked => Codec::Zstd,
        };
        match self.compression.codec() {
            codec if codec == expected => Ok(checked),
            codec => Err(ConvertError::NoLayerCodec { codec }),
        }
    }
}

/// Bytes of headers that a member may have between two files, and then some.
const MAX_BETWEEN: u32 = 4 << 20;
