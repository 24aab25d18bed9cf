//! From a name to an image.

use std::collections::BTreeSet;

use oci_image::{Descriptor, Document, ImageConfig, Index, Manifest, MediaType, Platform};

use crate::error::ImageStoreError;
use crate::reference::normalised;
use crate::store::{ImageStore, fetch};
use crate::toc_image::{TocImage, toc_image_name};

/// Maximum nesting depth of indexes.
pub(crate) const MAX_NESTED: usize = 4;

/// A resolved image: its manifest and configuration, both compared with their digests.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ResolvedImage {
    /// The descriptor of the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration; `None` if it is not that of an image, as with artifacts and [TOC images](TocImage).
    pub config: Option<ImageConfig>,
    /// The fullest name that the store's index has for it, if that has names.
    pub name: Option<String>,
}

impl ResolvedImage {
    /// The configuration, or an error if the image has none.
    pub(crate) fn config(&self) -> Result<&ImageConfig, ImageStoreError> {
        let config = self.config.as_ref();
        config.ok_or_else(|| ImageStoreError::NotImage {
            digest: self.manifest.config.digest.clone(),
            media_type: self.manifest.config.media_type.clone(),
        })
    }
}

/// Finds the image named `name` in `store`, a tag or a reference, which may be short as with Docker; without
/// a name, the only image. From a multi-platform image, the one for `platform` is taken, by default
/// [this machine](Platform::host).
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
    let name = descriptor.names().last().map(ToOwned::to_owned);
    for _ in 0..MAX_NESTED {
        match document(store, &descriptor)? {
            Document::Index(index) => descriptor = select(&index, &wanted)?.clone(),
            Document::Manifest(manifest) => {
                let image = with_config(store, descriptor, *manifest, name)?;
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

/// The index or manifest that `descriptor` refers to.
pub(crate) fn document(
    store: &dyn ImageStore,
    descriptor: &Descriptor,
) -> Result<Document, ImageStoreError> {
    let media_type = descriptor.media_type.as_str();
    let kind = descriptor.parse_media_type();
    // Old layouts omit the media type.
    if !media_type.is_empty() && !kind.is_ok_and(MediaType::is_index_or_manifest) {
        return Err(ImageStoreError::NotImage {
            digest: descriptor.digest.clone(),
            media_type: media_type.into(),
        });
    }
    let bytes = fetch(store, descriptor)?;
    let media_type = Some(media_type).filter(|text| !text.is_empty());
    let document = Document::parse(&bytes, media_type);
    document.map_err(|source| ImageStoreError::Document {
        name: descriptor.digest.clone(),
        source,
    })
}

/// Selects an image by name and platform.
fn named<'i>(
    index: &'i Index,
    name: Option<&str>,
    platform: &Platform,
) -> Result<&'i Descriptor, ImageStoreError> {
    let called = called(index, name)?;
    if let [only] = called[..] {
        return Ok(only);
    }
    // The same name, or none, for several platforms.
    let serves = |image: &&&Descriptor| {
        let built = image.platform.as_ref();
        built.is_some_and(|built| built.serves(platform))
    };
    let found = called.iter().find(serves).copied();
    found.ok_or_else(|| several_images(index))
}

/// The images that `name` may mean, or those of the only name; at least one, without duplicates.
pub(crate) fn called<'i>(
    index: &'i Index,
    name: Option<&str>,
) -> Result<Vec<&'i Descriptor>, ImageStoreError> {
    let all = &index.manifests;
    let all_called = |name: &str| all.iter().filter(|image| image.is_called(name)).collect();
    let mut called: Vec<_> = name.map_or_else(|| without_toc_images(all), all_called);
    // The full reference for a short name.
    if let ([], Some(whole)) = (&called[..], name.and_then(normalised)) {
        called = all_called(&whole);
    }
    let mut digests = BTreeSet::new();
    called.retain(|image| digests.insert(&image.digest));
    let Some((first, others)) = called.split_first() else {
        return Err(ImageStoreError::NoImage {
            name: name.unwrap_or_default().into(),
            there: names(index),
        });
    };
    let one_name = others.iter().all(|image| image.name() == first.name());
    match name.is_some() || one_name {
        true => Ok(called),
        false => Err(several_images(index)),
    }
}

/// All images but those that hold the TOCs of others.
fn without_toc_images(all: &[Descriptor]) -> Vec<&Descriptor> {
    let tocs = all.iter().flat_map(Descriptor::names).map(toc_image_name);
    let tocs: BTreeSet<_> = tocs.collect();
    let is_other = |image: &&Descriptor| !image.names().any(|name| tocs.contains(name));
    all.iter().filter(is_other).collect()
}

fn several_images(index: &Index) -> ImageStoreError {
    ImageStoreError::SeveralImages {
        there: names(index),
    }
}

fn names(index: &Index) -> Vec<String> {
    let names = index.manifests.iter().filter_map(Descriptor::name);
    let names: BTreeSet<_> = names.collect();
    names.into_iter().map(Into::into).collect()
}

fn select<'i>(index: &'i Index, wanted: &Platform) -> Result<&'i Descriptor, ImageStoreError> {
    if let Some(found) = index.select(wanted) {
        return Ok(found);
    }
    // A single image without a platform.
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

pub(crate) fn with_config(
    store: &dyn ImageStore,
    descriptor: Descriptor,
    manifest: Manifest,
    name: Option<String>,
) -> Result<ResolvedImage, ImageStoreError> {
    let config = match manifest.config.parse_media_type() {
        Ok(MediaType::Config(_)) if !TocImage::is_one(&manifest) => {
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
        name,
    })
}
