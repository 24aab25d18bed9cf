//! Handing out: from frames to pieces, in the order of the wants.

use std::sync::Arc;

use image_model::{FrameId, Image};

use super::ReadPlan;
use super::state::{Head, Source, State};
use crate::content::decoded::ChunkCheck;
use crate::content::error::{FrameError, ReadError};
use crate::content::incoming::Target;
use crate::content::piece::{Piece, PieceBytes};
use crate::content::want::Want;

impl<W, I> ReadPlan<'_, W, I>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    pub(super) fn head(&self) -> Head {
        let Some(item) = self.window.front() else {
            return Head::Nothing;
        };
        match &item.source {
            Source::Zeros | Source::Failed(_) => Head::Ready,
            Source::Plain(number) if self.plain.contains_key(number) => Head::Ready,
            Source::Plain(number) => match Target::Plain(*number) {
                target if self.incoming.lacks(target) => Head::Wanted(target),
                _ => Head::Asked,
            },
            Source::Chunk(id, _) => match self.frames.get(id).map(|active| &active.state) {
                Some(State::Wanted) => Head::Wanted(Target::Frame(*id)),
                Some(State::Asked) => Head::Asked,
                Some(State::Working(flight)) => Head::Working(*id, Arc::clone(flight)),
                Some(State::Elsewhere(flight)) => Head::Elsewhere(*id, Arc::clone(flight)),
                Some(State::Ready(..) | State::Checked(_) | State::Failed(_)) | None => Head::Ready,
            },
        }
    }

    /// Hands out the first item, or a part of it; it must be ready.
    pub(super) fn hand_out(&mut self) -> Piece {
        let mut item = self.window.pop_front().expect("the head is ready");
        let Want {
            tag, ino, extent, ..
        } = item.want;
        let file_offset = item.want.range.start;
        let mut len = item.want.range.end - file_offset;
        let bytes = match item.source {
            Source::Zeros => Ok(PieceBytes::zeros(len)),
            Source::Failed(error) => Err(error),
            Source::Chunk(id, check) => {
                let bytes = self.chunk(&item.want, id, &check);
                self.release_frame(id);
                bytes
            }
            Source::Plain(number) => match self.plain.remove(&number) {
                Some(Ok(mut parts)) => {
                    let first = parts.pop_front().unwrap_or_default();
                    len = first.len() as u64;
                    self.cost -= len;
                    if !parts.is_empty() {
                        self.plain.insert(number, Ok(parts));
                        item.want.range.start += len;
                        self.window.push_front(item);
                    }
                    Ok(PieceBytes::plain(first))
                }
                Some(Err(error)) => {
                    self.cost -= len;
                    Err(item.want.frame_error(error))
                }
                None => unreachable!("the head is ready"),
            },
        };
        self.work.handed_out = self.work.handed_out.saturating_add(len);
        Piece {
            tag,
            ino,
            extent,
            file_offset,
            len,
            bytes,
        }
    }

    /// The bytes of a chunk whose frame is there, verified; none if it has passed by.
    fn chunk(
        &mut self,
        want: &Want,
        id: FrameId,
        check: &ChunkCheck,
    ) -> Result<PieceBytes, ReadError> {
        let state = self.frames.get_mut(&id).map(|active| &mut active.state);
        let (frame, wrong) = match state {
            Some(State::Ready(frame, wrong)) => (Some(frame), wrong),
            Some(State::Checked(wrong)) => (None, wrong),
            Some(State::Failed(error)) => return Err(want.frame_error(Arc::clone(error))),
            _ => return Err(want.frame_error(FrameError::Lost { frame: id }.into())),
        };
        if self.verify {
            let checked = match (wrong.get(check), &frame) {
                (Some(known), _) => Err(*known),
                (None, Some(frame)) => frame.verify(check).inspect_err(|error| {
                    wrong.insert(*check, *error);
                    self.store.forget(id, frame);
                }),
                (None, None) => Ok(()),
            };
            checked.map_err(|source| ReadError::Chunk {
                ino: want.ino,
                file_offset: want.extent.file_offset,
                source,
            })?;
        }
        let Some(frame) = frame else {
            return Ok(PieceBytes::default());
        };
        let skip = want.range.start - want.extent.file_offset;
        let start = check.offset_in_frame as usize + skip as usize;
        let len = (want.range.end - want.range.start) as usize;
        Ok(PieceBytes::of(Arc::clone(frame), start..start + len))
    }

    /// One item less needs the frame.
    fn release_frame(&mut self, id: FrameId) {
        // Frames that are checked as a whole may continue with it.
        let goes_on = self.checking && self.window.is_empty() && !self.ended;
        let again = self.uses.used(id) || goes_on;
        let Some(active) = self.frames.get_mut(&id) else {
            return;
        };
        active.users -= 1;
        if active.users > 0 {
            return;
        }
        self.cost -= active.cost();
        if !again || !matches!(active.state, State::Ready(..)) {
            self.frames.remove(&id);
            return;
        }
        active.kept = Some(self.next_kept);
        self.kept.insert(self.next_kept, id);
        self.next_kept += 1;
        self.kept_len += active.kept_cost();
        while self.kept_len > self.options.keep
            && self.kept.len() > 1
            && let Some((_, oldest)) = self.kept.pop_first()
        {
            let dropped = self.frames.remove(&oldest);
            self.kept_len -= dropped.map_or(0, |active| active.kept_cost());
        }
    }
}
