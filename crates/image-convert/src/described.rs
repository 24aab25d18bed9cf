//! Written objects, and their description in manifests.

use blob_io::Written;
use image_model::Digest;
use oci_image::{Annotations, Descriptor, LayerCompression, LayerType, MediaType};

/// An object that a conversion wrote, and the content of its descriptor in a manifest.
///
/// ```
/// use blob_io::WriterOutput;
/// use lazyoci_image_convert::{EstargzOptions, Streaming, to_estargz};
///
/// let mut layer = Vec::new();
/// let mut output = WriterOutput::new(&mut layer);
/// let source = Streaming::new(&[0; 1024][..]);
/// let done = to_estargz(source, &mut output, &EstargzOptions::default(), &mut ())?;
/// let descriptor = done.blob.descriptor().expect("a layer has a type");
/// assert_eq!(descriptor.media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
/// assert_eq!(descriptor.size, done.blob.len);
/// # Ok::<(), lazyoci_image_convert::ConvertError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DescribedObject {
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Length in bytes.
    #[cfg_attr(feature = "serde", serde(rename = "bytes"))]
    pub len: u64,
    /// Its type; `None` for a bootstrap, which manifests list only as a file in a layer.
    #[cfg_attr(feature = "serde", serde(serialize_with = "as_text"))]
    pub media_type: Option<MediaType>,
    /// Annotations of its layer.
    pub annotations: Annotations,
}

impl DescribedObject {
    pub(crate) fn new(
        written: Written,
        media_type: Option<MediaType>,
        annotate: impl FnOnce(&mut Annotations),
    ) -> Self {
        let mut annotations = Annotations::default();
        annotate(&mut annotations);
        Self {
            digest: written.digest,
            len: written.len,
            media_type,
            annotations,
        }
    }

    /// A layer that is a tar, as OCI has it.
    pub(crate) fn layer(
        written: Written,
        compression: LayerCompression,
        annotate: impl FnOnce(&mut Annotations),
    ) -> Self {
        let layer = LayerType::oci(compression);
        Self::new(written, Some(MediaType::Layer(layer)), annotate)
    }

    /// Its descriptor; `None` if it has no type.
    #[must_use]
    pub fn descriptor(&self) -> Option<Descriptor> {
        let mut descriptor = Descriptor::new(self.media_type?, &self.digest, self.len);
        descriptor.annotations = self.annotations.clone();
        Some(descriptor)
    }
}

#[cfg(feature = "serde")]
fn as_text<S: serde::Serializer>(
    media_type: &Option<MediaType>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match media_type {
        Some(media_type) => serializer.collect_str(media_type),
        None => serializer.serialize_none(),
    }
}
