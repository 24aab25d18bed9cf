//! What to make of an image, and how.

use std::path::PathBuf;

use image_convert::{EstargzOptions, RafsOptions, TarOptions};
use image_model::Limits;
use image_read::OpenOptions;

use crate::known::KnownImages;

/// What to make of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ImageFormat {
    /// A nydus image: a blob for each layer that has content of its own, and as the last layer the
    /// bootstrap over all of them.
    Nydus(RafsOptions),
    /// An image whose layers are eStargz; but a layer with hard links into lower ones, which readers of
    /// TOCs refuse, stays a plain one.
    Estargz(EstargzOptions),
    /// An image whose layers are tars. Plain layers keep their tars, and with them their DiffIDs; of
    /// others, tars are made.
    Oci(TarOptions),
}

impl ImageFormat {
    /// What it is called: `nydus`, `estargz`, `oci`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nydus(_) => "nydus",
            Self::Estargz(_) => "estargz",
            Self::Oci(_) => "oci",
        }
    }
}

/// How an image is made of another one.
///
/// ```
/// use lazyoci_image_transcode::{ImageFormat, TranscodeOptions};
/// let options = TranscodeOptions::new(ImageFormat::Estargz(Default::default())).lenient(true);
/// assert!(options.lenient);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TranscodeOptions {
    /// What to make.
    pub format: ImageFormat,
    /// Accept, as Go and containerd do, what strict tar reading refuses.
    pub lenient: bool,
    /// Take eStargz layers as the plain layers that they are, too: with the TOC as a file.
    pub as_layer: bool,
    /// Copy the images as they are, too, and list them before those that are made: for nydus images, which
    /// not every client can run.
    pub keep_original: bool,
    /// Images whose chunks a nydus image need not store again.
    pub known: Option<KnownImages>,
    /// Bounds on each layer.
    pub limits: Limits,
    /// Where temporary files are; default: the system's directory for them.
    pub spool_directory: Option<PathBuf>,
}

impl TranscodeOptions {
    /// Those with which an image becomes one of that format, strict, with the default bounds.
    #[must_use]
    pub fn new(format: ImageFormat) -> Self {
        Self {
            format,
            lenient: false,
            as_layer: false,
            keep_original: false,
            known: None,
            limits: Limits::default(),
            spool_directory: None,
        }
    }

    image_model::setters! {
        lenient: bool,
        as_layer: bool,
        keep_original: bool,
        known: Option<KnownImages>,
        limits: Limits,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
    }

    /// How layers are opened that are read here and there.
    pub(crate) fn open(&self) -> OpenOptions {
        let options = OpenOptions::default()
            .lenient(self.lenient)
            .limits(self.limits.clone());
        match &self.spool_directory {
            Some(directory) => options.spool_directory(directory),
            None => options,
        }
    }
}
