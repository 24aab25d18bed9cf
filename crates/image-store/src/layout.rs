//! OCI image layouts.

use std::path::Path;
use std::sync::Arc;

use blob_io::ReadAt;
use image_read::LayerImageOptions;
use oci_image::{Descriptor, Document, DocumentError, Index};
use serde::{Deserialize, Serialize};

use crate::error::ImageStoreError;
use crate::files::{Archive, Directory, Files};
use crate::objects::object_path;
use crate::store::{ImageStore, read_document};

/// The marker file of a layout.
pub(crate) const HEADER: &str = "oci-layout";
/// The list of its images.
pub(crate) const INDEX: &str = "index.json";
/// The name of the format.
const WHAT: &str = "an OCI image layout";

/// An OCI image layout: a directory, or an archive of one (`oci-archive`), as written by skopeo, podman,
/// Docker 25 and others.
///
/// | file | holds |
/// |---|---|
/// | `oci-layout` | `{"imageLayoutVersion":"1.0.0"}` |
/// | `index.json` | an [`Index`] of the images, each with its name in an annotation |
/// | `blobs/ALGORITHM/DIGITS` | an object, named by its digest |
///
/// Other files are ignored. Source: image-spec v1.1, image-layout.md.
///
/// ```
/// use lazyoci_image_store::{ImageStore, Layout};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// # std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
/// # std::fs::write(path.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#)?;
/// let layout = Layout::open(path)?;
/// assert_eq!(layout.index().manifests.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Layout {
    files: Box<dyn Files>,
    index: Index,
}

/// The content of `oci-layout`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// The version that is written.
impl Default for Header {
    fn default() -> Self {
        let version = "1.0.0".into();
        Self { version }
    }
}

impl Layout {
    /// Opens the layout in a directory.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it is not a layout.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, ImageStoreError> {
        Self::of(Box::new(Directory(directory.as_ref().into())))
    }

    /// Opens the layout in a tar, in place unless it is compressed.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it is not a layout.
    pub fn open_archive(
        path: impl AsRef<Path>,
        options: &LayerImageOptions,
    ) -> Result<Self, ImageStoreError> {
        Self::of(Box::new(Archive::open(path.as_ref(), options)?))
    }

    /// Opens the layout in the tar `source`, which errors call `path`.
    ///
    /// # Errors
    /// [`ImageStoreError`] if it is not a layout.
    pub fn of_archive(
        source: Arc<dyn ReadAt>,
        path: impl AsRef<Path>,
        options: &LayerImageOptions,
    ) -> Result<Self, ImageStoreError> {
        Self::of(Box::new(Archive::of(source, path.as_ref(), options)?))
    }

    /// The objects in a directory, with `image` as the only image.
    pub(crate) fn with_image(directory: &Path, image: Descriptor) -> Self {
        Self {
            files: Box::new(Directory(directory.into())),
            index: Index::new(vec![image]),
        }
    }

    fn of(files: Box<dyn Files>) -> Result<Self, ImageStoreError> {
        let read = |file: &'static str| {
            let source = files.open(file)?;
            let source = source.ok_or_else(|| ImageStoreError::Missing {
                path: files.place().into(),
                what: WHAT,
                file,
            })?;
            read_document(&*source, file)
        };
        let document = |name: &str| {
            let name = name.to_owned();
            move |source| ImageStoreError::Document { name, source }
        };
        let header: Header = serde_json::from_slice(&read(HEADER)?)
            .map_err(|error| DocumentError::Json {
                what: "a layout's header",
                reason: error.to_string(),
            })
            .map_err(document(HEADER))?;
        if !header.version.starts_with("1.") {
            let version = header.version;
            return Err(ImageStoreError::LayoutVersion { version });
        }
        let parsed = Document::parse(&read(INDEX)?, None).map_err(document(INDEX))?;
        match parsed {
            Document::Index(index) => Ok(Self { files, index }),
            Document::Manifest(_) => Err(document(INDEX)(DocumentError::Json {
                what: "an index",
                reason: "it is a manifest".into(),
            })),
        }
    }
}

impl ImageStore for Layout {
    fn index(&self) -> &Index {
        &self.index
    }

    fn open(&self, descriptor: &Descriptor) -> Result<Arc<dyn ReadAt>, ImageStoreError> {
        // Only well-formed digests are used as paths.
        let digest = descriptor.parse_digest();
        let digest = digest.map_err(|source| ImageStoreError::BadDigest {
            name: descriptor.media_type.clone(),
            source,
        })?;
        let object = self.files.open(&object_path(&digest))?;
        object.ok_or_else(|| ImageStoreError::NoObject {
            digest: digest.to_string(),
        })
    }
}
