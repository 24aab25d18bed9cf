//! How an index is built.

use image_model::{DigestAlgorithm, Limits};

/// Options for building an index.
///
/// ```
/// use lazyoci_gzip_index::IndexOptions;
/// assert_eq!(IndexOptions::default().max_stored_span(4 << 20).max_stored_span, 4 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IndexOptions {
    /// Length of a span in stored bytes: it ends at the last block boundary before, as far as the blocks up to there
    /// tell. Default: 1 MiB.
    pub max_stored_span: u32,
    /// The same in decoded bytes. Default: 8 MiB.
    pub max_decoded_span: u32,
    /// Ignore what follows the last member, as `gzip(1)` does.
    pub ignore_trailing: bool,
    /// Record the SHA-256 of the stored bytes: the digest by which a manifest knows a layer.
    pub stored_digest: bool,
    /// What verifies a span. Default: BLAKE3, as several times as much of it as of SHA-256 is computed in the same time
    /// from one span.
    pub span_digest: DigestAlgorithm,
    /// Of more than one thread, the second one computes the digests; the index is the same. Default: 2.
    pub threads: usize,
    /// Bounds: on the decoded stream ([`max_layer_len`](Limits::max_layer_len)), and on a span
    /// ([`max_frame_len`](Limits::max_frame_len)), which holds one block at least.
    pub limits: Limits,
}

impl IndexOptions {
    image_model::setters! {
        max_stored_span: u32,
        max_decoded_span: u32,
        ignore_trailing: bool,
        stored_digest: bool,
        span_digest: DigestAlgorithm,
        threads: usize,
        limits: Limits,
    }
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            max_stored_span: 1 << 20,
            max_decoded_span: 8 << 20,
            ignore_trailing: false,
            stored_digest: true,
            span_digest: DigestAlgorithm::Blake3,
            threads: 2,
            limits: Limits::default(),
        }
    }
}
