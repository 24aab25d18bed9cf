//! Media types of OCI and Docker images.

use std::fmt;
use std::str::FromStr;

use image_model::{Blame, Fault};

/// Whose specification a type is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// The OCI image specification. Only its documents carry annotations.
    Oci,
    /// Docker's image manifest, version 2, schema 2.
    Docker,
}

/// The compression according to a layer's type. Real layers may be compressed differently: the
/// first bytes of the blob decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerCompression {
    /// A plain tar. Docker's plain type was also used for gzip.
    None,
    /// A tar compressed by gzip.
    Gzip,
    /// A tar compressed by zstd.
    Zstd,
}

/// The type of a layer that is a tar.
///
/// Only types that exist can be made: Docker has no non-distributable zstd layers.
///
/// ```
/// use lazyoci_oci_image::{LayerCompression, LayerType, MediaType};
/// let MediaType::Layer(layer) = "application/vnd.docker.image.rootfs.diff.tar".parse()? else {
///     panic!("it is a layer");
/// };
/// let gzip = layer.with_compression(LayerCompression::Gzip).expect("this type exists");
/// assert_eq!(gzip.to_string(), "application/vnd.docker.image.rootfs.diff.tar.gzip");
/// assert_eq!(gzip.to_oci().to_string(), "application/vnd.oci.image.layer.v1.tar+gzip");
/// # Ok::<(), lazyoci_oci_image::UnknownMediaType>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LayerType {
    family: Family,
    compression: LayerCompression,
    distributable: bool,
    encrypted: bool,
}

/// The type of a document or blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaType {
    /// Image index; Docker: manifest list.
    Index(Family),
    /// Image manifest.
    Manifest(Family),
    /// Image configuration.
    Config(Family),
    /// Layer that is a tar.
    Layer(LayerType),
    /// Layer that is a nydus blob.
    NydusBlob,
    /// Layer that is an EROFS image, as containerd has it.
    ErofsLayer,
    /// EROFS image of a whole container image, not a layer.
    Erofs,
    /// The empty object `{}`.
    Empty,
    /// The file `oci-layout`.
    LayoutHeader,
}

/// Text that is not a known type. Objects of such types should be left unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown media type `{text}`")]
pub struct UnknownMediaType {
    /// The text.
    pub text: String,
}

impl Blame for UnknownMediaType {
    fn fault(&self) -> Fault {
        Fault::Unsupported
    }
}

/// What an encrypted layer has after its type.
const ENCRYPTED: &str = "+encrypted";

/// The types of layers: family, compression, whether distributable, text.
#[rustfmt::skip]
const LAYERS: [(Family, LayerCompression, bool, &str); 11] = {
    use Family::{Docker, Oci};
    use LayerCompression::{Gzip, None, Zstd};
    [
        (Oci, None, true, "application/vnd.oci.image.layer.v1.tar"),
        (Oci, Gzip, true, "application/vnd.oci.image.layer.v1.tar+gzip"),
        (Oci, Zstd, true, "application/vnd.oci.image.layer.v1.tar+zstd"),
        (Oci, None, false, "application/vnd.oci.image.layer.nondistributable.v1.tar"),
        (Oci, Gzip, false, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
        (Oci, Zstd, false, "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
        (Docker, None, true, "application/vnd.docker.image.rootfs.diff.tar"),
        (Docker, Gzip, true, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (Docker, Zstd, true, "application/vnd.docker.image.rootfs.diff.tar.zstd"),
        (Docker, None, false, "application/vnd.docker.image.rootfs.foreign.diff.tar"),
        (Docker, Gzip, false, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    ]
};

/// The types of everything else.
#[rustfmt::skip]
const OTHERS: [(MediaType, &str); 11] = [
    (MediaType::Index(Family::Oci), "application/vnd.oci.image.index.v1+json"),
    (MediaType::Index(Family::Docker), "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::Manifest(Family::Oci), "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::Manifest(Family::Docker), "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::Config(Family::Oci), "application/vnd.oci.image.config.v1+json"),
    (MediaType::Config(Family::Docker), "application/vnd.docker.container.image.v1+json"),
    (MediaType::NydusBlob, "application/vnd.oci.image.layer.nydus.blob.v1"),
    (MediaType::ErofsLayer, "application/vnd.erofs.layer.v1"),
    (MediaType::Erofs, "application/vnd.erofs"),
    (MediaType::Empty, "application/vnd.oci.empty.v1+json"),
    (MediaType::LayoutHeader, "application/vnd.oci.layout.header.v1+json"),
];

impl LayerType {
    /// The type with these properties, not encrypted, if there is one.
    #[must_use]
    pub fn new(family: Family, compression: LayerCompression, distributable: bool) -> Option<Self> {
        LAYERS
            .iter()
            .any(|&(f, c, d, _)| (f, c, d) == (family, compression, distributable))
            .then_some(Self {
                family,
                compression,
                distributable,
                encrypted: false,
            })
    }

    /// The OCI type of layers that may be distributed, as new ones are.
    #[must_use]
    pub const fn oci(compression: LayerCompression) -> Self {
        Self {
            family: Family::Oci,
            compression,
            distributable: true,
            encrypted: false,
        }
    }

    /// The specification that defines the type.
    #[must_use]
    pub fn family(self) -> Family {
        self.family
    }

    /// The compression that it claims.
    #[must_use]
    pub fn compression(self) -> LayerCompression {
        self.compression
    }

    /// Whether the layer may be uploaded. Types that forbid it are deprecated.
    #[must_use]
    pub fn distributable(self) -> bool {
        self.distributable
    }

    /// Whether the blob is encrypted (ocicrypt): what it decodes to cannot be read without a key.
    #[must_use]
    pub fn encrypted(self) -> bool {
        self.encrypted
    }

    /// The same type for another compression, if there is one.
    #[must_use]
    pub fn with_compression(self, compression: LayerCompression) -> Option<Self> {
        let encrypted = self.encrypted;
        let other = Self::new(self.family, compression, self.distributable)?;
        Some(Self { encrypted, ..other })
    }

    /// The OCI type that means the same.
    #[must_use]
    pub fn to_oci(self) -> Self {
        Self {
            family: Family::Oci,
            ..self
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (plain, encrypted) = match text.strip_suffix(ENCRYPTED) {
            Some(plain) => (plain, true),
            None => (text, false),
        };
        let &(family, compression, distributable, _) =
            LAYERS.iter().find(|(.., name)| *name == plain)?;
        Some(Self {
            family,
            compression,
            distributable,
            encrypted,
        })
    }
}

impl fmt::Display for LayerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (.., text) = LAYERS
            .iter()
            .find(|&&(f, c, d, _)| (f, c, d) == (self.family, self.compression, self.distributable))
            .expect("only types of the table are made");
        f.write_str(text)?;
        f.write_str(if self.encrypted { ENCRYPTED } else { "" })
    }
}

impl MediaType {
    /// Whether it is an index or a manifest, which registries keep apart from blobs.
    ///
    /// ```
    /// use lazyoci_oci_image::{Family, MediaType};
    /// assert!(MediaType::Index(Family::Docker).is_index_or_manifest());
    /// assert!(!MediaType::Config(Family::Oci).is_index_or_manifest());
    /// ```
    #[must_use]
    pub fn is_index_or_manifest(self) -> bool {
        matches!(self, Self::Index(_) | Self::Manifest(_))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Layer(layer) = self {
            return layer.fmt(f);
        }
        let (_, text) = OTHERS
            .iter()
            .find(|(media_type, _)| media_type == self)
            .expect("the table has every type");
        f.write_str(text)
    }
}

impl FromStr for MediaType {
    type Err = UnknownMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OTHERS
            .iter()
            .find(|(_, name)| *name == text)
            .map(|&(media_type, _)| media_type)
            .or_else(|| LayerType::parse(text).map(Self::Layer))
            .ok_or_else(|| UnknownMediaType { text: text.into() })
    }
}
