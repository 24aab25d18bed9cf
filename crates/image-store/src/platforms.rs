//! From a name to the images for all platforms.

use oci_image::{Descriptor, Document, ImageConfig, MediaType, Platform, nydus};

use crate::error::ImageStoreError;
use crate::resolve::{MAX_NESTED, ResolvedImage, called, document, with_config};
use crate::store::ImageStore;

/// Most manifests of a name: no builder has more platforms, and each costs two requests.
const MAX_MANIFESTS: usize = 256;

/// What a name leads to: an image for each platform, and whatever else is listed with them.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResolvedImages {
    /// The manifest or index of that name; `None` if several are called so.
    pub descriptor: Option<Descriptor>,
    /// The images, in the order of the index: for each platform the first one, which is the one that
    /// clients take.
    pub images: Vec<ResolvedImage>,
    /// Images for a platform that one of [`images`](Self::images) is for, such as the nydus image beside
    /// the one that it was made of.
    pub alternatives: Vec<ResolvedImage>,
    /// What is listed and is no image: attestations, artifacts.
    pub others: Vec<Descriptor>,
}

/// An image by itself.
impl From<ResolvedImage> for ResolvedImages {
    fn from(image: ResolvedImage) -> Self {
        Self {
            descriptor: Some(image.descriptor.clone()),
            images: vec![image],
            alternatives: Vec::new(),
            others: Vec::new(),
        }
    }
}

/// Finds the images called `name` in `store`, whatever their platforms; those of the only name without
/// one.
///
/// # Errors
/// [`ImageStoreError`].
///
/// ```no_run
/// use lazyoci_image_store::{Layout, resolve_all};
/// let found = resolve_all(&Layout::open("images")?, Some("v1"))?;
/// for image in &found.images {
///     println!("{:?}", image.platform());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn resolve_all(
    store: &dyn ImageStore,
    name: Option<&str>,
) -> Result<ResolvedImages, ImageStoreError> {
    let meant = called(store.index(), name)?;
    let mut found = ResolvedImages {
        descriptor: match meant[..] {
            [only] => Some(only.clone()),
            _ => None,
        },
        images: Vec::new(),
        alternatives: Vec::new(),
        others: Vec::new(),
    };
    let mut left = MAX_MANIFESTS;
    for descriptor in meant {
        found.collect(store, descriptor, 0, &mut left)?;
    }
    Ok(found)
}

impl ResolvedImages {
    fn collect(
        &mut self,
        store: &dyn ImageStore,
        descriptor: &Descriptor,
        depth: usize,
        left: &mut usize,
    ) -> Result<(), ImageStoreError> {
        *left = left.checked_sub(1).ok_or(ImageStoreError::Manifests {
            limit: MAX_MANIFESTS,
        })?;
        if depth == MAX_NESTED {
            return Err(ImageStoreError::Nested { limit: MAX_NESTED });
        }
        if depth > 0 && !may_be_image(descriptor) {
            self.others.push(descriptor.clone());
            return Ok(());
        }
        match document(store, descriptor)? {
            Document::Index(index) => {
                for listed in &index.manifests {
                    self.collect(store, listed, depth + 1, left)?;
                }
            }
            Document::Manifest(manifest) => {
                let image = with_config(store, descriptor.clone(), *manifest)?;
                if image.config.is_none() {
                    self.others.push(descriptor.clone());
                } else if self.images.iter().any(|first| same_platform(first, &image)) {
                    self.alternatives.push(image);
                } else {
                    self.images.push(image);
                }
            }
        }
        Ok(())
    }
}

impl ResolvedImage {
    /// What the image runs on, as what refers to it says, or else its configuration.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let listed = self.descriptor.platform.clone();
        listed.or_else(|| self.config.as_ref().map(ImageConfig::platform))
    }
}

/// Whether a client that looks for the one may take the other, since none looks at the mark of nydus.
fn same_platform(left: &ResolvedImage, right: &ResolvedImage) -> bool {
    let platform = |image: &ResolvedImage| {
        let mut platform = image.platform()?;
        platform
            .os_features
            .retain(|feature| feature != nydus::OS_FEATURE);
        Some(platform)
    };
    platform(left) == platform(right)
}

/// Whether what an index lists may be an image: builders list attestations beside them, as images for an
/// unknown platform.
fn may_be_image(descriptor: &Descriptor) -> bool {
    let platform = descriptor.platform.as_ref();
    let unknown = platform.is_some_and(|platform| platform.os == "unknown");
    let known_type = matches!(
        descriptor.parse_media_type(),
        Ok(MediaType::Index(_) | MediaType::Manifest(_))
    );
    known_type && !unknown
}
