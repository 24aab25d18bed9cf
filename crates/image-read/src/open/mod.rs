//! Opening whatever holds an image.

mod error;
mod estargz;
mod find;
mod image;
mod options;
mod rafs;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use blob_io::{Counted, LocalFile, ReadAt};
use estargz_toc::open::TAIL_LEN;
use image_model::advisory::Advisories;
use image_model::{BlobId, BlobIndex, Image, Progress};

use crate::blobs::{BlobFiles, BlobStore, NoBlobs, OpenBlob};
use crate::detect::{DETECT_LEN, Format, detect};
use crate::directory::DirectoryImage;
use crate::ends::Ends;
use crate::layer::LayerImage;
pub use error::OpenError;
pub use estargz::{Estargz, read_toc};
pub use find::find;
use image::Holder;
pub use image::OpenImage;
pub use options::OpenOptions;

/// Bytes of a file's end that are read to find out what it is: the metadata may be among them.
const TAIL: usize = TAIL_LEN as usize;

const _: () = assert!(TAIL >= DETECT_LEN);

/// Opens the image at `path`: a directory, a layer, an eStargz layer, a RAFS bootstrap, or a RAFS blob
/// that holds one. What it is is found by its content, never by its name, unless
/// [`OpenOptions::format`] says it.
///
/// Costs what the metadata cost: the bootstrap of a RAFS image is read (and checked as far as it is
/// used), the TOC of eStargz, every name of a layer or directory. No content is read, and no blob but
/// the one that holds the metadata. No byte is read twice:
///
/// | image | requests | with a format given |
/// |---|---|---|
/// | eStargz whose TOC takes up to 64 KiB | 2: start; end, with the TOC | 1 |
/// | eStargz with a longer TOC | 3: and the rest of the TOC | 2 |
/// | RAFS blob with its bootstrap | 3: start; end; the rest of the bootstrap, if any | 2 |
/// | RAFS bootstrap | 2: start; the rest | 1 |
///
/// # Errors
/// [`OpenError`] if it cannot be read, is nothing that is known here, or is damaged; pipes and devices
/// are not read.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<OpenImage, OpenError> {
    open_with_progress(path, options, &mut ())
}

/// As [`open`], with news of a compressed layer that is spooled meanwhile: in bytes of it.
///
/// # Errors
/// As [`open`]; [`LayerImageError::Cancelled`](crate::LayerImageError::Cancelled) if `progress` says
/// so.
pub fn open_with_progress(
    path: impl AsRef<Path>,
    options: &OpenOptions,
    progress: &mut dyn Progress,
) -> Result<OpenImage, OpenError> {
    let path = path.as_ref();
    if is_directory(path)? {
        let found = Format::Directory;
        if let Some(expected) = options.format.filter(|&format| format != found) {
            return Err(OpenError::NotFormat { expected });
        }
        vouch_for_none(found, options)?;
        let DirectoryImage { image, source } = DirectoryImage::open(path, &options.limits)?;
        let blobs = BlobStore::single(Arc::new(source));
        let holder = Holder::Tree(Arc::new(image));
        return Ok(OpenImage::new(found, holder, blobs, options));
    }
    let file = ImageFile::open(path, options)?;
    open_file(file.source, file.id.as_ref(), file.blobs, options, progress)
}

/// A file that may hold an image.
#[derive(Clone)]
pub(crate) struct ImageFile {
    pub(crate) source: Arc<dyn ReadAt>,
    /// What its name says that it is called in its store.
    pub(crate) id: Option<BlobId>,
    /// Where its blobs are.
    pub(crate) blobs: BlobFiles,
}

impl ImageFile {
    /// Opens the file at `path`, which is not a directory, and nothing else.
    pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Self, OpenError> {
        let beside = path.parent().unwrap_or(Path::new(""));
        let directories = match &options.blobs {
            Some(given) => vec![given.clone()],
            None => vec![beside.join("blobs"), beside.into()],
        };
        let blobs = BlobFiles {
            directories,
            #[cfg(feature = "mmap")]
            map: options.map,
        };
        Ok(Self {
            source: blobs.open_file(path).map_err(cannot_open(path))?,
            id: path.file_name().and_then(id_of),
            blobs,
        })
    }
}

/// What the image at `path` is, by its first and last bytes.
///
/// # Errors
/// [`OpenError`] if it cannot be read or is nothing that is known here, as [`open`] says it.
pub fn format_at(path: impl AsRef<Path>) -> Result<Format, OpenError> {
    let path = path.as_ref();
    if is_directory(path)? {
        return Ok(Format::Directory);
    }
    let source = LocalFile::open(path).map_err(cannot_open(path))?;
    let (format, ends) = detect(&source, DETECT_LEN)?;
    known(format, &ends)
}

/// Whether `path` is a directory, if it is not a file. A pipe must not even be opened: that may
/// block, and the length of 0 that it tells would make it an empty file.
pub(crate) fn is_directory(path: &Path) -> Result<bool, OpenError> {
    let kind = fs::metadata(path).map_err(cannot_open(path))?.file_type();
    if kind.is_dir() || kind.is_file() {
        return Ok(kind.is_dir());
    }
    Err(OpenError::NotAFile { path: path.into() })
}

fn cannot_open(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.into(),
        source,
    }
}

fn known(format: Option<Format>, ends: &Ends<'_>) -> Result<Format, OpenError> {
    format.ok_or_else(|| {
        let head = ends.head();
        let head = head[..head.len().min(16)].into();
        OpenError::Unknown { head }
    })
}

/// Opens the image in `source`, which is anything but a directory, with blobs that `blobs` opens
/// when they are needed. Costs as many requests as [`open`].
///
/// `id` is the name of `source` in its store, which a blob that holds its own metadata is called by;
/// it may be left out for everything else, and for eStargz. Who wants to know how long opening takes,
/// or to end it, sees every read of `source`, and may fail one.
///
/// # Errors
/// [`OpenError`] if it cannot be read, is nothing that is known here, or is damaged.
pub fn open_source(
    source: Arc<dyn ReadAt>,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    options: &OpenOptions,
) -> Result<OpenImage, OpenError> {
    open_file(source, id, blobs, options, &mut ())
}

fn open_file(
    source: Arc<dyn ReadAt>,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    options: &OpenOptions,
    progress: &mut dyn Progress,
) -> Result<OpenImage, OpenError> {
    let counted = Counted::new(&*source);
    let (format, ends) = match options.format {
        Some(format) => {
            let mut ends = Ends::unread(&counted)?;
            if format == Format::RafsBlob {
                // Its bootstrap begins among them, or lies there whole.
                ends.read_tail(TAIL)?;
            }
            (format, ends)
        }
        None => {
            let (format, ends) = detect(&counted, TAIL)?;
            (known(format, &ends)?, ends)
        }
    };
    let is_layer = match format {
        Format::Tar(_) => true,
        Format::Estargz | Format::Stargz | Format::ZstdChunked => options.as_layer,
        _ => false,
    };
    let mut advisories = Advisories::default();
    let (holder, store) = match format {
        _ if is_layer => {
            vouch_for_none(format, options)?;
            let (source, options) = (Arc::clone(&source), options.layer());
            let layer = LayerImage::of_file(&ends, source, &options, progress)?;
            if matches!(format, Format::Tar(compression) if compression != layer.compression) {
                return Err(OpenError::NotFormat { expected: format });
            }
            let store = BlobStore::single(layer.source);
            advisories = layer.advisories;
            (Holder::Tree(Arc::new(layer.image)), store)
        }
        Format::RafsV6 | Format::RafsBlob => {
            let image = rafs::open(&ends, format == Format::RafsBlob, id, options)?;
            let mut store = BlobStore::new(image.blobs(), blobs);
            if let Some(index) = image.opened_blob() {
                store = store.with_source(index, Arc::clone(&source));
            }
            (Holder::Rafs(Arc::new(image)), store)
        }
        Format::Estargz => {
            let estargz = estargz::open(&ends, id, options)?;
            let store = BlobStore::new(&estargz.toc.image.blobs, NoBlobs);
            let store = store.with_source(BlobIndex(0), Arc::clone(&source));
            (Holder::Estargz(Arc::new(estargz)), store)
        }
        Format::Directory => return Err(OpenError::NotFormat { expected: format }),
        Format::RafsData => return Err(OpenError::NoBootstrap),
        found => return Err(OpenError::Unsupported { found }),
    };
    let stats = counted.stats();
    let image = OpenImage::new(format, holder, store, options).of_file(source, stats);
    Ok(image.with_advisories(advisories))
}

/// Fails if a digest is expected of metadata that are not there.
fn vouch_for_none(found: Format, options: &OpenOptions) -> Result<(), OpenError> {
    match options.metadata_digest {
        Some(_) => Err(OpenError::NoMetadata { found }),
        None => Ok(()),
    }
}

/// The blob id that a file name holds: all before the first dot.
fn id_of(name: &OsStr) -> Option<BlobId> {
    let id = name.as_encoded_bytes().split(|&b| b == b'.').next()?;
    BlobId::new(id).ok()
}
