//! OCI image layouts that take images.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::{AtomicFile, ObjectWriter, WriteError, Written};
use image_model::Blame as _;
use oci_image::index::{IMAGE_NAME, REF_NAME};
use oci_image::{Descriptor, Index};
use serde::Serialize;

use crate::error::ImageStoreError;
use crate::layout::{HEADER, INDEX, Layout};
use crate::store::{ImageStore, digest_of};
use crate::target::{ImageTarget, document_bytes};

/// Where objects are.
const BLOBS: &str = "blobs";
/// How the names of what is being written begin.
const TEMPORARY: &str = ".lazyoci-";
/// The file by which a layout is locked.
const LOCK: &str = ".lazyoci-lock";

/// An OCI image layout in a directory that takes images; read it by [`Layout`].
///
/// Each object is written under a temporary name, written through to the disk, and renamed; `index.json`
/// is replaced last. On Unix a lock (the file `.lazyoci-lock`, which stays) is held meanwhile, so that
/// several processes may make the layout and publish images into it at the same time. What is replaced stays as
/// an object: a layout is not swept here.
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
        let layout = Self { directory };
        if !layout.directory.join(HEADER).exists() {
            layout.check_empty()?;
            let _lock = layout.lock()?;
            // Somebody else may have been here meanwhile.
            if !layout.directory.join(HEADER).exists() {
                layout.check_empty()?;
                layout.make()?;
            }
        }
        let blobs = layout.directory.join(BLOBS);
        make_directory(&blobs)?;
        Ok(layout)
    }

    /// Refuses a directory that holds anything but a layout that somebody has begun.
    fn check_empty(&self) -> Result<(), ImageStoreError> {
        let directory = &self.directory;
        let failed = |source| ImageStoreError::Io {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let ours = match name.to_str() {
                Some(HEADER | BLOBS) => true,
                Some(INDEX) => fs::read(directory.join(INDEX)).is_ok_and(|bytes| {
                    serde_json::from_slice(&bytes)
                        .is_ok_and(|index: Index| index.manifests.is_empty())
                }),
                name => name.is_some_and(|name| name.starts_with(TEMPORARY)),
            };
            if !ours {
                let path = directory.clone();
                return Err(ImageStoreError::NotLayout { path });
            }
        }
        Ok(())
    }

    /// Makes an empty layout: what says that it is one comes last.
    fn make(&self) -> Result<(), ImageStoreError> {
        write(&self.directory, INDEX, &Index::new(Vec::new()))?;
        let version = serde_json::json!({ "imageLayoutVersion": "1.0.0" });
        write(&self.directory, HEADER, &version)
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Keeps other processes out as long as the file is open, where the system has such locks.
    fn lock(&self) -> Result<File, ImageStoreError> {
        let path = self.directory.join(LOCK);
        locked(&path).map_err(|source| ImageStoreError::Lock { path, source })
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

    fn published(
        &self,
        name: Option<&str>,
    ) -> Result<Option<Arc<dyn ImageStore>>, ImageStoreError> {
        let layout = Layout::open(&self.directory)?;
        let mut images = layout.index().manifests.iter();
        let found = name.is_some_and(|name| images.any(|image| image.is_called(name)));
        Ok(found.then(|| Arc::new(layout) as Arc<dyn ImageStore>))
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + '_>, ImageStoreError> {
        let blobs = self.directory.join(BLOBS);
        let file = AtomicFile::create_in(&blobs)?;
        Ok(Box::new(Object { file, blobs }))
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let _lock = self.lock()?;
        let layout = Layout::open(&self.directory)?;
        let mut index = layout.index().clone();
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
        write(&self.directory, INDEX, &index)
    }
}

/// Where in a layout the object of that digest is.
pub(crate) fn object_path(digest: &image_model::Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm(), digest.hex())
}

/// Replaces a document of a layout.
fn write(directory: &Path, file: &str, document: &impl Serialize) -> Result<(), ImageStoreError> {
    let bytes = document_bytes(file, document)?;
    let mut replacement = AtomicFile::create(directory.join(file))?;
    let written = replacement.write_all(&bytes);
    written.map_err(|source| ImageStoreError::Put {
        name: file.into(),
        source,
    })?;
    Ok(replacement.commit_synced()?)
}

struct Object {
    file: AtomicFile,
    blobs: PathBuf,
}

impl Write for Object {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for Object {
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError> {
        let algorithm = written.digest.algorithm().to_string();
        let made = make_directory(&self.blobs.join(&algorithm));
        made.map_err(|error| WriteError::Target {
            fault: error.fault(),
            source: error.into(),
        })?;
        let name = format!("{algorithm}/{}", written.digest.hex());
        self.file.renamed(name).commit_synced()
    }
}

fn locked(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(path)?;
    #[cfg(unix)]
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive) {
            Err(rustix::io::Errno::INTR) => {}
            done => break done?,
        }
    }
    Ok(file)
}

/// A directory, which no link leads to: what is written there lies in the layout.
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
