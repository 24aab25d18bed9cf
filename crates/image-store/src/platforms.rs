//! From a name to the images for all platforms.

use oci_image::{Descriptor, Document, ImageConfig, MediaType, Platform, nydus};

use crate::error::ImageStoreError;
use crate::resolve::{MAX_NESTED, ResolvedImage, called, document, with_config};
use crate::store::ImageStore;

/// Most manifests per name: no builder supports more platforms, and each takes two requests.
const MAX_MANIFESTS: usize = 256;

/// What a name refers to: an image for each platform, and everything else in the index.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResolvedImages {
    /// The manifest or index with that name; `None` if there are several.
    pub descriptor: Option<Descriptor>,
    /// The images, in the order of the index: the first one for each platform, which is the one that clients
    /// take.
    pub images: Vec<ResolvedImage>,
    /// Further images for a platform of one of the [`images`](Self::images), such as a nydus image beside its
    /// original.
    pub alternatives: Vec<ResolvedImage>,
    /// Entries that are not images: attestations, artifacts.
    pub others: Vec<Descriptor>,
}

/// A single image.
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

/// Finds the images named `name` in `store`, for all platforms; without a name, the images under the only
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
        let name = descriptor.names().last();
        found.collect(store, (descriptor, name), 0, &mut left)?;
    }
    Ok(found)
}

impl ResolvedImages {
    fn collect(
        &mut self,
        store: &dyn ImageStore,
        (descriptor, name): (&Descriptor, Option<&str>),
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
                    self.collect(store, (listed, name), depth + 1, left)?;
                }
            }
            Document::Manifest(manifest) => {
                let name = name.map(ToOwned::to_owned);
                let image = with_config(store, descriptor.clone(), *manifest, name)?;
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
    /// The platform of the image, from its descriptor or else its configuration.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let listed = self.descriptor.platform.clone();
        listed.or_else(|| self.config.as_ref().map(ImageConfig::platform))
    }
}

/// Whether clients consider both platforms the same, since none looks at the feature of nydus.
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

/// Whether an index entry may be an image: builders list attestations as images for an unknown platform.
fn may_be_image(descriptor: &Descriptor) -> bool {
    let platform = descriptor.platform.as_ref();
    let unknown = platform.is_some_and(|platform| platform.os == "unknown");
    let kind = descriptor.parse_media_type();
    kind.is_ok_and(MediaType::is_index_or_manifest) && !unknown
}
