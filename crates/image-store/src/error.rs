//! Why a whole image cannot be had.

use std::io;
use std::path::PathBuf;

use blob_io::WriteError;
use image_model::digest::ParseDigestError;
use image_model::walk::WalkError;
use image_model::{Blame, Cancelled, Fault};
use image_read::{LayerImageError, OpenError, ReadError, StackError};
use oci_image::runtime::RuntimeError;
use oci_image::{Descriptor, DocumentError};

/// Why a whole image, or a part of it, cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageStoreError {
    /// A file of the layout cannot be opened.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The archive is no tar that can be read.
    #[error("cannot read the archive {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why not.
        source: LayerImageError,
    },
    /// A file that makes a layout or an archive what it is is missing.
    #[error("there is no `{file}` in {}: this is no {what}", path.display())]
    Missing {
        /// The directory or archive.
        path: PathBuf,
        /// What it would be.
        what: &'static str,
        /// The file.
        file: &'static str,
    },
    /// A layout of another version than 1.
    #[error("an image layout of version `{version}`, which is not read")]
    LayoutVersion {
        /// The version.
        version: String,
    },
    /// A file of the archive is in pieces, or no file.
    #[error("`{file}` is no plain file in the archive {}", path.display())]
    NotFile {
        /// The archive.
        path: PathBuf,
        /// The file.
        file: String,
    },
    /// A document is not what it should be.
    #[error("{name}")]
    Document {
        /// The file or the digest.
        name: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A digest is of an algorithm that cannot be computed here, or none at all.
    #[error("{name}")]
    BadDigest {
        /// What it is the digest of.
        name: String,
        /// What is wrong with it.
        source: ParseDigestError,
    },
    /// An object is not there.
    #[error("{digest} is not there")]
    NoObject {
        /// The object.
        digest: String,
    },
    /// An object cannot be put where it is to be.
    #[error("cannot write {name}")]
    Put {
        /// The object, or its type.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// An object, or a file that says what there is, cannot be completed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A directory that is to take images, and holds something else.
    #[error("{} holds something, but is no OCI image layout", path.display())]
    NotLayout {
        /// The directory.
        path: PathBuf,
    },
    /// Another process cannot be kept out of a layout.
    #[error("cannot lock {}", path.display())]
    Lock {
        /// The file by which it is locked.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A name that could mean another image of that place, too.
    #[error("`{name}` would be mistaken for `{there}`, which is there")]
    Ambiguous {
        /// The name.
        name: String,
        /// The one that is there.
        there: String,
    },
    /// A name that no archive of Docker's has for an image.
    #[error("`{name}` is no name of an image with or without a tag, as Docker's archives have it")]
    NotReference {
        /// The name.
        name: String,
    },
    /// A nydus image is to be put into an archive of Docker's, where layers are tars, and have no annotations.
    #[error("a nydus image: a docker-archive holds none")]
    NydusInDockerArchive,
    /// A layer is another one than the configuration says.
    #[error("its tar is {found}, the configuration lists {listed}")]
    DiffId {
        /// In the configuration.
        listed: String,
        /// What it is.
        found: String,
    },
    /// An object cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The object.
        name: String,
        /// Why not.
        source: blob_io::ReadError,
    },
    /// An object has another length than what refers to it says.
    #[error("{digest} has {found} bytes, what refers to it says {expected}")]
    Size {
        /// The object.
        digest: String,
        /// What was said.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// An object is another one than its digest says.
    #[error("{digest} is damaged: its digest is {found}")]
    Digest {
        /// What it is called.
        digest: String,
        /// What it is.
        found: String,
    },
    /// The configuration does not list as many layers as the manifest.
    #[error("the configuration lists {listed} layers, the manifest {layers}")]
    Layers {
        /// In the configuration.
        listed: usize,
        /// In the manifest.
        layers: usize,
    },
    /// There is no image of that name.
    #[error("no image is called `{name}`; there are: {}", list(there))]
    NoImage {
        /// The name.
        name: String,
        /// The names that there are.
        there: Vec<String>,
    },
    /// There are several images, and none was named.
    #[error(
        "there are several images, of which one has to be named: {}",
        list(there)
    )]
    SeveralImages {
        /// The names that there are.
        there: Vec<String>,
    },
    /// No image is for that platform.
    #[error("no image is for {wanted}; there are: {}", list(there))]
    NoPlatform {
        /// The platform.
        wanted: String,
        /// The platforms that there are.
        there: Vec<String>,
    },
    /// What a name leads to is no image.
    #[error("{digest} is no image but `{media_type}`")]
    NotImage {
        /// The object.
        digest: String,
        /// What it is.
        media_type: String,
    },
    /// Indexes lie in one another too deep.
    #[error("indexes in indexes, more than {limit}")]
    Nested {
        /// The bound.
        limit: usize,
    },
    /// A name leads to more manifests than any image has platforms.
    #[error("more than {limit} manifests are listed")]
    Manifests {
        /// The bound.
        limit: usize,
    },
    /// The image has fewer layers.
    #[error("the image has {count} layers; layers are counted from 0")]
    NoLayer {
        /// How many it has.
        count: usize,
    },
    /// A layer cannot be read.
    #[error("layer {layer}, the lowest being 0")]
    InLayer {
        /// Its position.
        layer: usize,
        /// Why not.
        source: Box<ImageStoreError>,
    },
    /// An object that is no layer, or none that is known here.
    #[error("no layer, but `{media_type}`")]
    NotLayer {
        /// What it is.
        media_type: String,
    },
    /// A layer that is encrypted.
    #[error("the layer is encrypted")]
    Encrypted,
    /// The layer of a nydus image that holds its metadata does not.
    #[error("the last layer has no file `{path}`")]
    NoBootstrap {
        /// Where the bootstrap should be.
        path: &'static str,
    },
    /// The annotations of a layer contradict each other.
    #[error("the annotations of the layer")]
    Annotations(#[from] oci_image::AnnotationError),
    /// The layer, or the bootstrap, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The layer is no tar that can be read.
    #[error(transparent)]
    Layer(#[from] LayerImageError),
    /// The layer cannot be laid over those below it.
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
        /// Why not.
        source: ReadError,
    },
    /// The image is none that can be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A registry does not give or take something.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] blob_io::registry::RegistryError),
    /// Text that is to name an image in a registry, and does not.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Reference(#[from] blob_io::registry::ParseReferenceError),
    /// Credentials for a registry cannot be had.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Credentials(#[from] blob_io::registry::CredentialError),
    /// An image is somewhere that was not built in.
    #[error("{place}: the feature `{feature}` is not built in")]
    NotBuiltIn {
        /// Where it is.
        place: String,
        /// What would have to be built in.
        feature: &'static str,
    },
    /// The caller asked to stop.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// Names for people, the first of many.
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
    /// What went wrong with writing an object.
    pub(crate) fn put(object: &Descriptor) -> impl FnOnce(io::Error) -> Self {
        let name = object.digest.clone();
        move |source| Self::Put { name, source }
    }

    /// What went wrong with a layer.
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
            Self::Nested { .. } | Self::Manifests { .. } => Fault::Limit,
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
