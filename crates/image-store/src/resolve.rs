//! From a name to an image.

use std::collections::BTreeSet;

use oci_image::{Descriptor, Document, ImageConfig, Index, Manifest, MediaType, Platform};

use crate::error::ImageStoreError;
use crate::reference::normalised;
use crate::store::{ImageStore, fetch};

/// Most indexes that lie in one another.
const MAX_NESTED: usize = 4;

/// An image that was found: its manifest and configuration, both of which have the digests that they
/// should have.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResolvedImage {
    /// What refers to the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration; `None` if that is none of an image, as artifacts have it.
    pub config: Option<ImageConfig>,
}

impl ResolvedImage {
    /// The configuration of an image that has one.
    pub(crate) fn config(&self) -> Result<&ImageConfig, ImageStoreError> {
        let config = self.config.as_ref();
        config.ok_or_else(|| ImageStoreError::NotImage {
            digest: self.manifest.config.digest.clone(),
            media_type: self.manifest.config.media_type.clone(),
        })
    }
}

/// Finds the image called `name` in `store`, a tag or a reference, as short as Docker takes it; the only one
/// without a name. Of an image for several
/// platforms that for `platform` is taken, without one that for [this machine](Platform::host).
///
/// # Errors
/// [`ImageStoreError`].
pub fn resolve(
    store: &dyn ImageStore,
    name: Option<&str>,
    platform: Option<&Platform>,
) -> Result<ResolvedImage, ImageStoreError> {
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    let mut descriptor = named(store.index(), name, &wanted)?.clone();
    for _ in 0..MAX_NESTED {
        let media_type = descriptor.media_type.as_str();
        match media_type.parse() {
            Ok(MediaType::Index(_) | MediaType::Manifest(_)) => {}
            // Layouts of old have no type there.
            _ if media_type.is_empty() => {}
            _ => {
                return Err(ImageStoreError::NotImage {
                    digest: descriptor.digest.clone(),
                    media_type: media_type.into(),
                });
            }
        }
        let bytes = fetch(store, &descriptor)?;
        let media_type = Some(media_type).filter(|text| !text.is_empty());
        let document = Document::parse(&bytes, media_type);
        match document.map_err(|source| ImageStoreError::Document {
            name: descriptor.digest.clone(),
            source,
        })? {
            Document::Index(index) => descriptor = select(&index, &wanted)?.clone(),
            Document::Manifest(manifest) => {
                let image = with_config(store, descriptor, *manifest)?;
                return match (platform, image.config.as_ref().map(ImageConfig::platform)) {
                    (Some(wanted), Some(built)) if !built.serves(wanted) => {
                        Err(ImageStoreError::NoPlatform {
                            wanted: wanted.to_string(),
                            there: vec![built.to_string()],
                        })
                    }
                    _ => Ok(image),
                };
            }
        }
    }
    Err(ImageStoreError::Nested { limit: MAX_NESTED })
}

/// Which of the images of a place is meant.
fn named<'i>(
    index: &'i Index,
    name: Option<&str>,
    platform: &Platform,
) -> Result<&'i Descriptor, ImageStoreError> {
    let all = &index.manifests;
    let there = || {
        let names: BTreeSet<_> = all.iter().filter_map(Descriptor::name).collect();
        names.into_iter().map(Into::into).collect()
    };
    let all_called = |name: &str| all.iter().filter(|image| image.is_called(name)).collect();
    let mut called: Vec<_> = name.map_or_else(|| all.iter().collect(), all_called);
    // The whole reference that the name is short for.
    if let ([], Some(whole)) = (&called[..], name.and_then(normalised)) {
        called = all_called(&whole);
    }
    let digests: BTreeSet<_> = called.iter().map(|image| &image.digest).collect();
    match (&called[..], name) {
        ([], name) => Err(ImageStoreError::NoImage {
            name: name.unwrap_or_default().into(),
            there: there(),
        }),
        ([first, ..], _) if digests.len() == 1 => Ok(first),
        // The same name, or none, for several platforms.
        (several, _) => {
            let serves = |image: &&&Descriptor| {
                let built = image.platform.as_ref();
                built.is_some_and(|built| built.serves(platform))
            };
            let mut names = several.iter().map(|image| image.name());
            let first = names.next().flatten();
            let one_name = name.is_some() || names.all(|name| name == first);
            match several.iter().find(serves) {
                Some(found) if one_name => Ok(found),
                _ => Err(ImageStoreError::SeveralImages { there: there() }),
            }
        }
    }
}

fn select<'i>(index: &'i Index, wanted: &Platform) -> Result<&'i Descriptor, ImageStoreError> {
    if let Some(found) = index.select(wanted) {
        return Ok(found);
    }
    // One that says nothing of platforms.
    if let [only] = &index.manifests[..]
        && only.platform.is_none()
    {
        return Ok(only);
    }
    let platforms = index.manifests.iter();
    let platforms = platforms.filter_map(|image| image.platform.as_ref());
    Err(ImageStoreError::NoPlatform {
        wanted: wanted.to_string(),
        there: platforms.map(Platform::to_string).collect(),
    })
}

fn with_config(
    store: &dyn ImageStore,
    descriptor: Descriptor,
    manifest: Manifest,
) -> Result<ResolvedImage, ImageStoreError> {
    let config = match manifest.config.parse_media_type() {
        Ok(MediaType::Config(_)) => {
            let bytes = fetch(store, &manifest.config)?;
            let config = ImageConfig::parse(&bytes);
            Some(config.map_err(|source| ImageStoreError::Document {
                name: manifest.config.digest.clone(),
                source,
            })?)
        }
        _ => None,
    };
    if let Some(config) = &config {
        let (listed, layers) = (config.rootfs.diff_ids.len(), manifest.layers.len());
        if listed != layers {
            return Err(ImageStoreError::Layers { listed, layers });
        }
    }
    Ok(ResolvedImage {
        descriptor,
        manifest,
        config,
    })
}
