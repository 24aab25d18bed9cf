//! Opening whatever holds an image.

mod erofs;
mod error;
mod estargz;
mod find;
mod found;
mod image;
mod options;
mod place;
mod rafs;
mod v7;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use blob_io::{Checked, DirectoryOutput, LocalFile, ReadAt};
use image_model::{BlobId, Progress};

use crate::blobs::{BlobFiles, BlobStore, OpenBlob};
use crate::detect::{DETECT_LEN, Format, detect};
use crate::directory::DirectoryImage;
pub use error::OpenError;
pub use estargz::{Estargz, read_toc};
pub use find::find;
pub(crate) use find::read_piece;
pub(crate) use found::Found;
use found::{known, vouch_for_none};
use image::Holder;
pub use image::OpenImage;
pub use options::OpenOptions;
pub(crate) use place::Place;
pub(crate) use rafs::open_beside;

/// Opens the image at `path`: a layer, an eStargz layer, a RAFS bootstrap, a RAFS blob that holds one, an
/// EROFS image without compression, or a directory. What it is is found by its content, never by its name, unless
/// [`OpenOptions::format`] says it.
///
/// A directory is an image by itself, unless it is what a converter wrote: a bootstrap `image.boot`
/// with its blobs in `blobs`, or one blob or layer there alone. Then it is opened as that;
/// [`Format::Directory`] as the format takes any directory as it is. [`verify_path`](crate::verify_path)
/// verifies what this opens, and what it does not.
///
/// Costs what the metadata cost: the bootstrap of a RAFS image is read (and checked as far as it is
/// used), the TOC of eStargz, every name of a layer or directory. No content is read, and no blob but
/// the one that holds the metadata; of blobs in zran mode or with batches their chunk information. No byte is read twice:
///
/// | image | requests | with a format given |
/// |---|---|---|
/// | eStargz whose TOC takes up to 64 KiB | 2: start; end, with the TOC | 1 |
/// | eStargz with a longer TOC | 3: and the rest of the TOC | 2 |
/// | zstd:chunked | as eStargz | as eStargz |
/// | zstd:chunked that is [described](OpenOptions#structfield.described) | 1: the TOC | 1 |
/// | RAFS blob with its bootstrap | 3: start; end; the rest of the bootstrap, if any | 2 |
/// | RAFS bootstrap | 2: start; the rest | 1 |
/// | RAFS v6 in zran mode or with batches | as above, and of each such blob its chunk information | |
/// | blob of RAFS v7 | 4: start; end; bootstrap; groups, as far as the end does not hold these | 3 |
/// | EROFS | 3: start; end; the first 64 KiB, and the root and the long prefixes if they are not there | 2 |
/// | bootstrap of RAFS v7 | as EROFS, and of each blob 2: end; groups | |
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
    let path = match Place::of(path, options.format)? {
        Place::File(path) => path,
        Place::Blobs(_) => {
            let path = path.into();
            return Err(OpenError::SeveralBlobs { path });
        }
        Place::Directory(path) => {
            let found = Format::Directory;
            if let Some(expected) = options.format.filter(|&format| format != found) {
                return Err(OpenError::NotFormat { expected });
            }
            vouch_for_none(found, options)?;
            let DirectoryImage { image, source } = DirectoryImage::open(&path, &options.limits)?;
            let blobs = BlobStore::single(Arc::new(source));
            let holder = Holder::Tree(Arc::new(image));
            return Ok(OpenImage::new(found, holder, blobs, options));
        }
    };
    let ImageFile { source, id, blobs } = ImageFile::open(&path, options)?;
    Found::of(&source, options)?.open(id.as_ref(), blobs, options, progress)
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
            None => vec![beside.join(DirectoryOutput::BLOBS), beside.into()],
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

/// What the image at `path` is, by its first and last bytes: that which [`open`] opens.
///
/// # Errors
/// [`OpenError`] if it cannot be read or is nothing that is known here, as [`open`] says it.
pub fn format_at(path: impl AsRef<Path>) -> Result<Format, OpenError> {
    match Place::of(path.as_ref(), None)? {
        Place::File(path) => format_of(&path),
        Place::Blobs(_) => Ok(Format::RafsData),
        Place::Directory(_) => Ok(Format::Directory),
    }
}

/// What the file at `path` is.
fn format_of(path: &Path) -> Result<Format, OpenError> {
    let source = LocalFile::open(path).map_err(cannot_open(path))?;
    let (format, ends) = detect(&source, DETECT_LEN)?;
    known(format, &ends)
}

fn cannot_open(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Io {
        path: path.into(),
        source,
    }
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
    let source: Arc<dyn ReadAt> = Arc::new(Checked::new(source));
    Found::of(&source, options)?.open(id, blobs, options, &mut ())
}

/// The blob id that a file name holds: all before the first dot.
fn id_of(name: &OsStr) -> Option<BlobId> {
    let id = name.as_encoded_bytes().split(|&b| b == b'.').next()?;
    BlobId::new(id).ok()
}
