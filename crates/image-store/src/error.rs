//! Errors of image stores.

use std::io;
use std::path::PathBuf;

use blob_io::WriteError;
use image_model::digest::ParseDigestError;
use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Fault};
use image_read::{LayerImageError, OpenError, ReadError, StackError};
use oci_image::runtime::RuntimeError;
use oci_image::{Descriptor, DocumentError};

/// Why an image, or part of it, cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageStoreError {
    /// A file of the layout cannot be opened.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The archive cannot be read as a tar.
    #[error("cannot read the archive {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The cause.
        source: LayerImageError,
    },
    /// A required file of a layout or archive is missing.
    #[error("{} is not {what}: it has no `{file}`", path.display())]
    Missing {
        /// The directory or archive.
        path: PathBuf,
        /// The expected format.
        what: &'static str,
        /// The file.
        file: &'static str,
    },
    /// The layout has a version other than 1.
    #[error("image layouts of version `{version}` are not supported")]
    LayoutVersion {
        /// The version.
        version: String,
    },
    /// A member of the archive is not a regular file, or not contiguous.
    #[error("`{file}` is not a regular file in the archive {}", path.display())]
    NotFile {
        /// The archive.
        path: PathBuf,
        /// The file.
        file: String,
    },
    /// A document is malformed.
    #[error("{name}")]
    Document {
        /// The file or the digest.
        name: String,
        /// The cause.
        source: DocumentError,
    },
    /// A digest is malformed or has an unsupported algorithm.
    #[error("{name}")]
    BadDigest {
        /// The object that it belongs to.
        name: String,
        /// The cause.
        source: ParseDigestError,
    },
    /// An object does not exist.
    #[error("{digest} does not exist")]
    NoObject {
        /// The object.
        digest: String,
    },
    /// An object cannot be written to its destination.
    #[error("cannot write {name}")]
    Put {
        /// The object, or its type.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// An object, or a list of images, cannot be completed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The target directory contains something other than a layout.
    #[error("{} is not empty, and not an OCI image layout", path.display())]
    NotLayout {
        /// The directory.
        path: PathBuf,
    },
    /// A layout cannot be locked against other processes.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The name would be ambiguous: it could also mean another image in that place.
    #[error("`{name}` could be mistaken for the existing `{there}`")]
    Ambiguous {
        /// The name.
        name: String,
        /// The name of the existing image.
        there: String,
    },
    /// The name is not valid in a `docker-archive`.
    #[error("`{name}` is not an image name, with or without a tag, that a docker-archive can hold")]
    NotReference {
        /// The name.
        name: String,
    },
    /// A nydus image cannot be stored in a `docker-archive`, whose layers are tars without annotations.
    #[error("a docker-archive cannot hold a nydus image")]
    NydusInDockerArchive,
    /// External TOCs cannot be stored in a `docker-archive`, whose layers are not compressed: no TOC would fit them.
    #[error("a docker-archive cannot hold external TOCs")]
    TocsInDockerArchive,
    /// A layer does not match its DiffID in the configuration.
    #[error("the digest of its tar is {found}, but the configuration lists {listed}")]
    DiffId {
        /// The DiffID in the configuration.
        listed: String,
        /// The actual DiffID.
        found: String,
    },
    /// An object cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The object.
        name: String,
        /// The cause.
        source: blob_io::ReadError,
    },
    /// The length of an object is not that of its descriptor.
    #[error("{digest} has {found} bytes instead of {expected}")]
    Size {
        /// The object.
        digest: String,
        /// The length in the descriptor.
        expected: u64,
        /// The actual length.
        found: u64,
    },
    /// The content of an object does not match its digest.
    #[error("{digest} is damaged: its digest is {found}")]
    Digest {
        /// Its name.
        digest: String,
        /// The actual digest.
        found: String,
    },
    /// The configuration and the manifest list different numbers of layers.
    #[error("the configuration lists {listed} layers, but the manifest {layers}")]
    Layers {
        /// In the configuration.
        listed: usize,
        /// In the manifest.
        layers: usize,
    },
    /// No image has that name.
    #[error("there is no image named `{name}`; available: {}", list(there))]
    NoImage {
        /// The name.
        name: String,
        /// The existing names.
        there: Vec<String>,
    },
    /// There are several images, and no name was given.
    #[error("there are several images; name one of them: {}", list(there))]
    SeveralImages {
        /// The existing names.
        there: Vec<String>,
    },
    /// No image is for that platform.
    #[error("there is no image for {wanted}; available: {}", list(there))]
    NoPlatform {
        /// The platform.
        wanted: String,
        /// The existing platforms.
        there: Vec<String>,
    },
    /// The name refers to something other than an image.
    #[error("{digest} is not an image, but `{media_type}`")]
    NotImage {
        /// The object.
        digest: String,
        /// Its media type.
        media_type: String,
    },
    /// Indexes are nested too deeply.
    #[error("indexes are nested more than {limit} deep")]
    Nested {
        /// The bound.
        limit: usize,
    },
    /// A name refers to more manifests than any image has platforms.
    #[error("more than {limit} manifests are listed")]
    Manifests {
        /// The bound.
        limit: usize,
    },
    /// The layer index is out of range.
    #[error("the image has {count} layers; layers are counted from 0")]
    NoLayer {
        /// The number of layers.
        count: usize,
    },
    /// A layer cannot be read.
    #[error("layer {layer} (counted from 0, the base)")]
    InLayer {
        /// Its position.
        layer: usize,
        /// The cause.
        source: Box<ImageStoreError>,
    },
    /// The object is not a layer, or one of an unknown type.
    #[error("not a layer, but `{media_type}`")]
    NotLayer {
        /// Its media type.
        media_type: String,
    },
    /// The layer is encrypted.
    #[error("the layer is encrypted")]
    Encrypted,
    /// The last layer of a nydus image contains no bootstrap.
    #[error("the last layer has no file `{path}`")]
    NoBootstrap {
        /// The expected path of the bootstrap.
        path: &'static str,
    },
    /// More files with chunk information than an image may have blobs.
    #[error("the bootstrap layer has chunk information of more than {limit} blobs")]
    BlobMetas {
        /// The limit: [`Limits::max_blobs`](image_model::Limits::max_blobs).
        limit: u32,
    },
    /// The annotations of a layer contradict each other.
    #[error("invalid annotations of the layer")]
    Annotations(#[from] oci_image::AnnotationError),
    /// The layer, or the bootstrap, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The layer cannot be read as a tar.
    #[error(transparent)]
    Layer(#[from] LayerImageError),
    /// The layer cannot be applied to those below it.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The layer cannot be walked.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The bootstrap cannot be read.
    #[error("cannot read the bootstrap")]
    Bootstrap(#[from] ReadError),
    /// Users or groups of an image cannot be read.
    #[error("cannot read {path} of the image")]
    Accounts {
        /// The file.
        path: String,
        /// The cause.
        source: ReadError,
    },
    /// The image cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A registry request failed.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] blob_io::registry::RegistryError),
    /// The text is not a reference to an image in a registry.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Reference(#[from] blob_io::registry::ParseReferenceError),
    /// Credentials for a registry cannot be obtained.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Credentials(#[from] blob_io::registry::CredentialError),
    /// Support for the location is not built in.
    #[error("{place}: built without the feature `{feature}`")]
    NotBuiltIn {
        /// The location.
        place: String,
        /// The missing feature.
        feature: &'static str,
    },
    /// The caller cancelled the operation.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Names for a message; a long list is truncated.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = match names {
        [] => "none".to_owned(),
        names => names[..names.len().min(SHOWN)].join(", "),
    };
    if let Some(more) = names.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

impl ImageStoreError {
    /// Error of writing an object.
    pub(crate) fn put(object: &Descriptor) -> impl FnOnce(io::Error) -> Self {
        let name = object.digest.clone();
        move |source| Self::Put { name, source }
    }

    /// Error of a layer.
    pub(crate) fn in_layer(layer: usize) -> impl FnOnce(Self) -> Self {
        move |error| match error {
            Self::Cancelled(_) => error,
            error => Self::InLayer {
                layer,
                source: Box::new(error),
            },
        }
    }
}

impl Blame for ImageStoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Put { .. } | Self::Lock { .. } => Fault::Io,
            Self::Write(error) => error.fault(),
            Self::Archive { source, .. } | Self::Layer(source) => source.fault(),
            Self::Missing { .. }
            | Self::NotFile { .. }
            | Self::NoObject { .. }
            | Self::Size { .. }
            | Self::Digest { .. }
            | Self::Layers { .. }
            | Self::DiffId { .. }
            | Self::NoBootstrap { .. } => Fault::Corrupt,
            Self::LayoutVersion { .. }
            | Self::NotImage { .. }
            | Self::NotLayer { .. }
            | Self::NydusInDockerArchive
            | Self::TocsInDockerArchive
            | Self::Encrypted => Fault::Unsupported,
            Self::Document { source, .. } => source.fault(),
            Self::BadDigest { .. } => Fault::Unsupported,
            Self::Read { source, .. } => source.fault(),
            Self::NoImage { .. }
            | Self::SeveralImages { .. }
            | Self::NoPlatform { .. }
            | Self::NoLayer { .. }
            | Self::NotLayout { .. }
            | Self::NotReference { .. }
            | Self::Ambiguous { .. } => Fault::Misuse,
            Self::Nested { .. } | Self::Manifests { .. } | Self::BlobMetas { .. } => Fault::Limit,
            Self::InLayer { source, .. } => source.fault(),
            Self::Annotations(error) => error.fault(),
            Self::Open(error) => error.fault(),
            Self::Stack(error) => error.fault(),
            Self::Walk(error) => error.fault(),
            Self::Bootstrap(error) | Self::Accounts { source: error, .. } => error.fault(),
            Self::Runtime(error) => error.fault(),
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.fault(),
            #[cfg(feature = "registry")]
            Self::Reference(error) => error.fault(),
            #[cfg(feature = "registry")]
            Self::Credentials(error) => error.fault(),
            Self::NotBuiltIn { .. } => Fault::Unsupported,
            Self::Cancelled(error) => error.fault(),
        }
    }
}
