//! Why bootstraps cannot be merged.

use image_model::layer::LayerError;
use image_model::{Blame, BlobId, Fault};

use crate::error::DecodeError;

/// Bootstraps that cannot be merged. Layers are counted from 0, the lowest; a parent is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A bootstrap cannot be read.
    #[error("bootstrap {layer}, the lowest being 0")]
    Decode {
        /// Its position.
        layer: usize,
        /// Why not.
        source: DecodeError,
    },
    /// A bootstrap differs from the lowest one where all have to be alike.
    #[error("bootstrap {layer}, the lowest being 0, has another {what} than the lowest")]
    Mismatch {
        /// Its position.
        layer: usize,
        /// In what it differs.
        what: &'static str,
    },
    /// A blob that holds its own bootstrap, and of which nobody said what it is called.
    #[error("bootstrap {layer}, the lowest being 0: its blob has no name")]
    NamelessBlob {
        /// Position of the bootstrap.
        layer: usize,
    },
    /// Two bootstraps say different things of one blob.
    #[error(
        "bootstrap {layer}, the lowest being 0, and one below it differ in what they say of blob {id}"
    )]
    Contradiction {
        /// Position of the upper bootstrap.
        layer: usize,
        /// The blob.
        id: BlobId,
    },
    /// A layer has no place on those below it.
    #[error("bootstrap {layer}, the lowest being 0")]
    Layer {
        /// Its position.
        layer: usize,
        /// Why not.
        source: LayerError,
    },
    /// More chunks or pieces of files than a bootstrap can have.
    #[error("the image has more than 2^32 {what}")]
    TooMany {
        /// `blobs`, `chunks` or `pieces of files`.
        what: &'static str,
    },
}

impl Blame for MergeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Decode { source, .. } => source.fault(),
            Self::Mismatch { .. } | Self::NamelessBlob { .. } => Fault::Misuse,
            Self::Contradiction { .. } => Fault::Corrupt,
            Self::Layer { source, .. } => source.fault(),
            Self::TooMany { .. } => Fault::Limit,
        }
    }
}
