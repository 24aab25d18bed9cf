//! Why an image cannot be made of another one.

use std::io;

use image_convert::ConvertError;
use image_model::{Blame, Fault};
use image_store::ImageStoreError;

/// Why an image cannot be made of another one. Nothing is published then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// The source cannot be read, or the target not be written.
    #[error(transparent)]
    Store(#[from] ImageStoreError),
    /// A layer cannot be converted.
    #[error("layer {layer}, the lowest being 0")]
    Layer {
        /// Its position.
        layer: usize,
        /// Why not.
        source: ConvertError,
    },
    /// The layers cannot be converted together.
    #[error(transparent)]
    Layers(ConvertError),
    /// What was found is no image that runs: it has no configuration.
    #[error("{digest} is no container image: its configuration is `{media_type}`")]
    NoConfig {
        /// The manifest.
        digest: String,
        /// What its configuration is.
        media_type: String,
    },
    /// A temporary file cannot be made, or not be read again.
    #[error("cannot keep the bootstrap in a temporary file")]
    Spool(#[source] io::Error),
}

impl TranscodeError {
    pub(crate) fn in_layer(layer: usize) -> impl FnOnce(ConvertError) -> Self {
        move |source| Self::Layer { layer, source }
    }
}

impl Blame for TranscodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Layer { source, .. } | Self::Layers(source) => source.fault(),
            Self::NoConfig { .. } => Fault::Unsupported,
            Self::Spool(_) => Fault::Io,
        }
    }
}
