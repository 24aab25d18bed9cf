//! Decoded frames that are kept for the next reads, and what it takes to decode more.

use std::collections::{HashMap, HashSet, VecDeque};

use frame_codec::{CodecError, Decoder};
use image_model::{Blame, Extent, ExtentSource, Fault, Frame};
use verify::{ContentError, ExtentBytes, ExtentError, FrameSource};

/// Most chunks of one frame that are remembered as verified.
const MAX_VERIFIED: usize = 256;

/// Decoded frames of one image, with the decoder's contexts and buffers to use again.
///
/// Owned by the caller and lent to one [`ReadPlan`](crate::ReadPlan) after the other, so that reads
/// that touch the same frames fetch and decode them once. Holds at most `capacity` bytes of frames,
/// or what one [window](crate::ReadOptions::window) needs, and spare buffers of `capacity` bytes at
/// most. The frames held longest go first.
///
/// Frames are known by where they are stored: a cache serves one image, never two.
#[derive(Debug, Default)]
pub struct FrameCache {
    capacity: u64,
    held: HashMap<Frame, Held>,
    /// The frames held, those held longest first.
    order: VecDeque<Frame>,
    held_len: u64,
    spare: Vec<Vec<u8>>,
    spare_len: u64,
    decoder: Decoder,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    /// Chunks whose digest or checksum was found right.
    verified: Vec<Extent>,
}

impl FrameCache {
    /// A cache of `capacity` bytes.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// Whether `frame` is held.
    pub(crate) fn holds(&self, frame: &Frame) -> bool {
        self.held.contains_key(frame)
    }

    /// Drops frames that are not in `keep` until `more` bytes fit in, as far as that helps.
    pub(crate) fn make_room(&mut self, more: u64, keep: &HashSet<Frame>) {
        for _ in 0..self.order.len() {
            if self.held_len.saturating_add(more) <= self.capacity {
                break;
            }
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if keep.contains(&oldest) {
                self.order.push_back(oldest);
            } else {
                self.forget(&oldest);
            }
        }
    }

    /// Decodes `frame` out of its `stored` bytes and holds it.
    pub(crate) fn decode(&mut self, frame: &Frame, stored: &[u8]) -> Result<(), CodecError> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        self.spare_len -= bytes.capacity() as u64;
        bytes.resize(frame.len as usize, 0);
        let decoded = if frame.open_ended {
            self.decoder.decode_prefix(frame.codec, stored, &mut bytes)
        } else {
            self.decoder.decode(frame.codec, stored, &mut bytes)
        };
        if let Err(error) = decoded {
            self.keep_spare(bytes);
            return Err(error);
        }
        self.held_len += u64::from(frame.len);
        let held = Held {
            bytes,
            verified: Vec::new(),
        };
        if self.held.insert(*frame, held).is_none() {
            self.order.push_back(*frame);
        }
        Ok(())
    }

    /// Drops `frame`, whose bytes turned out wrong.
    pub(crate) fn remove(&mut self, frame: &Frame) {
        self.order.retain(|held| held != frame);
        self.forget(frame);
    }

    /// Compares the bytes of `extent` with its digest or checksum, unless that was done before.
    pub(crate) fn verify_extent(&mut self, extent: &Extent) -> Result<(), ExtentError> {
        let ExtentSource::Chunk { frame, .. } = extent.source else {
            return Ok(());
        };
        // A chunk is the same chunk wherever a file has it.
        let chunk = Extent {
            file_offset: 0,
            ..*extent
        };
        let known = |held: &Held| held.verified.contains(&chunk);
        if self.held.get(&frame).is_some_and(known) {
            return Ok(());
        }
        verify::read_extent(self, extent)?;
        if let Some(held) = self.held.get_mut(&frame)
            && held.verified.len() < MAX_VERIFIED
        {
            held.verified.push(chunk);
        }
        Ok(())
    }

    /// The bytes of `extent`, whatever its digest says.
    pub(crate) fn extent(&mut self, extent: &Extent) -> Result<ExtentBytes<'_>, ExtentError> {
        verify::read_extent_unverified(self, extent)
    }

    fn forget(&mut self, frame: &Frame) {
        if let Some(held) = self.held.remove(frame) {
            self.held_len -= held.bytes.len() as u64;
            self.keep_spare(held.bytes);
        }
    }

    fn keep_spare(&mut self, buffer: Vec<u8>) {
        let len = buffer.capacity() as u64;
        if self.spare_len + len <= self.capacity {
            self.spare_len += len;
            self.spare.push(buffer);
        }
    }
}

/// Lends the frames that are held, and no others.
impl FrameSource for FrameCache {
    fn frame(&mut self, frame: &Frame) -> Result<&[u8], ContentError> {
        match self.held.get(frame) {
            Some(held) => Ok(&held.bytes),
            None => Err(ContentError::new(NotHeld { frame: *frame })),
        }
    }
}

/// A frame was asked for that nobody supplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame at byte {} of blob {} was not supplied", frame.offset, frame.blob.0)]
pub struct NotHeld {
    /// The frame.
    pub frame: Frame,
}

impl Blame for NotHeld {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}
