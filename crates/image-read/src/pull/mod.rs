//! Pulling a layer partially: what of its blob is missing, given what is at hand, and its tar from both.
//!
//! ```text
//! TOC ─► chunks ─► at hand? ─► PullPlan: ranges of the blob ─┐
//!                     └───────────────────────────────────────┴─► tar-split ─► the tar, its diff id
//! ```

mod at_hand;
mod plan;
mod ranges;

use std::io::{self, Write};
use std::sync::Arc;

use estargz_toc::tar_split::TarSplit;
use image_model::{Digest, ExtentSource, ImagePath, Ino};

use crate::blobs::BlobStore;
use crate::content::{FileExtents, Want};
use crate::open::OpenImage;
use crate::reader::Reader;
use crate::rebuild::{ContentFault, RebuildError, metadata, rebuild_with};

use at_hand::holds;
pub use at_hand::{AtHand, ImageAtHand, WantedChunk};
pub use plan::{PullCount, PullPlan};
use ranges::Ranges;

/// A tar that was put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PulledTar {
    /// Its SHA-256.
    pub diff_id: Digest,
    /// Bytes of the blob that were read for it.
    pub fetched_bytes: u64,
    /// In so many requests.
    pub requests: u64,
}

impl OpenImage {
    /// Writes the tar of a zstd:chunked layer of containers/storage to `out`: files from what is at hand where `plan`
    /// says so, which [`plan_pull`](Self::plan_pull) made with the same `at_hand`, all else from the plan's ranges of the
    /// blob and nothing beyond them, a few MiB at once. Every chunk is verified, and in the end the tar, which has to have
    /// the SHA-256 `diff_id`. Memory: the tar-split, a chunk, and some 8 MiB.
    ///
    /// ```no_run
    /// use lazyoci_image_read::{ImageAtHand, open};
    /// # let diff_id = verify::sha256(b"");
    /// let old = open("old.tar.zst", &Default::default())?;
    /// let new = open("new.tar.zst", &Default::default())?;
    /// let at_hand = ImageAtHand::new(&old)?;
    /// let plan = new.plan_pull(&[&at_hand], 4096)?;
    /// println!("{} ranges, {} bytes", plan.ranges.len(), plan.len());
    /// new.pull_tar(&plan, &[&at_hand], &diff_id, &mut std::io::sink())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`RebuildError`]; what comes before the fault has been written by then, all of it before
    /// [`RebuildError::DiffId`].
    pub fn pull_tar(
        &self,
        plan: &PullPlan,
        at_hand: &[&dyn AtHand],
        diff_id: &Digest,
        out: &mut (impl Write + ?Sized),
    ) -> Result<PulledTar, RebuildError> {
        let metadata = metadata(self)?;
        let split = TarSplit::from_lines(&metadata.tar_split, self.limits())?;
        let source = self.source().ok_or(RebuildError::NoLayer)?;
        let ranges = Arc::new(Ranges::new(Arc::clone(source), plan.ranges.clone()));
        let blobs = BlobStore::single(Arc::clone(&ranges) as Arc<dyn blob_io::ReadAt>);
        let mut pull = Pull {
            reader: self.reader().with_blobs(blobs),
            plan,
            at_hand,
            chunk: Vec::new(),
        };
        let found = rebuild_with(self, &split, out, &mut |file, size, out| {
            pull.file(file, size, out)
        })?;
        if found != *diff_id {
            let expected = *diff_id;
            return Err(RebuildError::DiffId { expected, found });
        }
        let (requests, fetched_bytes) = ranges.read();
        Ok(PulledTar {
            diff_id: found,
            fetched_bytes,
            requests,
        })
    }
}

/// Reads files from what is at hand, and from the blob.
struct Pull<'a> {
    reader: Reader,
    plan: &'a PullPlan,
    at_hand: &'a [&'a dyn AtHand],
    chunk: Vec<u8>,
}

impl Pull<'_> {
    fn file(
        &mut self,
        (ino, path): (Ino, &ImagePath),
        size: u64,
        out: &mut dyn Write,
    ) -> Result<(), ContentFault> {
        let image = Arc::clone(self.reader.image());
        for want in FileExtents::new(&*image, ino, 0..size, 0)? {
            let Want { extent, range, .. } = want?;
            match extent.source {
                ExtentSource::Chunk {
                    frame,
                    digest: Some(digest),
                    ..
                } if !self.plan.fetches(frame) => {
                    // No longer than a frame may be.
                    let len = extent.len as u32;
                    let file_offset = extent.file_offset;
                    let wanted = WantedChunk::new(path, file_offset, len, digest);
                    self.chunk(&wanted)?;
                    out.write_all(&self.chunk).map_err(ContentFault::AtHand)?;
                }
                _ => {
                    self.reader.read_range(ino, range, out)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a chunk that was at hand when the plan was made.
    fn chunk(&mut self, wanted: &WantedChunk<'_>) -> Result<(), ContentFault> {
        self.chunk.resize(wanted.len as usize, 0);
        let mut failed = None;
        for source in self.at_hand {
            match source.read(wanted, &mut self.chunk) {
                Ok(()) if holds(&self.chunk, &wanted.digest) => return Ok(()),
                Ok(()) => {}
                Err(error) => failed = Some(error),
            }
        }
        let gone = || io::Error::new(io::ErrorKind::InvalidData, "it is no longer what it was");
        Err(ContentFault::AtHand(failed.unwrap_or_else(gone)))
    }
}
