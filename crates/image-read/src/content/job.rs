//! Decoding and verifying frames: work for any thread.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Codec, Decode, Frame, FrameId, Recipe, Vouched};
use verify::{CheckError, check, check_crc32c};

use super::buffers::Buffer;
use super::decoded::{ChunkCheck, DecodedFrame, FrameBytes};
use super::error::FrameError;
use super::frames::{Claimed, FrameStore};

/// Frames to decode and verify, about half a megabyte of them: [`run`](Self::run) it on any thread
/// and [complete](super::ReadPlan::complete) the plan with the result. A dropped job releases its
/// frames to other readers; its own plan returns [`FrameError::Lost`] for them.
#[derive(Debug)]
pub struct Job {
    frames: VecDeque<JobFrame>,
    store: Arc<FrameStore>,
    /// Whether the store is to hold the frames.
    hold: bool,
    /// Size of the buffer for decoding frames that are not kept, in bytes.
    scratch_len: usize,
}

/// Scratch buffers are at least this long, in bytes, so that one is as good as another.
const MIN_SCRATCH_LEN: usize = 512 << 10;

#[derive(Debug)]
pub(super) struct JobFrame {
    pub(super) claim: Claimed,
    pub(super) id: FrameId,
    pub(super) frame: Frame,
    pub(super) recipe: Recipe,
    pub(super) stored: StoredFrame,
    /// Chunks that will be handed out, to be verified.
    pub(super) checks: Vec<ChunkCheck>,
    /// Whether nobody wants its bytes once it is verified.
    pub(super) passing: bool,
    /// Where it is decoded, unless it is passing or its stored bytes are the frame.
    pub(super) buffer: Option<Buffer>,
}

impl JobFrame {
    /// Whether the stored bytes are the frame's, and may stay as long as they are needed.
    fn is_plain(&self) -> bool {
        let Frame {
            len, stored_len, ..
        } = self.frame;
        let plain = match self.recipe.decode {
            Decode::Exact(Codec::None) => len == stored_len,
            Decode::Prefix(Codec::None) => len <= stored_len,
            _ => false,
        };
        plain && (self.passing || self.stored.lasting)
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

/// The result of a [`Job`].
#[derive(Debug)]
pub struct JobDone {
    pub(super) frames: Vec<(FrameId, Outcome)>,
}

/// What became of a frame.
#[derive(Debug)]
pub(super) enum Outcome {
    Decoded(Arc<DecodedFrame>, WrongChunks),
    /// Verified, and passed by.
    Checked(WrongChunks),
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
            scratch_len: 0,
        }
    }

    /// Adds a frame. Its buffer is taken here, by the thread that will give it back: memory that goes
    /// from thread to thread lies about in the allocator.
    pub(super) fn push(&mut self, mut frame: JobFrame) {
        let len = frame.frame.len as usize;
        match frame.is_plain() {
            true => {}
            false if frame.passing => {
                self.scratch_len = self.scratch_len.max(len).max(MIN_SCRATCH_LEN);
            }
            false => frame.buffer = Some(self.store.buffer(len)),
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
        let mut scratch = self.store.buffer(self.scratch_len);
        let frames = self.frames.into_iter().map(|mut job| {
            let id = job.id;
            let made = match job.passing {
                true => check_passing(&job, &mut scratch, &mut lent.decoder),
                false => decode(&mut job, &mut lent.decoder),
            };
            let outcome = match made {
                Ok(Made { frame, wrong }) => {
                    match &frame {
                        _ if !wrong.is_empty() => job.claim.fail(),
                        None => job.claim.pass(),
                        Some(frame) if self.hold => job.claim.fulfil(frame),
                        Some(frame) => job.claim.lend(frame),
                    }
                    match frame.filter(|_| !job.passing) {
                        Some(frame) => Outcome::Decoded(frame, wrong),
                        None => Outcome::Checked(wrong),
                    }
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

/// A frame that was decoded, if anybody wants its bytes.
struct Made {
    frame: Option<Arc<DecodedFrame>>,
    wrong: WrongChunks,
}

/// Decodes and verifies a frame that may stay.
fn decode(job: &mut JobFrame, decoder: &mut Decoder) -> Result<Made, FrameError> {
    let mut buffer = job.buffer.take();
    plain_bytes(job, buffer.as_deref_mut().unwrap_or_default(), decoder)?;
    let bytes = match buffer {
        Some(buffer) => FrameBytes::Decoded(buffer),
        None => FrameBytes::Stored(job.stored.bytes.slice(..job.frame.len as usize)),
    };
    let frame = DecodedFrame::new(bytes);
    let wrong = wrong_chunks(&job.checks, |chunk| frame.verify(chunk));
    Ok(Made {
        frame: Some(Arc::new(frame)),
        wrong,
    })
}

/// Decodes and verifies a frame that passes by, in `scratch`. Its bytes are copied if another reader
/// waits for them.
fn check_passing(
    job: &JobFrame,
    scratch: &mut [u8],
    decoder: &mut Decoder,
) -> Result<Made, FrameError> {
    let bytes = plain_bytes(job, scratch, decoder)?;
    let wrong = wrong_chunks(&job.checks, |chunk| chunk.check(bytes));
    let frame = job.claim.is_awaited().then(|| {
        let bytes = FrameBytes::Stored(Bytes::copy_from_slice(bytes));
        Arc::new(DecodedFrame::new(bytes))
    });
    Ok(Made { frame, wrong })
}

/// The bytes of a frame, decoded in `room` unless they are stored as they are.
fn plain_bytes<'a>(
    job: &'a JobFrame,
    room: &'a mut [u8],
    decoder: &mut Decoder,
) -> Result<&'a [u8], FrameError> {
    let (frame, stored) = (job.frame, &job.stored.bytes);
    let len = frame.len as usize;
    let vouched = |digest, bytes: &[u8]| {
        check(digest, bytes).map_err(|source| FrameError::Vouched { frame, source })
    };
    if let Vouched::Stored(digest) = &job.recipe.vouched {
        vouched(digest, stored)?;
    }
    let bytes = if job.is_plain() {
        &stored[..len]
    } else {
        let room = &mut room[..len];
        decoder
            .decode_frame(&job.recipe.decode, stored, room)
            .map_err(|source| FrameError::Decode { frame, source })?;
        room
    };
    match &job.recipe.vouched {
        Vouched::Decoded(digest) => vouched(digest, bytes)?,
        Vouched::DecodedCrc32c(crc32c) => {
            check_crc32c(*crc32c, bytes).map_err(|source| FrameError::Vouched { frame, source })?;
        }
        _ => {}
    }
    Ok(bytes)
}

fn wrong_chunks(
    checks: &[ChunkCheck],
    verify: impl Fn(&ChunkCheck) -> Result<(), CheckError>,
) -> WrongChunks {
    let mut wrong = WrongChunks::new();
    for chunk in checks {
        // A repeated one is compared once.
        if !wrong.contains_key(chunk)
            && let Err(error) = verify(chunk)
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
    fn job(store: &Arc<FrameStore>, broken: u32, passing: bool) -> Job {
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
                passing,
                buffer: None,
            });
        }
        job
    }

    #[test]
    fn a_job_that_panics_gives_its_frames_back() {
        let store = Arc::new(FrameStore::new(1 << 20));
        let job = job(&store, 1, false);
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
        let done = job(&store, u32::MAX, false).run();
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

    #[test]
    fn frames_pass_by_unless_somebody_waits_for_them() {
        let store = Arc::new(FrameStore::new(1 << 20));
        let mut job = job(&store, u32::MAX, true);
        job.frames[1].checks[0].crc32c = Some(1);
        let flight = |id| match FrameStore::claim(&store, FrameId(id)) {
            Claim::Others(flight) => flight,
            _ => panic!("the job has it"),
        };
        let (wrong, awaited) = (flight(1), flight(2));
        let done = job.run();
        let wrongs = done.frames.iter().map(|(_, outcome)| match outcome {
            Outcome::Checked(wrong) => wrong.len(),
            _ => panic!("{outcome:?}"),
        });
        assert!(wrongs.eq([0, 1, 0]));
        assert!(matches!(wrong.landing(), Some(Landing::Failed)));
        let Some(Landing::Decoded(frame)) = awaited.landing() else {
            panic!("{awaited:?}")
        };
        assert_eq!(frame[..], *b"abcd");
        assert!(store.find(FrameId(0)).is_none() && store.find(FrameId(1)).is_none());
        assert_eq!(store.decoded(), 2);
    }
}
