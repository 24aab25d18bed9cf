//! How an image is opened.

use std::path::PathBuf;

use bytes::Bytes;
use estargz_toc::open::Described;
use image_model::{Digest, Limits};

use crate::detect::Format;
use crate::layer::LayerImageOptions;
#[cfg(feature = "gzip-index")]
use crate::layer::LayerIndex;
use crate::options::ReadOptions;

/// Options for opening an image.
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
    /// The format, if the caller knows it: this saves the request that reads the file's first bytes to detect it.
    /// Opening fails if the format is different. Default: detected by content.
    pub format: Option<Format>,
    /// Directory with the blobs of a RAFS image, as files named by their ids. Default: `blobs`
    /// beside the opened file, then the directory of that file.
    pub blobs: Option<PathBuf>,
    /// Accept what strict tar reading refuses, as Go and containerd do.
    pub lenient: bool,
    /// Read an eStargz or zstd:chunked layer as a plain layer: what the format adds to the tar then
    /// counts as files.
    pub as_layer: bool,
    /// Expected digest of the metadata: a RAFS bootstrap, an eStargz TOC. It is checked before
    /// decoding any of it. For a layer or directory, which have none, opening fails. Default:
    /// metadata is accepted unchecked.
    pub metadata_digest: Option<Digest>,
    /// What the manifest says of a zstd:chunked layer: where its TOC is, and its checksum. Unless it is to be read
    /// [as a layer](Self#structfield.as_layer), the file is then taken for one, and neither its start nor its footer is
    /// read. Default: the TOC is found by the footer.
    pub described: Option<Described>,
    /// The TOC of an eStargz layer whose TOC is another blob: the bytes of that blob.
    pub external_toc: Option<Bytes>,
    /// Bounds on the image's metadata, on layers and frames.
    pub limits: Limits,
    /// Options for reading files; its limits are replaced by [`limits`](Self#structfield.limits).
    pub read: ReadOptions,
    /// Where a compressed layer is spooled; default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
    /// The index of a gzip layer, which is then read lazily, and not spooled. It says what the format is.
    /// [`metadata_digest`](Self#structfield.metadata_digest) is that of the index.
    #[cfg(feature = "gzip-index")]
    pub index: Option<LayerIndex>,
    /// Map files instead of reading them: opening a large bootstrap then reads only its headers.
    /// [`blob_io::Mapped`] says what must not happen to mapped files.
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
        described: impl Into<Option<Described>> = described.into(),
        external_toc: impl Into<Bytes> = Some(external_toc.into()),
        limits: Limits,
        read: ReadOptions,
        spool_directory: impl Into<PathBuf> = Some(spool_directory.into()),
        #[cfg(feature = "gzip-index")]
        index: LayerIndex = Some(index),
        #[cfg(feature = "mmap")]
        map: bool,
    }

    /// The format, as far as it is known without reading the file.
    pub(super) fn known_format(&self) -> Option<Format> {
        #[cfg(feature = "gzip-index")]
        if let Some(index) = &self.index {
            return Some(Format::Tar(index.compression()));
        }
        let described = self.described.filter(|_| !self.as_layer);
        self.format.or(described.map(|_| Format::ZstdChunked))
    }

    /// How a layer is opened.
    pub(super) fn layer(&self) -> LayerImageOptions {
        LayerImageOptions {
            lenient: self.lenient,
            limits: self.limits.clone(),
            spool_directory: self.spool_directory.clone(),
            #[cfg(feature = "gzip-index")]
            index: self.index.clone(),
        }
    }

    /// How files are read, under the limits.
    pub(super) fn read_options(&self) -> ReadOptions {
        self.read.clone().limits(self.limits.clone())
    }
}
