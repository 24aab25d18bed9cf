//! What can be wrong with a layer around its tar.

use std::io;

use image_model::{Blame, Fault};

use super::Compression;

/// A layer that cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The source failed when the first bytes were asked for.
    #[error("reading the first bytes of the layer")]
    Io {
        /// What the source said.
        source: io::Error,
    },
    /// A compression that is not read, or whose feature is not compiled in.
    #[error("layers compressed with {compression} are not read here")]
    Unsupported {
        /// The compression.
        compression: Compression,
    },
    /// The layer ends inside a gzip member or zstd frame.
    #[error("the {compression} layer is cut at byte {stored}, after {decoded} decoded bytes")]
    Cut {
        /// The compression.
        compression: Compression,
        /// Length of what is there.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
    },
    /// The compressed bytes are wrong, or something follows them that is neither member nor frame.
    #[error(
        "the {compression} layer is corrupt at byte {stored} or shortly before, after {decoded} decoded bytes"
    )]
    Corrupt {
        /// The compression.
        compression: Compression,
        /// First byte that was not taken any more.
        stored: u64,
        /// Bytes decoded up to there.
        decoded: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A zstd frame that needs a larger window than allowed.
    #[error("the zstd frame at about byte {stored} asks for a window of more than {limit} bytes")]
    Window {
        /// First byte that was not taken any more.
        stored: u64,
        /// Largest window allowed, in bytes.
        limit: u64,
    },
    /// More bytes than [`Limits::max_layer_len`](image_model::Limits::max_layer_len).
    #[error("the layer decodes to more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
}

impl Blame for LayerError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } => Fault::Io,
            Self::Unsupported { .. } => Fault::Unsupported,
            Self::Cut { .. } | Self::Corrupt { .. } => Fault::Corrupt,
            Self::Window { .. } | Self::TooLarge { .. } => Fault::Limit,
        }
    }
}

impl From<LayerError> for io::Error {
    fn from(error: LayerError) -> Self {
        let kind = match &error {
            LayerError::Io { source } => source.kind(),
            LayerError::Cut { .. } => io::ErrorKind::UnexpectedEof,
            LayerError::Unsupported { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
