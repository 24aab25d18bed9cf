//! Options of image conversions.

use std::path::PathBuf;

#[cfg(feature = "gzip-index")]
use image_convert::ZranOptions;
use image_convert::{EstargzOptions, RafsOptions, TarOptions, ZstdChunkedOptions};
use image_model::Limits;
use image_read::OpenOptions;

use crate::known::KnownImages;

/// The format of an image.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ImageFormat {
    /// A nydus image: a blob for each layer with content of its own, and the bootstrap for all of them as the
    /// last layer.
    Nydus(RafsOptions),
    /// A nydus image whose blobs are the gzip layers as they are, with what describes each of them, and the bootstrap for
    /// all as the last layer: a target that has the layers gets little more. Layers are described each by itself, so
    /// hard links cannot lead into lower ones.
    #[cfg(feature = "gzip-index")]
    NydusZran(ZranOptions),
    /// An image with eStargz layers. A layer with hard links to lower layers, which readers of TOCs reject,
    /// remains a plain one.
    Estargz(EstargzOptions),
    /// An image with zstd:chunked layers. A layer that its dialect cannot describe remains a plain one, with the same
    /// tar.
    ZstdChunked(ZstdChunkedOptions),
    /// An image with tar layers. Plain layers keep their tars and therefore their DiffIDs; others are
    /// converted to tars.
    Oci(TarOptions),
}

impl ImageFormat {
    /// The name of the format: `nydus`, `nydus-zran`, `estargz`, `zstd-chunked`, `oci`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nydus(_) => "nydus",
            #[cfg(feature = "gzip-index")]
            Self::NydusZran(_) => "nydus-zran",
            Self::Estargz(_) => "estargz",
            Self::ZstdChunked(_) => "zstd-chunked",
            Self::Oci(_) => "oci",
        }
    }
}

/// Options of a conversion.
///
/// ```
/// use lazyoci_image_transcode::{ImageFormat, TranscodeOptions};
/// let options = TranscodeOptions::new(ImageFormat::Estargz(Default::default())).lenient(true);
/// assert!(options.lenient);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TranscodeOptions {
    /// The target format.
    pub format: ImageFormat,
    /// Accept what strict tar reading rejects, but Go and containerd accept.
    pub lenient: bool,
    /// Read eStargz layers as plain layers, with the TOC as a file.
    pub as_layer: bool,
    /// Copy the originals, too, and list them before the converted images: for nydus images, which not every
    /// client can run.
    pub keep_original: bool,
    /// Images whose chunks a nydus image need not store again.
    pub known: Option<KnownImages>,
    /// Limits for each layer.
    pub limits: Limits,
    /// How many layers are converted at the same time, at least 1, each with the threads of its format; to nydus, layers
    /// are converted one after the other. Does not affect the output. Default: 2.
    pub layers_at_once: usize,
    /// Directory for temporary files. Default: the system's temporary directory.
    pub spool_directory: Option<PathBuf>,
}

impl TranscodeOptions {
    /// Options for that format: strict, with default limits.
    #[must_use]
    pub fn new(format: ImageFormat) -> Self {
        Self {
            format,
            lenient: false,
            as_layer: false,
            keep_original: false,
            known: None,
            limits: Limits::default(),
            layers_at_once: 2,
            spool_directory: None,
        }
    }

    image_model::setters! {
        lenient: bool,
        as_layer: bool,
        keep_original: bool,
        known: Option<KnownImages>,
        limits: Limits,
        layers_at_once: usize,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
    }

    /// Whether the format is one of nydus.
    pub(crate) fn is_nydus(&self) -> bool {
        match self.format {
            ImageFormat::Nydus(_) => true,
            #[cfg(feature = "gzip-index")]
            ImageFormat::NydusZran(_) => true,
            _ => false,
        }
    }

    /// Whether the TOCs of layers are an image of their own.
    pub(crate) fn has_external_tocs(&self) -> bool {
        matches!(&self.format, ImageFormat::Estargz(estargz) if estargz.external_toc)
    }

    /// Options for layers that are opened for random access.
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
