//! Driving a plan over a store: reads what it needs, and decodes on as many threads as wanted.

use bytes::Bytes;
use image_model::Image;

use super::error::{FrameError, ReadError};
use super::frames::FrameStore;
use super::incoming::StoredRange;
use super::job::{Job, JobDone};
use super::piece::Piece;
use super::plan::{ReadPlan, ReadStep};
use super::want::Want;
use crate::blobs::BlobStore;
use crate::pipeline;

/// Drives `plan` to its end, and hands every piece to `visit` until that fails.
pub(crate) fn drive<W, I, E>(
    mut plan: ReadPlan<'_, W, I>,
    (blobs, frames): (&BlobStore, &FrameStore),
    threads: usize,
    visit: &mut dyn FnMut(Piece) -> Result<(), E>,
) -> Result<(), E>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
    E: From<ReadError>,
{
    let threads = threads.clamp(1, pipeline::MAX_THREADS);
    pipeline::run(vec![Job::run; threads], 4 * threads, |stage| {
        loop {
            match plan.step()? {
                ReadStep::Need(ranges) => {
                    for range in ranges {
                        answer(&mut plan, blobs, frames, &range)?;
                        // Decoded while the next range is read, so that no more is held
                        // than the threads are working on.
                        while let Some(job) = plan.work() {
                            if let Some(done) = stage.submit(job) {
                                plan.complete(done);
                            }
                        }
                    }
                }
                ReadStep::Work(job) => {
                    if let Some(done) = stage.submit(job) {
                        plan.complete(done);
                    }
                }
                ReadStep::Ready(piece) => visit(piece)?,
                ReadStep::Wait => {
                    let done: Option<JobDone> = stage.next();
                    match done {
                        Some(done) => plan.complete(done),
                        None => plan.wait(),
                    }
                }
                ReadStep::Done => return Ok(()),
            }
        }
    })
}

/// Supplies `plan` with a range that it needs, or says that it cannot be read.
pub(crate) fn answer<W, I>(
    plan: &mut ReadPlan<'_, W, I>,
    blobs: &BlobStore,
    frames: &FrameStore,
    range: &StoredRange,
) -> Result<(), ReadError>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    match fetch(blobs, frames, range) {
        Ok(bytes) => plan.supply(range.blob, range.offset, bytes),
        Err(error) => plan.fail(range, error),
    }
}

/// The stored bytes of `range`. What is in memory already is not copied.
fn fetch(blobs: &BlobStore, frames: &FrameStore, range: &StoredRange) -> Result<Bytes, FrameError> {
    let &StoredRange { blob, offset, len } = range;
    let len = usize::try_from(len).map_err(|_| FrameError::Outside { blob, offset, len })?;
    let source = blobs.blob(blob)?;
    let read = || {
        if let Some(bytes) = source.in_memory(offset, len)? {
            return Ok(bytes);
        }
        let mut buffer = frames.buffer(len);
        source.read_at(offset, &mut buffer)?;
        Ok(Bytes::from_owner(buffer))
    };
    read().map_err(|source| match blobs.id(blob) {
        Ok(id) => FrameError::Blob {
            id: id.clone(),
            source,
        },
        Err(error) => error.into(),
    })
}
