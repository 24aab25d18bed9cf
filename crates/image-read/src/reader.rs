//! Reading the content of an image's files.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use image_model::{BlobIndex, Cancelled, ExtentSource, Image, Ino};
use verify::{
    CheckFiles, ChunkObserver, ChunkSummary, Content, ContentError, ExtentBytes, FilePiece,
};

use crate::blobs::BlobStore;
use crate::check;
use crate::content::{FileExtents, FrameStore, FrameUses, Piece, ReadError, ReadPlan, Want, drive};
use crate::options::ReadOptions;

/// An image shared by many readers.
pub type SharedImage = Arc<dyn Image + Send + Sync>;

/// Reads an image's files from its blobs. It owns what it needs and is cheap to clone: a daemon keeps it, threads share
/// it. All clones share the most recently decoded frames ([`ReadOptions::cache`]); if several readers need a frame at
/// the same time, one fetches and decodes it.
///
/// ```
/// use std::sync::Arc;
/// use image_model::{ImagePath, Metadata, Node};
/// use lazyoci_image_read::{BlobStore, Follow, LayerImage, Reader, resolve};
/// # use std::io::Write;
/// # let mut tar = tar_stream::TarWriter::new(Vec::new());
/// # let file = Node::File { size: 5, content: () };
/// # tar.append(&ImagePath::clean(b"etc/motd")?, &Metadata::default(), &file)?;
/// # tar.write_all(b"hello")?;
/// # let tar = bytes::Bytes::from(tar.finish()?);
///
/// let layer = LayerImage::open(Arc::new(tar), &Default::default())?;
/// let motd = resolve(&layer.image, b"etc/motd", Follow::All)?;
/// let blobs = BlobStore::single(layer.source);
/// let reader = Reader::new(Arc::new(layer.image), blobs, Default::default());
/// let mut content = Vec::new();
/// reader.read_range(motd, 1..4, &mut content)?;
/// assert_eq!(content, b"ell");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reader {
    image: SharedImage,
    blobs: Arc<BlobStore>,
    frames: Arc<FrameStore>,
    options: ReadOptions,
}

/// The order in which [`Reader::read_all`] reads files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileOrder {
    /// As they are given.
    Given,
    /// As their content is stored, which costs the fewest requests.
    Stored,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("blobs", &self.blobs)
            .field("frames", &self.frames)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of `image`, with its blobs in `blobs`.
    #[must_use]
    pub fn new(image: SharedImage, blobs: BlobStore, options: ReadOptions) -> Self {
        Self {
            image,
            blobs: Arc::new(blobs),
            frames: Arc::new(FrameStore::new(options.cache)),
            options,
        }
    }

    /// The image.
    #[must_use]
    pub fn image(&self) -> &SharedImage {
        &self.image
    }

    /// The image's blobs.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// The frames that all clones share, for your own [`ReadPlan`].
    #[must_use]
    pub fn frames(&self) -> &Arc<FrameStore> {
        &self.frames
    }

    /// Its options.
    #[must_use]
    pub fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// A reader of the same image, with blobs and frames of its own.
    pub(crate) fn with_blobs(&self, blobs: BlobStore) -> Self {
        let frames = Arc::new(FrameStore::new(self.options.cache));
        Self {
            blobs: Arc::new(blobs),
            frames,
            ..self.clone()
        }
    }

    /// A reader of the same image with other options. The frames are still shared.
    #[must_use]
    pub fn with_options(&self, options: ReadOptions) -> Self {
        Self {
            options,
            ..self.clone()
        }
    }

    /// Writes `range` of the file `ino`, cut off at the file's end, to `out`; returns how many bytes
    /// that are. Every chunk is verified before any of its bytes is written.
    ///
    /// # Errors
    /// [`ReadError`]; everything before the fault has been written by then.
    pub fn read_range(
        &self,
        ino: Ino,
        range: Range<u64>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError> {
        let wants = FileExtents::new(&*self.image, ino, range, 0)?;
        self.write(self.plan(wants), out)
    }

    /// Like [`read_range`](Self::read_range), but ignores digests and checksums.
    ///
    /// # Errors
    /// [`ReadError`]; everything before the fault has been written by then.
    pub fn read_range_unverified(
        &self,
        ino: Ino,
        range: Range<u64>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError> {
        let wants = FileExtents::new(&*self.image, ino, range, 0)?;
        self.write(self.plan(wants).unverified(), out)
    }

    /// A plan for `wants`, to be driven by the caller.
    #[must_use]
    pub fn plan<W>(&self, wants: W) -> ReadPlan<'_, W, dyn Image + Send + Sync>
    where
        W: Iterator<Item = Result<Want, ReadError>>,
    {
        ReadPlan::new(&*self.image, &self.frames, wants, &self.options).lent(&self.blobs)
    }

    /// Hands the content of each of `files` to `take`, verified, in pieces: those of one file come one
    /// after the other, from its first byte to its last, then those of the next one in `order`;
    /// [`Piece::tag`] is the file's position. Decodes on [`ReadOptions::threads`] threads, looks ahead
    /// across files, and keeps what is needed again.
    ///
    /// # Errors
    /// [`ReadError::TooMuch`] before anything is read if `files` hold more than
    /// [`Limits::max_content_len`], [`Limits::max_hole_len`] and [`Limits::max_repeat_len`] of
    /// [`ReadOptions::limits`] allow; the first error of a piece, and errors of `take`.
    ///
    /// [`Limits::max_content_len`]: image_model::Limits::max_content_len
    /// [`Limits::max_hole_len`]: image_model::Limits::max_hole_len
    /// [`Limits::max_repeat_len`]: image_model::Limits::max_repeat_len
    pub fn read_all<E: From<ReadError>>(
        &self,
        files: &[Ino],
        order: FileOrder,
        take: &mut dyn FnMut(&Piece, ExtentBytes<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let wants = |file: usize| {
            let extents = FileExtents::new(&*self.image, files[file], 0..u64::MAX, file as u64);
            let (extents, error) = match extents {
                Ok(extents) => (Some(extents), None),
                Err(error) => (None, Some(Err(error))),
            };
            extents.into_iter().flatten().chain(error)
        };
        let mut stored = (order == FileOrder::Stored).then(|| StoredOrder::new(files.len()));
        let noted = (0..files.len()).flat_map(wants).inspect(|want| {
            if let (Some(stored), Ok(want)) = (&mut stored, want) {
                stored.note(&*self.image, want);
            }
        });
        let max_frame_len = self.options.limits.max_frame_len;
        let (uses, volume) = FrameUses::count(&*self.image, max_frame_len, noted);
        self.options.check_volume(volume)?;
        let stored = stored.map(StoredOrder::files);
        let position = |nth: usize| stored.as_ref().map_or(nth, |files| files[nth] as usize);
        let wants = (0..files.len()).flat_map(|nth| wants(position(nth)));
        let plan = self.plan(wants).keeping(uses).passing();
        self.drive(plan, &mut |mut piece| {
            let bytes = std::mem::replace(&mut piece.bytes, Ok(Default::default()))?;
            take(&piece, bytes.as_ref())
        })
    }

    /// Drives `plan` on all threads.
    pub(crate) fn drive<W, E>(
        &self,
        plan: ReadPlan<'_, W, dyn Image + Send + Sync>,
        visit: &mut dyn FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E>
    where
        W: Iterator<Item = Result<Want, ReadError>>,
        E: From<ReadError>,
    {
        let (blobs, threads) = (&self.blobs, self.options.threads);
        let driven = drive(plan, (blobs, &self.frames), threads, visit);
        self.frames.drop_spare();
        driven
    }

    fn write<W>(
        &self,
        plan: ReadPlan<'_, W, dyn Image + Send + Sync>,
        out: &mut (impl Write + ?Sized),
    ) -> Result<u64, ReadError>
    where
        W: Iterator<Item = Result<Want, ReadError>>,
    {
        let mut written = 0;
        let mut visit = |piece: Piece| {
            let bytes = piece.bytes?;
            written += write(bytes.as_ref(), out).map_err(ReadError::Write)?;
            Ok::<_, ReadError>(())
        };
        drive(plan, (&self.blobs, &self.frames), 1, &mut visit)?;
        Ok(written)
    }
}

/// Files in the order in which their first stored bytes lie in the blobs, whatever holes are before
/// them; first those that have none.
struct StoredOrder(Vec<Option<(BlobIndex, u64)>>);

impl StoredOrder {
    fn new(files: usize) -> Self {
        Self(vec![None; files])
    }

    /// Takes note of a piece of a file; they come in the order of the file.
    fn note(&mut self, image: &(impl Image + ?Sized), want: &Want) {
        let Some(place @ None) = self.0.get_mut(want.tag as usize) else {
            return;
        };
        *place = match want.extent.source {
            ExtentSource::Zeros => None,
            ExtentSource::Plain { blob, offset } => Some((blob, offset)),
            // A missing frame is reported when it is read.
            ExtentSource::Chunk { frame, .. } => {
                let frame = image.frame(frame).ok();
                frame.map(|frame| (frame.blob, frame.offset))
            }
        };
    }

    /// The positions of the files.
    fn files(self) -> Vec<u32> {
        // A tree has no more files than inode numbers.
        let mut files: Vec<_> = (0..self.0.len() as u32).collect();
        files.sort_unstable_by_key(|&file| (self.0[file as usize], file));
        files
    }
}

/// Digests and audits read through this.
impl Content for Reader {
    fn read_files(
        &mut self,
        files: &[Ino],
        take: &mut dyn FnMut(FilePiece<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), ContentError> {
        let read = self.read_all(files, FileOrder::Stored, &mut |piece, bytes| {
            Ok::<_, ReadError>(take(FilePiece {
                file: piece.tag as usize,
                file_offset: piece.file_offset,
                bytes,
            })?)
        });
        Ok(read?)
    }

    fn check_files(
        &mut self,
        files: &[Ino],
        options: &CheckFiles<'_>,
        observer: &mut dyn ChunkObserver,
    ) -> Result<ChunkSummary, Cancelled> {
        check::check_files(self, files, options, observer)
    }
}

fn write(bytes: ExtentBytes<'_>, out: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    for slice in bytes.slices() {
        out.write_all(slice)?;
    }
    Ok(bytes.len())
}
