//! Decoding and verifying frames: work for any thread.

use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Codec, Decode, Frame, FrameId, Recipe, Vouched};
use verify::{CheckError, check, check_chunk};

use super::error::FrameError;
use super::frames::{ChunkCheck, DecodedFrame, FrameBytes, FrameStore};

/// Frames to decode and verify, about half a megabyte of them: [`run`](Self::run) it on any thread and
/// [complete](super::ReadPlan::complete) the plan with what comes out.
///
/// A job that is dropped gives its frames back to other readers.
#[derive(Debug)]
pub struct Job {
    frames: Vec<JobFrame>,
    store: Arc<FrameStore>,
}

#[derive(Debug)]
pub(super) struct JobFrame {
    pub(super) id: FrameId,
    pub(super) frame: Frame,
    pub(super) recipe: Recipe,
    pub(super) stored: Bytes,
    /// Chunks that will be handed out, to be verified.
    pub(super) checks: Vec<ChunkCheck>,
}

/// What a [`Job`] made.
#[derive(Debug)]
pub struct JobDone {
    pub(super) frames: Vec<(FrameId, Outcome)>,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// Decoded, with the chunks that are wrong.
    Decoded(Arc<DecodedFrame>, Vec<(ChunkCheck, CheckError)>),
    Failed(Arc<FrameError>),
}

impl Job {
    pub(super) fn new(store: &Arc<FrameStore>) -> Self {
        Self {
            frames: Vec::new(),
            store: Arc::clone(store),
        }
    }

    pub(super) fn push(&mut self, frame: JobFrame) {
        self.frames.push(frame);
    }

    /// Decodes and verifies. Other readers that wait for the frames have them then.
    #[must_use]
    pub fn run(mut self) -> JobDone {
        let mut lent = self.store.decoder();
        let mut frames = Vec::with_capacity(self.frames.len());
        for frame in self.frames.drain(..) {
            let outcome = decode(&frame, &self.store, &mut lent.decoder);
            match &outcome {
                Ok((decoded, wrong)) if wrong.is_empty() => {
                    self.store.fulfil(frame.id, Arc::clone(decoded));
                }
                // Somebody else may get other bytes for it.
                _ => self.store.release(frame.id),
            }
            let outcome = match outcome {
                Ok((decoded, wrong)) => Outcome::Decoded(decoded, wrong),
                Err(error) => Outcome::Failed(Arc::new(error)),
            };
            frames.push((frame.id, outcome));
        }
        drop(lent);
        JobDone { frames }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        for frame in &self.frames {
            self.store.release(frame.id);
        }
    }
}

type Decoded = (Arc<DecodedFrame>, Vec<(ChunkCheck, CheckError)>);

fn decode(
    job: &JobFrame,
    store: &FrameStore,
    decoder: &mut Decoder,
) -> Result<Decoded, FrameError> {
    let (frame, stored) = (job.frame, &job.stored);
    let vouched = |digest, bytes: &[u8]| {
        check(digest, bytes).map_err(|source| FrameError::Vouched { frame, source })
    };
    if let Vouched::Stored(digest) = &job.recipe.vouched {
        vouched(digest, stored)?;
    }
    let bytes = match &job.recipe.decode {
        Decode::Exact(Codec::None) if frame.len == frame.stored_len => {
            FrameBytes::Stored(stored.clone())
        }
        how => {
            let mut buffer = store.buffer(frame.len as usize);
            decoder
                .decode_frame(how, stored, &mut buffer)
                .map_err(|source| FrameError::Decode { frame, source })?;
            FrameBytes::Decoded(buffer)
        }
    };
    let decoded = DecodedFrame::new(bytes);
    if let Vouched::Decoded(digest) = &job.recipe.vouched {
        vouched(digest, &decoded)?;
    }
    let mut wrong = Vec::new();
    for chunk in &job.checks {
        match verify_chunk(&decoded, chunk) {
            Ok(()) => decoded.set_verified(*chunk),
            Err(error) => wrong.push((*chunk, error)),
        }
    }
    Ok((Arc::new(decoded), wrong))
}

/// Compares a chunk, which lies in the frame, with its digest and checksum.
pub(super) fn verify_chunk(frame: &DecodedFrame, chunk: &ChunkCheck) -> Result<(), CheckError> {
    let start = chunk.offset_in_frame as usize;
    let bytes = &frame[start..start + chunk.len as usize];
    check_chunk(bytes, chunk.digest.as_ref(), chunk.crc32c)
}
