//! Layers of zstd frames.

mod blocks;
mod header;
#[cfg(feature = "zstd")]
mod libzstd;
#[cfg(feature = "ruzstd")]
mod ruzstd;

use image_model::width::{u64_from, usize_up_to};

use super::error::Found;
use super::step::{Begun, Buffers};
use super::{Corruption, StreamOptions, ZstdDecoder};
use header::{FrameHeader, MAX_LEN, SKIPPABLE_LEN, Start};
#[cfg(feature = "zstd")]
use libzstd::Libzstd;
#[cfg(feature = "ruzstd")]
use ruzstd::Ruzstd;

/// Largest window that zstd's own tools accept by default: 128 MiB. Levels up to 22 need no more.
const MAX_WINDOW: u64 = 1 << 27;

/// Smallest window that zstd has.
const MIN_WINDOW: u64 = 1 << 10;

/// Decodes frames and skips skippable ones. Frame headers are checked here, so that both decoders
/// accept the same frames.
pub(super) struct Zstd {
    state: State,
    frames: Frames,
    max_window: u64,
}

enum State {
    /// At the start of a frame whose header did not arrive in one piece.
    Start {
        held: [u8; MAX_LEN],
        len: usize,
    },
    Skip {
        left: u64,
    },
    /// After the header of a frame.
    Frame {
        content_len: Option<u64>,
        /// Bytes of it output so far.
        decoded: u64,
    },
}

/// A decoder of what follows the header of a frame.
enum Frames {
    #[cfg(feature = "zstd")]
    Libzstd(Libzstd),
    #[cfg(feature = "ruzstd")]
    Ruzstd(Box<Ruzstd>),
}

impl Zstd {
    /// With the decoder that `options` choose, if it is compiled in.
    pub(super) fn new(options: &StreamOptions) -> Option<Self> {
        let frames = match options.zstd {
            #[cfg(feature = "zstd")]
            ZstdDecoder::Libzstd => Frames::Libzstd(Libzstd::new()),
            #[cfg(feature = "ruzstd")]
            ZstdDecoder::Ruzstd => Frames::Ruzstd(Box::new(Ruzstd::new())),
            #[allow(unreachable_patterns, reason = "reached with one of the features")]
            _ => return None,
        };
        // A window beyond the longest layer would be wasted memory.
        let max_window = options.limits.max_layer_len;
        Some(Self {
            state: State::start(),
            frames,
            max_window: max_window.clamp(MIN_WINDOW, MAX_WINDOW),
        })
    }

    /// Decodes until the input is taken or the output is full.
    pub(super) fn decode(&mut self, buffers: &mut Buffers<'_>) -> Result<(), Found> {
        loop {
            match &mut self.state {
                State::Start { held, len } => {
                    if *len == 0 && buffers.rest().len() >= MAX_LEN {
                        let start = Start::of(&buffers.rest()[..MAX_LEN])?;
                        self.begin_at_hand(start, buffers)?;
                        continue;
                    }
                    let start = match Start::of(&held[..*len])? {
                        Start::Short(needed) => {
                            // Byte by byte, so as not to consume more than the header.
                            if !buffers.hold(held, len, len.saturating_add(1).min(needed)) {
                                return Ok(());
                            }
                            continue;
                        }
                        start => start,
                    };
                    let (held, len) = (*held, *len);
                    self.begin_held(start, &held[..len])?;
                }
                State::Skip { left } => {
                    let step = usize_up_to(*left).min(buffers.rest().len());
                    buffers.take(step);
                    *left = left.saturating_sub(u64_from(step));
                    if *left > 0 {
                        return Ok(());
                    }
                    self.state = State::start();
                }
                State::Frame {
                    content_len,
                    decoded,
                } => {
                    let before = buffers.step.written;
                    let ended = match &mut self.frames {
                        #[cfg(feature = "zstd")]
                        Frames::Libzstd(libzstd) => libzstd.decode(buffers)?,
                        #[cfg(feature = "ruzstd")]
                        Frames::Ruzstd(ruzstd) => ruzstd.decode(buffers)?,
                    };
                    let written = buffers.step.written.saturating_sub(before);
                    *decoded = decoded.saturating_add(u64_from(written));
                    if !ended {
                        return Ok(());
                    }
                    // `ruzstd` leaves it to its users, and libzstd looks at it, when a frame comes in
                    // pieces, only after a block that is not empty.
                    if content_len.is_some_and(|len| len != *decoded) {
                        return Err(Corruption::Length.into());
                    }
                    self.state = State::start();
                }
            }
        }
    }

    /// Begins a frame whose whole header is available and not yet consumed.
    fn begin_at_hand(&mut self, start: Start, buffers: &mut Buffers<'_>) -> Result<(), Found> {
        match start {
            Start::Frame(header) => {
                self.begin(&header, &buffers.rest()[..header.len], 0)?;
                buffers.take(header.len);
            }
            Start::Skippable(len) => {
                buffers.take(SKIPPABLE_LEN);
                self.state = State::Skip { left: len.into() };
            }
            Start::Other | Start::Short(_) => return Err(Found::Trailing { held: 0 }),
        }
        Ok(())
    }

    /// Begins a frame whose header, and nothing else, is `held`.
    fn begin_held(&mut self, start: Start, held: &[u8]) -> Result<(), Found> {
        match start {
            Start::Frame(header) => self.begin(&header, held, held.len())?,
            Start::Skippable(len) => self.state = State::Skip { left: len.into() },
            Start::Other | Start::Short(_) => {
                return Err(Found::Trailing { held: held.len() });
            }
        }
        Ok(())
    }

    /// Begins the frame of a header, which is all of `bytes`; `held` of them are consumed. libzstd is never handed more at
    /// once: of a frame that it sees whole it does not check how large the blocks are that sequences make.
    fn begin(&mut self, header: &FrameHeader, bytes: &[u8], held: usize) -> Result<(), Found> {
        self.check(header, held)?;
        match &mut self.frames {
            #[cfg(feature = "zstd")]
            Frames::Libzstd(libzstd) => libzstd.begin(header, bytes)?,
            #[cfg(feature = "ruzstd")]
            Frames::Ruzstd(ruzstd) => ruzstd.begin(header, bytes)?,
        }
        self.state = State::frame(header);
        Ok(())
    }

    fn check(&self, header: &FrameHeader, held: usize) -> Result<(), Found> {
        if let Some(id) = header.dictionary {
            return Err(Found::Dictionary { held, id });
        }
        if header.window > self.max_window {
            return Err(Found::Window {
                held,
                window: header.window,
                limit: self.max_window,
            });
        }
        Ok(())
    }

    pub(super) fn begun(&self) -> Begun {
        match &self.state {
            State::Start { len: 0, .. } => Begun::Nothing,
            State::Start { len, .. } if *len < header::MAGIC.len() => Begun::Magic { held: *len },
            _ => Begun::Unit,
        }
    }
}

impl State {
    fn start() -> Self {
        Self::Start {
            held: [0; MAX_LEN],
            len: 0,
        }
    }

    fn frame(header: &FrameHeader) -> Self {
        Self::Frame {
            content_len: header.content_len,
            decoded: 0,
        }
    }
}
