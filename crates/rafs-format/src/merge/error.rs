//! Why bootstraps cannot be merged.

use image_model::layer::LayerError;
use image_model::{Blame, BlobId, Fault};

use crate::error::DecodeError;

/// Bootstraps that cannot be merged. Layers are counted from 0, the lowest; a parent is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A bootstrap cannot be read.
    #[error("cannot read bootstrap {layer}, counted from 0, the lowest")]
    Decode {
        /// Its position.
        layer: usize,
        /// Why not.
        source: DecodeError,
    },
    /// A bootstrap differs from the lowest one where all have to agree.
    #[error("bootstrap {layer}, counted from 0, has a different {what} than the lowest")]
    Mismatch {
        /// Its position.
        layer: usize,
        /// What differs.
        what: &'static str,
    },
    /// A blob that contains its own bootstrap, and whose name was not given.
    #[error("bootstrap {layer}, counted from 0, the lowest: the name of its blob is unknown")]
    NamelessBlob {
        /// Position of the bootstrap.
        layer: usize,
    },
    /// Two bootstraps contradict each other about a blob.
    #[error(
        "bootstrap {layer}, counted from 0, the lowest, contradicts one below it about blob {id}"
    )]
    Contradiction {
        /// Position of the upper bootstrap.
        layer: usize,
        /// The blob.
        id: BlobId,
    },
    /// A layer does not fit those below it.
    #[error("cannot merge bootstrap {layer}, counted from 0, the lowest")]
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
