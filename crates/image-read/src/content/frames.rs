//! Decoded frames that all readers of an image share.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{Digest, FrameId};

use super::buffers::{Buffer, BufferPool};

/// Most chunks of one frame that are remembered as verified.
const MAX_VERIFIED: usize = 256;

/// Decoded frames of one image, shared by all its readers.
///
/// Of readers that want one frame at the same time, one fetches and decodes it, and the others wait for
/// it. Frames stay until `capacity` bytes of later ones are there; those that a reader is at work on
/// stay with it anyway. Frames are known by their [`FrameId`]: a store serves one image, never two.
///
/// It also lends decoders, whose contexts are worth keeping, and buffers.
pub struct FrameStore {
    capacity: u64,
    state: Mutex<State>,
    changed: Condvar,
    decoders: Mutex<Vec<Decoder>>,
    buffers: Arc<BufferPool>,
}

#[derive(Default)]
struct State {
    slots: HashMap<FrameId, Slot>,
    /// The frames held, those held longest first.
    order: VecDeque<FrameId>,
    held_len: u64,
    wakers: Vec<Waker>,
    decoded: u64,
}

enum Slot {
    /// A reader is fetching or decoding it.
    Claimed,
    Held(Arc<DecodedFrame>),
}

/// What a reader hears that wants a frame.
pub(super) enum Claim {
    /// It is to fetch and decode it, and has to fulfil or release the claim.
    Mine,
    /// Another one does.
    Others,
    Held(Arc<DecodedFrame>),
}

impl FrameStore {
    /// A store of `capacity` bytes of decoded frames; 0 keeps none, but readers still share what
    /// they decode at the same time.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Condvar::new(),
            decoders: Mutex::default(),
            buffers: Arc::default(),
        }
    }

    /// How many frames were decoded so far.
    #[must_use]
    pub fn decoded(&self) -> u64 {
        self.state().decoded
    }

    /// The frame, if it is held.
    pub(super) fn held(&self, id: FrameId) -> Option<Arc<DecodedFrame>> {
        match self.state().slots.get(&id) {
            Some(Slot::Held(frame)) => Some(Arc::clone(frame)),
            _ => None,
        }
    }

    pub(super) fn claim(&self, id: FrameId) -> Claim {
        let mut state = self.state();
        match state.slots.get(&id) {
            Some(Slot::Held(frame)) => Claim::Held(Arc::clone(frame)),
            Some(Slot::Claimed) => Claim::Others,
            None => {
                state.slots.insert(id, Slot::Claimed);
                Claim::Mine
            }
        }
    }

    /// Hands in the frame that the caller had claimed.
    pub(super) fn fulfil(&self, id: FrameId, frame: Arc<DecodedFrame>) {
        let mut state = self.state();
        let state = &mut *state;
        state.decoded += 1;
        state.held_len += frame.len() as u64;
        state.slots.insert(id, Slot::Held(frame));
        state.order.push_back(id);
        while state.held_len > self.capacity
            && let Some(oldest) = state.order.pop_front()
        {
            if let Some(Slot::Held(frame)) = state.slots.remove(&oldest) {
                state.held_len -= frame.len() as u64;
            }
        }
        self.wake(state);
    }

    /// Gives a claim up: somebody else may try.
    pub(super) fn release(&self, id: FrameId) {
        let mut state = self.state();
        if matches!(state.slots.get(&id), Some(Slot::Claimed)) {
            state.slots.remove(&id);
            self.wake(&mut state);
        }
    }

    /// Waits until nobody is at work on the frame.
    pub(super) fn wait(&self, id: FrameId) {
        let mut state = self.state();
        while matches!(state.slots.get(&id), Some(Slot::Claimed)) {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`wait`](Self::wait), without blocking.
    pub(super) fn poll(&self, id: FrameId, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if matches!(state.slots.get(&id), Some(Slot::Claimed)) {
            state.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Lends a decoder.
    pub(super) fn decoder(&self) -> LentDecoder<'_> {
        let decoder = lock(&self.decoders).pop().unwrap_or_default();
        LentDecoder {
            store: self,
            decoder,
        }
    }

    /// Lends a buffer of `len` bytes, whatever they are.
    pub(super) fn buffer(&self, len: usize) -> Buffer {
        BufferPool::buffer(&self.buffers, len)
    }

    fn wake(&self, state: &mut State) {
        self.changed.notify_all();
        state.wakers.drain(..).for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Nobody panics while holding a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for FrameStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FrameStore")
            .field("capacity", &self.capacity)
            .field("held", &state.order.len())
            .field("held_len", &state.held_len)
            .field("decoded", &state.decoded)
            .finish_non_exhaustive()
    }
}

/// A decoder that goes back when it is dropped.
pub(super) struct LentDecoder<'a> {
    store: &'a FrameStore,
    pub(super) decoder: Decoder,
}

impl Drop for LentDecoder<'_> {
    fn drop(&mut self) {
        lock(&self.store.decoders).push(std::mem::take(&mut self.decoder));
    }
}

/// A frame's plain bytes, and which of its chunks were found right.
#[derive(Debug)]
pub(super) struct DecodedFrame {
    bytes: FrameBytes,
    verified: Mutex<Vec<ChunkCheck>>,
}

#[derive(Debug)]
pub(super) enum FrameBytes {
    Decoded(Buffer),
    /// Stored as they are.
    Stored(Bytes),
}

/// A chunk of a frame, and what the image says of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkCheck {
    pub(super) offset_in_frame: u32,
    pub(super) len: u64,
    pub(super) digest: Option<Digest>,
    pub(super) crc32c: Option<u32>,
}

impl DecodedFrame {
    pub(super) fn new(bytes: FrameBytes) -> Self {
        Self {
            bytes,
            verified: Mutex::default(),
        }
    }

    pub(super) fn is_verified(&self, chunk: &ChunkCheck) -> bool {
        lock(&self.verified).contains(chunk)
    }

    pub(super) fn set_verified(&self, chunk: ChunkCheck) {
        let mut verified = lock(&self.verified);
        if verified.len() < MAX_VERIFIED {
            verified.push(chunk);
        }
    }
}

impl Deref for DecodedFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            FrameBytes::Decoded(buffer) => buffer,
            FrameBytes::Stored(bytes) => bytes,
        }
    }
}
