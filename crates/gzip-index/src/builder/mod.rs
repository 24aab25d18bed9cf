//! Building an index in one pass over a gzip stream.

pub(crate) mod digests;
pub(crate) mod members;
mod options;
pub(crate) mod output;
pub(crate) mod spans;
mod start;

use std::fmt;
use std::io::{self, Read};

use image_model::width::u64_from;

use crate::error::BuildError;
use crate::index::{GzipIndex, Lengths};
use crate::kept::KeptBuilder;
use members::{Members, Rules};
pub use options::IndexOptions;
use spans::Spans;

/// Reads the decoded bytes of a gzip stream of any number of members, and builds its index on the way. Checksums are
/// checked. Memory: a few megabytes, and what the index takes: all of it is compressed as it comes, but for spans and the
/// runs of windows.
///
/// ```
/// use std::io::{Read, Write};
/// use lazyoci_gzip_index::{IndexBuilder, IndexOptions};
///
/// let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
/// gzip.write_all(&b"lazy ".repeat(1_000))?;
/// let gzip = gzip.finish()?;
///
/// let mut builder = IndexBuilder::new(&gzip[..], &IndexOptions::default());
/// let mut start = [0; 4];
/// builder.read_exact(&mut start)?;
/// builder.keep(0, &start)?;
/// let (index, _) = builder.finish()?;
/// assert_eq!((index.spans().len(), index.decoded_len()), (1, 5_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct IndexBuilder<R> {
    members: Members<R, Spans>,
    kept: KeptBuilder,
}

impl<R: Read> IndexBuilder<R> {
    /// A builder of the index of the gzip stream that `source` gives.
    #[must_use]
    pub fn new(source: R, options: &IndexOptions) -> Self {
        let rules = Rules {
            ignore_trailing: options.ignore_trailing,
            max_decoded: options.limits.max_layer_len,
            stored_digest: options.stored_digest,
            span_digest: options.span_digest,
            threads: options.threads,
        };
        Self {
            members: Members::new(source, rules, Spans::new(options)),
            kept: KeptBuilder::new(),
        }
    }

    /// Number of bytes of the stream decoded so far, for progress.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.members.stored()
    }

    /// Number of bytes of the stream that give the bytes decoded so far, and number of those; some of them may not have
    /// been read.
    #[must_use]
    pub fn reached(&self) -> (u64, u64) {
        (self.members.reached(), self.members.decoded())
    }

    /// The bytes in which spans begin that do not begin with a whole byte, so far: their offsets in the stream,
    /// ascending, and the bytes.
    #[must_use]
    pub fn shared_bytes(&self) -> &[(u64, u8)] {
        self.members.blocks.shared()
    }

    /// Keeps `bytes` in the index, which were read at `offset` of the decoded stream: a table of contents.
    ///
    /// # Errors
    /// [`BuildError::Keep`] if they were not read yet, or do not come after those kept before.
    pub fn keep(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BuildError> {
        let to = self.members.decoded();
        let end = offset.checked_add(u64_from(bytes.len()));
        if offset < self.kept.end() || end.is_none_or(|end| end > to) {
            let from = self.kept.end();
            return Err(BuildError::Keep { offset, from, to });
        }
        Ok(self.kept.push(offset, bytes)?)
    }

    /// Decodes the rest of the stream, and returns the index and the source, which is at its end.
    ///
    /// # Errors
    /// [`BuildError`] if the stream is damaged or truncated, or cannot be read.
    pub fn finish(self) -> Result<(GzipIndex, R), BuildError> {
        let stream = self.members.finish()?;
        let lengths = Lengths {
            stored: stream.stored,
            decoded: stream.decoded,
        };
        let digests = stream.digests;
        let (spans, windows) = stream.blocks.finish(digests.spans)?;
        let kept = self.kept.finish()?;
        let index = GzipIndex::from_parts(lengths, digests.stream, spans, windows, kept);
        Ok((index, stream.source))
    }
}

/// The decoded bytes. After an error it only fails.
impl<R: Read> Read for IndexBuilder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.members.read(buf)
    }
}

impl<R> fmt::Debug for IndexBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexBuilder").finish_non_exhaustive()
    }
}
