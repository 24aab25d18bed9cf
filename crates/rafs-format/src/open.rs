//! Finding the bootstrap of an image, without doing I/O.

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{BlobId, Digest, Limits, Need, Step, StepMachine};
use verify::CheckError;

use crate::blob::{BlobError, LocateTrailer, Section, Toc, Trailer, check_given};
use crate::bootstrap::Bootstrap;
use crate::error::DecodeError;
use crate::image::RafsImage;

/// The bootstrap of an image, as bytes. It is unverified until [`check`](Self::check) succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenedBootstrap {
    /// All of it, not compressed.
    pub bytes: Bytes,
    /// Whether it is in a blob, which is then a blob of the image.
    pub inlined: bool,
    /// The TOC of that blob, if it has one.
    pub toc: Option<Toc>,
}

impl OpenedBootstrap {
    /// Compares the bootstrap with its expected digest.
    ///
    /// # Errors
    /// [`CheckError`] if the digest differs.
    pub fn check(&self, expected: &Digest) -> Result<(), CheckError> {
        verify::check(expected, &self.bytes)
    }

    /// The image that the bootstrap describes. `id` is what the file is called that was opened: the
    /// name of the blob that [cannot name itself](crate::v6::BlobEntry::is_self).
    ///
    /// # Errors
    /// Those of [`Bootstrap::open`].
    pub fn image(self, id: Option<&BlobId>, limits: &Limits) -> Result<RafsImage, DecodeError> {
        let mut bootstrap = Bootstrap::open(self.bytes, limits)?;
        if let Some(id) = id {
            bootstrap.name_self(id);
        }
        let image = RafsImage::new(bootstrap);
        Ok(match self.inlined {
            true => image.inlined(self.toc),
            false => image,
        })
    }
}

/// Finds the bootstrap of an image in a file of which only the length and the kind are known. It asks
/// for ranges of the file that is opened, and is given bytes; the caller does the I/O in its own way,
/// and sees to it that no range is longer than [`Limits::max_metadata_len`].
///
/// ```
/// use bytes::Bytes;
/// use image_model::{Limits, StepMachine};
/// use lazyoci_rafs_format::blob::BlobError;
/// use lazyoci_rafs_format::open::Opener;
///
/// # let blob = Bytes::from_static(include_bytes!("../tests/goldens/a4-v6-none-sha256-inline.blob"));
/// let limits = Limits::default();
/// let opener = Opener::blob(blob.len() as u64, &limits);
/// let opened = opener.drive(|need| {
///     Ok::<_, BlobError>(blob.slice(need.range.start as usize..need.range.end as usize))
/// })?;
/// let image = opened.image(None, &limits)?;
/// assert_eq!(image.bootstrap().blob_entries().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Opener {
    len: u64,
    limits: Limits,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    /// The file is the bootstrap.
    Whole,
    /// The end of the blob.
    Trailer(LocateTrailer),
    /// A bootstrap without TOC.
    Plain(Range<u64>),
    /// A bootstrap that a TOC lists.
    Listed(Toc),
}

impl Opener {
    /// Starts on a file of `len` bytes that is a bootstrap: one range is needed, all of it.
    #[must_use]
    pub fn bootstrap(len: u64, limits: &Limits) -> Self {
        Self::starting(len, limits, Stage::Whole)
    }

    /// Starts on a blob of `len` bytes that holds a bootstrap: its end is needed first, with the TOC
    /// if there is one, then the bootstrap.
    #[must_use]
    pub fn blob(len: u64, limits: &Limits) -> Self {
        Self::starting(len, limits, Stage::Trailer(LocateTrailer::new(len)))
    }

    fn starting(len: u64, limits: &Limits, stage: Stage) -> Self {
        Self {
            len,
            limits: limits.clone(),
            stage,
        }
    }

    /// Continues from what ends the blob.
    fn trailer(&mut self, step: Step<Trailer>) -> Result<Step<OpenedBootstrap>, BlobError> {
        let range = match step {
            Step::Need(need) => return Ok(Step::Need(need)),
            Step::Done(Trailer::Toc(toc)) => {
                let range = toc.entry(Section::Bootstrap)?.range();
                self.stage = Stage::Listed(toc);
                range
            }
            Step::Done(Trailer::Bootstrap(range)) => {
                self.stage = Stage::Plain(range.clone());
                range
            }
            Step::Done(Trailer::None) => return Err(BlobError::NoBootstrap),
        };
        Ok(Step::Need(Need::opened(range)))
    }
}

impl StepMachine for Opener {
    type Found = OpenedBootstrap;
    type Error = BlobError;

    /// # Errors
    /// [`BlobError::NoBootstrap`] if the blob is too short to hold one.
    fn start(&mut self) -> Result<Step<OpenedBootstrap>, BlobError> {
        if let Stage::Whole = self.stage {
            return Ok(Step::Need(Need::opened(0..self.len)));
        }
        let mut locate = LocateTrailer::new(self.len);
        let step = locate.start()?;
        self.stage = Stage::Trailer(locate);
        self.trailer(step)
    }

    /// # Errors
    /// Those of [`LocateTrailer`]; [`BlobError::NoBootstrap`], or [`BlobError::NoSection`] if there
    /// is a TOC; those of [`TocEntry::extract`](crate::blob::TocEntry::extract).
    fn supply(&mut self, bytes: Bytes) -> Result<Step<OpenedBootstrap>, BlobError> {
        let (bytes, inlined, toc) = match &mut self.stage {
            Stage::Trailer(locate) => {
                let step = locate.supply(bytes)?;
                return self.trailer(step);
            }
            Stage::Whole => {
                check_given("bootstrap", self.len, &bytes)?;
                (bytes, false, None)
            }
            Stage::Plain(range) => {
                let len = range.end.saturating_sub(range.start);
                check_given("bootstrap", len, &bytes)?;
                (bytes, true, None)
            }
            Stage::Listed(toc) => {
                let entry = toc.entry(Section::Bootstrap)?;
                let bytes = entry.extract(&bytes, &mut Decoder::new(), &self.limits)?;
                (bytes, true, Some(toc.clone()))
            }
        };
        Ok(Step::Done(OpenedBootstrap {
            bytes,
            inlined,
            toc,
        }))
    }
}
