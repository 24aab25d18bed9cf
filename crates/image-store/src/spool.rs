//! Objects of an archive that has not been written yet.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use blob_io::{AtomicFile, ObjectWriter};
use oci_image::{Descriptor, Index};
use tempfile::TempDir;

use crate::error::ImageStoreError;
use crate::layout::Layout;
use crate::objects::{BLOBS, Objects};
use crate::target::enter;

/// Objects in a directory beside a future archive. Only its owner may enter it, and it is removed when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Spool {
    target: PathBuf,
    directory: TempDir,
    objects: Objects,
    /// The images published so far.
    index: Mutex<Index>,
}

impl Spool {
    /// The objects of an archive at `target`. Fails if the target cannot be replaced.
    pub(crate) fn beside(target: PathBuf) -> Result<Self, ImageStoreError> {
        // Fail early rather than when publishing.
        let target = AtomicFile::create(target)?.target().to_owned();
        let parent = target.parent().unwrap_or(Path::new(""));
        let made = tempfile::Builder::new()
            .prefix(".lazyoci-")
            .tempdir_in(parent);
        let directory = made.map_err(failed(&target))?;
        let objects = Objects::create(directory.path(), false)?;
        Ok(Self {
            target,
            directory,
            objects,
            index: Mutex::new(Index::new(Vec::new())),
        })
    }

    /// The final path of the archive.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    pub(crate) fn has(&self, object: &Descriptor) -> Result<bool, ImageStoreError> {
        self.objects.has(object)
    }

    pub(crate) fn begin(&self) -> Result<Box<dyn ObjectWriter + Send + '_>, ImageStoreError> {
        self.objects.begin()
    }

    /// Has an archive of the images published so far and `image` written. If that fails, `image` is not one of them.
    pub(crate) fn publish(
        &self,
        name: Option<&str>,
        image: &Descriptor,
        write: impl FnOnce(&Index) -> Result<(), ImageStoreError>,
    ) -> Result<(), ImageStoreError> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let mut published = index.clone();
        enter(&mut published, name, image)?;
        write(&published)?;
        *index = published;
        Ok(())
    }

    /// A temporary file without a name.
    pub(crate) fn file(&self) -> Result<File, ImageStoreError> {
        let path = self.directory.path();
        tempfile::tempfile_in(path).map_err(failed(path))
    }

    /// A store with `image` as the only image.
    pub(crate) fn store(&self, image: &Descriptor) -> Layout {
        Layout::with_image(self.directory.path(), image.clone())
    }

    /// The directories of objects, and the objects, by their paths in a layout, sorted.
    pub(crate) fn paths(&self) -> Result<Vec<(String, PathBuf)>, ImageStoreError> {
        let mut paths = Vec::new();
        let blobs = self.directory.path().join(BLOBS);
        for (algorithm, directory) in entries(&blobs)? {
            // Files beside the directories are objects being written.
            if !directory.is_dir() {
                continue;
            }
            let name = format!("{BLOBS}/{algorithm}");
            let objects = entries(&directory)?.into_iter();
            let objects = objects.map(|(object, path)| (format!("{name}/{object}"), path));
            paths.extend(objects);
            paths.push((name, directory));
        }
        paths.push((BLOBS.into(), blobs));
        paths.sort();
        Ok(paths)
    }
}

fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, ImageStoreError> {
    let failed = || failed(directory);
    let mut named = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        named.extend(name.map(|name| (name.to_owned(), path.clone())));
    }
    Ok(named)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ImageStoreError {
    let path = path.to_owned();
    move |source| ImageStoreError::Io { path, source }
}
