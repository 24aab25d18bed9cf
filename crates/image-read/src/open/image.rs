//! An image that was opened.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use blob_io::{ReadAt, ReadStats};
use erofs_format::ErofsImage;
use estargz_toc::open::OpenedToc;
use image_model::advisory::Advisories;
use image_model::layer::{Entries, Layer, LayerOptions};
use image_model::walk::{WalkError, copy_tree};
use image_model::{
    BlobIndex, Digest, DigestAlgorithm, Image, Ino, Limits, Object, Progress, StepMachine,
};
use rafs_format::blob::BlobMeta;
use rafs_format::v7::V7Image;
use rafs_format::{Bootstrap, RafsImage, Version};
use verify::{CheckError, Profile, TreeDigest, TreeDigestError, TreeDigestOptions};

use super::error::OpenError;
use super::estargz::Estargz;
use super::find::{Asked, find_in};
use super::options::OpenOptions;
use super::rafs::open_beside;
use crate::blobs::BlobStore;
use crate::content::ReadError;
use crate::detect::Format;
use crate::handle::FileHandle;
#[cfg(feature = "gzip-index")]
use crate::layer::LayerIndex;
use crate::options::ReadOptions;
use crate::reader::{Reader, SharedImage};
use crate::resolve::{Follow, ResolveError, resolve};
use crate::stack::Stack;
use crate::tree_image::TreeImage;

/// An image, detected by content, with its blobs.
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
#[derive(Debug, Clone)]
pub struct OpenImage {
    format: Format,
    holder: Holder,
    source: Option<Source>,
    reader: Reader,
    metadata_stats: ReadStats,
    advisories: Arc<Advisories>,
    #[cfg(feature = "gzip-index")]
    index: Option<LayerIndex>,
}

/// The implementation of the image.
#[derive(Clone)]
pub(super) enum Holder {
    Tree(Arc<TreeImage>),
    Stack(SharedImage),
    Rafs(Arc<RafsImage>),
    Estargz(Arc<Estargz>),
    Erofs(Arc<ErofsImage>),
    V7(Arc<V7Image>),
}

impl Holder {
    fn image(&self) -> SharedImage {
        match self {
            Self::Tree(image) => Arc::clone(image) as SharedImage,
            Self::Stack(image) => Arc::clone(image),
            Self::Rafs(image) => Arc::clone(image) as SharedImage,
            Self::Estargz(estargz) => Arc::clone(&estargz.toc.image) as SharedImage,
            Self::Erofs(image) => Arc::clone(image) as SharedImage,
            Self::V7(image) => Arc::clone(image) as SharedImage,
        }
    }
}

impl std::fmt::Debug for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tree(_) => "Tree",
            Self::Stack(_) => "Stack",
            Self::Rafs(_) => "Rafs",
            Self::Estargz(_) => "Estargz",
            Self::Erofs(_) => "Erofs",
            Self::V7(_) => "V7",
        })
    }
}

/// The file that was opened.
#[derive(Clone)]
struct Source(Arc<dyn ReadAt>);

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

impl OpenImage {
    /// An image of no file.
    pub(super) fn new(
        format: Format,
        holder: Holder,
        blobs: BlobStore,
        options: &OpenOptions,
    ) -> Self {
        Self {
            format,
            reader: Reader::new(holder.image(), blobs, options.read_options()),
            holder,
            source: None,
            metadata_stats: ReadStats::default(),
            advisories: Arc::default(),
            #[cfg(feature = "gzip-index")]
            index: options.index.clone(),
        }
    }

    /// The image that layers are together, and what is odd about them.
    #[must_use]
    pub fn of_stack(stack: Stack, advisories: Advisories, options: &OpenOptions) -> Self {
        let reader = stack.into_reader(options.read_options());
        Self {
            format: Format::Stack,
            holder: Holder::Stack(Arc::clone(reader.image())),
            source: None,
            reader,
            metadata_stats: ReadStats::default(),
            advisories: Arc::new(advisories),
            #[cfg(feature = "gzip-index")]
            index: None,
        }
    }

    /// The image as a layer for a [`Stack`]; its files are identified by their numbers in it.
    ///
    /// # Errors
    /// [`WalkError`] if it cannot be walked.
    pub fn to_layer(&self) -> Result<Layer<Ino>, WalkError> {
        let tree = copy_tree(self.image(), self.limits())?;
        let entries = match self.format {
            Format::Tar(_) => Entries::Unpacked,
            _ => Entries::Listed,
        };
        let options = LayerOptions::default()
            .entries(entries)
            .limits(self.limits().clone());
        Ok(Layer::from_tree(tree, options))
    }

    /// The same with `advisories`.
    pub(super) fn with_advisories(self, advisories: Advisories) -> Self {
        let advisories = Arc::new(advisories);
        Self { advisories, ..self }
    }

    /// The image of the file `source`, of which `stats` were read.
    pub(super) fn of_file(self, source: Arc<dyn ReadAt>, stats: ReadStats) -> Self {
        Self {
            source: Some(Source(source)),
            metadata_stats: stats,
            ..self
        }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &(dyn Image + Send + Sync + 'static) {
        &**self.reader.image()
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The bounds that it was opened with, which hold for whatever is made of it.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.reader.options().limits
    }

    /// The oddities found when it was opened, which are read as the runtimes read them; only layers have any.
    #[must_use]
    pub fn advisories(&self) -> &Advisories {
        &self.advisories
    }

    /// The file that was opened, so that nobody has to open it again; `None` for a directory.
    #[must_use]
    pub fn source(&self) -> Option<&Arc<dyn ReadAt>> {
        self.source.as_ref().map(|source| &source.0)
    }

    /// The bootstrap with what its blobs say of themselves, if it is a RAFS image.
    #[must_use]
    pub fn rafs(&self) -> Option<&RafsImage> {
        match &self.holder {
            Holder::Rafs(image) => Some(image),
            _ => None,
        }
    }

    /// The bootstrap, if it is a RAFS image.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&Bootstrap> {
        self.rafs().map(RafsImage::bootstrap)
    }

    /// The TOC, if it is eStargz, stargz or zstd:chunked.
    #[must_use]
    pub fn estargz(&self) -> Option<&Estargz> {
        match &self.holder {
            Holder::Estargz(estargz) => Some(estargz),
            _ => None,
        }
    }

    /// The index, if it is a gzip layer that was opened by one.
    #[cfg(feature = "gzip-index")]
    #[must_use]
    pub fn layer_index(&self) -> Option<&LayerIndex> {
        self.index.as_ref()
    }

    /// The metadata, if it is an EROFS image that is not RAFS, or is RAFS v7.
    #[must_use]
    pub fn erofs(&self) -> Option<&ErofsImage> {
        match &self.holder {
            Holder::Erofs(image) => Some(image),
            Holder::V7(image) => Some(image.erofs()),
            _ => None,
        }
    }

    /// The image with what its blobs say of themselves, if it is RAFS v7.
    #[must_use]
    pub fn v7(&self) -> Option<&V7Image> {
        match &self.holder {
            Holder::V7(image) => Some(image),
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

    /// The reader of its files: cheap to clone, shared by threads, and independent of this value.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Sets how files are read, but for the limits, which stay those that it was opened with.
    pub fn set_read_options(&mut self, options: ReadOptions) {
        let options = options.limits(self.limits().clone());
        self.reader = self.reader.with_options(options);
    }

    /// The inode at `path`.
    ///
    /// # Errors
    /// [`ResolveError`] says where resolution stopped.
    pub fn resolve(&self, path: impl AsRef<[u8]>, follow: Follow) -> Result<Ino, ResolveError> {
        resolve(self.image(), path.as_ref(), follow)
    }

    /// The file at `path`, symbolic links followed, as `Read` and `Seek`.
    ///
    /// # Errors
    /// [`ReadError::Resolve`] if there is none, [`ReadError::Image`] if it is not a file.
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
        let options = TreeDigestOptions::default()
            .profile(profile)
            .limits(self.limits().clone());
        verify::tree_digest(self.image(), &mut self.reader.clone(), options, progress)
    }

    /// The digest of the metadata: what [`OpenOptions::metadata_digest`] is compared with, of the
    /// bootstrap or the TOC. `None` for a layer or directory, which has none. It is computed when it
    /// is requested; a TOC is read again for another algorithm than SHA-256.
    ///
    /// # Errors
    /// [`OpenError::Metadata`] if the algorithm is not compiled in; as [`read_toc`](crate::read_toc) does.
    pub fn metadata_digest(&self, algorithm: DigestAlgorithm) -> Result<Option<Digest>, OpenError> {
        let digest = |bytes: &[u8]| verify::digest(algorithm, bytes).map_err(CheckError::from);
        Ok(match (&self.holder, &self.source) {
            (Holder::Rafs(image), _) => Some(digest(image.bootstrap().bytes())?),
            (Holder::V7(image), _) => {
                let digest = image.bootstrap().map(|bootstrap| digest(bootstrap));
                digest.transpose()?
            }
            (Holder::Estargz(estargz), _) if estargz.toc.digest.algorithm() == algorithm => {
                Some(estargz.toc.digest)
            }
            (Holder::Estargz(estargz), Some(source)) => {
                Some(digest(&estargz.told.read(&source.0, self.limits())?.json)?)
            }
            _ => None,
        })
    }

    /// The TOC as bytes, read again; `None` if the image has none.
    ///
    /// # Errors
    /// As [`read_toc`](crate::read_toc) does.
    pub fn read_toc(&self) -> Result<Option<OpenedToc>, OpenError> {
        match (self.estargz(), self.source()) {
            (Some(layer), Some(source)) => layer.told.read(source, self.limits()).map(Some),
            _ => Ok(None),
        }
    }

    /// The chunk information of blob number `index`, if it is a RAFS image of a version that has any;
    /// loaded if it is not yet. A daemon that serves blobs to the kernel as devices finds by it which
    /// chunk a page of the device lies in.
    ///
    /// ```no_run
    /// use image_model::BlobIndex;
    /// use lazyoci_image_read::{OpenOptions, open};
    /// let image = open("image.boot", &OpenOptions::default())?;
    /// if let Some(meta) = image.blob_meta(BlobIndex(0))?
    ///     && let Some((index, chunk)) = meta.chunk_at(0x5000)?
    /// {
    ///     println!("chunk {index}: {} bytes at {}", chunk.stored_len, chunk.offset);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenError::Blob`] if the image has no such blob, or its chunk information is damaged or not
    /// supported; [`OpenError::Store`], [`OpenError::Read`], [`OpenError::Limit`] if it cannot be
    /// read.
    pub fn blob_meta(&self, index: BlobIndex) -> Result<Option<&BlobMeta>, OpenError> {
        let rafs = self.rafs();
        let Some(rafs) = rafs.filter(|rafs| rafs.bootstrap().version() != Version::V5) else {
            return Ok(None);
        };
        if let Some(loaded) = rafs.meta(index) {
            return Ok(Some(loaded));
        }
        let meta = self.find(rafs.load_meta(index)?)?;
        Ok(Some(rafs.keep_meta(index, meta)?))
    }

    /// Drives a machine that finds something in the file that was opened or in the image's blobs.
    ///
    /// # Errors
    /// As [`find`](crate::find) does; [`OpenError::NoMetadata`] for a directory, which is not a file.
    pub fn find<M>(&self, machine: M) -> Result<M::Found, OpenError>
    where
        M: StepMachine,
        OpenError: From<M::Error>,
    {
        let found = self.format;
        find_in(machine, self.limits(), |object| match object {
            Object::Opened => match self.source() {
                Some(source) => Ok(Asked::Lent(&**source)),
                None => Err(OpenError::NoMetadata { found }),
            },
            Object::Blob(index) => Ok(Asked::Lent(self.blobs().blob(index)?)),
            Object::Beside(index) => {
                let beside = open_beside(self.rafs(), self.blobs(), index)?;
                Ok(Asked::Own(beside))
            }
        })
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
