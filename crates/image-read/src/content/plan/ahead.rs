//! Looking ahead: from wants to the frames that they need.

use image_model::{BlobIndex, ExtentSource, Frame, FrameId, Image, Recipe};

use super::ReadPlan;
use super::state::{Active, Item, Source, State};
use crate::content::decoded::ChunkCheck;
use crate::content::error::{FrameError, ReadError};
use crate::content::frames::{Claim, FrameStore};
use crate::content::incoming::Target;
use crate::content::job::{StoredFrame, WrongChunks};
use crate::content::want::Want;

/// Maximum number of pieces that are planned at once, however short they are.
const MAX_ITEMS: usize = 4096;

/// Bytes that lie plain in a blob are read in pieces of this length.
const PLAIN_LEN: u64 = 1 << 20;

impl<W, I> ReadPlan<'_, W, I>
where
    W: Iterator<Item = Result<Want, ReadError>>,
    I: Image + ?Sized,
{
    /// Takes wants until the window is full.
    pub(super) fn plan_ahead(&mut self) {
        while !self.ended && self.window.len() < MAX_ITEMS && self.cost < self.options.window.max(1)
        {
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
        if !want.is_in_extent() {
            let (ino, file_offset) = (want.ino, want.range.start);
            let source = Source::Failed(ReadError::Uncovered { ino, file_offset });
            return self.window.push_back(Item { want, source });
        }
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
                    Err(error) => {
                        self.uses.used(frame);
                        Source::Failed(error)
                    }
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
            let source = FrameError::Outside { blob, offset, len };
            let source = Source::Failed(want.frame_error(source.into()));
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

    /// Makes sure that the frame of a chunk is there or will come.
    fn plan_chunk(&mut self, want: &Want, id: FrameId, check: ChunkCheck) -> Result<(), ReadError> {
        let known = self.frames.get(&id).map(|active| active.frame.len);
        let looked_up = match known {
            Some(_) => None,
            None => {
                let found = self.look_up(id);
                Some(found.map_err(|source| want.frame_error(source.into()))?)
            }
        };
        let looked_up_len = looked_up.as_ref().map(|(frame, _)| frame.len);
        let frame_len = known.or(looked_up_len).unwrap_or(0);
        let end = u64::from(check.offset_in_frame).checked_add(check.len);
        if end.is_none_or(|end| end > frame_len.into()) {
            return Err(ReadError::OutsideFrame {
                ino: want.ino,
                file_offset: want.extent.file_offset,
                offset_in_frame: check.offset_in_frame,
                len: check.len,
                frame_len,
            });
        }
        if let Some((frame, recipe)) = looked_up {
            let active = self.activate(id, frame, recipe);
            let active = active.map_err(|source| want.frame_error(source.into()))?;
            self.cost += active.cost();
            self.frames.insert(id, active);
        }
        let Some(active) = self.frames.get_mut(&id) else {
            return Ok(());
        };
        if active.passing {
            return Err(want.frame_error(FrameError::Lost { frame: id }.into()));
        }
        active.users += 1;
        if let Some(kept) = active.kept.take() {
            self.kept.remove(&kept);
            self.kept_len -= active.kept_cost();
            self.cost += active.cost();
        }
        // Frames in a job, or decoded for another reader, are compared when they are handed out.
        let early = matches!(active.state, State::Wanted | State::Asked);
        if self.verify && early && check.vouches() {
            active.checks.push(check);
        }
        Ok(())
    }

    /// A frame that is needed, if it can be had at all.
    fn look_up(&self, id: FrameId) -> Result<(Frame, Recipe), FrameError> {
        let frame = self.image.frame(id)?;
        let recipe = self.image.recipe(frame.recipe);
        let recipe = recipe.ok_or(FrameError::Recipe { frame })?;
        self.options.check_len(&frame, &recipe)?;
        let (blob, offset, len) = (frame.blob, frame.offset, frame.stored_len.into());
        match frame.stored_end() {
            Some(_) => Ok((frame, recipe)),
            None => Err(FrameError::Outside { blob, offset, len }),
        }
    }

    /// A frame that is needed for the first time.
    fn activate(
        &mut self,
        id: FrameId,
        frame: Frame,
        recipe: Recipe,
    ) -> Result<Active, FrameError> {
        let end = frame.offset + u64::from(frame.stored_len);
        let held = self.store.find(id);
        if held.is_none() {
            self.work.decode(id, &frame)?;
        }
        let state = match held {
            Some(held) => State::Ready(held, WrongChunks::new()),
            None if frame.stored_len == 0 => match FrameStore::claim(&self.store, id) {
                Claim::Held(held) => State::Ready(held, WrongChunks::new()),
                Claim::Others(flight) => State::Elsewhere(flight),
                Claim::Mine(claim) => {
                    self.stored.push_back((id, claim, StoredFrame::empty()));
                    State::Asked
                }
            },
            None => {
                self.incoming
                    .add(Target::Frame(id), frame.blob, frame.offset..end);
                State::Wanted
            }
        };
        Ok(Active {
            frame,
            recipe,
            users: 0,
            kept: None,
            checks: Vec::new(),
            passing: false,
            state,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use image_model::image::{ChunkExtent, ChunkRange, ChunkedParts};
    use image_model::{
        Blob, BlobId, Chunk, ChunkId, ChunkedImage, Codec, Ino, InodeId, Metadata, Name, Node,
        RecipeId, Tree,
    };

    use super::*;
    use crate::blobs::BlobStore;
    use crate::content::want::FileExtents;
    use crate::options::ReadOptions;
    use crate::reader::Reader;

    /// A file whose chunks, of four bytes, lie in these frames.
    fn image(frames: &[u32]) -> ChunkedImage {
        let blob = BlobId::new(b"blob").unwrap();
        let mut parts = ChunkedParts {
            recipes: vec![Recipe::exact(Codec::None)],
            blobs: vec![Blob::new(blob)],
            ..ChunkedParts::default()
        };
        parts.frames.extend((0..3).map(|n| Frame {
            blob: BlobIndex(0),
            offset: 4 * n,
            stored_len: 4,
            len: 4,
            recipe: RecipeId(0),
        }));
        for (n, &frame) in (0u32..).zip(frames) {
            parts.extents.push(ChunkExtent {
                file_offset: 4 * u64::from(n),
                chunk: Some(ChunkId::new(n)),
            });
            parts.chunks.push(Chunk {
                digest: None,
                len: 4,
                crc32c: Some(verify::crc32c(b"abcd")),
                frame: FrameId(frame),
                offset_in_frame: 0,
            });
        }
        let end = frames.len() as u32;
        let (size, content) = (4 * u64::from(end), ChunkRange { start: 0, end });
        let mut tree = Tree::new(Metadata::implied_directory());
        let file = tree.add(Metadata::default(), Node::File { size, content });
        let name = Name::new(*b"file").unwrap();
        tree.link(InodeId::ROOT, name, file).unwrap();
        ChunkedImage::new(tree, parts).unwrap()
    }

    /// Checks the file with a window of two frames; whether each chunk was found right.
    fn check(frames: &[u32], blob: &'static [u8]) -> Vec<Result<(), ReadError>> {
        let blobs = BlobStore::single(Arc::new(Bytes::from_static(blob)));
        let options = ReadOptions::default().window(9);
        let reader = Reader::new(Arc::new(image(frames)), blobs, options);
        let wants = FileExtents::new(&**reader.image(), Ino(1), 0..u64::MAX, 0).unwrap();
        let mut found = Vec::new();
        let checked = reader.drive(reader.plan(wants).checking(), &mut |piece| {
            found.push(piece.bytes.map(|_| ()));
            Ok::<_, ReadError>(())
        });
        checked.unwrap();
        found
    }

    #[test]
    fn no_chunk_passes_by_unchecked() {
        let sound = check(&[0, 0, 1, 1, 2], b"abcdabcdabcd");
        assert!(sound.iter().all(Result::is_ok), "{sound:?}");
        let damaged = check(&[0, 0, 1, 1, 2], b"abcdabcDabcd");
        let wrong = |found: &Result<(), _>| matches!(found, Err(ReadError::Chunk { .. }));
        assert!(
            damaged
                .iter()
                .map(wrong)
                .eq([false, false, true, true, false])
        );
        // The last one comes when its frame has passed by, and is still there for the third.
        let mixed = check(&[0, 1, 0, 2, 0], b"abcdabcdabcd");
        let (last, others) = mixed.split_last().unwrap();
        assert!(others.iter().all(Result::is_ok), "{mixed:?}");
        let Err(ReadError::Frame { source, .. }) = last else {
            panic!("{last:?}")
        };
        assert!(matches!(**source, FrameError::Lost { .. }));
    }
}
