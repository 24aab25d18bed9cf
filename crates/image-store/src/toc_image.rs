//! Images that hold the external TOCs of other images.

use std::fmt;
use std::io::Read as _;

use bytes::Bytes;
use image_model::Limits;
use image_model::width::usize_up_to;
use image_read::OpenError;
use oci_image::estargz::{LAYER_DIGEST, TOC_IMAGE_SUFFIX};
use oci_image::{Descriptor, Document, Index, Manifest, Platform};

use crate::error::ImageStoreError;
use crate::resolve::{MAX_NESTED, document};
use crate::store::{Digested, ImageStore};

/// The name of the image that holds the external TOCs of the image called `name`.
///
/// ```
/// use lazyoci_image_store::toc_image::toc_image_name;
/// assert_eq!(toc_image_name("v1"), "v1-esgztoc");
/// ```
#[must_use]
pub fn toc_image_name(name: &str) -> String {
    format!("{name}{TOC_IMAGE_SUFFIX}")
}

/// An image that holds the external TOCs of the layers of another image, of all its platforms: each TOC is a layer,
/// whose annotation is the digest of the layer that it describes. Its configuration is an empty object.
///
/// It needs no trust: the layers of the other image have the digests of their TOCs.
///
/// Source: stargz-snapshotter, `nativeconverter/estargz/externaltoc`.
///
/// ```
/// use lazyoci_image_store::oci_image::{Descriptor, ExternalToc, Family, LayerType, Manifest, MediaType};
/// use lazyoci_image_store::{TocImage, oci_image::LayerCompression};
/// # let [config, toc, layer] = [1, 2, 3].map(|byte| {
/// #     lazyoci_image_store::model::Digest::new(lazyoci_image_store::model::DigestAlgorithm::Sha256, [byte; 32])
/// # });
/// let gzip = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
/// let mut toc = Descriptor::new(gzip, &toc, 400);
/// ExternalToc { layer }.write(&mut toc.annotations);
/// let config = Descriptor::new(MediaType::Config(Family::Oci), &config, 2);
/// assert!(TocImage::is_one(&Manifest::new(config, vec![toc])));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TocImage {
    /// The descriptor of its manifest.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Manifest,
}

impl TocImage {
    /// Whether `manifest` is that of such an image: all of its layers are external TOCs, and it has some.
    #[must_use]
    pub fn is_one(manifest: &Manifest) -> bool {
        let mut layers = manifest.layers.iter();
        !manifest.layers.is_empty()
            && layers.all(|layer| layer.annotations.text(LAYER_DIGEST).is_some())
    }

    /// The one for the image called `name` in `store`; `None` if there is none. A registry's store knows the name.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the store cannot be queried, or it has a damaged one.
    pub fn find(
        store: &dyn ImageStore,
        name: Option<&str>,
    ) -> Result<Option<Self>, ImageStoreError> {
        if let Some(there) = store.with_suffix(TOC_IMAGE_SUFFIX)? {
            return Self::only(&*there);
        }
        let index = store.index();
        let tag = |name: &str| {
            let (_, tag) = name.rsplit_once(':')?;
            named(index, &toc_image_name(tag))
        };
        let named = name.and_then(|name| named(index, &toc_image_name(name)).or_else(|| tag(name)));
        named.map_or(Ok(None), |image| Self::load(store, image.clone()))
    }

    /// The one that a store of a single image has.
    pub(crate) fn only(store: &dyn ImageStore) -> Result<Option<Self>, ImageStoreError> {
        let only = store.index().manifests.first();
        only.map_or(Ok(None), |only| Self::load(store, only.clone()))
    }

    /// The one with that descriptor, or the one for this machine in that index.
    fn load(
        store: &dyn ImageStore,
        mut descriptor: Descriptor,
    ) -> Result<Option<Self>, ImageStoreError> {
        for _ in 0..MAX_NESTED {
            match document(store, &descriptor)? {
                Document::Manifest(manifest) => {
                    let manifest = *manifest;
                    return Ok(Some(Self {
                        descriptor,
                        manifest,
                    }));
                }
                Document::Index(index) => match index.select(&Platform::host()) {
                    Some(image) => descriptor = image.clone(),
                    None => return Ok(None),
                },
            }
        }
        Err(ImageStoreError::Nested { limit: MAX_NESTED })
    }

    /// The TOC of `layer`; the first, if several are said to be.
    #[must_use]
    pub fn toc_of(&self, layer: &Descriptor) -> Option<&Descriptor> {
        let is_of = |toc: &&Descriptor| toc.annotations.text(LAYER_DIGEST) == Some(&*layer.digest);
        self.manifest.layers.iter().find(is_of)
    }
}

/// The image with exactly that name.
fn named<'i>(index: &'i Index, name: &str) -> Option<&'i Descriptor> {
    let mut images = index.manifests.iter();
    images.find(|image| image.names().any(|found| found == name))
}

/// The TOCs of an image, which is looked for when a layer needs one.
pub(crate) struct Tocs<'s> {
    store: &'s dyn ImageStore,
    name: Option<&'s str>,
    /// Once it was looked for.
    image: Option<Option<TocImage>>,
}

impl fmt::Debug for Tocs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tocs").field(&self.name).finish()
    }
}

impl<'s> Tocs<'s> {
    /// Those of the image called `name`.
    pub(crate) fn new(store: &'s dyn ImageStore, name: Option<&'s str>) -> Self {
        Self {
            store,
            name,
            image: None,
        }
    }

    /// The bytes of the TOC of `layer`, compared with their own digest only.
    pub(crate) fn read(
        &mut self,
        layer: &Descriptor,
        limits: &Limits,
    ) -> Result<Option<Bytes>, ImageStoreError> {
        if self.image.is_none() {
            self.image = Some(TocImage::find(self.store, self.name)?);
        }
        let image = self.image.as_ref().and_then(Option::as_ref);
        let Some(toc) = image.and_then(|image| image.toc_of(layer)) else {
            return Ok(None);
        };
        let (len, limit) = (toc.size, limits.toc_len());
        if len > limit {
            return Err(OpenError::Limit { len, limit }.into());
        }
        let mut stream = Digested::open(self.store, toc)?;
        let mut bytes = Vec::with_capacity(usize_up_to(len.min(SOME)));
        let read = stream.read_to_end(&mut bytes);
        read.map_err(|error| stream.failed(error))?;
        Ok(Some(bytes.into()))
    }
}

/// Bytes that are allocated for a TOC before any was read.
const SOME: u64 = 1 << 20;
