//! Publishing converted images.

use image_store::{ImageTarget, ResolvedImage, ResolvedImages, describe_document, put_document};
use oci_image::index::{IMAGE_NAME, REF_NAME};
use oci_image::{Descriptor, Family, Index, MediaType, nydus};

use crate::error::TranscodeError;
use crate::options::TranscodeOptions;
use crate::report::TranscodeReport;

/// The index and names to publish once the images are converted.
pub(crate) struct Publication<'i> {
    images: &'i ResolvedImages,
    options: &'i TranscodeOptions,
    keep_original: bool,
}

impl<'i> Publication<'i> {
    /// # Errors
    /// [`TranscodeError`] if there are no images, or keeping the original would have no effect.
    pub(crate) fn of(
        images: &'i ResolvedImages,
        options: &'i TranscodeOptions,
    ) -> Result<Self, TranscodeError> {
        if images.images.is_empty() {
            return Err(TranscodeError::NoImages);
        }
        let keep_original = options.keep_original;
        if keep_original && !options.is_nydus() {
            return Err(TranscodeError::KeepOriginal);
        }
        Ok(Self {
            images,
            options,
            keep_original,
        })
    }

    /// Entries of the source index that are not converted.
    pub(crate) fn left_out(&self) -> Vec<Descriptor> {
        let alternatives = self.images.alternatives.iter();
        let alternatives = alternatives.map(|image| image.descriptor.clone());
        alternatives.chain(self.images.others.clone()).collect()
    }

    /// Writes the index, if one is needed, and publishes the names; the name of all images comes last.
    pub(crate) fn publish(
        &self,
        target: &dyn ImageTarget,
        name: Option<&str>,
        made: &[TranscodeReport],
    ) -> Result<Descriptor, TranscodeError> {
        let Some(index) = self.index(made) else {
            let image = made[0].image.clone();
            target.publish(name, &image)?;
            return Ok(image);
        };
        let descriptor = put_document(target, MediaType::Index(Family::Oci), &index)?;
        if let (true, Some(name)) = (self.keep_original, name) {
            for image in made {
                target.publish(Some(&self.own_name(name, image)), &image.image)?;
            }
        }
        target.publish(name, &descriptor)?;
        Ok(descriptor)
    }

    /// The descriptor that would be published.
    pub(crate) fn describe(&self, made: &[TranscodeReport]) -> Result<Descriptor, TranscodeError> {
        Ok(match self.index(made) {
            Some(index) => describe_document(MediaType::Index(Family::Oci), &index)?,
            None => made[0].image.clone(),
        })
    }

    fn index(&self, made: &[TranscodeReport]) -> Option<Index> {
        let source = self.images.descriptor.as_ref();
        let was_index = source
            .is_none_or(|source| matches!(source.parse_media_type(), Ok(MediaType::Index(_))));
        if !was_index && !self.keep_original && made.len() == 1 {
            return None;
        }
        let mut manifests = Vec::new();
        if self.keep_original {
            manifests.extend(self.images.images.iter().map(listed));
        }
        for image in made {
            let mut descriptor = image.image.clone();
            if let (true, Some(platform)) = (self.options.is_nydus(), &mut descriptor.platform) {
                platform.os_features.push(nydus::OS_FEATURE.into());
            }
            manifests.push(descriptor);
        }
        Some(Index::new(manifests))
    }

    /// The separate name of a converted image when originals are kept.
    fn own_name(&self, name: &str, image: &TranscodeReport) -> String {
        let own = format!("{name}-{}", self.options.format.name());
        let platform = image.image.platform.as_ref();
        match platform.filter(|_| self.images.images.len() > 1) {
            // Tags cannot contain slashes.
            Some(platform) => format!("{own}-{}", platform.to_string().replace('/', "-")),
            None => own,
        }
    }
}

/// The index entry of a source image.
fn listed(image: &ResolvedImage) -> Descriptor {
    let mut descriptor = image.descriptor.clone();
    descriptor.platform = image.platform();
    for key in [REF_NAME, IMAGE_NAME] {
        descriptor.annotations.remove(key);
    }
    descriptor
}
