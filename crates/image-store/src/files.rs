//! The files of a layout, in a directory or an archive.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::{LocalFile, ReadAt, Section};
use bytes::Bytes;
use image_model::{FileKind, Image};
use image_read::{FileExtents, Follow, LayerImage, LayerImageOptions, resolve};

use crate::error::ImageStoreError;

/// Files by their paths.
pub(crate) trait Files: fmt::Debug + Send + Sync {
    /// The file at `path`, a relative path without `..`; `None` if it does not exist.
    fn open(&self, path: &str) -> Result<Option<Arc<dyn ReadAt>>, ImageStoreError>;

    /// The directory or archive.
    fn place(&self) -> &Path;
}

/// Files below a directory.
#[derive(Debug)]
pub(crate) struct Directory(pub(crate) PathBuf);

impl Files for Directory {
    fn open(&self, path: &str) -> Result<Option<Arc<dyn ReadAt>>, ImageStoreError> {
        let path = self.0.join(path);
        match LocalFile::open(&path) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ImageStoreError::Io { path, source }),
        }
    }

    fn place(&self) -> &Path {
        &self.0
    }
}

/// Members of a tar. Of several with the same name, the last is used. Links are followed.
#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    layer: LayerImage,
}

impl Archive {
    /// Opens the tar at `path`. A compressed one is decoded into a temporary file.
    pub(crate) fn open(path: &Path, options: &LayerImageOptions) -> Result<Self, ImageStoreError> {
        let file = LocalFile::open(path).map_err(|source| ImageStoreError::Io {
            path: path.into(),
            source,
        })?;
        Self::of(Arc::new(file), path, options)
    }

    /// Opens the tar in `source`, which errors call `path`.
    pub(crate) fn of(
        source: Arc<dyn ReadAt>,
        path: &Path,
        options: &LayerImageOptions,
    ) -> Result<Self, ImageStoreError> {
        let layer = LayerImage::open(source, options);
        Ok(Self {
            path: path.into(),
            layer: layer.map_err(|source| ImageStoreError::Archive {
                path: path.into(),
                source,
            })?,
        })
    }

    /// The range of a file in the tar, if it is contiguous.
    fn find(&self, path: &str) -> Option<Result<Range<u64>, ()>> {
        let image = &self.layer.image;
        let ino = resolve(image, path.as_bytes(), Follow::All).ok()?;
        let attributes = image.attributes(ino).ok()?;
        if attributes.kind == FileKind::File && attributes.size == 0 {
            return Some(Ok(0..0));
        }
        let extents = FileExtents::new(image, ino, 0..attributes.size, 0);
        let place = extents.and_then(FileExtents::into_contiguous);
        Some(place.ok().flatten().map(|(_, place)| place).ok_or(()))
    }
}

impl Files for Archive {
    fn open(&self, path: &str) -> Result<Option<Arc<dyn ReadAt>>, ImageStoreError> {
        let place = match self.find(path) {
            None => return Ok(None),
            Some(Ok(place)) if place.is_empty() => return Ok(Some(Arc::new(Bytes::new()))),
            Some(Ok(place)) => place,
            Some(Err(())) => {
                return Err(ImageStoreError::NotFile {
                    path: self.path.clone(),
                    file: path.into(),
                });
            }
        };
        let len = place.end - place.start;
        let section = Section::new(Arc::clone(&self.layer.source), place.start, len);
        Ok(Some(Arc::new(section.map_err(|source| {
            ImageStoreError::Read {
                name: path.into(),
                source,
            }
        })?)))
    }

    fn place(&self) -> &Path {
        &self.path
    }
}
