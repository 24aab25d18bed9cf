//! Stored bytes: requesting them, and taking them as they arrive.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use image_model::{BlobIndex, Image};

use super::ReadPlan;
use super::state::State;
use crate::content::error::{FrameError, ReadError};
use crate::content::frames::{Claim, FrameStore};
use crate::content::incoming::{Arrived, StoredRange, Target, Verdict};
use crate::content::job::{StoredFrame, WrongChunks};
use crate::content::want::Want;

impl<W, I> ReadPlan<'_, W, I>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    /// Takes the bytes of a range that was needed: those of `blob` from byte `offset` on.
    ///
    /// # Errors
    /// [`ReadError::Unneeded`] if it was not.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "they are the plan's from here on"
    )]
    pub fn supply(&mut self, blob: BlobIndex, offset: u64, bytes: Bytes) -> Result<(), ReadError> {
        let Some(arrived) = self.incoming.supply(blob, offset, &bytes) else {
            let len = bytes.len() as u64;
            return Err(ReadError::Unneeded { blob, offset, len });
        };
        for arrived in arrived {
            match arrived.target {
                Target::Plain(number) => {
                    let parts = self.plain_parts(arrived);
                    self.plain.insert(number, Ok(parts));
                }
                Target::Frame(id) => {
                    let stored = self.stored_frame(&arrived);
                    let claim = arrived.claim.expect("frames are claimed");
                    self.stored.push_back((id, claim, stored));
                }
            }
        }
        Ok(())
    }

    /// Says that the bytes of a range that was needed cannot be read. If they were for several frames,
    /// those will be requested one by one when their turn comes.
    ///
    /// # Errors
    /// [`ReadError::Unneeded`] if it was not.
    pub fn fail(&mut self, range: &StoredRange, why: FrameError) -> Result<(), ReadError> {
        let Some(failed) = self.incoming.fail(range) else {
            let StoredRange { blob, offset, len } = *range;
            return Err(ReadError::Unneeded { blob, offset, len });
        };
        let why = Arc::new(why);
        for target in failed.ended {
            match target {
                Target::Plain(number) => {
                    self.plain.insert(number, Err(Arc::clone(&why)));
                }
                Target::Frame(id) => self.settle(id, State::Failed(Arc::clone(&why))),
            }
        }
        for target in failed.again {
            if let Target::Frame(id) = target {
                self.settle(id, State::Wanted);
            }
        }
        Ok(())
    }

    /// What to ask for now; frames are claimed by that.
    pub(super) fn ask(&mut self, force: bool, due: Option<Target>) -> Vec<StoredRange> {
        let (store, frames) = (&self.store, &mut self.frames);
        self.incoming.ask(force, due, &mut |target| {
            let Target::Frame(id) = target else {
                return Verdict::Ask(None);
            };
            let (state, verdict) = match FrameStore::claim(store, id) {
                Claim::Mine(claim) => (State::Asked, Verdict::Ask(Some(claim))),
                Claim::Others(flight) => (State::Elsewhere(flight), Verdict::Forget),
                Claim::Held(held) => (State::Ready(held, WrongChunks::new()), Verdict::Forget),
            };
            if let Some(active) = frames.get_mut(&id) {
                active.state = state;
            }
            verdict
        })
    }

    /// The stored bytes of a frame in one piece.
    fn stored_frame(&self, arrived: &Arrived) -> StoredFrame {
        let (bytes, lasting) = match (self.in_memory(&arrived.range), &arrived.parts[..]) {
            (Some(bytes), _) => (bytes, true),
            (None, [only]) => (only.clone(), arrived.is_most_of_its_answer()),
            (None, parts) => {
                let mut joined = self.store.buffer(arrived.range.len as usize);
                let mut rest = &mut joined[..];
                for part in parts {
                    let (start, end) = rest.split_at_mut(part.len());
                    start.copy_from_slice(part);
                    rest = end;
                }
                (Bytes::from_owner(joined), true)
            }
        };
        StoredFrame { bytes, lasting }
    }

    /// Plain bytes, which stay until they are handed out.
    fn plain_parts(&self, arrived: Arrived) -> VecDeque<Bytes> {
        if let Some(bytes) = self.in_memory(&arrived.range) {
            return [bytes].into();
        }
        match &arrived.parts[..] {
            [only] if !arrived.is_most_of_its_answer() => [Bytes::copy_from_slice(only)].into(),
            _ => arrived.parts.into(),
        }
    }

    fn in_memory(&self, range: &StoredRange) -> Option<Bytes> {
        self.blobs?.lent(range)
    }
}

impl Arrived {
    /// Whether its only part keeps little else in memory.
    fn is_most_of_its_answer(&self) -> bool {
        2 * self.range.len >= self.answer_len
    }
}
