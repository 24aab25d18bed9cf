//! The bytes of an image on their way to the output: digested meanwhile, by another thread.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use blob_io::{ObjectRole, ObjectWriter, Output, Written};
use image_model::Digest;
use verify::Hasher;

use super::verity::{VerityHasher, VerityTree};
use crate::ConvertError;
use crate::stage::BlockDigest;

/// Bytes that are passed on at once.
pub(super) const PART: usize = 1 << 20;
/// Bytes that are written at once. A file system may want that much memory in one piece, for which the kernel first moves
/// other things where memory is fragmented: of a mebibyte that was seen to take longer than all else.
const WRITE: usize = 128 << 10;
/// Parts that wait for a digest, at most.
const WAITING: usize = 4;
/// Parts whose memory is used again: those that wait, one that is digested, one that is written.
const KEPT: usize = WAITING + 2;

/// Bytes that were written, to be digested.
struct Part {
    memory: Box<[u8]>,
    used: usize,
}

impl Part {
    fn new() -> Self {
        Self {
            memory: vec![0; PART].into(),
            used: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[..self.used]
    }
}

/// A digest that is computed on a thread of its own, or here.
enum Follower<'s> {
    Here(Hasher),
    There {
        parts: SyncSender<Arc<Part>>,
        thread: ScopedJoinHandle<'s, Hasher>,
    },
}

impl<'s> Follower<'s> {
    fn new<'e>(scope: Option<&'s Scope<'s, 'e>>) -> Self {
        let mut hasher = Hasher::sha256();
        let Some(scope) = scope else {
            return Self::Here(hasher);
        };
        let (parts, taken) = sync_channel::<Arc<Part>>(WAITING);
        let thread = scope.spawn(move || {
            for part in taken {
                hasher.update(part.bytes());
            }
            hasher
        });
        Self::There { parts, thread }
    }

    fn take(&mut self, part: &Arc<Part>) {
        match self {
            Self::Here(hasher) => hasher.update(part.bytes()),
            // A thread that has ended has panicked, which `join` reports.
            Self::There { parts, .. } => drop(parts.send(Arc::clone(part))),
        }
    }

    fn finish(self) -> Digest {
        let hasher = match self {
            Self::Here(hasher) => hasher,
            Self::There { parts, thread } => {
                drop(parts);
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        };
        hasher.finish()
    }
}

/// An image that is written from front to end, and what follows it.
pub(super) struct ImageWriter<'o, 's> {
    object: Box<dyn ObjectWriter + 'o>,
    digest: Follower<'s>,
    verity: Option<VerityHasher>,
    /// Whether the blocks of the content that comes are digested already.
    known: bool,
    /// What is gathered.
    part: Part,
    /// Parts that were passed on, the oldest first.
    passed: VecDeque<Arc<Part>>,
    len: u64,
}

impl<'o, 's> ImageWriter<'o, 's> {
    /// Begins an image of `output`, digested on a thread of `scope`, if that is given.
    pub(super) fn begin<'e>(
        output: &'o mut dyn Output,
        verity: bool,
        scope: Option<&'s Scope<'s, 'e>>,
    ) -> Result<Self, ConvertError> {
        Ok(Self {
            object: output.begin(ObjectRole::Layer)?,
            digest: Follower::new(scope),
            verity: verity.then(VerityHasher::default),
            known: false,
            part: Part::new(),
            passed: VecDeque::new(),
            len: 0,
        })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len + self.part.used as u64
    }

    /// Room for at most `len` more bytes of content, all of which are to be overwritten before they are
    /// [taken](Self::is_filled); never empty.
    pub(super) fn room(&mut self, len: u64) -> io::Result<&mut [u8]> {
        if self.part.used == PART {
            self.pass_on()?;
        }
        let start = self.part.used;
        let room = usize::try_from(len).map_or(PART, |len| len.min(PART));
        let end = (start + room).min(PART);
        self.part.used = end;
        Ok(&mut self.part.memory[start..end])
    }

    /// Announces content, which begins a block and is padded to the end of its last one: the digests of its blocks, or
    /// none if they are not known.
    pub(super) fn expect_content(&mut self, blocks: &[BlockDigest]) {
        self.known = !blocks.is_empty();
        if let Some(verity) = &mut self.verity {
            verity.take(blocks);
        }
    }

    /// Takes the last `len` bytes of the room as they are now.
    pub(super) fn is_filled(&mut self, len: usize) {
        let from = self.part.used - len;
        match &mut self.verity {
            Some(verity) if !self.known => verity.update(&self.part.bytes()[from..]),
            _ => {}
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let next = self.next_part();
        let part = Arc::new(std::mem::replace(&mut self.part, next));
        self.digest.take(&part);
        self.len += part.used as u64;
        for piece in part.bytes().chunks(WRITE) {
            self.object.write_all(piece)?;
        }
        self.passed.push_back(part);
        Ok(())
    }

    /// Memory for the next part: that of the oldest one, once nobody needs it.
    fn next_part(&mut self) -> Part {
        if self.passed.len() < KEPT {
            return Part::new();
        }
        let oldest = self.passed.pop_front().and_then(Arc::into_inner);
        oldest.map_or_else(Part::new, |part| Part { used: 0, ..part })
    }

    /// Ends the image, whose length is a multiple of a block; what follows is not a part of it.
    pub(super) fn end_image(&mut self) -> io::Result<Option<VerityTree>> {
        self.pass_on()?;
        let verity = self.verity.take();
        Ok(verity.map(VerityHasher::finish))
    }

    /// Completes the object.
    pub(super) fn finish(mut self) -> Result<Written, ConvertError> {
        self.pass_on()?;
        self.object.flush()?;
        let written = Written::new(self.digest.finish(), self.len);
        self.object.finish(&written)?;
        Ok(written)
    }
}

/// Metadata.
impl Write for ImageWriter<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let room = self.room(buf.len() as u64)?;
        let len = room.len();
        room.copy_from_slice(&buf[..len]);
        self.is_filled(len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
