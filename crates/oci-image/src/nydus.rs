//! Names and annotations of nydus images, after nydus-snapshotter (`pkg/converter`, `pkg/label`) and
//! `contrib/nydusify` of nydus.

use image_model::{Digest, DigestAlgorithm};

use crate::annotations::{AnnotationError, Annotations};

/// Type of the configuration when manifests are merged into one index.
pub const MERGED_CONFIG_TYPE: &str = "application/vnd.nydus.image.config.v1+json";
/// Artifact type of a nydus manifest.
pub const MANIFEST_ARTIFACT_TYPE: &str = "application/vnd.nydus.image.manifest.v1+json";
/// What a platform has in `os.features`, in an index, if its manifest is a nydus image.
pub const OS_FEATURE: &str = "nydus.remoteimage.v1";

/// Path of the bootstrap in the bootstrap layer.
pub const BOOTSTRAP_PATH: &str = "image/image.boot";
/// Path of the description of a storage backend in the bootstrap layer.
pub const BACKEND_PATH: &str = "image/backend.json";
/// Path of the prefetch list that `nydusify optimize` adds to the bootstrap layer.
pub const PREFETCH_FILES_PATH: &str = "image/prefetch.files";

/// Directory of everything in the bootstrap layer.
const DIRECTORY: &str = "image/";
/// What the names of chunk information end with.
const META_SUFFIX: &str = ".blob.meta";

/// On a blob layer: `true`, and it is its presence that counts.
pub const BLOB: &str = "containerd.io/snapshot/nydus-blob";
/// On the bootstrap layer, which is the last one: `true`.
pub const BOOTSTRAP: &str = "containerd.io/snapshot/nydus-bootstrap";
/// On the bootstrap layer: `5`, `6` or (v3) `7`; `6` if it is missing.
pub const FS_VERSION: &str = "containerd.io/snapshot/nydus-fs-version";
/// On a blob layer that refers to an OCI layer: digest of that layer.
pub const REFERENCE: &str = "containerd.io/snapshot/nydus-ref";
/// On a blob layer: `true` if it was built with encryption.
pub const ENCRYPTED_BLOB: &str = "containerd.io/snapshot/nydus-encrypted-blob";
/// In cache records: digest of the blob.
pub const BLOB_DIGEST: &str = "containerd.io/snapshot/nydus-blob-digest";
/// In cache records: length of the blob in bytes.
pub const BLOB_SIZE: &str = "containerd.io/snapshot/nydus-blob-size";
/// In cache records and on bootstraps: chain id of the source layers.
pub const SOURCE_CHAIN_ID: &str = "containerd.io/snapshot/nydus-source-chainid";
/// Label in a content store: what a conversion started from.
pub const SOURCE_DIGEST: &str = "containerd.io/snapshot/nydus-source-digest";
/// Label in a content store: what a conversion ended with.
pub const TARGET_DIGEST: &str = "containerd.io/snapshot/nydus-target-digest";
/// In cache records: JSON list of blob ids.
pub const REFERENCE_BLOB_IDS: &str = "containerd.io/snapshot/nydus-reference-blob-ids";
/// On a cache manifest: its version.
pub const CACHE: &str = "containerd.io/snapshot/nydus-cache";
/// On a bootstrap layer by `nydusify commit`: digests of blobs, separated by commas.
pub const COMMIT_BLOBS: &str = "containerd.io/snapshot/nydus-commit-blobs";
/// On a bootstrap layer by `nydusify optimize`: id of the blob with the prefetched files.
pub const PREFETCH_BLOB: &str = "containerd.io/snapshot/nydus-separated-blob-with-prefetch-files";
/// On layers: informational.
pub const ARTIFACT_TYPE: &str = "containerd.io/snapshot/nydus-artifact-type";
/// On the bootstrap layer: signature of the bootstrap in base64.
pub const SIGNATURE: &str = "containerd.io/snapshot/nydus-signature";

/// In tarfs mode, snapshot label or on a manifest: hint.
pub const TARFS: &str = "containerd.io/snapshot/nydus-tarfs";
/// In tarfs mode, snapshot label or on a manifest: hint.
pub const TARFS_HINT: &str = "containerd.io/snapshot/tarfs-hint";
/// In tarfs mode, snapshot label or on a manifest: dm-verity information of the whole image.
pub const IMAGE_BLOCK: &str = "containerd.io/snapshot/nydus-image-block";
/// In tarfs mode, snapshot label or on a manifest: dm-verity information of one layer.
pub const LAYER_BLOCK: &str = "containerd.io/snapshot/nydus-layer-block";
/// Snapshot label, for the runtime.
pub const PROXY_MODE: &str = "containerd.io/snapshot/nydus-proxy-mode";
/// Snapshot label, for the runtime.
pub const INDEX_ALTERNATIVE: &str = "containerd.io/snapshot/nydus-index-alternative";

/// Version of the file system in the bootstrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FsVersion {
    /// RAFS v5.
    V5,
    /// RAFS v6.
    #[default]
    V6,
    /// EROFS as nydus v3 writes it.
    V7,
}

impl FsVersion {
    fn as_str(self) -> &'static str {
        match self {
            Self::V5 => "5",
            Self::V6 => "6",
            Self::V7 => "7",
        }
    }
}

/// A file of the bootstrap layer.
///
/// ```
/// use lazyoci_oci_image::nydus::BootstrapFile;
/// let digest = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [0xab; 32]);
/// let path = BootstrapFile::BlobMeta(digest).path();
/// assert_eq!(path, format!("image/{}.blob.meta", "ab".repeat(32)));
/// assert_eq!(BootstrapFile::of_path(&path), Some(BootstrapFile::BlobMeta(digest)));
/// assert_eq!(BootstrapFile::of_path("image/other"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BootstrapFile {
    /// The bootstrap.
    Bootstrap,
    /// The chunk information of the blob layer with this digest, which nydusd would else read from the blob.
    BlobMeta(Digest),
    /// The description of a storage backend.
    Backend,
    /// The prefetch list that `nydusify optimize` adds.
    PrefetchFiles,
}

impl BootstrapFile {
    /// What is at `path` of the layer; `None` if that is something else.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        match path {
            BOOTSTRAP_PATH => Some(Self::Bootstrap),
            BACKEND_PATH => Some(Self::Backend),
            PREFETCH_FILES_PATH => Some(Self::PrefetchFiles),
            _ => {
                let hex = path.strip_prefix(DIRECTORY)?.strip_suffix(META_SUFFIX)?;
                let digest: Digest = format!("{}:{hex}", DigestAlgorithm::Sha256).parse().ok()?;
                Some(Self::BlobMeta(digest))
            }
        }
    }

    /// Where it is in the layer.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Bootstrap => BOOTSTRAP_PATH.into(),
            Self::BlobMeta(digest) => format!("{DIRECTORY}{}{META_SUFFIX}", digest.hex()),
            Self::Backend => BACKEND_PATH.into(),
            Self::PrefetchFiles => PREFETCH_FILES_PATH.into(),
        }
    }
}

/// The kind of a nydus image's layer.
///
/// ```
/// use lazyoci_oci_image::nydus::{self, FsVersion, NydusLayer};
/// # let mut annotations = lazyoci_oci_image::Annotations::default();
/// annotations.set(nydus::BOOTSTRAP, "true");
/// assert_eq!(
///     NydusLayer::read(&annotations)?,
///     Some(NydusLayer::Bootstrap { fs_version: FsVersion::V6 })
/// );
/// # Ok::<(), lazyoci_oci_image::AnnotationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NydusLayer {
    /// A blob with file content.
    Blob {
        /// The OCI layer that the content stays in; `None` if the blob holds it.
        reference: Option<Digest>,
        /// Whether the content is encrypted.
        encrypted: bool,
    },
    /// A tar with the bootstrap of the whole image at [`BOOTSTRAP_PATH`].
    Bootstrap {
        /// The format of the bootstrap.
        fs_version: FsVersion,
    },
}

impl NydusLayer {
    /// What `annotations` say; `None` if the layer is an ordinary one.
    ///
    /// # Errors
    /// [`AnnotationError`] if they contradict each other, or a value is not of the form that it
    /// should have.
    pub fn read(annotations: &Annotations) -> Result<Option<Self>, AnnotationError> {
        let has = |key| annotations.text(key).is_some();
        match (has(BLOB), has(BOOTSTRAP)) {
            (false, false) => Ok(None),
            (true, true) => Err(AnnotationError::Conflict {
                first: BLOB,
                second: BOOTSTRAP,
            }),
            (true, false) => Ok(Some(Self::Blob {
                reference: annotations.sha256(REFERENCE)?,
                encrypted: has(ENCRYPTED_BLOB),
            })),
            (false, true) => {
                let fs_version = annotations.parse(FS_VERSION, "`5`, `6` or `7`", |text| {
                    [FsVersion::V5, FsVersion::V6, FsVersion::V7]
                        .into_iter()
                        .find(|version| version.as_str() == text)
                })?;
                Ok(Some(Self::Bootstrap {
                    fs_version: fs_version.unwrap_or_default(),
                }))
            }
        }
    }

    /// Makes `annotations` say this.
    pub fn write(&self, annotations: &mut Annotations) {
        Self::remove(annotations);
        match *self {
            Self::Blob {
                reference,
                encrypted,
            } => {
                annotations.set(BLOB, "true");
                if let Some(reference) = reference {
                    annotations.set(REFERENCE, reference.to_string());
                }
                if encrypted {
                    annotations.set(ENCRYPTED_BLOB, "true");
                }
            }
            Self::Bootstrap { fs_version } => {
                annotations.set(BOOTSTRAP, "true");
                annotations.set(FS_VERSION, fs_version.as_str());
            }
        }
    }

    /// Removes what [`write`](Self::write) sets, as when a layer is converted to another format.
    pub fn remove(annotations: &mut Annotations) {
        for key in [BLOB, REFERENCE, ENCRYPTED_BLOB, BOOTSTRAP, FS_VERSION] {
            annotations.remove(key);
        }
    }
}
