//! OCI image layouts that take images.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blob_io::{AtomicFile, ObjectWriter, WriteError, Written};
use oci_image::index::{IMAGE_NAME, REF_NAME};
use oci_image::{Descriptor, Index};
use serde::Serialize;

use crate::error::ImageStoreError;
use crate::layout::{HEADER, INDEX, Layout};
use crate::store::{ImageStore, digest_of};
use crate::target::ImageTarget;

/// Where objects are.
const BLOBS: &str = "blobs";

/// An OCI image layout in a directory that takes images; read it by [`Layout`].
///
/// Each object is written under a temporary name, written through to the disk, and renamed; `index.json`
/// is replaced last, and under a lock, so several processes may publish images into one layout.
/// What they replace stays: a layout is not swept here.
///
/// ```
/// use lazyoci_image_store::{ImageStore, Layout, LayoutWriter};
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("images");
/// LayoutWriter::open(&path)?;
/// assert_eq!(Layout::open(&path)?.index().manifests.len(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LayoutWriter {
    directory: PathBuf,
}

impl LayoutWriter {
    /// Opens the layout in `directory`; makes an empty one if that is empty or not there.
    ///
    /// # Errors
    /// [`ImageStoreError::NotLayout`] if it holds something else; others.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ImageStoreError> {
        let directory = directory.into();
        let failed = |source| ImageStoreError::Io {
            path: directory.clone(),
            source,
        };
        fs::create_dir_all(&directory).map_err(failed)?;
        if !directory.join(HEADER).exists() {
            let mut entries = fs::read_dir(&directory).map_err(failed)?;
            if entries.next().is_some() {
                return Err(ImageStoreError::NotLayout { path: directory });
            }
            write(&directory, INDEX, &Index::new(Vec::new()))?;
            let version = serde_json::json!({ "imageLayoutVersion": "1.0.0" });
            write(&directory, HEADER, &version)?;
        }
        fs::create_dir_all(directory.join(BLOBS)).map_err(failed)?;
        Ok(Self { directory })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn locked(&self) -> Result<Lock, ImageStoreError> {
        let path = self.directory.join(HEADER);
        Lock::of(&path).map_err(|source| ImageStoreError::Io { path, source })
    }
}

impl ImageTarget for LayoutWriter {
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        let digest = digest_of(object)?;
        let path = self.directory.join(object_path(&digest));
        match fs::metadata(&path) {
            Ok(there) => Ok(there.is_file() && there.len() == object.size),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(ImageStoreError::Io { path, source }),
        }
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + '_>, ImageStoreError> {
        let file = AtomicFile::create(self.directory.join(BLOBS).join("object"))?;
        Ok(Box::new(Object(file)))
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let _lock = self.locked()?;
        let layout = Layout::open(&self.directory)?;
        let mut index = layout.index().clone();
        let mut image = image.clone();
        for key in [REF_NAME, IMAGE_NAME] {
            image.annotations.remove(key);
        }
        let replaced = |there: &Descriptor| match name {
            Some(name) => there.name() == Some(name),
            None => there.name().is_none() && there.digest == image.digest,
        };
        index.manifests.retain(|there| !replaced(there));
        if let Some(name) = name {
            image.annotations.set(REF_NAME, name);
        }
        index.manifests.push(image);
        write(&self.directory, INDEX, &index)
    }
}

/// Where in a layout the object of that digest is.
pub(crate) fn object_path(digest: &image_model::Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex())
}

/// Replaces a document of a layout.
fn write(directory: &Path, file: &str, document: &impl Serialize) -> Result<(), ImageStoreError> {
    let failed = |source| ImageStoreError::Put {
        name: file.into(),
        source,
    };
    let bytes = serde_json::to_vec(document).map_err(|error| failed(error.into()))?;
    let mut replacement = AtomicFile::create(directory.join(file))?;
    replacement.write_all(&bytes).map_err(failed)?;
    Ok(replacement.commit_synced()?)
}

struct Object(AtomicFile);

impl Write for Object {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ObjectWriter for Object {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let algorithm = written.digest.algorithm().to_string();
        let blobs = self.0.target().parent().unwrap_or(Path::new(""));
        let path = blobs.join(&algorithm);
        fs::create_dir_all(&path).map_err(|source| WriteError::Create { path, source })?;
        let name = format!("{algorithm}/{}", written.digest.hex());
        self.0.renamed(name).commit_synced()
    }
}

/// Keeps other processes out as long as it is held, where the system has such locks.
struct Lock {
    /// Locked until it is closed.
    _file: File,
}

impl Lock {
    fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        #[cfg(unix)]
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
        Ok(Self { _file: file })
    }
}
