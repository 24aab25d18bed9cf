//! Decoding and verifying frames: work for any thread.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Codec, Decode, Frame, FrameId, Recipe, Vouched};
use verify::{CheckError, check};

use super::buffers::Buffer;
use super::decoded::{ChunkCheck, DecodedFrame, FrameBytes};
use super::error::FrameError;
use super::frames::{Claimed, FrameStore};

/// Frames to decode and verify, about half a megabyte of them: [`run`](Self::run) it on any thread and
/// [complete](super::ReadPlan::complete) the plan with what comes out.
///
/// A job that is dropped gives its frames back to other readers; its own plan answers
/// [`FrameError::Lost`] for them.
#[derive(Debug)]
pub struct Job {
    frames: VecDeque<JobFrame>,
    store: Arc<FrameStore>,
    /// Whether the store is to hold the frames.
    hold: bool,
}

#[derive(Debug)]
pub(super) struct JobFrame {
    pub(super) claim: Claimed,
    pub(super) id: FrameId,
    pub(super) frame: Frame,
    pub(super) recipe: Recipe,
    pub(super) stored: StoredFrame,
    /// Chunks that will be handed out, to be verified.
    pub(super) checks: Vec<ChunkCheck>,
    /// Where it is decoded, unless its stored bytes are the frame.
    pub(super) buffer: Option<Buffer>,
}

impl JobFrame {
    /// Whether the stored bytes are the frame's, and may stay.
    fn is_plain(&self) -> bool {
        let Frame {
            len, stored_len, ..
        } = self.frame;
        let plain = match self.recipe.decode {
            Decode::Exact(Codec::None) => len == stored_len,
            Decode::Prefix(Codec::None) => len <= stored_len,
            _ => false,
        };
        plain && self.stored.lasting
    }
}

/// The stored bytes of a frame.
#[derive(Debug)]
pub(super) struct StoredFrame {
    pub(super) bytes: Bytes,
    /// Whether they keep no more in memory than is there anyway, or not much more.
    pub(super) lasting: bool,
}

impl StoredFrame {
    pub(super) fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            lasting: true,
        }
    }
}

/// What a [`Job`] made.
#[derive(Debug)]
pub struct JobDone {
    pub(super) frames: Vec<(FrameId, Outcome)>,
}

/// What became of a frame.
#[derive(Debug)]
pub(super) enum Outcome {
    Decoded(Arc<DecodedFrame>, WrongChunks),
    Failed(Arc<FrameError>),
}

/// The chunks of a frame that are not what the image says.
pub(super) type WrongChunks = HashMap<ChunkCheck, CheckError>;

impl Job {
    pub(super) fn new(store: &Arc<FrameStore>, hold: bool) -> Self {
        Self {
            frames: VecDeque::new(),
            store: Arc::clone(store),
            hold,
        }
    }

    /// Adds a frame. Its buffer is taken here, by the thread that will give it back: memory that goes
    /// from thread to thread lies about in the allocator.
    pub(super) fn push(&mut self, mut frame: JobFrame) {
        if !frame.is_plain() {
            frame.buffer = Some(self.store.buffer(frame.frame.len as usize));
        }
        self.frames.push_back(frame);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Decodes and verifies. Other readers that wait for the frames have them then.
    #[must_use]
    pub fn run(self) -> JobDone {
        let mut lent = self.store.decoder();
        let frames = self.frames.into_iter().map(|mut job| {
            let id = job.id;
            let buffer = job.buffer.take();
            let outcome = match decode(&job, buffer, &mut lent.decoder) {
                Ok(frame) => {
                    let wrong = wrong_chunks(&frame, &job.checks);
                    match (wrong.is_empty(), self.hold) {
                        (true, true) => job.claim.fulfil(&frame),
                        (true, false) => job.claim.lend(&frame),
                        (false, _) => job.claim.fail(),
                    }
                    Outcome::Decoded(frame, wrong)
                }
                Err(error) => {
                    job.claim.fail();
                    Outcome::Failed(Arc::new(error))
                }
            };
            (id, outcome)
        });
        JobDone {
            frames: frames.collect(),
        }
    }
}

fn decode(
    job: &JobFrame,
    buffer: Option<Buffer>,
    decoder: &mut Decoder,
) -> Result<Arc<DecodedFrame>, FrameError> {
    let (frame, stored) = (job.frame, &job.stored.bytes);
    let vouched = |digest, bytes: &[u8]| {
        check(digest, bytes).map_err(|source| FrameError::Vouched { frame, source })
    };
    if let Vouched::Stored(digest) = &job.recipe.vouched {
        vouched(digest, stored)?;
    }
    let bytes = if let Some(mut buffer) = buffer {
        decoder
            .decode_frame(&job.recipe.decode, stored, &mut buffer)
            .map_err(|source| FrameError::Decode { frame, source })?;
        FrameBytes::Decoded(buffer)
    } else {
        FrameBytes::Stored(stored.slice(..frame.len as usize))
    };
    let decoded = DecodedFrame::new(bytes);
    if let Vouched::Decoded(digest) = &job.recipe.vouched {
        vouched(digest, &decoded)?;
    }
    Ok(Arc::new(decoded))
}

fn wrong_chunks(frame: &DecodedFrame, checks: &[ChunkCheck]) -> WrongChunks {
    let mut wrong = WrongChunks::new();
    for chunk in checks {
        // One that comes again is compared once.
        if !wrong.contains_key(chunk)
            && let Err(error) = frame.verify(chunk)
        {
            wrong.insert(*chunk, error);
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use image_model::{BlobIndex, RecipeId};

    use super::*;
    use crate::content::frames::{Claim, Landing};

    /// A job of three frames of four bytes; `broken` has a chunk that leaves it, which no plan lets
    /// through.
    fn job(store: &Arc<FrameStore>, broken: u32) -> Job {
        let mut job = Job::new(store, true);
        for n in 0..3 {
            let id = FrameId(n);
            let Claim::Mine(claim) = FrameStore::claim(store, id) else {
                panic!("nobody has it")
            };
            let check = ChunkCheck {
                offset_in_frame: 0,
                len: if n == broken { 5 } else { 4 },
                digest: None,
                crc32c: Some(verify::crc32c(b"abcd")),
            };
            job.push(JobFrame {
                claim,
                id,
                frame: Frame {
                    blob: BlobIndex(0),
                    offset: 0,
                    stored_len: 4,
                    len: 4,
                    recipe: RecipeId(0),
                },
                recipe: Recipe::exact(Codec::None),
                stored: StoredFrame {
                    bytes: Bytes::from_static(b"abcd"),
                    lasting: true,
                },
                checks: vec![check, check],
                buffer: None,
            });
        }
        job
    }

    #[test]
    fn a_job_that_panics_gives_its_frames_back() {
        let store = Arc::new(FrameStore::new(1 << 20));
        let job = job(&store, 1);
        let Claim::Others(flight) = FrameStore::claim(&store, FrameId(2)) else {
            panic!("the job has it")
        };
        assert!(flight.landing().is_none());
        assert!(catch_unwind(AssertUnwindSafe(|| job.run())).is_err());
        assert!(matches!(flight.landing(), Some(Landing::Abandoned)));
        store.wait(&flight);
        assert!(matches!(
            FrameStore::claim(&store, FrameId(0)),
            Claim::Held(_)
        ));
        for n in [1, 2] {
            assert!(matches!(
                FrameStore::claim(&store, FrameId(n)),
                Claim::Mine(_)
            ));
        }
        assert_eq!(store.decoded(), 1);
    }

    #[test]
    fn a_job_fulfils_its_claims() {
        let store = Arc::new(FrameStore::new(1 << 20));
        let done = job(&store, u32::MAX).run();
        assert_eq!(done.frames.len(), 3);
        for (id, outcome) in done.frames {
            let Outcome::Decoded(frame, wrong) = outcome else {
                panic!("{outcome:?}")
            };
            assert!(wrong.is_empty());
            let found = store.find(id).unwrap();
            assert!(Arc::ptr_eq(&found, &frame));
        }
    }
}
