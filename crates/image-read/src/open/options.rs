//! How an image is opened.

use std::path::PathBuf;

use image_model::{Digest, Limits};

use crate::detect::Format;
use crate::layer::LayerImageOptions;
use crate::options::ReadOptions;

/// How an image is opened.
///
/// ```
/// use image_model::Limits;
/// use lazyoci_image_read::{OpenOptions, ReadOptions};
/// let from_a_registry = OpenOptions::default()
///     .limits(Limits::small())
///     .read(ReadOptions::default().gap(64 << 10));
/// assert_eq!(from_a_registry.format, None);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// What is opened, if the caller knows: the file's first bytes are not read to find it out then,
    /// which saves a request. Opening fails if it is something else. Default: found by content.
    pub format: Option<Format>,
    /// Directory with the blobs of a RAFS image, as files called by their ids. Default: `blobs`
    /// beside the file that is opened, then the directory of that file.
    pub blobs: Option<PathBuf>,
    /// Accept, as Go and containerd do, what strict tar reading refuses.
    pub lenient: bool,
    /// Take an eStargz or zstd:chunked layer as the plain layer that it is too: what such a format
    /// adds to the tar counts as files then.
    pub as_layer: bool,
    /// Digest that the metadata must have: a RAFS bootstrap, an eStargz TOC. It is checked before
    /// anything of them is decoded. Where there are none, in a layer or directory, opening fails.
    /// Default: metadata are taken as they are.
    pub metadata_digest: Option<Digest>,
    /// Bounds on the image's metadata, on layers and frames.
    pub limits: Limits,
    /// How files are read, but for the limits of that, which are
    /// [`limits`](Self#structfield.limits).
    pub read: ReadOptions,
    /// Where a compressed layer is spooled; default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
    /// Map files instead of reading them: opening a large bootstrap then costs its headers only.
    /// [`blob_io::Mapped`] says what must not happen to the files meanwhile.
    #[cfg(feature = "mmap")]
    pub map: bool,
}

impl OpenOptions {
    image_model::setters! {
        format: Format = Some(format),
        blobs: impl Into<PathBuf> = Some(blobs.into()),
        lenient: bool,
        as_layer: bool,
        metadata_digest: Digest = Some(metadata_digest),
        limits: Limits,
        read: ReadOptions,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
        #[cfg(feature = "mmap")]
        map: bool,
    }

    /// How a layer is opened.
    pub(super) fn layer(&self) -> LayerImageOptions {
        LayerImageOptions {
            lenient: self.lenient,
            limits: self.limits.clone(),
            spool_directory: self.spool_directory.clone(),
        }
    }

    /// How files are read, under the limits.
    pub(super) fn read_options(&self) -> ReadOptions {
        self.read.clone().limits(self.limits.clone())
    }
}
