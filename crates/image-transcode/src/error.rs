//! Errors of image conversions.

use std::io;

use image_convert::ConvertError;
use image_convert::rafs_format::merge::MergeError;
use image_model::{Blame, BlobId, Fault};
use image_store::ImageStoreError;

/// Why an image cannot be converted. Nothing is published then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TranscodeError {
    /// The source cannot be read, or the target cannot be written.
    #[error(transparent)]
    Store(#[from] ImageStoreError),
    /// A layer cannot be converted.
    #[error("cannot convert layer {layer} (counted from 0, the base)")]
    Layer {
        /// Its position.
        layer: usize,
        /// The cause.
        source: Box<ConvertError>,
    },
    /// The layers cannot be merged.
    #[error(transparent)]
    Layers(ConvertError),
    /// The name refers only to attestations or artifacts.
    #[error("the name refers to no container image")]
    NoImages,
    /// The original beside an image that every client can run, too: no client would select the second.
    #[error("only nydus images can have the original beside them")]
    KeepOriginal,
    /// The source is not a container image: it has no configuration of one.
    #[error("{digest} is not a container image: its configuration is `{media_type}`")]
    NoConfig {
        /// The manifest.
        digest: String,
        /// The media type of its configuration.
        media_type: String,
    },
    /// The image is for a system other than Linux, whose layers have another meaning.
    #[error("the image is for {os}; only images for Linux can be converted")]
    System {
        /// The operating system.
        os: String,
    },
    /// The image has more layers than any runtime supports.
    #[error("{count} layers, but at most {limit} are allowed")]
    TooManyLayers {
        /// The number of layers.
        count: usize,
        /// The bound.
        limit: usize,
    },
    /// A layer does not match its DiffID in the configuration: runtimes reject such an image.
    #[error(
        "layer {layer} (counted from 0, the base) is {found}, but the configuration lists {listed}"
    )]
    DiffId {
        /// Its position.
        layer: usize,
        /// The DiffID in the configuration.
        listed: String,
        /// The actual DiffID.
        found: String,
    },
    /// Options of the format have a chunk dictionary: the image would refer to blobs that are not among its layers,
    /// unlike those of [known images](crate::KnownImages), to which dictionary files can be added.
    #[error(
        "a whole image can refer to the blobs of known images, but not to those of a chunk dictionary"
    )]
    Dictionary,
    /// Known images were given for a format other than nydus.
    #[error("only nydus images can refer to the blobs of other images")]
    KnownImages,
    /// An image with external TOCs has no name, by which readers find the image that holds them.
    #[error(
        "an image with external TOCs needs a name, by which the image that holds them is found"
    )]
    NoName,
    /// A known image is not a nydus image, or its blobs do not contain their content.
    #[error("{digest} is not a nydus image whose blobs other images can use")]
    NotKnown {
        /// Its manifest.
        digest: String,
    },
    /// The chunks of a known image cannot be listed.
    #[error("cannot list the chunks of {digest}")]
    KnownImage {
        /// Its manifest.
        digest: String,
        /// The cause.
        source: MergeError,
    },
    /// A dictionary file cannot be used.
    #[error("cannot use the dictionary {digest}")]
    KnownFile {
        /// Its digest.
        digest: String,
        /// The cause.
        source: Box<ConvertError>,
    },
    /// A blob of a dictionary file cannot be a layer, since its name is not its digest.
    #[error("blob {id} of a dictionary is not called by its digest")]
    NamelessBlob {
        /// Its name.
        id: BlobId,
    },
    /// The layers of a nydus image are no tars, so that none of them can stay as it is.
    #[error("the layers of {digest}, a nydus image, are no tars that can stay as they are")]
    NoTars {
        /// Its manifest.
        digest: String,
    },
    /// The bootstraps of layers that stay as they are cannot be merged.
    #[error("cannot merge the layers")]
    Merge(#[from] MergeError),
    /// No thread can be started.
    #[error("cannot start a thread")]
    Threads(#[source] io::Error),
    /// A temporary file cannot be created, or cannot be read back.
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
            Self::KnownFile { source, .. } => source.fault(),
            Self::NoConfig { .. } | Self::System { .. } | Self::Dictionary => Fault::Unsupported,
            Self::KnownImages | Self::NoName => Fault::Misuse,
            Self::NotKnown { .. } | Self::NamelessBlob { .. } => Fault::Misuse,
            Self::KnownImage { source, .. } | Self::Merge(source) => source.fault(),
            Self::NoImages | Self::NoTars { .. } => Fault::Unsupported,
            Self::KeepOriginal => Fault::Misuse,
            Self::TooManyLayers { .. } => Fault::Limit,
            Self::DiffId { .. } => Fault::Corrupt,
            Self::Threads(_) | Self::Spool(_) => Fault::Io,
        }
    }
}
