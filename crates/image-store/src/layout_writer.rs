//! Writing OCI image layouts.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blob_io::{AtomicFile, ObjectWriter};
use oci_image::{Descriptor, Index};
use serde::Serialize;

use crate::error::ImageStoreError;
use crate::layout::{HEADER, Header, INDEX, Layout};
use crate::objects::{BLOBS, Objects};
use crate::platforms::{ResolvedImages, resolve_all};
use crate::store::ImageStore as _;
use crate::target::{ImageTarget, document_bytes, enter};
use crate::toc_image::TocImage;

/// Prefix of the names of temporary files.
const TEMPORARY: &str = ".lazyoci-";
/// The lock file of a layout.
const LOCK: &str = ".lazyoci-lock";

/// Writes an OCI image layout in a directory. Read it with [`Layout`].
///
/// Each object is written under a temporary name, synced to disk, and renamed; `index.json` is replaced last.
/// On Unix a lock (the file `.lazyoci-lock`, which is not removed) is held meanwhile, so that several processes
/// may create the layout and publish images at the same time. Objects of replaced images remain: there is no
/// garbage collection.
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
    objects: Objects,
}

impl LayoutWriter {
    /// Opens the layout in `directory`; creates an empty one if the directory is empty or missing.
    ///
    /// # Errors
    /// [`ImageStoreError::NotLayout`] if the directory contains something else; others.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, ImageStoreError> {
        let directory = directory.into();
        let failed = |source| ImageStoreError::Io {
            path: directory.clone(),
            source,
        };
        fs::create_dir_all(&directory).map_err(failed)?;
        if !directory.join(HEADER).exists() {
            check_empty(&directory)?;
            let _lock = lock(&directory)?;
            // Another process may have created it meanwhile.
            if !directory.join(HEADER).exists() {
                check_empty(&directory)?;
                make(&directory)?;
            }
        }
        let objects = Objects::create(&directory, true)?;
        Ok(Self { directory, objects })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Rejects a directory that contains anything other than a partially created layout.
fn check_empty(directory: &Path) -> Result<(), ImageStoreError> {
    let failed = |source| ImageStoreError::Io {
        path: directory.into(),
        source,
    };
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let ours = match name.to_str() {
            Some(HEADER | BLOBS) => true,
            Some(INDEX) => fs::read(directory.join(INDEX)).is_ok_and(|bytes| {
                serde_json::from_slice(&bytes).is_ok_and(|index: Index| index.manifests.is_empty())
            }),
            name => name.is_some_and(|name| name.starts_with(TEMPORARY)),
        };
        if !ours {
            let path = directory.into();
            return Err(ImageStoreError::NotLayout { path });
        }
    }
    Ok(())
}

/// Creates an empty layout. The marker file is written last.
fn make(directory: &Path) -> Result<(), ImageStoreError> {
    write(directory, INDEX, &Index::new(Vec::new()))?;
    write(directory, HEADER, &Header::default())
}

/// Locks out other processes while the file is open, where the system supports it.
fn lock(directory: &Path) -> Result<File, ImageStoreError> {
    let path = directory.join(LOCK);
    locked(&path).map_err(|source| ImageStoreError::Lock { path, source })
}

impl ImageTarget for LayoutWriter {
    fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        self.objects.has(object)
    }

    fn published(&self, name: Option<&str>) -> Result<Option<ResolvedImages>, ImageStoreError> {
        match resolve_all(&Layout::open(&self.directory)?, name) {
            Err(ImageStoreError::NoImage { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    fn published_tocs(&self, name: Option<&str>) -> Result<Option<TocImage>, ImageStoreError> {
        TocImage::find(&Layout::open(&self.directory)?, name)
    }

    fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        self.objects.begin()
    }

    fn publish(&self, name: Option<&str>, image: &Descriptor) -> Result<(), ImageStoreError> {
        let _lock = lock(&self.directory)?;
        let layout = Layout::open(&self.directory)?;
        let mut index = layout.index().clone();
        enter(&mut index, name, image)?;
        write(&self.directory, INDEX, &index)
    }
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
