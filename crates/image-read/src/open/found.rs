//! A file of which it is known what it is.

use std::sync::Arc;

use blob_io::ReadAt;
use estargz_toc::open::TAIL_LEN;
use image_model::advisory::Advisories;
use image_model::{BlobId, BlobIndex, Image, Progress};
use rafs_format::v7::V7Image;

use super::error::OpenError;
use super::image::{Holder, OpenImage};
use super::options::OpenOptions;
use super::{erofs, estargz, rafs, v7};
use crate::blobs::{BlobStore, NoBlobs, OpenBlob};
use crate::detect::{DETECT_LEN, Format, detect};
use crate::ends::Ends;
use crate::layer::TarLayer;

/// Bytes of a file's end that are read to find out what it is: the metadata may be among them.
const TAIL: usize = TAIL_LEN as usize;

const _: () = assert!(TAIL >= DETECT_LEN);

/// A file whose ends told what it is, or of which the caller said it.
pub(crate) struct Found<'a> {
    source: &'a Arc<dyn ReadAt>,
    /// `None` if it is nothing that is known here.
    pub(crate) format: Option<Format>,
    /// What was read for that.
    pub(crate) ends: Ends<'a>,
}

impl<'a> Found<'a> {
    pub(crate) fn of(
        source: &'a Arc<dyn ReadAt>,
        options: &OpenOptions,
    ) -> Result<Self, blob_io::ReadError> {
        let (format, ends) = match options.known_format() {
            Some(format) => {
                let mut ends = Ends::unread(&**source)?;
                if format.is_rafs_blob() {
                    // They contain the start of its bootstrap, or all of it.
                    ends.read_tail(TAIL)?;
                }
                (Some(format), ends)
            }
            None => detect(&**source, TAIL)?,
        };
        Ok(Self {
            source,
            format,
            ends,
        })
    }

    /// Opens the image in it.
    pub(crate) fn open(
        &self,
        id: Option<&BlobId>,
        blobs: impl OpenBlob + 'static,
        options: &OpenOptions,
        progress: &mut dyn Progress,
    ) -> Result<OpenImage, OpenError> {
        let (source, ends) = (self.source, &self.ends);
        let format = known(self.format, ends)?;
        let is_layer = match format {
            Format::Tar(_) => true,
            format => format.has_toc() && options.as_layer,
        };
        let mut advisories = Advisories::default();
        let mut read = None;
        let (holder, store) = match format {
            _ if is_layer => {
                vouch_for_index(format, options)?;
                let (source, options) = (Arc::clone(source), options.layer());
                let layer = TarLayer::of_file(ends, source, &options, progress)?.into_image()?;
                if matches!(format, Format::Tar(compression) if compression != layer.compression) {
                    return Err(OpenError::NotFormat { expected: format });
                }
                let store = BlobStore::single(layer.source);
                advisories = layer.advisories;
                (Holder::Tree(Arc::new(layer.image)), store)
            }
            Format::RafsV5 | Format::RafsV6 | Format::RafsBlob => {
                let image = rafs::open(ends, format, id, options)?;
                let mut store = BlobStore::new(image.blobs(), blobs);
                if let Some(index) = image.opened_blob() {
                    store = store.with_source(index, Arc::clone(source));
                }
                let image = rafs::locate(image, ends, &store, &options.limits)?;
                (Holder::Rafs(Arc::new(image)), store)
            }
            format if format.has_toc() => {
                let estargz = estargz::open(ends, format, id, options)?;
                let store = BlobStore::new(&estargz.toc.image.blobs, NoBlobs);
                let store = store.with_source(BlobIndex(0), Arc::clone(source));
                (Holder::Estargz(Arc::new(estargz)), store)
            }
            Format::Erofs => {
                vouch_for_none(format, options)?;
                let (image, stats) = erofs::open(source, options)?;
                read = Some(stats);
                let store = BlobStore::new(image.blobs(), blobs);
                let store = store.with_source(BlobIndex(0), Arc::clone(source));
                let holder = match V7Image::is_one(&image) {
                    true => {
                        let image = v7::locate(V7Image::new(image), &store, &options.limits)?;
                        Holder::V7(Arc::new(image))
                    }
                    false => Holder::Erofs(Arc::new(image)),
                };
                (holder, store)
            }
            Format::RafsV7Blob => {
                let image = v7::open(ends, id, options)?;
                let bootstrap = image.bootstrap().cloned().unwrap_or_default();
                let mut store = BlobStore::new(image.blobs(), blobs);
                store = store.with_source(BlobIndex(0), Arc::new(bootstrap));
                if let Some(index) = image.opened_blob() {
                    store = store.with_source(index, Arc::clone(source));
                }
                let image = v7::locate(image, &store, &options.limits)?;
                (Holder::V7(Arc::new(image)), store)
            }
            Format::Directory | Format::Stack => {
                return Err(OpenError::NotFormat { expected: format });
            }
            Format::RafsData => return Err(OpenError::NoBootstrap),
            found => return Err(OpenError::Unsupported { found }),
        };
        let image = OpenImage::new(format, holder, store, options);
        let stats = [Some(ends.stats()), read].into_iter().flatten().sum();
        let image = image.of_file(Arc::clone(source), stats);
        Ok(image.with_advisories(advisories))
    }
}

pub(super) fn known(format: Option<Format>, ends: &Ends<'_>) -> Result<Format, OpenError> {
    format.ok_or_else(|| {
        let head = ends.head();
        let head = head[..head.len().min(16)].into();
        OpenError::Unknown { head }
    })
}

/// Fails if a digest is expected of metadata that are not there.
pub(super) fn vouch_for_none(found: Format, options: &OpenOptions) -> Result<(), OpenError> {
    match options.metadata_digest {
        Some(_) => Err(OpenError::NoMetadata { found }),
        None => Ok(()),
    }
}

/// Fails if a digest is expected of an index that is not there, or has another one.
fn vouch_for_index(found: Format, options: &OpenOptions) -> Result<(), OpenError> {
    #[cfg(feature = "gzip-index")]
    if let (Some(index), Some(expected)) = (&options.index, &options.metadata_digest) {
        return Ok(index.check(expected)?);
    }
    vouch_for_none(found, options)
}
