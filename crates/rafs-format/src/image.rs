//! An image: a bootstrap, and the chunk information of its blobs.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use image_model::width::usize_from;
use image_model::{
    Attributes, Blob, BlobIndex, DirEntry, Extent, FileKind, Frame, FrameId, Image, ImageError,
    Ino, NameRef, Recipe, RecipeId, Xattrs,
};

use crate::blob::{BlobError, BlobMeta, LoadMeta, LocateTrailer, Toc};
use crate::bootstrap::Bootstrap;
use crate::v6::BlobEntry;
use crate::version::Version;

/// A RAFS image: a bootstrap, and for each of its blobs a slot for the chunk information. The bootstrap, of either
/// version, is enough to locate the content of native blobs, so opening an image fetches nothing from its blobs. The
/// slots are filled on demand: a machine returned by [`load_meta`](Self::load_meta) requests the bytes, and
/// [`keep_meta`](Self::keep_meta) stores the result for all users of the image.
///
/// ```
/// use bytes::Bytes;
/// use image_model::{BlobIndex, Limits, StepMachine};
/// use lazyoci_rafs_format::blob::BlobError;
/// use lazyoci_rafs_format::{Bootstrap, RafsImage};
///
/// # let boot = Bytes::from_static(include_bytes!("../tests/goldens/a4-v6-none-sha256.boot"));
/// # let blob = Bytes::from_static(include_bytes!("../tests/goldens/a4-v6-none-sha256.blob"));
/// let image = RafsImage::new(Bootstrap::open(boot, &Limits::default())?);
/// let meta = image.load_meta(BlobIndex(0))?.drive(|need| {
///     Ok::<_, BlobError>(blob.slice(need.range.start as usize..need.range.end as usize))
/// })?;
/// assert_eq!(image.keep_meta(BlobIndex(0), meta)?.chunk_count(), 2);
/// assert!(image.meta(BlobIndex(0)).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RafsImage {
    bootstrap: Bootstrap,
    inlined: bool,
    toc: Option<Toc>,
    /// One for each entry of the blob table.
    metas: Box<[OnceLock<BlobMeta>]>,
}

impl RafsImage {
    /// The image that `bootstrap` describes, with nothing loaded from its blobs.
    #[must_use]
    pub fn new(bootstrap: impl Into<Bootstrap>) -> Self {
        let bootstrap = bootstrap.into();
        let entries = bootstrap.blob_entries().iter();
        Self {
            metas: entries.map(|_| OnceLock::new()).collect(),
            bootstrap,
            inlined: false,
            toc: None,
        }
    }

    /// The same, of a bootstrap that was found in a blob with this TOC.
    pub(crate) fn inlined(self, toc: Option<Toc>) -> Self {
        Self {
            inlined: true,
            toc,
            ..self
        }
    }

    /// The bootstrap.
    #[must_use]
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    /// The TOC of the blob that contains the bootstrap, if there is one.
    #[must_use]
    pub fn toc(&self) -> Option<&Toc> {
        self.toc.as_ref()
    }

    /// The blob that holds the bootstrap, if one does and has data.
    #[must_use]
    pub fn opened_blob(&self) -> Option<BlobIndex> {
        let mut entries = (0..).zip(self.bootstrap.blob_entries());
        let (index, _) = entries.find(|(_, entry)| self.inlined && entry.is_self())?;
        Some(BlobIndex(index))
    }

    /// The chunk information of blob number `index`, if it was loaded.
    #[must_use]
    pub fn meta(&self, index: BlobIndex) -> Option<&BlobMeta> {
        self.metas.get(usize_from(index.0))?.get()
    }

    /// A machine that loads the chunk information of blob number `index`, in one step.
    ///
    /// # Errors
    /// [`BlobError::NoSuchBlob`], [`BlobError::NoChunkInformation`] in version 5; those of
    /// [`BlobMeta::range`].
    pub fn load_meta(&self, index: BlobIndex) -> Result<LoadMeta, BlobError> {
        let load = LoadMeta::new(self.entry(index)?, self.bootstrap.limits())?;
        Ok(load.in_blob(index))
    }

    /// Stores the chunk information of blob number `index`, unless it is already stored.
    ///
    /// # Errors
    /// [`BlobError::NoSuchBlob`].
    pub fn keep_meta(&self, index: BlobIndex, meta: BlobMeta) -> Result<&BlobMeta, BlobError> {
        match self.metas.get(usize_from(index.0)) {
            Some(slot) => Ok(slot.get_or_init(|| meta)),
            None => Err(self.no_such_blob(index)),
        }
    }

    /// A machine that finds the TOC of blob number `index`, which has `blob_len` bytes.
    ///
    /// # Errors
    /// [`BlobError::NoSuchBlob`], [`BlobError::NoChunkInformation`] in version 5; those of
    /// [`LocateTrailer::of`].
    pub fn locate_toc(&self, index: BlobIndex, blob_len: u64) -> Result<LocateTrailer, BlobError> {
        Ok(LocateTrailer::of(self.entry(index)?, blob_len)?.in_blob(index))
    }

    fn entry(&self, index: BlobIndex) -> Result<&BlobEntry, BlobError> {
        let entry = self.bootstrap.blob_entries().get(usize_from(index.0));
        let entry = entry.ok_or_else(|| self.no_such_blob(index))?;
        match self.bootstrap.version() {
            Version::V5 => Err(BlobError::NoChunkInformation { index }),
            Version::V6 => Ok(entry),
        }
    }

    fn no_such_blob(&self, index: BlobIndex) -> BlobError {
        let count = self.metas.len();
        BlobError::NoSuchBlob { index, count }
    }
}

/// Delegates to the bootstrap.
impl Image for RafsImage {
    fn root(&self) -> Ino {
        self.bootstrap.image().root()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        self.bootstrap.image().attributes(ino)
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        self.bootstrap.image().xattrs(ino)
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        self.bootstrap.image().lookup(directory, name)
    }

    fn lookup_kind(
        &self,
        directory: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<(Ino, FileKind)>, ImageError> {
        self.bootstrap.image().lookup_kind(directory, name)
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.bootstrap.image().read_directory(directory, visit)
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        self.bootstrap.image().symlink_target(ino)
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        self.bootstrap.image().extents(ino, range, visit)
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        self.bootstrap.image().frame(frame)
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        self.bootstrap.image().shared_frame(frame)
    }

    fn frame_bound(&self) -> u32 {
        self.bootstrap.image().frame_bound()
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        self.bootstrap.image().recipe(recipe)
    }

    fn blobs(&self) -> &[Blob] {
        self.bootstrap.image().blobs()
    }
}
