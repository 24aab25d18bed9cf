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
use crate::native::{is_batched, is_tarfs, is_zran, unknown_mode};
use crate::recipes::recipe_bound;
use crate::v6::{BlobEntry, Locate, Located};
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
    /// Blobs of which contexts are frames, in the order in which those are numbered.
    contexts: Vec<ContextFrames>,
}

/// Frames of the contexts of a blob.
#[derive(Debug, Clone, Copy)]
struct ContextFrames {
    blob: BlobIndex,
    /// How many frames of contexts come before.
    first: u32,
    count: u32,
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
            contexts: Vec::new(),
        }
    }

    /// The same with the chunk information of blob number `index`, which is in zran mode or has batches: its contexts
    /// become frames, so that the content of files can be found.
    ///
    /// # Errors
    /// [`BlobError::NoSuchBlob`]; [`BlobError::TooManyContexts`] beyond 2^32 frames.
    pub fn with_contexts(mut self, index: BlobIndex, meta: BlobMeta) -> Result<Self, BlobError> {
        let (first, count) = (self.context_bound(), meta.context_count());
        let bound = u64::from(first).saturating_add(count.into());
        let (frames, recipes) = self.native_bounds();
        if u64::from(frames.max(recipes)).saturating_add(bound) > u64::from(u32::MAX) {
            return Err(BlobError::TooManyContexts);
        }
        if self.keep_meta(index, meta)?.context_count() == count {
            let blob = index;
            self.contexts.retain(|frames| frames.blob != blob);
            self.contexts.push(ContextFrames { blob, first, count });
        }
        Ok(self)
    }

    /// Number of frames that are contexts.
    fn context_bound(&self) -> u32 {
        let last = self.contexts.last();
        last.map_or(0, |last| last.first.saturating_add(last.count))
    }

    /// How many frames the bootstrap has, and how many recipes; those of contexts follow.
    fn native_bounds(&self) -> (u32, u32) {
        (
            self.bootstrap.image().frame_bound(),
            recipe_bound(self.bootstrap.blob_entries()),
        )
    }

    /// The chunk information and the blob of the context that has this number among all, and its number in that.
    fn context_at(&self, number: u32) -> Option<(&BlobMeta, BlobIndex, u32)> {
        let after = self
            .contexts
            .partition_point(|frames| frames.first <= number);
        let frames = self.contexts[..after].last()?;
        let index = number.checked_sub(frames.first)?;
        Some((self.meta(frames.blob)?, frames.blob, index))
    }

    /// The frame that is context `number` of all of them; `None` if there are fewer.
    fn context_frame(&self, number: u32) -> Result<Option<Frame>, BlobError> {
        let Some((meta, blob, index)) = self.context_at(number) else {
            return Ok(None);
        };
        let (_, recipes) = self.native_bounds();
        let recipe = RecipeId(recipes.saturating_add(number));
        meta.frame(index, blob, recipe)
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
    /// [`BlobError::NoSuchBlob`], [`BlobError::NoChunkInformation`] in version 5 and of tars; those of
    /// [`BlobMeta::range`].
    pub fn load_meta(&self, index: BlobIndex) -> Result<LoadMeta, BlobError> {
        let entry = self.entry(index)?;
        let load = LoadMeta::new(entry, self.bootstrap.limits())?;
        let inlined = self.inlined && entry.meta_id().is_none();
        Ok(match inlined && entry.is_separate() {
            // It is part of the file that was opened.
            true => load,
            false if entry.is_separate() => load.beside(index),
            false => load.in_blob(index),
        })
    }

    /// The blobs whose chunk information is needed to find content: those in zran mode, and those with batches, unless
    /// this build cannot read them.
    pub fn blobs_with_contexts(&self) -> impl Iterator<Item = BlobIndex> + '_ {
        // Version 5 has no chunk information.
        let entries = self.bootstrap.v6().map_or(&[][..], |v6| v6.blob_entries());
        let entries = (0..).zip(entries);
        entries
            .filter(|(_, entry)| is_zran(entry) || is_batched(entry))
            .filter(|(_, entry)| unknown_mode(entry).is_none())
            .map(|(index, _)| BlobIndex(index))
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
    /// [`BlobError::NoSuchBlob`], [`BlobError::NoChunkInformation`] in version 5 and of tars; those of
    /// [`LocateTrailer::of`].
    pub fn locate_toc(&self, index: BlobIndex, blob_len: u64) -> Result<LocateTrailer, BlobError> {
        Ok(LocateTrailer::of(self.entry(index)?, blob_len)?.in_blob(index))
    }

    fn entry(&self, index: BlobIndex) -> Result<&BlobEntry, BlobError> {
        let entry = self.bootstrap.blob_entries().get(usize_from(index.0));
        let entry = entry.ok_or_else(|| self.no_such_blob(index))?;
        match self.bootstrap.version() {
            Version::V6 if !is_tarfs(entry) => Ok(entry),
            _ => Err(BlobError::NoChunkInformation { index }),
        }
    }

    fn no_such_blob(&self, index: BlobIndex) -> BlobError {
        let count = self.metas.len();
        BlobError::NoSuchBlob { index, count }
    }
}

impl Locate for RafsImage {
    fn located(&self, blob: BlobIndex) -> Option<Located<'_>> {
        let frames = self.contexts.iter().find(|frames| frames.blob == blob)?;
        let (native_frames, native_recipes) = self.native_bounds();
        Some(Located {
            meta: self.meta(blob)?,
            frames: native_frames.saturating_add(frames.first),
            recipes: native_recipes.saturating_add(frames.first),
        })
    }
}

/// Delegates to the bootstrap, but for chunks in contexts.
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
        match &self.bootstrap {
            Bootstrap::V6(bootstrap) => bootstrap.located_extents(ino, range, self, visit),
            Bootstrap::V5(bootstrap) => bootstrap.extents(ino, range, visit),
        }
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let (frames, _) = self.native_bounds();
        let found = match frame.0.checked_sub(frames) {
            Some(number) => self.context_frame(number),
            None => Ok(None),
        };
        match found.map_err(|error| ImageError::new(None, error))? {
            Some(found) => Ok(found),
            None => self.bootstrap.image().frame(frame),
        }
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        self.bootstrap.image().shared_frame(frame)
    }

    fn frame_bound(&self) -> u32 {
        let (frames, _) = self.native_bounds();
        frames.saturating_add(self.context_bound())
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        let (_, recipes) = self.native_bounds();
        let Some(number) = recipe.0.checked_sub(recipes) else {
            return self.bootstrap.image().recipe(recipe);
        };
        let (meta, _, index) = self.context_at(number)?;
        meta.recipe(index)
    }

    fn blobs(&self) -> &[Blob] {
        self.bootstrap.image().blobs()
    }
}
