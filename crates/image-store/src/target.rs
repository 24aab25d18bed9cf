//! Where images are put.

use std::fmt;
use std::io::{Read, Write};

use blob_io::{DigestWriter, ObjectWriter, Written};
use image_model::Progress;
use oci_image::document::MAX_DOCUMENT_LEN;
use oci_image::index::{IMAGE_NAME, REF_NAME};
use oci_image::{Descriptor, DocumentError, Index, MediaType};
use serde::Serialize;

use crate::error::ImageStoreError;
use crate::platforms::ResolvedImages;
use crate::resolve::ResolvedImage;
use crate::store::{Digested, ImageStore, digest_of, fetch};

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// A place that takes images: objects, which are called by their digests, and then the name of what they
/// make up.
///
/// An object is there once its writer has finished, and not before; one that is dropped leaves nothing. An
/// image is there once it is [published](Self::publish), which comes last: so no name ever leads to less
/// than a whole image.
///
/// ```
/// use lazyoci_image_store::{ImageTarget, LayoutWriter, put_document};
/// use lazyoci_image_store::oci_image::{Family, Index, MediaType};
/// # let directory = tempfile::tempdir()?;
/// let layout = LayoutWriter::open(directory.path().join("images"))?;
/// let index = put_document(&layout, MediaType::Index(Family::Oci), &Index::new(Vec::new()))?;
/// layout.publish(Some("v1"), &index)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ImageTarget: fmt::Debug + Send + Sync {
    /// Whether an object of that digest and length is there already; what it holds is not looked at.
    ///
    /// # Errors
    /// [`ImageStoreError`] if that cannot be told.
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError>;

    /// What is called `name` here: what a conversion finds that was made before. `None` if nothing is, or
    /// this place cannot be read.
    ///
    /// # Errors
    /// [`ImageStoreError`] if that cannot be told, or what is there is not whole.
    fn published(&self, name: Option<&str>) -> Result<Option<ResolvedImages>, ImageStoreError> {
        let _ = name;
        Ok(None)
    }

    /// Begins an object, which is called by the digest that its writer is finished with. What is written
    /// to it is not buffered.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    fn begin(&self) -> Result<Box<dyn ObjectWriter + '_>, ImageStoreError>;

    /// Puts an index or a manifest, all of whose objects are there: an object as others are, but in places
    /// that keep them apart.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    fn put_manifest(&self, media_type: MediaType, bytes: &[u8]) -> Result<(), ImageStoreError> {
        put_object(self.begin()?, media_type, bytes).map(drop)
    }

    /// Makes `image`, all of whose objects are there, an image of this place, called `name`. What was
    /// called so before is not any more.
    ///
    /// # Errors
    /// [`ImageStoreError`]; what was called so then still is.
    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError>;
}

/// Puts a document into `target`; what refers to it.
///
/// # Errors
/// [`ImageStoreError`]; a document that is longer than what [is read](crate::fetch) is not written.
pub fn put_document(
    target: &dyn ImageTarget,
    media_type: MediaType,
    document: &impl Serialize,
) -> Result<Descriptor, ImageStoreError> {
    let bytes = document_bytes(&media_type.to_string(), document)?;
    put_bytes(target, media_type, &bytes)
}

/// What refers to a document, without putting it anywhere.
///
/// # Errors
/// [`ImageStoreError`]; as those of [`put_document`].
pub fn describe_document(
    media_type: MediaType,
    document: &impl Serialize,
) -> Result<Descriptor, ImageStoreError> {
    let bytes = document_bytes(&media_type.to_string(), document)?;
    let digest = verify::sha256(&bytes);
    Ok(Descriptor::new(media_type, &digest, bytes.len() as u64))
}

/// A document as it is written, if it can be read again.
pub(crate) fn document_bytes(
    name: &str,
    document: &impl Serialize,
) -> Result<Vec<u8>, ImageStoreError> {
    let bytes = serde_json::to_vec(document).map_err(|error| ImageStoreError::Put {
        name: name.into(),
        source: error.into(),
    })?;
    let len = bytes.len() as u64;
    match len > MAX_DOCUMENT_LEN {
        true => Err(ImageStoreError::Document {
            name: name.into(),
            source: DocumentError::TooLong { len },
        }),
        false => Ok(bytes),
    }
}

/// Puts `bytes` into `target` as an object, in the place of one that may be there; what refers to it.
///
/// # Errors
/// [`ImageStoreError`].
pub fn put_bytes(
    target: &dyn ImageTarget,
    media_type: MediaType,
    bytes: &[u8],
) -> Result<Descriptor, ImageStoreError> {
    let written = match media_type {
        MediaType::Index(_) | MediaType::Manifest(_) => {
            target.put_manifest(media_type, bytes)?;
            Written::new(verify::sha256(bytes), bytes.len() as u64)
        }
        _ => put_object(target.begin()?, media_type, bytes)?,
    };
    Ok(Descriptor::new(media_type, &written.digest, written.len))
}

fn put_object(
    object: Box<dyn ObjectWriter + '_>,
    media_type: MediaType,
    bytes: &[u8],
) -> Result<Written, ImageStoreError> {
    let mut object = DigestWriter::new(object);
    let written = object.write_all(bytes);
    written.map_err(|source| ImageStoreError::Put {
        name: media_type.to_string(),
        source,
    })?;
    let (object, written) = object.finish();
    object.finish(&written)?;
    Ok(written)
}

/// Copies an image from one place to another: its layers, its configuration, and last its manifest. What is
/// there already is not copied. `progress` counts the bytes of each object.
///
/// # Errors
/// [`ImageStoreError`].
pub fn copy_image(
    store: &dyn ImageStore,
    target: &dyn ImageTarget,
    image: &ResolvedImage,
    progress: &mut dyn Progress,
) -> Result<(), ImageStoreError> {
    let manifest = &image.manifest;
    let objects = manifest.layers.iter().chain([&manifest.config]);
    for object in objects.chain([&image.descriptor]) {
        copy(store, target, object, progress)?;
    }
    Ok(())
}

/// Copies an object from one place to another, unless it is there, and compares it with its digest on the
/// way. `progress` counts its bytes.
///
/// # Errors
/// [`ImageStoreError`].
pub fn copy(
    store: &dyn ImageStore,
    target: &dyn ImageTarget,
    object: &Descriptor,
    progress: &mut dyn Progress,
) -> Result<(), ImageStoreError> {
    if target.has(object)? {
        return Ok(());
    }
    let digest = digest_of(object)?;
    if let Ok(media_type @ (MediaType::Index(_) | MediaType::Manifest(_))) =
        object.parse_media_type()
    {
        target.put_manifest(media_type, &fetch(store, object)?)?;
        return Ok(progress.advance(object.size, Some(object.size))?);
    }
    let mut stream = Digested::open(store, object)?;
    let mut copied = target.begin()?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        let read = stream.read(&mut piece);
        let len = read.map_err(|error| stream.failed(error))?;
        if len == 0 {
            break;
        }
        let written = copied.write_all(&piece[..len]);
        written.map_err(ImageStoreError::put(object))?;
        done += len as u64;
        progress.advance(done, Some(object.size))?;
    }
    Ok(copied.finish(&Written::new(digest, done))?)
}

/// Enters `image` into the list of a place, called `name`, in the place of what was called so.
pub(crate) fn enter(
    index: &mut Index,
    name: Option<&str>,
    image: &Descriptor,
) -> Result<(), ImageStoreError> {
    let mut image = image.clone();
    for key in [REF_NAME, IMAGE_NAME] {
        image.annotations.remove(key);
    }
    match name.filter(|name| !name.is_empty()) {
        None => index
            .manifests
            .retain(|there| there.name().is_some() || there.digest != image.digest),
        Some(name) => {
            image.annotations.set(REF_NAME, name);
            let is_it = |there: &Descriptor| {
                there.names().next().is_some() && there.names().all(|other| other == name)
            };
            index.manifests.retain(|there| !is_it(there));
            let mistaken = |there: &&Descriptor| {
                there.is_called(name) || there.names().any(|other| image.is_called(other))
            };
            if let Some(there) = index.manifests.iter().find(mistaken) {
                return Err(ImageStoreError::Ambiguous {
                    name: name.into(),
                    there: there.names().collect::<Vec<_>>().join(", "),
                });
            }
        }
    }
    index.manifests.push(image);
    Ok(())
}
