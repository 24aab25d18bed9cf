//! Finding out how a block is entered: at which bit, and with which bytes before it.
//!
//! The inflater says at which byte a block ends, not at which bit. There are eight of them; the right one is where
//! inflating gives what it gave before. Which bytes of the window are referred to is found by inflating again with
//! windows whose bytes are their positions: matches reach back 32 KiB, so only the first 32 KiB after a block's start
//! refer to what is before it.

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::deflate::{DeflateStart, WINDOW_LEN, Window};
use image_model::width::usize_up_to;

use super::spans::Place;

/// Stored bytes that are held for 32 KiB of decoded ones. More are blocks that hold nothing.
const MAX_STORED: usize = 256 << 10;

/// A place at which a span may begin, and what follows it.
pub(super) struct Tried {
    pub(super) at: Place,
    window: Bytes,
    /// The byte before the first whole one, and the ones from there on.
    stored: Vec<u8>,
    decoded: Vec<u8>,
    too_long: bool,
}

impl Tried {
    /// A block begins at `at`, in `last_byte` or after it.
    pub(super) fn new(at: Place, last_byte: u8, window: &[u8]) -> Self {
        Self {
            at,
            window: Bytes::copy_from_slice(window),
            stored: vec![last_byte],
            decoded: Vec::new(),
            too_long: false,
        }
    }

    /// Takes what is needed of `stored`, and of what it was decoded to.
    pub(super) fn push(&mut self, stored: &[u8], decoded: &[u8]) {
        if self.stored.len() > MAX_STORED {
            self.too_long = true;
        } else {
            self.stored.extend_from_slice(stored);
        }
        let len = WINDOW_LEN
            .saturating_sub(self.decoded.len())
            .min(decoded.len());
        self.decoded.extend_from_slice(&decoded[..len]);
    }

    /// Whether it holds too little for what follows to be looked at: no span begins here.
    pub(super) fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// Whether nothing after it refers to what is before it.
    pub(super) fn is_full(&self) -> bool {
        self.decoded.len() == WINDOW_LEN
    }

    /// All bytes before the block, as far as the stream has any.
    pub(super) fn whole_window(&self) -> Option<Window> {
        let missing = WINDOW_LEN.saturating_sub(usize_up_to(self.at.decoded));
        let known = self.window.slice(missing.min(self.window.len())..);
        let [g0, g1] = u16::try_from(missing).ok()?.to_le_bytes();
        let [l0, l1] = u16::try_from(known.len()).ok()?.to_le_bytes();
        Window::new(vec![g0, g1, l0, l1].into(), known)
    }

    /// The byte before the first whole one.
    pub(super) fn shared_byte(&self) -> u8 {
        self.stored.first().copied().unwrap_or_default()
    }

    /// The stored bytes of a block of which `bits` bits lie in the byte before.
    pub(super) fn stored(&self, bits: u8) -> &[u8] {
        match bits {
            0 => &self.stored[1..],
            _ => &self.stored,
        }
    }

    /// Where the length of a stored block is, if this is one that begins `bits` before.
    fn stored_block(&self, bits: u8) -> Option<usize> {
        let first = u16::from(*self.stored.first()?);
        let next = u16::from(self.stored.get(1).copied().unwrap_or_default());
        let from = 8_u32.saturating_sub(bits.into());
        let header = (first | next << 8) >> from & 0b111;
        // A final block is no less stored.
        (header & 0b110 == 0).then_some(if bits < 3 { 2 } else { 1 })
    }
}

/// Tries starts, with one inflater for all.
pub(super) struct StartFinder {
    decoder: Decoder,
    scratch: Box<[u8]>,
}

impl StartFinder {
    pub(super) fn new() -> Self {
        Self {
            decoder: Decoder::new(),
            scratch: vec![0; 2 * WINDOW_LEN].into(),
        }
    }

    /// How the block is entered; `None` if there are several ways, or none.
    pub(super) fn find(&mut self, tried: &Tried) -> Option<DeflateStart> {
        if tried.is_too_long() {
            return None;
        }
        let window = window_of(&tried.window)?;
        let mut found: Option<u8> = None;
        for bits in 0..8 {
            let start = DeflateStart {
                bits,
                window: window.clone(),
            };
            let out = &mut self.scratch[..tried.decoded.len()];
            if !inflate(&mut self.decoder, start, tried.stored(bits), out) || *out != tried.decoded
            {
                continue;
            }
            match found {
                None => found = Some(bits),
                // The bits before a stored block are skipped: any of them will do.
                Some(before) => {
                    let place = tried.stored_block(before)?;
                    if tried.stored_block(bits) != Some(place) {
                        return None;
                    }
                }
            }
        }
        let bits = found?;
        let window = self.referred(tried, bits)?;
        Some(DeflateStart { bits, window })
    }

    /// The window, as far as it is referred to.
    fn referred(&mut self, tried: &Tried, bits: u8) -> Option<Window> {
        let len = tried.decoded.len();
        let low = |position: usize| (position & 0xff) as u8;
        // Never the same byte as in the other window, so that what differs was referred to.
        let mixed = |position: usize| low(position) ^ ((position >> 8) as u8 + 1);
        let windows = [
            (0..WINDOW_LEN).map(low).collect::<Vec<_>>(),
            (0..WINDOW_LEN).map(mixed).collect(),
        ];
        for (nth, positions) in windows.into_iter().enumerate() {
            let window = window_of(&positions.into())?;
            let out = &mut self.scratch[nth * WINDOW_LEN..][..len];
            let start = DeflateStart { bits, window };
            if !inflate(&mut self.decoder, start, tried.stored(bits), out) {
                return None;
            }
        }
        let (low, mixed) = self.scratch.split_at(WINDOW_LEN);
        let mut used = vec![false; WINDOW_LEN];
        for (low, mixed) in low[..len].iter().zip(mixed) {
            if let Some(high) = (low ^ mixed).checked_sub(1) {
                used[usize::from(high) << 8 | usize::from(*low)] = true;
            }
        }
        sparse(&tried.window, &used)
    }
}

fn inflate(decoder: &mut Decoder, start: DeflateStart, stored: &[u8], out: &mut [u8]) -> bool {
    let how = image_model::Decode::Deflate(start);
    decoder.decode_frame(&how, stored, out).is_ok()
}

/// A window of which all is known.
fn window_of(bytes: &Bytes) -> Option<Window> {
    let [l0, l1] = u16::try_from(bytes.len()).ok()?.to_le_bytes();
    Window::new(vec![0, 0, l0, l1].into(), bytes.clone())
}

/// The bytes of `window` that are used.
fn sparse(window: &[u8], used: &[bool]) -> Option<Window> {
    let (mut runs, mut known) = (Vec::new(), Vec::new());
    let mut gap = 0_usize;
    for run in used.chunk_by(|a, b| a == b) {
        if run.first() == Some(&true) {
            for number in [gap, run.len()] {
                runs.extend(u16::try_from(number).ok()?.to_le_bytes());
            }
        } else {
            gap = run.len();
        }
    }
    for (byte, _) in window.iter().zip(used).filter(|(_, used)| **used) {
        known.push(*byte);
    }
    // Windows are held in numbers: without room that nobody uses.
    Window::new(
        runs.into_boxed_slice().into(),
        known.into_boxed_slice().into(),
    )
}
