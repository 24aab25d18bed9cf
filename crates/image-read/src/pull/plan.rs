//! What of a blob is missing.

use std::ops::{ControlFlow, Range};

use image_model::{ExtentSource, FrameId};

use super::at_hand::{AtHand, WantedChunk, for_each_file};
use crate::open::OpenImage;
use crate::rebuild::RebuildError;

/// Which ranges of a layer's blob are to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PullPlan {
    /// The ranges, in rising order, none touching the next.
    pub ranges: Vec<Range<u64>>,
    /// Chunks that are at hand.
    pub at_hand: PullCount,
    /// Chunks that are to be fetched, and what else is in their frames.
    pub missing: PullCount,
    /// Of each frame, whether it is.
    fetched: Vec<bool>,
}

/// Chunks, and their bytes before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PullCount {
    /// How many.
    pub chunks: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl PullCount {
    fn add(&mut self, len: u64) {
        self.chunks += 1;
        self.bytes = self.bytes.saturating_add(len);
    }
}

impl PullPlan {
    /// Bytes of all ranges.
    #[must_use]
    pub fn len(&self) -> u64 {
        let lens = self.ranges.iter().map(|range| range.end - range.start);
        lens.fold(0, u64::saturating_add)
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `frame` is among what is fetched.
    #[must_use]
    pub fn fetches(&self, frame: FrameId) -> bool {
        // One that no file has is asked for by none.
        self.fetched.get(frame.0 as usize).copied().unwrap_or(true)
    }
}

impl OpenImage {
    /// Finds out which ranges of the blob of a layer with a TOC are to be fetched, if what `at_hand` have need not be: those
    /// of all frames with a chunk that none of them has. Frames with at most `gap` bytes between them are fetched as one
    /// range. The TOC itself, which is read, is not among them; runs of zeros need nothing.
    ///
    /// # Errors
    /// [`RebuildError`] if it is no such layer, it is damaged, or what is at hand cannot be read.
    pub fn plan_pull(&self, at_hand: &[&dyn AtHand], gap: u64) -> Result<PullPlan, RebuildError> {
        if self.estargz().is_none() {
            return Err(RebuildError::NoToc);
        }
        let image = self.image();
        let mut fetched = vec![false; image.frame_bound() as usize];
        let mut chunks = Vec::new();
        let mut failed = None;
        for_each_file(self, &mut |path, ino, size| {
            image.extents(ino, 0..size, &mut |extent| {
                let ExtentSource::Chunk { frame, digest, .. } = extent.source else {
                    return ControlFlow::Continue(());
                };
                let wanted = digest.zip(u32::try_from(extent.len).ok());
                let found = match wanted {
                    Some((digest, len)) => {
                        let wanted = WantedChunk::new(path, extent.file_offset, len, digest);
                        has(at_hand, &wanted)
                    }
                    // What nothing verifies is fetched.
                    None => Ok(false),
                };
                match found {
                    Ok(true) => {}
                    Ok(false) => {
                        if let Some(fetched) = fetched.get_mut(frame.0 as usize) {
                            *fetched = true;
                        }
                    }
                    Err(source) => {
                        let name = path.as_bytes().into();
                        failed = Some(RebuildError::AtHand { name, source });
                        return ControlFlow::Break(());
                    }
                }
                chunks.push((frame, extent.len));
                ControlFlow::Continue(())
            })
        })?;
        if let Some(failed) = failed {
            return Err(failed);
        }
        let mut plan = PullPlan {
            fetched,
            ..PullPlan::default()
        };
        for (frame, len) in chunks {
            match plan.fetches(frame) {
                true => plan.missing.add(len),
                false => plan.at_hand.add(len),
            }
        }
        plan.ranges = self.ranges(&plan.fetched, gap)?;
        Ok(plan)
    }

    /// The ranges of the frames that are `fetched`.
    fn ranges(&self, fetched: &[bool], gap: u64) -> Result<Vec<Range<u64>>, RebuildError> {
        let numbers = (0..).zip(fetched).filter(|(_, fetched)| **fetched);
        let mut frames = Vec::new();
        for (number, _) in numbers {
            let frame = self.image().frame(FrameId(number));
            let frame = frame.map_err(RebuildError::Frame)?;
            frames.push(frame.offset..frame.offset.saturating_add(frame.stored_len.into()));
        }
        frames.sort_unstable_by_key(|frame| (frame.start, frame.end));
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for frame in frames {
            match ranges.last_mut() {
                Some(last) if frame.start <= last.end.saturating_add(gap) => {
                    last.end = last.end.max(frame.end);
                }
                _ => ranges.push(frame),
            }
        }
        Ok(ranges)
    }
}

/// Whether any of `at_hand` has `chunk`.
fn has(at_hand: &[&dyn AtHand], chunk: &WantedChunk<'_>) -> std::io::Result<bool> {
    for source in at_hand {
        if source.has(chunk)? {
            return Ok(true);
        }
    }
    Ok(false)
}
