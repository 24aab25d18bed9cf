//! Checkpoints: places at which any inflater can begin, without an index to explain them.

mod points;

use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use image_model::{Digest, DigestAlgorithm, Limits};

use crate::builder::members::{Members, Rules};
use crate::error::BuildError;
use points::Points;

/// The start of a deflate block, with everything before it that the block may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Its first whole byte, from the start of the stream.
    pub stored_offset: u64,
    /// Its first decoded byte, from the start of the decoded stream.
    pub decoded_offset: u64,
    /// Number of bits of the byte before the first whole one that belong to the block, the high ones: 0 to 7.
    pub bits: u8,
    /// The 32 KiB of decoded bytes before it, the oldest first; zeros before the start of the stream.
    pub window: Bytes,
    /// SHA-256 of the stored bytes up to the next checkpoint or the end of the stream, with all of the byte that holds
    /// its first bits.
    pub digest: Digest,
}

/// The checkpoints of a gzip stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoints {
    /// The checkpoints, in order. The first one is where the first member's deflate data begin.
    pub points: Vec<Checkpoint>,
    /// Length of the stream in bytes.
    pub stored_len: u64,
    /// Length of what it decodes to, in bytes.
    pub decoded_len: u64,
}

/// Options for finding checkpoints.
///
/// ```
/// use lazyoci_gzip_index::CheckpointOptions;
/// assert_eq!(CheckpointOptions::default().span_size(1 << 20).span_size, 1 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CheckpointOptions {
    /// Decoded bytes between checkpoints: the next one is at the first boundary of blocks that is farther from the one
    /// before. Default: 4 MiB.
    pub span_size: u64,
    /// Of more than one thread, the second one computes the digests. Default: 2.
    pub threads: usize,
    /// Bounds: on the decoded stream ([`max_layer_len`](Limits::max_layer_len)), and on what is between two checkpoints
    /// ([`max_frame_len`](Limits::max_frame_len)).
    pub limits: Limits,
}

impl CheckpointOptions {
    image_model::setters! { span_size: u64, threads: usize, limits: Limits }
}

impl Default for CheckpointOptions {
    fn default() -> Self {
        Self {
            span_size: 4 << 20,
            threads: 2,
            limits: Limits::default(),
        }
    }
}

/// Reads the decoded bytes of a gzip stream of any number of members, and finds checkpoints on the way: where the
/// example `zran` of zlib puts them, if that goes on with the next member. Boundaries of blocks count, those after the
/// headers of members among them, but not the ends of last blocks. No two checkpoints are at the same decoded byte.
///
/// Unlike the spans of a [`GzipIndex`](crate::GzipIndex), what is between two checkpoints may hold the ends and headers
/// of members ([`Decode::DeflateMembers`](image_model::Decode::DeflateMembers)). Memory: a megabyte, and 32 KiB for each
/// checkpoint.
///
/// ```
/// use std::io::Write;
/// use lazyoci_gzip_index::{CheckpointBuilder, CheckpointOptions};
///
/// let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
/// gzip.write_all(&b"lazy ".repeat(1_000))?;
/// let gzip = gzip.finish()?;
///
/// let builder = CheckpointBuilder::new(&gzip[..], &CheckpointOptions::default());
/// let (checkpoints, _) = builder.finish()?;
/// assert_eq!(checkpoints.points[0].stored_offset, 10);
/// assert_eq!(checkpoints.decoded_len, 5_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CheckpointBuilder<R> {
    members: Members<R, Points>,
}

impl<R: Read> CheckpointBuilder<R> {
    /// Finds the checkpoints of the gzip stream that `source` gives.
    #[must_use]
    pub fn new(source: R, options: &CheckpointOptions) -> Self {
        let rules = Rules {
            ignore_trailing: false,
            max_decoded: options.limits.max_layer_len,
            stored_digest: false,
            span_digest: DigestAlgorithm::Sha256,
            threads: options.threads,
        };
        Self {
            members: Members::new(source, rules, Points::new(options)),
        }
    }

    /// Number of bytes of the stream decoded so far, for progress.
    #[must_use]
    pub fn stored_position(&self) -> u64 {
        self.members.stored()
    }

    /// Decodes the rest of the stream, and returns the checkpoints and the source, which is at its end.
    ///
    /// # Errors
    /// [`BuildError`] if the stream is damaged or truncated, or cannot be read.
    pub fn finish(self) -> Result<(Checkpoints, R), BuildError> {
        let stream = self.members.finish()?;
        let checkpoints = Checkpoints {
            stored_len: stream.stored,
            decoded_len: stream.decoded,
            points: stream.blocks.finish(stream.digests.spans),
        };
        Ok((checkpoints, stream.source))
    }
}

/// The decoded bytes. After an error it only fails.
impl<R: Read> Read for CheckpointBuilder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.members.read(buf)
    }
}

impl<R> fmt::Debug for CheckpointBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointBuilder").finish_non_exhaustive()
    }
}
