//! The index of a gzip stream.

use std::io::{self, Write};
use std::ops::Range;

use image_model::deflate::{DeflateStart, Window};
use image_model::{Decode, Digest, DigestAlgorithm, Limits, Recipe, Vouched};

use crate::error::DecodeError;
use crate::format;
use crate::kept::{Kept, KeptReader};
use crate::span::Span;
use crate::windows::Windows;

/// Where a gzip stream can be entered, and what is found there. Spans cover all decoded bytes, in order; none leaves its
/// member.
///
/// ```
/// use std::io::Write;
/// use frame_codec::Decoder;
/// use lazyoci_gzip_index::{GzipIndex, IndexBuilder, IndexOptions};
///
/// # let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
/// # gzip.write_all(&b"lazy ".repeat(1_000))?;
/// # let gzip = gzip.finish()?;
/// let (index, _) = IndexBuilder::new(&gzip[..], &IndexOptions::default()).finish()?;
/// let index = GzipIndex::decode(&index.encode(), &Default::default())?;
/// let nth = index.span_at(4_999).ok_or("no such byte")?;
/// let span = index.spans()[nth];
/// let stored = &gzip[span.stored_offset as usize..span.stored_end() as usize];
/// let mut decoded = vec![0; span.decoded_len as usize];
/// let recipe = index.recipe(nth).ok_or("no such span")?;
/// Decoder::new().decode_frame(&recipe.decode, stored, &mut decoded)?;
/// assert!(decoded.ends_with(b"lazy "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipIndex {
    pub(crate) lengths: Lengths,
    pub(crate) stored_digest: Option<[u8; 32]>,
    pub(crate) spans: Vec<Span>,
    pub(crate) windows: Windows,
    pub(crate) kept: Kept,
}

/// Lengths of a stream in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) stored: u64,
    pub(crate) decoded: u64,
}

impl GzipIndex {
    pub(crate) fn from_parts(
        lengths: Lengths,
        stored_digest: Option<[u8; 32]>,
        spans: Vec<Span>,
        windows: Windows,
        kept: Kept,
    ) -> Self {
        Self {
            lengths,
            stored_digest,
            spans,
            windows,
            kept,
        }
    }

    /// The index in `bytes`, as [`encode`](Self::encode) made them. All of it is checked, but kept bytes are
    /// decompressed when they are read.
    ///
    /// # Errors
    /// [`DecodeError`] if they are no index, are damaged, or exceed `limits`.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        format::decode(bytes, limits)
    }

    /// Writes the bytes of the index to `out`, in few pieces: see [`format`](mod@crate::format).
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        format::write_to(self, out)
    }

    /// The bytes of the index: see [`format`](mod@crate::format).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        format::encode(self)
    }

    /// Length of the stream in bytes.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        self.lengths.stored
    }

    /// Length of what it decodes to, in bytes.
    #[must_use]
    pub fn decoded_len(&self) -> u64 {
        self.lengths.decoded
    }

    /// SHA-256 of the stream, if the index has it.
    #[must_use]
    pub fn stored_digest(&self) -> Option<Digest> {
        let bytes = self.stored_digest?;
        Some(Digest::new(DigestAlgorithm::Sha256, bytes))
    }

    /// The spans, in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The position of the span that holds byte `decoded_offset` of the decoded stream.
    #[must_use]
    pub fn span_at(&self, decoded_offset: u64) -> Option<usize> {
        let after = self
            .spans
            .partition_point(|span| span.decoded_offset <= decoded_offset);
        let nth = after.checked_sub(1)?;
        (decoded_offset < self.spans[nth].decoded_end()).then_some(nth)
    }

    /// How span number `nth` is decoded, and what verifies it. The first call for an index that was built decompresses all
    /// windows.
    #[must_use]
    pub fn recipe(&self, nth: usize) -> Option<Recipe> {
        let span = self.spans.get(nth)?;
        let window = match span.window {
            Some(nth) => self.windows.get(nth)?.clone(),
            None => Window::default(),
        };
        let start = DeflateStart {
            bits: span.bits,
            window,
        };
        Some(Recipe::from(Decode::Deflate(start)).vouched(Vouched::Stored(span.digest)))
    }

    /// Number of bytes of the decoded stream that are kept in the index.
    #[must_use]
    pub fn kept_len(&self) -> u64 {
        self.kept.len
    }

    /// The ranges of the decoded stream that are kept in the index, in order.
    pub fn kept_ranges(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.kept.ranges()
    }

    /// The decoded stream, as far as it is kept in the index.
    #[must_use]
    pub fn kept(&self) -> KeptReader<'_> {
        KeptReader::new(&self.kept, self.lengths.decoded)
    }

    /// Number of bytes of windows in the index.
    #[must_use]
    pub fn windows_len(&self) -> u64 {
        self.windows.known_len
    }
}
