//! Sources of images.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::{Digest, Progress};
use oci_image::document::MAX_DOCUMENT_LEN;
use oci_image::{Descriptor, DocumentError, Index, MediaType};
use verify::Hasher;

use crate::error::ImageStoreError;

/// Bytes hashed at once.
const PIECE: usize = 1 << 20;

/// A source of images: objects by their digests, and names for some of them.
///
/// Its content is not trusted: [`fetch`] and [`check`] compare objects with their descriptors.
pub trait ImageStore: fmt::Debug + Send + Sync {
    /// The images, with their names.
    fn index(&self) -> &Index;

    /// Opens the object of `descriptor`, of any type.
    ///
    /// # Errors
    /// [`ImageStoreError::NoObject`] if it does not exist; others.
    fn open(&self, descriptor: &Descriptor) -> Result<Arc<dyn ReadAt>, ImageStoreError>;

    /// The bytes of that object from front to end, as many as `descriptor` states. Stores with expensive
    /// requests use a single one.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`ImageStoreError::Size`] if its length differs.
    fn stream(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, ImageStoreError> {
        let source = self.open(descriptor)?;
        check_len(&*source, descriptor)?;
        Ok(Box::new(FrontToEnd::new(source, descriptor.size)))
    }

    /// The length in bytes of the object with this digest, which is no document: for objects that no manifest lists.
    ///
    /// # Errors
    /// [`ImageStoreError::NoObject`] if it does not exist, or its length cannot be found out; others.
    fn object_len(&self, digest: &Digest) -> Result<u64, ImageStoreError> {
        let object = Descriptor::new(MediaType::NydusBlob, digest, 0);
        let len = self.open(&object)?.len();
        len.map_err(|source| ImageStoreError::Read {
            name: object.digest,
            source,
        })
    }

    /// The store of the image whose name is that of this store's only image with `suffix` appended, for stores whose index
    /// does not list it; `None` if there is no such image.
    ///
    /// # Errors
    /// [`ImageStoreError`] if the query fails.
    fn with_suffix(&self, suffix: &str) -> Result<Option<Box<dyn ImageStore>>, ImageStoreError> {
        let _ = suffix;
        Ok(None)
    }

    /// Whether each read takes a network request, so that content that is read in small pieces should be
    /// fetched first.
    fn is_remote(&self) -> bool {
        false
    }
}

/// The document of `descriptor`, compared with its length and digest.
///
/// # Errors
/// [`ImageStoreError`]; documents longer than [`MAX_DOCUMENT_LEN`] bytes are rejected.
pub fn fetch(store: &dyn ImageStore, descriptor: &Descriptor) -> Result<Bytes, ImageStoreError> {
    let name = || descriptor.digest.clone();
    let digest = digest_of(descriptor)?;
    let source = store.open(descriptor)?;
    check_len(&*source, descriptor)?;
    let bytes = read_document(&*source, &descriptor.digest)?;
    let found = verify::digest(digest.algorithm(), &bytes);
    let found = found.map_err(|error| unsupported(&descriptor.digest, &error))?;
    match found == digest {
        true => Ok(bytes),
        false => Err(ImageStoreError::Digest {
            digest: name(),
            found: found.to_string(),
        }),
    }
}

/// Reads a whole object, and compares its length and digest with `descriptor`. Keeps only a piece of it in
/// memory.
///
/// # Errors
/// [`ImageStoreError`].
pub fn check(
    source: &Arc<dyn ReadAt>,
    descriptor: &Descriptor,
    progress: &mut dyn Progress,
) -> Result<(), ImageStoreError> {
    check_len(&**source, descriptor)?;
    let stream = FrontToEnd::new(Arc::clone(source), descriptor.size);
    check_stream(Digested::new(Box::new(stream), descriptor)?, progress)
}

/// Reads a whole object from a stream, as [`check`] does.
pub(crate) fn check_stream(
    mut stream: Digested,
    progress: &mut dyn Progress,
) -> Result<(), ImageStoreError> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = stream.read(&mut piece);
        let read = read.map_err(|error| stream.failed(error))?;
        progress.advance(stream.at, Some(stream.len))?;
        if read == 0 {
            return stream.finish();
        }
    }
}

/// All bytes of a document.
pub(crate) fn read_document(source: &dyn ReadAt, name: &str) -> Result<Bytes, ImageStoreError> {
    let read = |source| ImageStoreError::Read {
        name: name.into(),
        source,
    };
    let len = source.len().map_err(read)?;
    match usize::try_from(len) {
        Ok(short) if len <= MAX_DOCUMENT_LEN => source.read_bytes(0, short).map_err(read),
        _ => Err(ImageStoreError::Document {
            name: name.into(),
            source: DocumentError::TooLong { len },
        }),
    }
}

pub(crate) fn digest_of(descriptor: &Descriptor) -> Result<Digest, ImageStoreError> {
    let digest = descriptor.parse_digest();
    digest.map_err(|source| ImageStoreError::BadDigest {
        name: descriptor.media_type.clone(),
        source,
    })
}

fn check_len(source: &dyn ReadAt, descriptor: &Descriptor) -> Result<(), ImageStoreError> {
    let (digest, expected) = (&descriptor.digest, descriptor.size);
    let found = source.len().map_err(|source| ImageStoreError::Read {
        name: digest.clone(),
        source,
    })?;
    match found == expected {
        true => Ok(()),
        false => Err(ImageStoreError::Size {
            digest: digest.clone(),
            expected,
            found,
        }),
    }
}

fn unsupported(name: &str, error: &verify::UnsupportedDigest) -> ImageStoreError {
    ImageStoreError::Digest {
        digest: name.into(),
        found: error.to_string(),
    }
}

/// An object from front to end; reading fails at its end if the digest does not match.
pub(crate) struct Digested {
    source: Box<dyn Read + Send>,
    /// `None` once the digest has been compared.
    hasher: Option<Hasher>,
    expected: Digest,
    /// The actual digest, if it differs.
    wrong: Option<Digest>,
    name: String,
    at: u64,
    len: u64,
}

impl Digested {
    /// The object of `store` that `descriptor` refers to.
    pub(crate) fn open(
        store: &dyn ImageStore,
        descriptor: &Descriptor,
    ) -> Result<Self, ImageStoreError> {
        Self::new(store.stream(descriptor)?, descriptor)
    }

    /// The bytes of `source`, which must match `descriptor`.
    fn new(source: Box<dyn Read + Send>, descriptor: &Descriptor) -> Result<Self, ImageStoreError> {
        let expected = digest_of(descriptor)?;
        let hasher = Hasher::new(expected.algorithm());
        let hasher = hasher.map_err(|error| unsupported(&descriptor.digest, &error))?;
        Ok(Self {
            source,
            hasher: Some(hasher),
            expected,
            wrong: None,
            name: descriptor.digest.clone(),
            at: 0,
            len: descriptor.size,
        })
    }

    /// Reads the rest, and compares the digest.
    pub(crate) fn finish(mut self) -> Result<(), ImageStoreError> {
        let rest = io::copy(&mut self, &mut io::sink());
        rest.map_err(|error| self.failed(error)).map(drop)
    }

    /// Converts the error of a failed read.
    pub(crate) fn failed(&self, error: io::Error) -> ImageStoreError {
        let (name, offset) = (self.name.clone(), self.at);
        let source = match error.downcast() {
            Ok(error) => return error,
            Err(error) => error
                .downcast()
                .unwrap_or_else(|source| blob_io::ReadError::Io {
                    offset,
                    len: 0,
                    source,
                }),
        };
        ImageStoreError::Read { name, source }
    }
}

impl Read for Digested {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len - self.at;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if left == 0 {
            if let Some(hasher) = self.hasher.take() {
                self.wrong = Some(hasher.finish()).filter(|found| *found != self.expected);
            }
            return match self.wrong {
                None => Ok(0),
                // Repeated on further reads, in case the first error was misinterpreted.
                Some(found) => Err(io::Error::other(ImageStoreError::Digest {
                    digest: self.name.clone(),
                    found: found.to_string(),
                })),
            };
        }
        let read = self.source.read(&mut buf[..len])?;
        if read == 0 && len > 0 {
            return Err(io::Error::other(ImageStoreError::Size {
                digest: self.name.clone(),
                expected: self.len,
                found: self.at,
            }));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buf[..read]);
        }
        self.at += read as u64;
        Ok(read)
    }
}

/// The bytes of a source from front to end.
struct FrontToEnd {
    source: Arc<dyn ReadAt>,
    at: u64,
    len: u64,
}

impl FrontToEnd {
    fn new(source: Arc<dyn ReadAt>, len: u64) -> Self {
        Self { source, at: 0, len }
    }
}

impl Read for FrontToEnd {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len - self.at;
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        self.source.read_at(self.at, &mut buf[..len])?;
        self.at += len as u64;
        Ok(len)
    }
}
