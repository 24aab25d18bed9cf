//! How a layer is decoded.

use image_model::Limits;

/// How a layer is decoded.
///
/// ```
/// use lazyoci_tar_stream::StreamOptions;
/// assert!(StreamOptions::default().ignore_trailing(true).ignore_trailing);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Bounds: on the tar ([`max_layer_len`](Limits::max_layer_len)), and with it on the window of
    /// zstd frames, which is never more than 128 MiB.
    pub limits: Limits,
    /// Which zstd decoder is used.
    pub zstd: ZstdDecoder,
    /// Pass over what follows the last gzip member or zstd frame and is none itself, as `gzip(1)`
    /// does, instead of refusing the layer, as Go does, and so containerd and Docker.
    /// [`LayerSummary::trailing`](super::LayerSummary::trailing) says how much it was.
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

/// A zstd decoder. One that is not compiled in decodes nothing:
/// [`LayerError::Unsupported`](super::LayerError::Unsupported).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZstdDecoder {
    /// The C library, by the feature `zstd`: the default where it is compiled in.
    Libzstd,
    /// `ruzstd`, in Rust, by the feature `ruzstd`. It decodes at about a quarter of the speed.
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
