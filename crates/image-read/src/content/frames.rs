//! Decoded frames that all readers of an image share.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use frame_codec::Decoder;
use image_model::FrameId;

use super::buffers::{Buffer, BufferPool};
use super::decoded::DecodedFrame;

/// What a held frame counts at least: how many are held is bounded, too.
const MIN_COST: u64 = 1 << 10;

/// Decoded frames of one image, shared by all its readers. If several readers need a frame at the
/// same time, one fetches and decodes it, and the others wait. Frames stay until there are
/// `capacity` bytes of later ones (a frame counts at least 1 KiB), except those of work on the
/// whole image. Frames that a reader is using stay available anyway. Frames are identified by their
/// [`FrameId`]: a store serves only one image. It also lends decoders, whose contexts are worth
/// reusing, and buffers.
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
    /// With how many slots it is worth looking for those of frames that are gone.
    sweep_at: usize,
    /// Threads that wait: to wake nobody costs a system call, too.
    waiting: usize,
    wakers: Vec<Waker>,
    decoded: u64,
}

enum Slot {
    /// A reader is fetching or decoding it.
    Claimed(Arc<Flight>),
    Held(Arc<DecodedFrame>),
    /// Not held, but some reader may be at work on it.
    Lent(Weak<DecodedFrame>),
}

/// A frame that a reader is at work on. Others keep this until they have what came of it, whether
/// the store holds the frame that long or not.
#[derive(Debug, Default)]
pub(super) struct Flight {
    landing: OnceLock<Landing>,
    /// Whether others wait for it.
    awaited: AtomicBool,
}

/// What came of a [`Flight`].
#[derive(Debug, Clone)]
pub(super) enum Landing {
    Decoded(Arc<DecodedFrame>),
    /// It was checked, and nobody keeps it.
    Passed,
    /// It does not decode, or is wrong in parts: somebody else may get other bytes for it.
    Failed,
    /// Nobody is at work on it any more.
    Abandoned,
}

impl Flight {
    /// What came of it; `None` as long as somebody is at work on it.
    pub(super) fn landing(&self) -> Option<&Landing> {
        self.landing.get()
    }
}

/// What a reader hears that wants a frame.
pub(super) enum Claim {
    /// It is to fetch and decode it.
    Mine(Claimed),
    /// Another one does.
    Others(Arc<Flight>),
    Held(Arc<DecodedFrame>),
}

/// The right to fetch and decode a frame while others wait for it; dropping it gives it up.
pub(super) struct Claimed {
    store: Arc<FrameStore>,
    id: FrameId,
    flight: Arc<Flight>,
}

impl Claimed {
    /// The way to see what comes of it.
    pub(super) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Hands in the frame, for the store to hold.
    pub(super) fn fulfil(self, frame: &Arc<DecodedFrame>) {
        let capacity = self.store.capacity;
        self.store.state().hold(self.id, frame, capacity);
        self.land(Landing::Decoded(Arc::clone(frame)));
    }

    /// Hands in a frame that nobody holds but those who are at work on it.
    pub(super) fn lend(self, frame: &Arc<DecodedFrame>) {
        self.store.state().lend(self.id, frame);
        self.land(Landing::Decoded(Arc::clone(frame)));
    }

    /// Whether others wait for the frame.
    pub(super) fn is_awaited(&self) -> bool {
        self.flight.awaited.load(Ordering::Relaxed)
    }

    /// Says that the frame is right, but that nobody keeps it: who has begun to wait meanwhile has to
    /// decode it again.
    pub(super) fn pass(self) {
        self.land(Landing::Passed);
    }

    /// Says that it cannot be read, or is wrong.
    pub(super) fn fail(self) {
        self.land(Landing::Failed);
    }

    fn land(&self, landing: Landing) {
        let mut state = self.store.state();
        match &landing {
            Landing::Decoded(_) => state.decoded += 1,
            Landing::Passed => {
                state.decoded += 1;
                state.slots.remove(&self.id);
            }
            Landing::Failed | Landing::Abandoned => {
                state.slots.remove(&self.id);
            }
        }
        // Nobody else has this claim.
        let _ = self.flight.landing.set(landing);
        let wakers = std::mem::take(&mut state.wakers);
        let waiting = state.waiting;
        drop(state);
        if waiting > 0 {
            self.store.changed.notify_all();
        }
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.flight.landing().is_none() {
            self.land(Landing::Abandoned);
        }
    }
}

impl fmt::Debug for Claimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claimed").field(&self.id).finish()
    }
}

impl State {
    /// Holds a frame, and lets those go that were held longest.
    fn hold(&mut self, id: FrameId, frame: &Arc<DecodedFrame>, capacity: u64) {
        self.slots.insert(id, Slot::Held(Arc::clone(frame)));
        self.order.push_back(id);
        self.held_len += cost(frame);
        while self.held_len > capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.let_go(oldest);
        }
        self.sweep();
    }

    /// Lets others find a frame as long as somebody is at work on it.
    fn lend(&mut self, id: FrameId, frame: &Arc<DecodedFrame>) {
        self.slots.insert(id, Slot::Lent(Arc::downgrade(frame)));
        self.sweep();
    }

    /// Forgets frames that are gone, now and then.
    fn sweep(&mut self) {
        if self.slots.len() >= self.sweep_at {
            self.slots
                .retain(|_, slot| !matches!(slot, Slot::Lent(frame) if frame.strong_count() == 0));
            self.sweep_at = 2 * self.slots.len() + 64;
        }
    }

    fn let_go(&mut self, id: FrameId) {
        if let Some(slot) = self.slots.get_mut(&id)
            && let Slot::Held(frame) = slot
        {
            self.held_len -= cost(frame);
            *slot = Slot::Lent(Arc::downgrade(frame));
        }
    }

    fn find(&self, id: FrameId) -> Option<Arc<DecodedFrame>> {
        match self.slots.get(&id)? {
            Slot::Held(frame) => Some(Arc::clone(frame)),
            Slot::Lent(frame) => frame.upgrade(),
            Slot::Claimed(_) => None,
        }
    }
}

fn cost(frame: &DecodedFrame) -> u64 {
    (frame.len() as u64).max(MIN_COST)
}

impl FrameStore {
    /// A store of `capacity` bytes of decoded frames; 0 keeps none, but concurrent readers still
    /// share frames in use.
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

    /// Number of frames decoded so far without finding an error.
    #[must_use]
    pub fn decoded(&self) -> u64 {
        self.state().decoded
    }

    /// The frame, if it is there.
    pub(super) fn find(&self, id: FrameId) -> Option<Arc<DecodedFrame>> {
        self.state().find(id)
    }

    pub(super) fn claim(store: &Arc<Self>, id: FrameId) -> Claim {
        let mut state = store.state();
        if let Some(frame) = state.find(id) {
            return Claim::Held(frame);
        }
        if let Some(Slot::Claimed(flight)) = state.slots.get(&id) {
            flight.awaited.store(true, Ordering::Relaxed);
            return Claim::Others(Arc::clone(flight));
        }
        let flight = Arc::new(Flight::default());
        state.slots.insert(id, Slot::Claimed(Arc::clone(&flight)));
        Claim::Mine(Claimed {
            store: Arc::clone(store),
            id,
            flight,
        })
    }

    /// Forgets a frame that turned out to be wrong: somebody else may get other bytes for it.
    pub(super) fn forget(&self, id: FrameId, wrong: &Arc<DecodedFrame>) {
        let mut state = self.state();
        if state
            .find(id)
            .is_some_and(|found| Arc::ptr_eq(&found, wrong))
        {
            state.let_go(id);
            state.slots.remove(&id);
            state.order.retain(|held| *held != id);
        }
    }

    /// Waits until something has come of `flight`.
    pub(super) fn wait(&self, flight: &Flight) {
        let mut state = self.state();
        state.waiting += 1;
        while flight.landing().is_none() {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
    }

    /// As [`wait`](Self::wait), without blocking.
    pub(super) fn poll(&self, flight: &Flight, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if flight.landing().is_some() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        Poll::Pending
    }

    /// Lends a decoder.
    pub(super) fn decoder(&self) -> LentDecoder<'_> {
        let decoder = lock(&self.decoders).pop().unwrap_or_default();
        LentDecoder {
            store: self,
            decoder,
        }
    }

    /// Gives the memory of spare buffers back.
    pub(crate) fn drop_spare(&self) {
        self.buffers.clear();
    }

    /// Lends a buffer of `len` bytes, whatever they are.
    pub(super) fn buffer(&self, len: usize) -> Buffer {
        BufferPool::buffer(&self.buffers, len)
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
        // A context whose user panicked may be in any state.
        if !std::thread::panicking() {
            lock(&self.store.decoders).push(std::mem::take(&mut self.decoder));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::content::decoded::FrameBytes;

    fn fulfil(store: &Arc<FrameStore>, id: u32, len: usize) -> Arc<DecodedFrame> {
        let Claim::Mine(claim) = FrameStore::claim(store, FrameId(id)) else {
            panic!("nobody has it")
        };
        let bytes = FrameBytes::Stored(Bytes::from(vec![0; len]));
        let frame = Arc::new(DecodedFrame::new(bytes));
        claim.fulfil(&frame);
        frame
    }

    #[test]
    fn what_is_held_is_bounded() {
        let store = Arc::new(FrameStore::new(10_000));
        for id in 0..5 {
            fulfil(&store, id, 3_000);
        }
        let held = |id| store.find(FrameId(id)).is_some();
        assert!(!held(0) && !held(1) && held(2) && held(3) && held(4));
        // Short frames count, too.
        for id in 10..10_000 {
            fulfil(&store, id, 1);
        }
        let state = store.state();
        assert_eq!((state.order.len(), state.held_len), (9, 9 << 10));
        assert!(state.slots.len() < 200, "{}", state.slots.len());
    }

    #[test]
    fn what_is_wrong_is_forgotten() {
        let store = Arc::new(FrameStore::new(10_000));
        let first = fulfil(&store, 0, 2_000);
        let second = fulfil(&store, 1, 3_000);
        // Not the frame that is held.
        store.forget(FrameId(1), &first);
        assert!(store.find(FrameId(1)).is_some());
        store.forget(FrameId(1), &second);
        store.forget(FrameId(1), &second);
        assert!(store.find(FrameId(1)).is_none());
        let state = store.state();
        assert_eq!((state.order.len(), state.held_len), (1, 2_000));
        drop(state);
        fulfil(&store, 1, 4_000);
        assert_eq!(store.state().held_len, 6_000);
    }
}
