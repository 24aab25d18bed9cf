//! Reading wants, as a machine that requests stored bytes.

mod ahead;
mod out;
mod state;
mod stored;
mod work;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use image_model::{FrameId, Image};

use self::state::{Active, Head, Item, State};
use self::work::DecodeWork;
use super::error::{FrameError, ReadError};
use super::frames::{Claimed, FrameStore, Landing};
use super::incoming::{Incoming, StoredRange, Target};
use super::job::{Job, JobDone, JobFrame, Outcome, StoredFrame, WrongChunks};
use super::piece::Piece;
use super::uses::FrameUses;
use super::want::Want;
use crate::blobs::BlobStore;
use crate::options::ReadOptions;

/// Decoded bytes of a job, and frames of one.
const JOB_LEN: u64 = 512 << 10;
const JOB_FRAMES: usize = 256;

/// The next step of a [`ReadPlan`]. Drivers must handle all of them, so none can be added silently.
#[derive(Debug)]
pub enum ReadStep {
    /// It needs these stored bytes: [`supply`](ReadPlan::supply) them, or say that they cannot be read
    /// ([`fail`](ReadPlan::fail)), in any order and at any time.
    Need(Vec<StoredRange>),
    /// Frames have to be decoded: [`run`](Job::run) this on any thread, soon, since other readers may wait for them;
    /// and [`complete`](ReadPlan::complete) the plan with the result.
    Work(Job),
    /// The next piece, in the order of the wants.
    Ready(Piece),
    /// Nothing until a range is supplied or a job completed. If there is none in progress, another
    /// reader is decoding the next frame: see [`wait`](ReadPlan::wait).
    Wait,
    /// All has been handed out. Answers that are still to come are not needed any more: they are for
    /// frames of which another range failed, or which another reader has decoded since they were asked
    /// for in part.
    Done,
}

/// Reads pieces of files, in the order of its wants, without any I/O: it requests stored bytes, delegates decoding
/// them, and returns the files' bytes, verified.
///
/// It looks ahead as far as [`ReadOptions::window`] allows, finds the distinct frames that are needed
/// and are not in the [`FrameStore`] yet, and asks for them, near ones by one [`StoredRange`]. Each
/// frame is decoded once, by this reader or by another one of the same store. Memory is bounded by the
/// window, not by what is wanted, and no more is fetched than the frames that are needed (and
/// [`ReadOptions::gap`]). So is the work: where wants alternate between long frames, more than 16 times
/// what is handed out, and the length of the frames, is not decoded again ([`FrameError::Again`]).
///
/// Synchronous callers use [`Reader`](crate::Reader), which drives this machine. Asynchronous ones
/// drive it themselves; `fetch` stands for what they would await:
///
/// ```
/// use std::future::poll_fn;
/// use bytes::Bytes;
/// use image_model::{Image, Ino};
/// use lazyoci_image_read::{FileExtents, FrameStore, ReadError, ReadOptions, ReadPlan, ReadStep, StoredRange};
/// use verify::ExtentBytes;
///
/// async fn read<F: Future<Output = Bytes>>(
///     image: &(dyn Image + Sync),
///     ino: Ino,
///     fetch: impl Fn(StoredRange) -> F,
/// ) -> Result<Vec<u8>, ReadError> {
///     let store = FrameStore::new(8 << 20).into();
///     let wants = FileExtents::new(image, ino, 0..u64::MAX, 0)?;
///     let mut plan = ReadPlan::new(image, &store, wants, &ReadOptions::default());
///     let mut content = Vec::new();
///     loop {
///         match plan.step()? {
///             ReadStep::Need(ranges) => {
///                 for range in ranges {
///                     let stored = fetch(range).await;
///                     plan.supply(range.blob, range.offset, stored)?;
///                 }
///             }
///             ReadStep::Work(job) => plan.complete(job.run()),
///             ReadStep::Ready(piece) => match piece.bytes?.as_ref() {
///                 ExtentBytes::Data(bytes) => content.extend_from_slice(bytes),
///                 ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
///             },
///             ReadStep::Wait => poll_fn(|context| plan.poll_others(context)).await,
///             ReadStep::Done => return Ok(content),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct ReadPlan<'a, W, I: ?Sized> {
    image: &'a I,
    store: Arc<FrameStore>,
    /// Where bytes may be in memory already.
    blobs: Option<&'a BlobStore>,
    options: ReadOptions,
    verify: bool,
    /// Whether the store is to hold the frames.
    hold: bool,
    /// Whether nobody wants the bytes of chunks.
    checking: bool,
    wants: W,
    /// What is left of a want that is planned in parts.
    rest: Option<Want>,
    /// Whether there are no more wants.
    ended: bool,
    /// Why there are no more, if that is an error.
    error: Option<ReadError>,
    /// Planned and not handed out yet.
    window: VecDeque<Item>,
    /// Bytes that the window keeps or will keep.
    cost: u64,
    /// Frames of the window, and those kept for later.
    frames: HashMap<FrameId, Active>,
    /// Items that lie plain in a blob and have their bytes, or never will.
    plain: HashMap<u64, Result<VecDeque<Bytes>, Arc<FrameError>>>,
    next_plain: u64,
    incoming: Incoming,
    /// Frames whose stored bytes are there.
    stored: VecDeque<(FrameId, Claimed, StoredFrame)>,
    uses: FrameUses,
    /// Frames that no item of the window needs, kept since later ones will; oldest first.
    kept: BTreeMap<u64, FrameId>,
    next_kept: u64,
    kept_len: u64,
    work: DecodeWork,
}

impl<'a, W, I> ReadPlan<'a, W, I>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    /// Plans to return `wants`, verified. Frames are shared with all users of `store`.
    #[must_use]
    pub fn new(image: &'a I, store: &Arc<FrameStore>, wants: W, options: &ReadOptions) -> Self {
        Self {
            image,
            store: Arc::clone(store),
            blobs: None,
            verify: true,
            hold: true,
            checking: false,
            wants,
            rest: None,
            ended: false,
            error: None,
            window: VecDeque::new(),
            cost: 0,
            frames: HashMap::new(),
            plain: HashMap::new(),
            next_plain: 0,
            incoming: Incoming::new(options.gap, options.max_request),
            stored: VecDeque::new(),
            uses: FrameUses::default(),
            kept: BTreeMap::new(),
            next_kept: 0,
            kept_len: 0,
            work: DecodeWork::default(),
            options: options.clone(),
        }
    }

    /// The same plan, ignoring digests and checksums.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.verify = false;
        self
    }

    /// The same plan, which takes what is in memory already from there, once it is supplied.
    pub(crate) fn lent(mut self, blobs: &'a BlobStore) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// The same plan, which keeps frames that are needed again.
    pub(crate) fn keeping(mut self, uses: FrameUses) -> Self {
        self.uses = uses;
        self
    }

    /// The same plan, whose frames are not kept: they do not evict frames that others need.
    pub(crate) fn passing(mut self) -> Self {
        self.hold = false;
        self
    }

    /// The same plan, which verifies chunks and hands out no bytes of them, if that saves anything.
    /// Wants of one frame must be consecutive; others only get [`FrameError::Lost`].
    pub(crate) fn checking(mut self) -> Self {
        self.checking = true;
        self
    }

    /// The next step.
    ///
    /// # Errors
    /// [`ReadError`] if the wants end with an error. What is wrong with a piece is told with it.
    pub fn step(&mut self) -> Result<ReadStep, ReadError> {
        loop {
            if let Some(job) = self.work() {
                return Ok(ReadStep::Work(job));
            }
            self.plan_ahead();
            if self.ended || self.incoming.is_worth_asking() {
                let ranges = self.ask(self.ended, None);
                if !ranges.is_empty() {
                    return Ok(ReadStep::Need(ranges));
                }
            }
            if !self.stored.is_empty() {
                continue;
            }
            match self.head() {
                Head::Nothing => return self.error.take().map_or(Ok(ReadStep::Done), Err),
                Head::Ready => return Ok(ReadStep::Ready(self.hand_out())),
                Head::Wanted(target) => {
                    let ranges = self.ask(true, Some(target));
                    if !ranges.is_empty() {
                        return Ok(ReadStep::Need(ranges));
                    }
                    // Another reader has it, or is decoding it.
                }
                Head::Asked => return Ok(ReadStep::Wait),
                Head::Working(id, flight) => match flight.landing() {
                    Some(Landing::Abandoned) => {
                        let lost = FrameError::Lost { frame: id };
                        self.settle(id, State::Failed(lost.into()));
                    }
                    _ => return Ok(ReadStep::Wait),
                },
                Head::Elsewhere(id, flight) => match flight.landing() {
                    None => return Ok(ReadStep::Wait),
                    Some(Landing::Decoded(frame)) => {
                        self.settle(id, State::Ready(Arc::clone(frame), WrongChunks::new()));
                    }
                    Some(Landing::Passed | Landing::Failed | Landing::Abandoned) => {
                        self.want_again(id);
                    }
                },
            }
        }
    }

    /// Frames to decode, if the stored bytes of any are there.
    pub(crate) fn work(&mut self) -> Option<Job> {
        let mut job = Job::new(&self.store, self.hold);
        let (mut len, mut count) = (0, 0);
        // The following wants may continue with it.
        let last = self.window.back().and_then(Item::frame);
        let last = last.filter(|_| !self.ended);
        while (len < JOB_LEN && count < JOB_FRAMES)
            && let Some((id, claim, stored)) = self.stored.pop_front()
        {
            let Some(active) = self.frames.get_mut(&id) else {
                continue;
            };
            len += u64::from(active.frame.len);
            count += 1;
            active.state = State::Working(Arc::clone(claim.flight()));
            active.passing = self.checking && last != Some(id);
            job.push(JobFrame {
                claim,
                id,
                frame: active.frame,
                recipe: active.recipe.clone(),
                stored,
                checks: std::mem::take(&mut active.checks),
                passing: active.passing,
                buffer: None,
            });
        }
        (!job.is_empty()).then_some(job)
    }

    /// Takes the result of a job.
    pub fn complete(&mut self, done: JobDone) {
        for (id, outcome) in done.frames {
            self.settle(
                id,
                match outcome {
                    Outcome::Decoded(frame, wrong) => State::Ready(frame, wrong),
                    Outcome::Checked(wrong) => State::Checked(wrong),
                    Outcome::Failed(error) => State::Failed(error),
                },
            );
        }
    }

    /// Blocks while another reader, or a job, is at work on the frame that comes next.
    pub fn wait(&self) {
        if let Head::Elsewhere(_, flight) | Head::Working(_, flight) = self.head() {
            self.store.wait(&flight);
        }
    }

    /// As [`wait`](Self::wait), for asynchronous callers.
    pub fn poll_others(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.head() {
            Head::Elsewhere(_, flight) | Head::Working(_, flight) => {
                self.store.poll(&flight, context)
            }
            _ => Poll::Ready(()),
        }
    }

    fn settle(&mut self, id: FrameId, state: State) {
        if let Some(active) = self.frames.get_mut(&id) {
            active.state = state;
        }
    }

    /// The reader that worked on a frame gave up.
    fn want_again(&mut self, id: FrameId) {
        if let Some(active) = self.frames.get_mut(&id) {
            active.state = State::Wanted;
            let frame = active.frame;
            let end = frame.offset + u64::from(frame.stored_len);
            self.incoming
                .add(Target::Frame(id), frame.blob, frame.offset..end);
        }
    }
}
