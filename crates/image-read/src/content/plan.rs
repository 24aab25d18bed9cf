//! Reading what is wanted, as a machine that asks for stored bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use image_model::{BlobIndex, Codec, Decode, ExtentSource, Frame, FrameId, Image, Recipe};

use super::error::{FrameError, ReadError};
use super::frames::{ChunkCheck, Claim, DecodedFrame, FrameStore};
use super::incoming::{Incoming, StoredRange, Target};
use super::job::{Job, JobDone, JobFrame, Outcome, verify_chunk};
use super::piece::{Piece, PieceBytes};
use super::uses::FrameUses;
use super::want::Want;
use crate::options::ReadOptions;

/// Most pieces that are planned at once, however short they are.
const MAX_ITEMS: usize = 4096;

/// Bytes that lie plain in a blob are read in pieces of this length.
const PLAIN_LEN: u64 = 1 << 20;

/// Decoded bytes of a job, and frames of one.
const JOB_LEN: u64 = 512 << 10;
const JOB_FRAMES: usize = 256;

/// What a [`ReadPlan`] says next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// It needs these stored bytes: [`supply`](ReadPlan::supply) them, or say that they cannot be had
    /// ([`fail`](ReadPlan::fail)), in any order and at any time.
    Need(Vec<StoredRange>),
    /// Frames are to be decoded: [`run`](Job::run) this on any thread, and
    /// [`complete`](ReadPlan::complete) the plan with the result.
    Work(Job),
    /// The next piece, in the order of the wants.
    Ready(Piece),
    /// Nothing before a range is supplied or a job completed. If there is none under way, another
    /// reader is at work on the next frame: see [`wait`](ReadPlan::wait).
    Wait,
    /// All has been handed out.
    Done,
}

/// Reads pieces of files, in the order of its wants, without doing any I/O: it asks for stored bytes,
/// gives out the work of decoding them, and hands out the files' bytes, verified.
///
/// It looks ahead as far as [`ReadOptions::window`] allows, finds the distinct frames that are needed
/// and are not in the [`FrameStore`] yet, and asks for them, near ones by one [`StoredRange`]. Each
/// frame is decoded once, by this reader or by another one of the same store. Memory is bounded by the
/// window, not by what is wanted, and no more is fetched than the frames that are needed (and
/// [`ReadOptions::gap`]).
///
/// Synchronous callers use [`Reader`](crate::Reader), which drives this machine. Asynchronous ones
/// drive it themselves; `fetch` stands for what they would await:
///
/// ```
/// use std::future::poll_fn;
/// use bytes::Bytes;
/// use image_model::{Image, Ino};
/// use lazyoci_image_read::{FileExtents, FrameStore, ReadError, ReadOptions, ReadPlan, Step, StoredRange};
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
///             Step::Need(ranges) => {
///                 for range in ranges {
///                     let stored = fetch(range).await;
///                     plan.supply(range.blob, range.offset, stored)?;
///                 }
///             }
///             Step::Work(job) => plan.complete(job.run()),
///             Step::Ready(piece) => match piece.bytes?.as_ref() {
///                 ExtentBytes::Data(bytes) => content.extend_from_slice(bytes),
///                 ExtentBytes::Zeros(len) => content.resize(content.len() + len as usize, 0),
///             },
///             Step::Wait => poll_fn(|context| plan.poll_others(context)).await,
///             Step::Done => return Ok(content),
///             _ => unreachable!("there are no other steps"),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct ReadPlan<'a, W, I: ?Sized> {
    image: &'a I,
    store: Arc<FrameStore>,
    options: ReadOptions,
    verify: bool,
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
    stored: VecDeque<(FrameId, Bytes)>,
    uses: FrameUses,
    /// Frames that no item of the window needs, kept since later ones will; oldest first.
    kept: VecDeque<FrameId>,
    kept_len: u64,
}

/// A piece on its way.
#[derive(Debug)]
struct Item {
    want: Want,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Zeros,
    Chunk(FrameId, ChunkCheck),
    Plain(u64),
    Failed(Option<ReadError>),
}

/// A frame that is needed.
#[derive(Debug)]
struct Active {
    frame: Frame,
    recipe: Recipe,
    /// Items of the window that need it.
    users: u32,
    /// Whether it is one of the kept.
    kept: bool,
    /// Chunks to verify when it is decoded.
    checks: Vec<ChunkCheck>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not asked for, at least not for all of it.
    Wanted,
    /// Its stored bytes are to come, or it is in a job.
    Coming,
    /// Another reader is at work on it.
    Elsewhere,
    Ready(Arc<DecodedFrame>, Vec<(ChunkCheck, verify::CheckError)>),
    Failed(Arc<FrameError>),
}

/// How far the first item is.
enum Head {
    Ready,
    /// Its bytes were not asked for.
    Wanted,
    Coming,
    Elsewhere(FrameId),
    Nothing,
}

impl<'a, W, I> ReadPlan<'a, W, I>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    /// Plans to hand out `wants`, verified. Frames are shared with whoever uses `store`.
    #[must_use]
    pub fn new(image: &'a I, store: &Arc<FrameStore>, wants: W, options: &ReadOptions) -> Self {
        Self {
            image,
            store: Arc::clone(store),
            verify: true,
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
            kept: VecDeque::new(),
            kept_len: 0,
            options: options.clone(),
        }
    }

    /// The same plan, with digests and checksums ignored.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.verify = false;
        self
    }

    /// The same plan, which keeps frames that are needed again.
    pub(crate) fn keeping(mut self, uses: FrameUses) -> Self {
        self.uses = uses;
        self
    }

    /// Says what comes next.
    ///
    /// # Errors
    /// [`ReadError`] if the wants end with an error. What is wrong with a piece is told with it.
    pub fn step(&mut self) -> Result<Step, ReadError> {
        loop {
            if !self.stored.is_empty() {
                return Ok(Step::Work(self.next_job()));
            }
            self.plan_ahead();
            if self.incoming.is_worth_asking() || self.ended {
                let ranges = self.ask(self.ended);
                if !ranges.is_empty() {
                    return Ok(Step::Need(ranges));
                }
            }
            if !self.stored.is_empty() {
                continue;
            }
            match self.head() {
                Head::Ready => return Ok(Step::Ready(self.hand_out())),
                Head::Nothing => return self.error.take().map_or(Ok(Step::Done), Err),
                Head::Wanted => {
                    let ranges = self.ask(true);
                    if !ranges.is_empty() {
                        return Ok(Step::Need(ranges));
                    }
                    // Another reader has it, or is at work on it.
                }
                Head::Coming => return Ok(Step::Wait),
                Head::Elsewhere(id) => {
                    if !self.look_again(id) {
                        return Ok(Step::Wait);
                    }
                }
            }
        }
    }

    /// Takes the bytes of a range that was needed: those of `blob` from byte `offset` on.
    ///
    /// # Errors
    /// [`ReadError::Unneeded`] if it was not.
    pub fn supply(&mut self, blob: BlobIndex, offset: u64, bytes: Bytes) -> Result<(), ReadError> {
        let Some(arrived) = self.incoming.supply(blob, offset, &bytes) else {
            let len = bytes.len() as u64;
            return Err(ReadError::Unneeded { blob, offset, len });
        };
        for (target, parts) in arrived {
            match target {
                Target::Plain(number) => {
                    self.plain.insert(number, Ok(parts.into()));
                }
                Target::Frame(id) => {
                    let stored = match <[Bytes; 1]>::try_from(parts) {
                        Ok([only]) => only,
                        Err(parts) => parts.concat().into(),
                    };
                    self.stored.push_back((id, stored));
                }
            }
        }
        Ok(())
    }

    /// Says that the bytes of a range that was needed cannot be had.
    ///
    /// # Errors
    /// [`ReadError::Unneeded`] if it was not.
    pub fn fail(&mut self, range: &StoredRange, why: FrameError) -> Result<(), ReadError> {
        let Some(failed) = self.incoming.fail(range) else {
            let StoredRange { blob, offset, len } = *range;
            return Err(ReadError::Unneeded { blob, offset, len });
        };
        let why = Arc::new(why);
        for (target, claimed) in failed {
            match target {
                Target::Plain(number) => {
                    self.plain.insert(number, Err(Arc::clone(&why)));
                }
                Target::Frame(id) => {
                    if claimed {
                        self.store.release(id);
                    }
                    self.settle(id, State::Failed(Arc::clone(&why)));
                }
            }
        }
        Ok(())
    }

    /// Takes what a job made.
    pub fn complete(&mut self, done: JobDone) {
        for (id, outcome) in done.frames {
            self.settle(
                id,
                match outcome {
                    Outcome::Decoded(frame, wrong) => State::Ready(frame, wrong),
                    Outcome::Failed(error) => State::Failed(error),
                },
            );
        }
    }

    /// Blocks while another reader is at work on the frame that comes next.
    pub fn wait(&self) {
        if let Head::Elsewhere(id) = self.head() {
            self.store.wait(id);
        }
    }

    /// As [`wait`](Self::wait), for asynchronous callers.
    pub fn poll_others(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.head() {
            Head::Elsewhere(id) => self.store.poll(id, context),
            _ => Poll::Ready(()),
        }
    }

    fn settle(&mut self, id: FrameId, state: State) {
        if let Some(active) = self.frames.get_mut(&id) {
            active.state = state;
        }
    }

    /// Takes wants until the window is full.
    fn plan_ahead(&mut self) {
        while !self.ended && self.window.len() < MAX_ITEMS && self.cost < self.options.window {
            let rest = self.rest.take().map(Ok);
            match rest.or_else(|| self.wants.next()) {
                Some(Ok(want)) => self.plan(want),
                Some(Err(error)) => {
                    self.ended = true;
                    self.error = Some(error);
                }
                None => self.ended = true,
            }
        }
    }

    fn plan(&mut self, want: Want) {
        let source = match want.extent.source {
            ExtentSource::Zeros => Source::Zeros,
            ExtentSource::Plain { blob, offset } => return self.plan_plain(want, blob, offset),
            ExtentSource::Chunk {
                frame,
                offset_in_frame,
                digest,
                crc32c,
            } => {
                let check = ChunkCheck {
                    offset_in_frame,
                    len: want.extent.len,
                    digest,
                    crc32c,
                };
                match self.plan_chunk(&want, frame, check) {
                    Ok(()) => Source::Chunk(frame, check),
                    Err(error) => Source::Failed(Some(error)),
                }
            }
        };
        self.window.push_back(Item { want, source });
    }

    /// Bytes that lie plain in a blob: those that are wanted and no others, a piece at a time.
    fn plan_plain(&mut self, mut want: Want, blob: BlobIndex, offset: u64) {
        let skip = want.range.start - want.extent.file_offset;
        let wanted = want.range.end - want.range.start;
        let start = offset.checked_add(skip);
        let Some(start) = start.filter(|start| start.checked_add(wanted).is_some()) else {
            let len = want.extent.len;
            let source = Arc::new(FrameError::Outside { blob, offset, len });
            let source = Source::Failed(Some(self.frame_error(&want, source)));
            return self.window.push_back(Item { want, source });
        };
        let len = PLAIN_LEN.min(wanted);
        if len < wanted {
            let end = want.range.start + len;
            self.rest = Some(Want {
                range: end..want.range.end,
                ..want.clone()
            });
            want.range.end = end;
        }
        let number = self.next_plain;
        self.next_plain += 1;
        self.incoming
            .add(Target::Plain(number), blob, start..start + len);
        self.cost += len;
        let source = Source::Plain(number);
        self.window.push_back(Item { want, source });
    }

    /// Makes sure that the frame of a chunk is held or will come.
    fn plan_chunk(&mut self, want: &Want, id: FrameId, check: ChunkCheck) -> Result<(), ReadError> {
        if !self.frames.contains_key(&id) {
            let active = self
                .activate(id)
                .map_err(|source| self.frame_error(want, source.into()))?;
            self.cost += active.cost();
            self.frames.insert(id, active);
        }
        let Some(active) = self.frames.get_mut(&id) else {
            return Ok(());
        };
        let frame_len = active.frame.len;
        let end = u64::from(check.offset_in_frame).checked_add(check.len);
        if end.is_none_or(|end| end > frame_len.into()) {
            let error = ReadError::OutsideFrame {
                ino: want.ino,
                offset_in_frame: check.offset_in_frame,
                len: check.len,
                frame_len,
            };
            self.let_go(id);
            return Err(error);
        }
        active.users += 1;
        if active.kept {
            active.kept = false;
            let cost = active.cost();
            self.cost += cost;
            self.kept_len -= cost;
            self.kept.retain(|kept| *kept != id);
        }
        let verify = self.verify && (check.digest.is_some() || check.crc32c.is_some());
        if verify
            && matches!(active.state, State::Wanted | State::Coming)
            && !active.checks.contains(&check)
        {
            active.checks.push(check);
        }
        Ok(())
    }

    /// A frame that is needed for the first time.
    fn activate(&mut self, id: FrameId) -> Result<Active, FrameError> {
        let frame = self.image.frame(id)?;
        let recipe = self.image.recipe(frame.recipe);
        let recipe = recipe.ok_or(FrameError::Recipe { frame })?;
        self.options.check_len(&frame, &recipe)?;
        let (blob, offset, len) = (frame.blob, frame.offset, frame.stored_len.into());
        let end = frame.stored_end();
        let end = end.ok_or(FrameError::Outside { blob, offset, len })?;
        let state = match self.store.held(id) {
            Some(held) => State::Ready(held, Vec::new()),
            None if offset == end => match self.store.claim(id) {
                Claim::Held(held) => State::Ready(held, Vec::new()),
                Claim::Others => State::Elsewhere,
                Claim::Mine => {
                    self.stored.push_back((id, Bytes::new()));
                    State::Coming
                }
            },
            None => {
                self.incoming.add(Target::Frame(id), blob, offset..end);
                State::Wanted
            }
        };
        Ok(Active {
            frame,
            recipe,
            users: 0,
            kept: false,
            checks: Vec::new(),
            state,
        })
    }

    /// What to ask for now.
    fn ask(&mut self, force: bool) -> Vec<StoredRange> {
        let (store, frames) = (&self.store, &mut self.frames);
        self.incoming.ask(force, &mut |target| {
            let Target::Frame(id) = target else {
                return true;
            };
            let claim = store.claim(id);
            let mine = matches!(claim, Claim::Mine);
            if let Some(active) = frames.get_mut(&id) {
                active.state = match claim {
                    Claim::Mine => State::Coming,
                    Claim::Others => State::Elsewhere,
                    Claim::Held(held) => State::Ready(held, Vec::new()),
                };
            }
            mine
        })
    }

    /// Whether a frame that another reader was at work on is there, or is ours to fetch now.
    fn look_again(&mut self, id: FrameId) -> bool {
        let claim = self.store.claim(id);
        let Some(active) = self.frames.get_mut(&id) else {
            return true;
        };
        match claim {
            Claim::Others => return false,
            Claim::Held(held) => active.state = State::Ready(held, Vec::new()),
            Claim::Mine => {
                // It is claimed again when it is asked for.
                self.store.release(id);
                active.state = State::Wanted;
                let frame = active.frame;
                let end = frame.offset + u64::from(frame.stored_len);
                let range = frame.offset..end;
                self.incoming.add(Target::Frame(id), frame.blob, range);
            }
        }
        true
    }

    fn next_job(&mut self) -> Job {
        let mut job = Job::new(&self.store);
        let (mut len, mut count) = (0, 0);
        while (len < JOB_LEN && count < JOB_FRAMES)
            && let Some((id, stored)) = self.stored.pop_front()
        {
            let Some(active) = self.frames.get_mut(&id) else {
                self.store.release(id);
                continue;
            };
            let plain = matches!(active.recipe.decode, Decode::Exact(Codec::None));
            len += u64::from(if plain { 1 } else { active.frame.len });
            count += 1;
            job.push(JobFrame {
                id,
                frame: active.frame,
                recipe: active.recipe.clone(),
                stored,
                checks: std::mem::take(&mut active.checks),
            });
        }
        job
    }

    fn head(&self) -> Head {
        let Some(item) = self.window.front() else {
            return Head::Nothing;
        };
        match &item.source {
            Source::Zeros | Source::Failed(_) => Head::Ready,
            Source::Plain(number) if self.plain.contains_key(number) => Head::Ready,
            Source::Plain(number) => match self.incoming.lacks(Target::Plain(*number)) {
                true => Head::Wanted,
                false => Head::Coming,
            },
            Source::Chunk(id, _) => match self.frames.get(id).map(|active| &active.state) {
                Some(State::Wanted) => Head::Wanted,
                Some(State::Coming) => Head::Coming,
                Some(State::Elsewhere) => Head::Elsewhere(*id),
                _ => Head::Ready,
            },
        }
    }

    /// Hands out the first item, or a part of it; it must be ready.
    fn hand_out(&mut self) -> Piece {
        let mut item = self.window.pop_front().expect("the head is ready");
        let want = &item.want;
        let (tag, ino, extent) = (want.tag, want.ino, want.extent);
        let file_offset = want.range.start;
        let len = want.range.end - want.range.start;
        let bytes = match &mut item.source {
            Source::Zeros => Ok(PieceBytes::zeros(len)),
            Source::Failed(error) => Err(error.take().expect("it is taken once")),
            Source::Chunk(id, check) => {
                let bytes = self.chunk(&item.want, *id, check);
                self.release_frame(*id);
                bytes
            }
            Source::Plain(number) => match self.plain.remove(number) {
                Some(Ok(mut parts)) => {
                    let first = parts.pop_front().unwrap_or_default();
                    self.cost -= first.len() as u64;
                    if !parts.is_empty() {
                        self.plain.insert(*number, Ok(parts));
                        item.want.range.start += first.len() as u64;
                        self.window.push_front(item);
                    }
                    Ok(PieceBytes::plain(first))
                }
                Some(Err(error)) => {
                    self.cost -= len;
                    Err(self.frame_error(&item.want, error))
                }
                None => unreachable!("the head is ready"),
            },
        };
        Piece {
            tag,
            ino,
            extent,
            file_offset,
            bytes,
        }
    }

    /// The bytes of a chunk whose frame is there, verified.
    fn chunk(&self, want: &Want, id: FrameId, check: &ChunkCheck) -> Result<PieceBytes, ReadError> {
        let (frame, wrong) = match self.frames.get(&id).map(|active| &active.state) {
            Some(State::Ready(frame, wrong)) => (frame, wrong),
            Some(State::Failed(error)) => return Err(self.frame_error(want, Arc::clone(error))),
            _ => {
                let lost = Arc::new(FrameError::Lost { frame: id });
                return Err(self.frame_error(want, lost));
            }
        };
        if self.verify && !frame.is_verified(check) {
            let known = wrong.iter().find(|(chunk, _)| chunk == check);
            let checked = match known {
                Some((_, error)) => Err(*error),
                None => verify_chunk(frame, check),
            };
            checked.map_err(|source| ReadError::Chunk {
                ino: want.ino,
                file_offset: want.extent.file_offset,
                source,
            })?;
            frame.set_verified(*check);
        }
        let skip = want.range.start - want.extent.file_offset;
        let start = check.offset_in_frame as usize + skip as usize;
        let len = (want.range.end - want.range.start) as usize;
        Ok(PieceBytes::of(Arc::clone(frame), start..start + len))
    }

    /// One item less needs the frame.
    fn release_frame(&mut self, id: FrameId) {
        let again = self.uses.used(id);
        let Some(active) = self.frames.get_mut(&id) else {
            return;
        };
        active.users -= 1;
        if active.users > 0 {
            return;
        }
        if again && matches!(active.state, State::Ready(..)) {
            active.kept = true;
            let cost = active.cost();
            self.cost -= cost;
            self.kept_len += cost;
            self.kept.push_back(id);
            while self.kept_len > self.options.keep
                && let Some(oldest) = self.kept.pop_front()
            {
                let dropped = self.frames.remove(&oldest);
                self.kept_len -= dropped.map_or(0, |active| active.cost());
            }
            return;
        }
        self.let_go(id);
    }

    /// Forgets a frame that no item needs.
    fn let_go(&mut self, id: FrameId) {
        if self.frames.get(&id).is_some_and(|active| active.users == 0)
            && let Some(active) = self.frames.remove(&id)
        {
            self.cost -= active.cost();
        }
    }

    fn frame_error(&self, want: &Want, source: Arc<FrameError>) -> ReadError {
        ReadError::Frame {
            ino: want.ino,
            file_offset: want.range.start,
            source,
        }
    }
}

impl Active {
    /// Bytes that it keeps in memory, at most.
    fn cost(&self) -> u64 {
        self.frame.len.max(self.frame.stored_len).into()
    }
}

/// Other readers may fetch what this one will not.
impl<W, I: ?Sized> Drop for ReadPlan<'_, W, I> {
    fn drop(&mut self) {
        for id in self.incoming.claimed() {
            self.store.release(id);
        }
        for (id, _) in &self.stored {
            self.store.release(*id);
        }
    }
}
