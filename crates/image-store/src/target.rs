//! Destinations of images.

use std::fmt;
use std::io::{Read, Write};

use blob_io::{DigestWriter, ObjectWriter, Written};
use image_model::{Digest, Progress};
use oci_image::document::MAX_DOCUMENT_LEN;
use oci_image::index::{IMAGE_NAME, REF_NAME};
use oci_image::{Descriptor, DocumentError, Index, MediaType};
use serde::Serialize;

use crate::error::ImageStoreError;
use crate::platforms::ResolvedImages;
use crate::resolve::ResolvedImage;
use crate::store::{Digested, ImageStore, digest_of, fetch};
use crate::toc_image::TocImage;

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// A destination of images: takes objects, named by their digests, and then the name of the image that they
/// make up.
///
/// An object exists once its writer has finished; one that is dropped leaves nothing. An image exists once it
/// is [published](Self::publish), which comes last: a name never refers to an incomplete image.
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
    /// Whether an object with that digest and length exists; its content is not checked.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the query fails.
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError>;

    /// The images named `name` in the target, by which an earlier conversion is recognised. `None` if there
    /// are none, or the target cannot be read.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the query fails, or an existing image is incomplete.
    fn published(&self, name: Option<&str>) -> Result<Option<ResolvedImages>, ImageStoreError> {
        let _ = name;
        Ok(None)
    }

    /// The image that holds the external TOCs of the images named `name` in the target; `None` if there is none, or the
    /// target cannot be read.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the query fails, or it is damaged.
    fn published_tocs(&self, name: Option<&str>) -> Result<Option<TocImage>, ImageStoreError> {
        let _ = name;
        Ok(None)
    }

    /// Begins an object. It is named by the digest passed to its writer's `finish`, which any thread may call. Writes
    /// are not buffered.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError>;

    /// How the object with that digest came to be in the target, if it came over the network, or would have. `None`
    /// for objects that nobody asked about, and for targets that are not remote.
    fn arrival(&self, object: &Digest) -> Option<Arrival> {
        let _ = object;
        None
    }

    /// Writes an index or a manifest, all of whose objects must exist. The default writes an object; targets
    /// that store manifests separately override it.
    ///
    /// # Errors
    /// [`ImageStoreError`].
    fn put_manifest(&self, media_type: MediaType, bytes: &[u8]) -> Result<(), ImageStoreError> {
        put_object(self.begin()?, media_type, bytes).map(drop)
    }

    /// Publishes `image`, all of whose objects must exist, as `name`. It replaces any image of that name.
    ///
    /// # Errors
    /// [`ImageStoreError`]; the name then still refers to the previous image.
    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError>;
}

/// How an object came to be in a remote target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arrival {
    /// It was uploaded.
    Uploaded,
    /// The target took it from another of its repositories.
    Mounted,
    /// It existed already.
    There,
}

/// Writes a document to `target`. Returns its descriptor.
///
/// # Errors
/// [`ImageStoreError`]; a document that exceeds the limit for [reading](crate::fetch) is not written.
pub fn put_document(
    target: &dyn ImageTarget,
    media_type: MediaType,
    document: &impl Serialize,
) -> Result<Descriptor, ImageStoreError> {
    let bytes = document_bytes(&media_type.to_string(), document)?;
    put_bytes(target, media_type, &bytes)
}

/// The descriptor of a document, without writing it.
///
/// # Errors
/// [`ImageStoreError`], as [`put_document`].
pub fn describe_document(
    media_type: MediaType,
    document: &impl Serialize,
) -> Result<Descriptor, ImageStoreError> {
    let bytes = document_bytes(&media_type.to_string(), document)?;
    let digest = verify::sha256(&bytes);
    Ok(Descriptor::new(media_type, &digest, bytes.len() as u64))
}

/// Serialises a document, and checks that it can be read again.
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

/// Writes `bytes` to `target` as an object, replacing any of that digest. Returns its descriptor.
///
/// # Errors
/// [`ImageStoreError`].
pub fn put_bytes(
    target: &dyn ImageTarget,
    media_type: MediaType,
    bytes: &[u8],
) -> Result<Descriptor, ImageStoreError> {
    let written = match media_type.is_index_or_manifest() {
        true => {
            target.put_manifest(media_type, bytes)?;
            Written::new(verify::sha256(bytes), bytes.len() as u64)
        }
        false => put_object(target.begin()?, media_type, bytes)?,
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

/// Copies an image: its layers, its configuration, and last its manifest. Existing objects are not copied.
/// `progress` counts the bytes of each object.
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

/// Copies an object unless it exists, and compares it with its digest. `progress` counts its bytes.
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
    if let Ok(media_type) = object.parse_media_type()
        && media_type.is_index_or_manifest()
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

/// Adds `image` to an index as `name`, replacing any image of that name.
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
