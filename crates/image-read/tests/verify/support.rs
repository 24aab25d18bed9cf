//! Images that nydus-image made, in memory.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use blob_io::ReadAt;
use bytes::Bytes;
use image_model::{Blob, BlobId, BlobIndex, Digest};
use lazyoci_image_read::{
    Finding, NoBlobs, OpenBlob, OpenOptions, StoreError, VerifyOptions, VerifySourceOptions,
    VerifySummary, verify_source,
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
                let image = lazyoci_image_read::open_source(source, None, NoBlobs, &options);
                verify::sha256(image.unwrap().bootstrap().unwrap().bytes())
            }
        }
    }
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
