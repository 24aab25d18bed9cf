//! Why an image cannot be made of another one.

use std::io;

use image_convert::ConvertError;
use image_convert::rafs_format::merge::MergeError;
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
    #[error("cannot convert layer {layer} (counted from 0, the base)")]
    Layer {
        /// Its position.
        layer: usize,
        /// Why not.
        source: Box<ConvertError>,
    },
    /// The layers cannot be converted together.
    #[error(transparent)]
    Layers(ConvertError),
    /// What was found holds attestations or artifacts alone.
    #[error("no container image is listed there")]
    NoImages,
    /// The original beside an image that every client runs as well: none would take the second.
    #[error("the original is kept beside nydus images only")]
    KeepOriginal,
    /// What was found is no image that runs: it has no configuration.
    #[error("{digest} is no container image: its configuration is `{media_type}`")]
    NoConfig {
        /// The manifest.
        digest: String,
        /// What its configuration is.
        media_type: String,
    },
    /// An image of another system than Linux, whose layers mean something else.
    #[error("an image for {os}: only those for Linux are converted")]
    System {
        /// The system.
        os: String,
    },
    /// More layers than any runtime takes.
    #[error("{count} layers, {limit} are allowed")]
    TooManyLayers {
        /// How many there are.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// The configuration speaks of another layer: runtimes refuse such an image.
    #[error(
        "layer {layer} (counted from 0, the base) is {found}, the configuration lists {listed}"
    )]
    DiffId {
        /// Its position.
        layer: usize,
        /// Its DiffID by the configuration.
        listed: String,
        /// What it is.
        found: String,
    },
    /// A chunk dictionary: the image would refer to blobs that are not among its layers, as those of
    /// [known images](crate::KnownImages) are.
    #[error(
        "a whole image cannot refer to the blobs of a chunk dictionary, only to those of known images"
    )]
    Dictionary,
    /// Known images, and another format than nydus.
    #[error("only nydus images can refer to the blobs of other images")]
    KnownImages,
    /// A known image that is not a nydus image, or whose blobs do not hold their content by themselves.
    #[error("{digest} is not a nydus image to whose blobs others can refer")]
    NotKnown {
        /// Its manifest.
        digest: String,
    },
    /// The chunks of a known image cannot be listed.
    #[error("cannot list the chunks of {digest}")]
    KnownImage {
        /// Its manifest.
        digest: String,
        /// Why not.
        source: MergeError,
    },
    /// A temporary file cannot be made, or not be read again.
    #[error("cannot keep the bootstrap in a temporary file")]
    Spool(#[source] io::Error),
}

impl TranscodeError {
    pub(crate) fn in_layer(layer: usize) -> impl FnOnce(ConvertError) -> Self {
        move |source| Self::Layer {
            layer,
            source: source.into(),
        }
    }
}

impl Blame for TranscodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Layer { source, .. } => source.fault(),
            Self::Layers(source) => source.fault(),
            Self::NoConfig { .. } | Self::System { .. } | Self::Dictionary => Fault::Unsupported,
            Self::KnownImages | Self::NotKnown { .. } => Fault::Misuse,
            Self::KnownImage { source, .. } => source.fault(),
            Self::NoImages => Fault::Unsupported,
            Self::KeepOriginal => Fault::Misuse,
            Self::TooManyLayers { .. } => Fault::Limit,
            Self::DiffId { .. } => Fault::Corrupt,
            Self::Spool(_) => Fault::Io,
        }
    }
}
