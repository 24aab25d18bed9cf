//! Objects as files named by their digests.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blob_io::{AtomicFile, ObjectWriter, WriteError, Written};
use image_model::{Blame as _, Digest};
use oci_image::Descriptor;

use crate::error::ImageStoreError;
use crate::store::digest_of;

/// The directory of objects in a layout.
pub(crate) const BLOBS: &str = "blobs";

/// The path of an object in a layout.
pub(crate) fn object_path(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex())
}

/// The objects of a layout that is being written.
#[derive(Debug)]
pub(crate) struct Objects {
    directory: PathBuf,
    /// Whether they are synced to disk.
    synced: bool,
}

impl Objects {
    /// The objects of the layout in `directory`, which must exist.
    pub(crate) fn create(directory: &Path, synced: bool) -> Result<Self, ImageStoreError> {
        let directory = directory.join(BLOBS);
        make_directory(&directory)?;
        Ok(Self { directory, synced })
    }

    /// Whether an object with that digest and length exists.
    pub(crate) fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        let digest = digest_of(object)?;
        let algorithm = digest.algorithm().to_string();
        let path = self.directory.join(algorithm).join(digest.hex());
        match fs::metadata(&path) {
            Ok(there) => Ok(there.is_file() && there.len() == object.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ImageStoreError::Io { path, source }),
        }
    }

    /// Begins an object.
    pub(crate) fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        let file = AtomicFile::create_in(&self.directory)?;
        Ok(Box::new(Object {
            file,
            objects: self,
        }))
    }
}

struct Object<'o> {
    file: AtomicFile,
    objects: &'o Objects,
}

impl Write for Object<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for Object<'_> {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let Self { file, objects } = *self;
        let algorithm = written.digest.algorithm().to_string();
        let made = make_directory(&objects.directory.join(&algorithm));
        made.map_err(|error| WriteError::Target {
            fault: error.fault(),
            source: error.into(),
        })?;
        let file = file.renamed(format!("{algorithm}/{}", written.digest.hex()));
        match objects.synced {
            true => file.commit_synced(),
            false => file.commit(),
        }
    }
}

/// Creates a directory and rejects symbolic links, so that objects are written inside the layout.
fn make_directory(path: &Path) -> Result<(), ImageStoreError> {
    let failed = |source| ImageStoreError::Io {
        path: path.into(),
        source,
    };
    fs::create_dir_all(path).map_err(failed)?;
    let found = fs::symlink_metadata(path).map_err(failed)?;
    match found.is_dir() {
        true => Ok(()),
        false => Err(failed(io::ErrorKind::NotADirectory.into())),
    }
}
