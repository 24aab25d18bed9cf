//! Why a tar and a TOC cannot be compared.

use image_model::diff::DiffError;
use image_model::walk::WalkError;
use image_model::{Blame, Fault, layer};
use tar_stream::{LayerError, MemberError, TarError};

/// A layer that cannot be read as a tar.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Its compression.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Its tar.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A member of the tar that cannot be part of an image.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A member of the tar that does not belong in a layer.
    #[error("the tar has an entry that does not belong in a layer")]
    Place(#[from] layer::LayerError),
    /// The two trees.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The hard links of one of the trees.
    #[error("cannot collect the hard links of the layer")]
    Links(#[source] WalkError),
}

impl Blame for CompareError {
    fn fault(&self) -> Fault {
        match self {
            Self::Layer(error) => error.fault(),
            Self::Tar(error) => error.fault(),
            Self::Member(error) => error.fault(),
            Self::Place(error) => error.fault(),
            Self::Diff(error) => error.fault(),
            Self::Links(error) => error.fault(),
        }
    }
}
