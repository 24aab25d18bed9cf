//! A layer as a stream over a source.

use std::io::{self, Read};

use super::buffer::{BUFFER_LEN, Buffer};
use super::{Compression, LayerDecoder, LayerError, LayerSummary, START_LEN, StreamOptions};

/// The tar bytes of a layer of any compression, detected by content, never by media type, since registries serve gzip
/// under Docker's plain type. It reads all gzip members and all zstd frames, and skips skippable zstd frames. Trailing
/// data after the last member or frame, even zeros, is an error, as in Go (and thus containerd); `gzip(1)` would only
/// warn ([`StreamOptions::ignore_trailing`]). It is [`Read`] if the source is, and tokio's `AsyncRead` if the source is
/// (feature `tokio`). Both fail with a [`LayerError`] inside their [`io::Error`] for a truncated, corrupt or too large
/// layer; any other error is the source's. [`TarReader`](crate::TarReader) extracts it again.
///
/// ```
/// use std::io::Read;
/// use lazyoci_tar_stream::{StreamOptions, LayerStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut layer = LayerStream::open(&[0; 1024][..], &StreamOptions::default())?;
/// let mut tar = Vec::new();
/// layer.read_to_end(&mut tar)?;
/// assert_eq!(layer.summary().ok_or("read to the end")?.decoded.len, 1024);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LayerStream<R> {
    pub(super) source: R,
    pub(super) buffer: Buffer,
    pub(super) decoder: LayerDecoder,
    /// Whether the source has ended.
    pub(super) ended: bool,
}

impl<R> LayerStream<R> {
    /// A stream over `source`, without reading from it.
    #[must_use]
    pub fn new(source: R, options: &StreamOptions) -> Self {
        Self {
            source,
            buffer: Buffer::new(),
            decoder: LayerDecoder::new(options),
            ended: false,
        }
    }

    /// The layer's compression; `None` until its first bytes have been read.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        self.decoder.compression()
    }

    /// Number of bytes of the tar read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.decoder.position()
    }

    /// Number of bytes of the layer decoded so far, for progress.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.decoder.stored_position()
    }

    /// The summary of the layer, once it has been read until there is nothing more; a tar ends
    /// earlier.
    #[must_use]
    pub fn summary(&self) -> Option<LayerSummary> {
        self.decoder.summary()
    }

    /// The source.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    /// Returns the source, which has been read up to 128 KiB ahead of the decoded bytes; at the end of the layer it is
    /// at its end.
    #[must_use]
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: Read> LayerStream<R> {
    /// Inspects the first bytes of `source`.
    ///
    /// # Errors
    /// [`LayerError::Io`] if they cannot be read; [`LayerError::Unsupported`] for a compression
    /// that is not supported, or not compiled in.
    pub fn open(source: R, options: &StreamOptions) -> Result<Self, LayerError> {
        let mut stream = Self::new(source, options);
        while stream.buffer.at_hand().len() < START_LEN && !stream.ended {
            let read = stream.buffer.read_from(&mut stream.source);
            stream.ended = read.map_err(|source| LayerError::Io { source })? == 0;
        }
        stream.decoder.begin(stream.buffer.at_hand())?;
        Ok(stream)
    }
}

impl<R: Read> Read for LayerStream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let step = self.decoder.decode(self.buffer.at_hand(), buf)?;
            self.buffer.take(step.taken);
            if step.written > 0 {
                return Ok(step.written);
            }
            if self.ended {
                return Ok(self.decoder.finish(buf)?);
            }
            let direct = self.decoder.may_pass(buf.len());
            if direct >= BUFFER_LEN {
                let read = self.source.read(&mut buf[..direct])?;
                self.decoder.passed(&buf[..read]);
                if read > 0 {
                    return Ok(read);
                }
                self.ended = true;
            } else {
                self.ended = self.buffer.read_from(&mut self.source)? == 0;
            }
        }
    }
}
