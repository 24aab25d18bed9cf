//! Opening whatever holds an image.

mod error;
mod estargz;
mod rafs;

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blob_io::{Counted, LocalFile, ReadAt, ReadStats};
use bytes::Bytes;
use image_model::{BlobId, BlobIndex, Digest, Image, Ino, Limits, Progress};
use rafs_format::v6::Bootstrap;
use verify::{Profile, TreeDigest, TreeDigestError, TreeDigestOptions};

use crate::blobs::{BlobFiles, BlobStore, NoBlobs, OpenBlob};
use crate::content::ReadError;
use crate::detect::{Format, ends};
use crate::directory::DirectoryImage;
use crate::handle::FileHandle;
use crate::layer::{LayerImage, LayerImageOptions};
use crate::options::ReadOptions;
use crate::reader::{Reader, SharedImage};
use crate::resolve::{Follow, ResolveError, resolve};
use crate::tree_image::TreeImage;
pub use error::OpenError;
pub use estargz::{Estargz, read_toc};

/// How an image is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Directory with the blobs of a RAFS image, as files called by their ids. Default: `blobs`
    /// beside the file that is opened, then the directory of that file.
    pub blobs: Option<PathBuf>,
    /// Accept, as Go and containerd do, what strict tar reading refuses.
    pub lenient: bool,
    /// Take an eStargz or zstd:chunked layer as the plain layer that it is too: what such a format
    /// adds to the tar counts as files then.
    pub as_layer: bool,
    /// Digest that the metadata must have: a RAFS bootstrap, an eStargz TOC. Where there are none, in
    /// a layer or directory, opening fails. Default: metadata are taken as they are.
    pub metadata_digest: Option<Digest>,
    /// Bounds on the image's metadata, on layers and frames.
    pub limits: Limits,
    /// Where a compressed layer is spooled; default: the system's directory for temporary files.
    pub spool_directory: Option<PathBuf>,
    /// Map files instead of reading them: opening a large bootstrap then costs its headers only.
    /// [`blob_io::Mapped`] says what must not happen to the files meanwhile.
    #[cfg(feature = "mmap")]
    pub map: bool,
}

/// An image that was found by its content, with its blobs.
///
/// ```
/// use lazyoci_image_read::{Follow, OpenOptions, open};
/// # let directory = tempfile::tempdir()?;
/// # std::fs::write(directory.path().join("motd"), "hello")?;
/// # let path = directory.path();
/// let image = open(path, &OpenOptions::default())?;
/// let motd = image.resolve(b"/motd", Follow::All)?;
/// let mut content = Vec::new();
/// image.read_range(motd, 1..4, &mut content)?;
/// assert_eq!(content, b"ell");
/// println!("{}: {} bytes fetched", image.format(), image.stats().bytes);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct OpenImage {
    format: Format,
    holder: Holder,
    reader: Reader,
    source: Option<Arc<dyn ReadAt>>,
    limits: Limits,
    metadata_stats: ReadStats,
}

/// What answers for the image.
#[derive(Clone)]
enum Holder {
    Tree(Arc<TreeImage>),
    RafsV6(Arc<Bootstrap>),
    Estargz(Arc<Estargz>),
}

impl Holder {
    fn image(&self) -> SharedImage {
        match self {
            Self::Tree(image) => Arc::clone(image) as SharedImage,
            Self::RafsV6(image) => Arc::clone(image) as SharedImage,
            Self::Estargz(estargz) => Arc::clone(&estargz.toc.image) as SharedImage,
        }
    }
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tree(_) => "Tree",
            Self::RafsV6(_) => "RafsV6",
            Self::Estargz(_) => "Estargz",
        })
    }
}

impl std::fmt::Debug for OpenImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenImage")
            .field("format", &self.format)
            .field("holder", &self.holder)
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}

/// Opens the image at `path`: a directory, a layer, an eStargz layer, a RAFS bootstrap, or a RAFS blob
/// that holds one. What it is is found by its content, never by its name.
///
/// Costs what the metadata cost: the bootstrap of a RAFS image is read (and checked as far as it is
/// used), the TOC of eStargz, every name of a layer or directory. No content is read, and no blob but
/// the one that holds the metadata.
///
/// # Errors
/// [`OpenError`] if it cannot be read, is nothing that is known here, or is damaged; pipes and devices
/// are not read.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<OpenImage, OpenError> {
    let path = path.as_ref();
    if is_directory(path)? {
        vouch_for_none(Format::Directory, options)?;
        let DirectoryImage { image, source } = DirectoryImage::open(path, &options.limits)?;
        let holder = Holder::Tree(Arc::new(image));
        let blobs = BlobStore::single(Arc::new(source));
        let stats = ReadStats::default();
        return Ok(OpenImage::new(
            Format::Directory,
            holder,
            blobs,
            options,
            stats,
        ));
    }
    let file = ImageFile::open(path, options)?;
    open_source(file.source, file.id.as_ref(), file.blobs, options)
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
    detect(&LocalFile::open(path).map_err(cannot_open(path))?)
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

fn detect(source: &dyn ReadAt) -> Result<Format, OpenError> {
    let (head, tail) = ends(source)?;
    Format::detect(&head, &tail).ok_or_else(|| OpenError::Unknown {
        head: head[..head.len().min(16)].into(),
    })
}

/// Opens the image in `source`, which is anything but a directory, with blobs that `blobs` opens
/// when they are needed.
///
/// `id` is the name of `source` in its store, which a blob that holds its own metadata is called by;
/// it may be left out for everything else, and for eStargz.
///
/// # Errors
/// [`OpenError`] if it cannot be read, is nothing that is known here, or is damaged.
pub fn open_source(
    source: Arc<dyn ReadAt>,
    id: Option<&BlobId>,
    blobs: impl OpenBlob + 'static,
    options: &OpenOptions,
) -> Result<OpenImage, OpenError> {
    let counted = Arc::new(Counted::new(source));
    let format = detect(&*counted)?;
    let limits = &options.limits;
    let (holder, store) = match format {
        Format::RafsV6 | Format::RafsBlob => {
            let inlined = format == Format::RafsBlob;
            let mut bootstrap = match inlined {
                true => rafs::inlined(&*counted, limits)?,
                false => rafs::bootstrap(&*counted, limits)?,
            };
            if let Some(expected) = &options.metadata_digest {
                verify::check(expected, bootstrap.bytes())?;
            }
            if let Some(id) = id {
                bootstrap.name_self(id);
            }
            let mut store = BlobStore::new(bootstrap.blobs(), blobs);
            for (index, entry) in (0..).zip(bootstrap.blob_entries()) {
                if inlined && entry.is_self() {
                    store = store.with_source(BlobIndex(index), counted.clone());
                }
            }
            (Holder::RafsV6(Arc::new(bootstrap)), store)
        }
        Format::Tar(_) => layer(format, counted.clone(), options)?,
        Format::Estargz | Format::Stargz | Format::ZstdChunked if options.as_layer => {
            layer(format, counted.clone(), options)?
        }
        Format::Estargz => {
            let estargz = estargz::open(&*counted, id, options)?;
            let store = BlobStore::new(&estargz.toc.image.blobs, NoBlobs);
            let store = store.with_source(BlobIndex(0), counted.clone());
            (Holder::Estargz(Arc::new(estargz)), store)
        }
        Format::RafsData => return Err(OpenError::NoBootstrap),
        found => return Err(OpenError::Unsupported { found }),
    };
    let stats = counted.stats();
    let mut image = OpenImage::new(format, holder, store, options, stats);
    image.source = Some(counted);
    Ok(image)
}

fn layer(
    format: Format,
    source: Arc<dyn ReadAt>,
    options: &OpenOptions,
) -> Result<(Holder, BlobStore), OpenError> {
    vouch_for_none(format, options)?;
    let options = LayerImageOptions {
        lenient: options.lenient,
        limits: options.limits.clone(),
        spool_directory: options.spool_directory.clone(),
    };
    let LayerImage { image, source, .. } = LayerImage::open(source, &options)?;
    Ok((Holder::Tree(Arc::new(image)), BlobStore::single(source)))
}

/// Fails if a digest is expected of metadata that are not there.
fn vouch_for_none(found: Format, options: &OpenOptions) -> Result<(), OpenError> {
    match options.metadata_digest {
        Some(_) => Err(OpenError::NoMetadata { found }),
        None => Ok(()),
    }
}

/// A range that holds metadata, if it is not too long.
fn read_metadata(
    source: &dyn ReadAt,
    range: Range<u64>,
    limits: &Limits,
) -> Result<Bytes, OpenError> {
    let len = range.end - range.start;
    let limit = limits.max_metadata_len;
    match usize::try_from(len) {
        Ok(len_in_memory) if len <= limit => Ok(source.read_bytes(range.start, len_in_memory)?),
        _ => Err(OpenError::Limit { len, limit }),
    }
}

/// The blob id that a file name holds: all before the first dot.
fn id_of(name: &OsStr) -> Option<BlobId> {
    let id = name.as_encoded_bytes().split(|&b| b == b'.').next()?;
    BlobId::new(id).ok()
}

impl OpenImage {
    fn new(
        format: Format,
        holder: Holder,
        blobs: BlobStore,
        options: &OpenOptions,
        metadata_stats: ReadStats,
    ) -> Self {
        let read_options = ReadOptions::new(&options.limits);
        Self {
            format,
            reader: Reader::new(holder.image(), blobs, read_options),
            source: None,
            holder,
            limits: options.limits.clone(),
            metadata_stats,
        }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &(dyn Image + Send + Sync + 'static) {
        &**self.reader.image()
    }

    /// What holds it.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The file that was opened; `None` if it is a directory.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<dyn ReadAt>> {
        self.source.as_ref()
    }

    /// The bounds that it was opened with, which hold for whatever is made of it.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The bootstrap, if it is a RAFS v6 image.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&Bootstrap> {
        match &self.holder {
            Holder::RafsV6(bootstrap) => Some(bootstrap),
            _ => None,
        }
    }

    /// The TOC, if it is eStargz.
    #[must_use]
    pub fn estargz(&self) -> Option<&Estargz> {
        match &self.holder {
            Holder::Estargz(estargz) => Some(estargz),
            _ => None,
        }
    }

    /// The tree, if it is a directory or a layer: its spans are ranges of blob 0.
    #[must_use]
    pub fn tree(&self) -> Option<&TreeImage> {
        match &self.holder {
            Holder::Tree(image) => Some(image),
            _ => None,
        }
    }

    /// The image's blobs.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        self.reader.blobs()
    }

    /// What reads its files: cheap to clone, shared by threads, and independent of this value.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Sets how files are read.
    pub fn set_read_options(&mut self, options: ReadOptions) {
        self.reader = self.reader.with_options(options);
    }

    /// The inode at `path`.
    ///
    /// # Errors
    /// [`ResolveError`] says where the way ends.
    pub fn resolve(&self, path: impl AsRef<[u8]>, follow: Follow) -> Result<Ino, ResolveError> {
        resolve(self.image(), path.as_ref(), follow)
    }

    /// The file at `path`, symbolic links followed, as `Read` and `Seek`.
    ///
    /// # Errors
    /// [`ReadError::Resolve`] if there is none, [`ReadError::Image`] if it is no file.
    pub fn file(&self, path: impl AsRef<[u8]>) -> Result<FileHandle, ReadError> {
        let ino = self.resolve(path, Follow::All)?;
        FileHandle::new(self.reader.clone(), ino)
    }

    /// Writes `range` of the file `ino`, cut off at the file's end, to `out`, every chunk verified;
    /// returns how many bytes that are.
    ///
    /// # Errors
    /// [`ReadError`]; what comes before the fault has been written by then.
    pub fn read_range(
        &self,
        ino: Ino,
        range: Range<u64>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError> {
        self.reader.read_range(ino, range, out)
    }

    /// The verified content of the file at `path`, symbolic links followed, if it has at most
    /// `max_len` bytes.
    ///
    /// # Errors
    /// [`ReadError`], [`ReadError::TooLong`] among them.
    pub fn read(&self, path: impl AsRef<[u8]>, max_len: u64) -> Result<Vec<u8>, ReadError> {
        let ino = self.resolve(path, Follow::All)?;
        let size = self.image().attributes(ino)?.size;
        if size > max_len {
            return Err(ReadError::TooLong {
                ino,
                size,
                limit: max_len,
            });
        }
        let mut content = Vec::new();
        self.read_range(ino, 0..size, &mut content)?;
        Ok(content)
    }

    /// The digest of the file tree: the same whatever the format.
    ///
    /// # Errors
    /// [`TreeDigestError`], with the path, on the first fault of the image or its content.
    pub fn tree_digest(
        &self,
        profile: Profile,
        progress: &mut dyn Progress,
    ) -> Result<TreeDigest, TreeDigestError> {
        let options = TreeDigestOptions {
            profile,
            limits: self.limits.clone(),
        };
        verify::tree_digest(self.image(), &mut self.reader.clone(), options, progress)
    }

    /// What was read from the blobs since the image was opened.
    #[must_use]
    pub fn stats(&self) -> ReadStats {
        self.blobs().stats()
    }

    /// What was read to open the image. What directories cost is not counted.
    #[must_use]
    pub fn metadata_stats(&self) -> ReadStats {
        self.metadata_stats
    }
}
