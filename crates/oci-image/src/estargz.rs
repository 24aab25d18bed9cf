//! Annotations of eStargz layers.

use image_model::Digest;

use crate::annotations::{AnnotationError, Annotations};

/// SHA-256 of the TOC's JSON.
pub const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";

/// Length of the layer's tar in bytes, the entry of an inline TOC and the end blocks included.
pub const UNCOMPRESSED_SIZE: &str = "io.containers.estargz.uncompressed-size";

/// On a layer of the image that holds the external TOCs of another image: digest of the layer that its TOC is of.
pub const LAYER_DIGEST: &str = "containerd.io/snapshot/stargz/layer.digest";

/// What is appended to the name of an image, behind its tag, to name the image that holds its external TOCs.
pub const TOC_IMAGE_SUFFIX: &str = "-esgztoc";

/// What the annotations of an eStargz layer say.
///
/// ```
/// use lazyoci_oci_image::{Annotations, EstargzLayer};
/// # let toc_digest = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [7; 32]);
/// let layer = EstargzLayer::new(toc_digest).uncompressed_size(10_240);
/// let mut annotations = Annotations::default();
/// layer.write(&mut annotations);
/// assert_eq!(EstargzLayer::read(&annotations)?, Some(layer));
/// # Ok::<(), lazyoci_oci_image::AnnotationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EstargzLayer {
    /// SHA-256 of the TOC's JSON: what every lazy read is verified against in the end.
    pub toc_digest: Digest,
    /// Length of the layer's tar in bytes; old writers do not tell.
    pub uncompressed_size: Option<u64>,
}

impl EstargzLayer {
    /// A layer with this TOC, whose length as a tar is not told.
    #[must_use]
    pub fn new(toc_digest: Digest) -> Self {
        Self {
            toc_digest,
            uncompressed_size: None,
        }
    }

    image_model::setters! {
        uncompressed_size: impl Into<Option<u64>> = uncompressed_size.into(),
    }

    /// What `annotations` say; `None` if they have no TOC digest, without which a layer is an
    /// ordinary one.
    ///
    /// # Errors
    /// [`AnnotationError`] if a value is not of the form that it should have.
    pub fn read(annotations: &Annotations) -> Result<Option<Self>, AnnotationError> {
        let Some(toc_digest) = annotations.sha256(TOC_DIGEST)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            toc_digest,
            uncompressed_size: annotations.number(UNCOMPRESSED_SIZE)?,
        }))
    }

    /// Makes `annotations` say this.
    pub fn write(&self, annotations: &mut Annotations) {
        Self::remove(annotations);
        annotations.set(TOC_DIGEST, self.toc_digest.to_string());
        if let Some(size) = self.uncompressed_size {
            annotations.set(UNCOMPRESSED_SIZE, size.to_string());
        }
    }

    /// Removes what [`write`](Self::write) sets, as when a layer is converted to another format.
    pub fn remove(annotations: &mut Annotations) {
        annotations.remove(TOC_DIGEST);
        annotations.remove(UNCOMPRESSED_SIZE);
    }
}

/// What the annotations of an external TOC say: a layer of the image that holds the TOCs of another image.
///
/// ```
/// use lazyoci_oci_image::{Annotations, ExternalToc};
/// # let layer = image_model::Digest::new(image_model::DigestAlgorithm::Sha256, [7; 32]);
/// let toc = ExternalToc { layer };
/// let mut annotations = Annotations::default();
/// toc.write(&mut annotations);
/// assert_eq!(ExternalToc::read(&annotations)?, Some(toc));
/// # Ok::<(), lazyoci_oci_image::AnnotationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExternalToc {
    /// The layer that the TOC describes.
    pub layer: Digest,
}

impl ExternalToc {
    /// What `annotations` say; `None` if they name no layer.
    ///
    /// # Errors
    /// [`AnnotationError`] if the value is not a SHA-256 digest.
    pub fn read(annotations: &Annotations) -> Result<Option<Self>, AnnotationError> {
        Ok(annotations
            .sha256(LAYER_DIGEST)?
            .map(|layer| Self { layer }))
    }

    /// Makes `annotations` say this.
    pub fn write(&self, annotations: &mut Annotations) {
        annotations.set(LAYER_DIGEST, self.layer.to_string());
    }
}
