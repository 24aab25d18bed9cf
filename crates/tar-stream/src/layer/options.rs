//! How a layer is decoded.

use image_model::Limits;

/// Options for decoding a layer.
///
/// ```
/// use lazyoci_tar_stream::StreamOptions;
/// assert!(StreamOptions::default().ignore_trailing(true).ignore_trailing);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Bounds on the tar ([`max_layer_len`](Limits::max_layer_len)), and thereby on the window of
    /// zstd frames, which is never more than 128 MiB.
    pub limits: Limits,
    /// The zstd decoder to use.
    pub zstd: ZstdDecoder,
    /// Ignore trailing data after the last gzip member or zstd frame, as `gzip(1)` does, instead of
    /// refusing the layer, as Go does, and thus containerd and Docker.
    /// [`LayerSummary::trailing`](super::LayerSummary::trailing) is its length.
    pub ignore_trailing: bool,
    /// Compute the SHA-256 of both sides for the [`LayerSummary`](super::LayerSummary).
    #[cfg(feature = "sha256")]
    pub digests: bool,
}

impl StreamOptions {
    image_model::setters! {
        limits: Limits,
        zstd: ZstdDecoder,
        ignore_trailing: bool,
        #[cfg(feature = "sha256")]
        digests: bool,
    }
}

/// The defaults, within these limits.
impl From<&Limits> for StreamOptions {
    fn from(limits: &Limits) -> Self {
        Self::default().limits(limits.clone())
    }
}

/// A zstd decoder. Using one that is not compiled in fails with
/// [`LayerError::Unsupported`](super::LayerError::Unsupported).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZstdDecoder {
    /// The C library (feature `zstd`): the default if it is compiled in.
    Libzstd,
    /// `ruzstd`, in Rust (feature `ruzstd`). It decodes at about a quarter of the speed.
    Ruzstd,
}

impl Default for ZstdDecoder {
    fn default() -> Self {
        if cfg!(feature = "zstd") {
            Self::Libzstd
        } else {
            Self::Ruzstd
        }
    }
}
