//! Images that nydus-image made, in memory.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blob_io::{ReadAt, ReadError};
use bytes::Bytes;
use image_model::{Blob, BlobId, BlobIndex, Cancelled, Digest, Fault, Progress};
use lazyoci_image_read::{
    Finding, NoBlobs, OpenBlob, OpenImage, OpenOptions, StoreError, VerifyOptions,
    VerifySourceOptions, VerifySummary, open_source, verify_image, verify_source,
};

pub(crate) fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// A RAFS image with one blob.
#[derive(Clone)]
pub(crate) struct Golden {
    /// `None` if it is in the blob.
    pub(crate) bootstrap: Option<Bytes>,
    pub(crate) blob: Bytes,
    pub(crate) id: BlobId,
}

/// The blob of an image, in memory.
pub(crate) struct InMemory(pub(crate) Arc<dyn ReadAt>);

impl OpenBlob for InMemory {
    fn open_blob(&self, _index: BlobIndex, _blob: &Blob) -> Result<Arc<dyn ReadAt>, StoreError> {
        Ok(Arc::clone(&self.0))
    }
}

pub(crate) fn golden(name: &str) -> Golden {
    let directory = goldens().join(name);
    let mut blobs = fs::read_dir(directory.join("blobs")).unwrap();
    let blob = blobs.next().unwrap().unwrap();
    let bootstrap = fs::read(directory.join("image.boot")).ok();
    Golden {
        bootstrap: bootstrap.map(Bytes::from),
        blob: fs::read(blob.path()).unwrap().into(),
        id: BlobId::new(blob.file_name().as_encoded_bytes()).unwrap(),
    }
}

impl Golden {
    /// Everything that is found, and the summary.
    pub(crate) fn verify(&self, options: &VerifyOptions) -> (Vec<Finding>, VerifySummary) {
        let blob = self.blob.clone();
        match &self.bootstrap {
            None => verify(blob, Some(&self.id), NoBlobs, options),
            Some(bootstrap) => verify(bootstrap.clone(), None, InMemory(Arc::new(blob)), options),
        }
    }

    /// The worst of what is found, as far as [`worst`] looks.
    pub(crate) fn worst(&self, options: &VerifyOptions) -> Option<Fault> {
        let (source, id): (Arc<dyn ReadAt>, _) = match &self.bootstrap {
            None => (Arc::new(self.blob.clone()), Some(self.id.clone())),
            Some(bootstrap) => (Arc::new(bootstrap.clone()), None),
        };
        let blobs = InMemory(Arc::new(self.blob.clone()));
        let options = VerifySourceOptions::default()
            .id(id)
            .verify(options.clone());
        worst(|progress, tell| verify_source(source, blobs, &options, progress, tell))
    }

    /// The image, open, and its blob, any bit of which can be flipped.
    pub(crate) fn flipping(&self) -> (OpenImage, Arc<Flipping>) {
        let blob = Arc::new(Flipping::new(&self.blob));
        let bootstrap = self.bootstrap.clone().unwrap();
        let blobs = InMemory(Arc::clone(&blob) as _);
        let image = open_source(Arc::new(bootstrap), None, blobs, &OpenOptions::default());
        (image.unwrap(), blob)
    }

    /// The blob as if there was no bootstrap.
    pub(crate) fn verify_blob(&self, options: &VerifyOptions) -> (Vec<Finding>, VerifySummary) {
        verify(self.blob.clone(), Some(&self.id), NoBlobs, options)
    }

    /// SHA-256 of the bootstrap.
    pub(crate) fn bootstrap_digest(&self) -> Digest {
        match &self.bootstrap {
            Some(bootstrap) => verify::sha256(bootstrap),
            None => {
                let source = Arc::new(self.blob.clone());
                let options = OpenOptions::default();
                let image = open_source(source, None, NoBlobs, &options);
                verify::sha256(image.unwrap().bootstrap().unwrap().bytes())
            }
        }
    }
}

/// Bytes in memory, one bit of which is flipped.
pub(crate) struct Flipping {
    bytes: Bytes,
    bit: AtomicUsize,
}

impl Flipping {
    /// As yet none is.
    pub(crate) fn new(bytes: &Bytes) -> Self {
        Self {
            bytes: bytes.clone(),
            bit: AtomicUsize::new(usize::MAX),
        }
    }

    /// Which bit it is; none if there is no such bit.
    pub(crate) fn flip(&self, bit: usize) {
        self.bit.store(bit, Ordering::Relaxed);
    }
}

impl ReadAt for Flipping {
    fn len(&self) -> Result<u64, ReadError> {
        Ok(self.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.read_at(offset, buf)?;
        let bit = self.bit.load(Ordering::Relaxed);
        let at = (bit / 8).checked_sub(offset as usize);
        if let Some(byte) = at.and_then(|at| buf.get_mut(at)) {
            *byte ^= 1 << (bit % 8);
        }
        Ok(())
    }
}

/// The worst of what `verify` finds; it is stopped at the first fault of the image, which nothing is worse than.
pub(crate) fn worst(
    verify: impl FnOnce(&mut dyn Progress, &mut dyn FnMut(Finding)) -> Result<VerifySummary, Cancelled>,
) -> Option<Fault> {
    let corrupt = Cell::new(false);
    let mut progress = |_, _| match corrupt.get() {
        true => Err(Cancelled),
        false => Ok(()),
    };
    let tell = &mut |found: Finding| corrupt.set(corrupt.get() | (found.fault == Fault::Corrupt));
    let summary = verify(&mut progress, tell);
    match corrupt.get() {
        true => Some(Fault::Corrupt),
        false => summary.unwrap().worst(),
    }
}

/// What [`verify_image`] finds, as [`worst`] does.
pub(crate) fn worst_of(image: &OpenImage, options: &VerifyOptions) -> Option<Fault> {
    worst(|progress, tell| verify_image(image, options, progress, tell))
}

pub(crate) fn verify(
    source: impl ReadAt + 'static,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    options: &VerifyOptions,
) -> (Vec<Finding>, VerifySummary) {
    let mut found = Vec::new();
    let options = VerifySourceOptions::default()
        .id(id.cloned())
        .verify(options.clone());
    let tell = &mut |finding| found.push(finding);
    let summary = verify_source(Arc::new(source), blobs, &options, &mut (), tell);
    (found, summary.unwrap())
}

pub(crate) fn lines(found: &[Finding]) -> Vec<String> {
    found.iter().map(ToString::to_string).collect()
}
