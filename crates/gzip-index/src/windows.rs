//! The windows of spans, compressed as they come.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use bytes::Bytes;
use image_model::deflate::Window;
use image_model::width::{u64_from, usize_from, usize_up_to};
use zstd::stream::write::Encoder;

use crate::error::SpanFault;
use crate::frame;

/// Compresses windows: their known bytes at once, and all runs behind them.
#[derive(Default)]
pub(crate) struct WindowsBuilder {
    known: Option<Encoder<'static, Vec<u8>>>,
    known_len: u64,
    runs: Vec<u8>,
    counts: Vec<u32>,
}

impl WindowsBuilder {
    /// Appends `window`; returns its position.
    pub(crate) fn push(&mut self, window: &Window) -> io::Result<u32> {
        let encoder = match &mut self.known {
            Some(encoder) => encoder,
            None => self.known.insert(frame::encoder()?),
        };
        encoder.write_all(window.known())?;
        let len = u64_from(window.known().len());
        self.known_len = self.known_len.saturating_add(len);
        self.runs.extend_from_slice(window.encoded_runs());
        let runs = window.encoded_runs().len() / Window::RUN_LEN;
        let nth = self.counts.len();
        // At most one in two bytes of 32 KiB.
        self.counts.push(u32::try_from(runs).unwrap_or(u32::MAX));
        // There are no more windows than spans, and no more spans than 4 Gi in 2^40 bytes.
        Ok(u32::try_from(nth).unwrap_or(u32::MAX))
    }

    pub(crate) fn finish(self) -> io::Result<Windows> {
        let mut encoder = match self.known {
            Some(encoder) => encoder,
            None => frame::encoder()?,
        };
        encoder.write_all(&self.runs)?;
        Ok(Windows {
            stored: encoder.finish()?.into(),
            known_len: self.known_len,
            runs_len: u64_from(self.runs.len()),
            counts: self.counts,
            all: OnceLock::new(),
        })
    }
}

/// Windows, decompressed when one of them is needed.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    /// One zstd frame of all known bytes and then all runs.
    pub(crate) stored: Bytes,
    /// Lengths of both in bytes.
    pub(crate) known_len: u64,
    pub(crate) runs_len: u64,
    /// Number of runs of each window.
    counts: Vec<u32>,
    all: OnceLock<Vec<Window>>,
}

impl Windows {
    /// Number of runs of window number `nth`.
    pub(crate) fn runs(&self, nth: u32) -> u32 {
        let count = self.counts.get(usize_from(nth));
        count.copied().unwrap_or_default()
    }

    /// Window number `nth`.
    pub(crate) fn get(&self, nth: u32) -> Option<&Window> {
        self.all().get(usize_from(nth))
    }

    /// All of them. None of those that were compressed here is missing.
    fn all(&self) -> &[Window] {
        self.all.get_or_init(|| self.split().unwrap_or_default())
    }

    fn split(&self) -> Option<Vec<Window>> {
        let len = self.known_len.saturating_add(self.runs_len);
        let mut parts = Parts::new(&frame::decompress(&self.stored, len)?, self.known_len);
        for runs in &self.counts {
            parts.take(*runs).ok()?;
        }
        Some(parts.windows)
    }
}

/// What was decompressed follows from what is stored.
impl PartialEq for Windows {
    fn eq(&self, other: &Self) -> bool {
        (&self.stored, &self.counts) == (&other.stored, &other.counts)
    }
}

impl Eq for Windows {}

/// Known bytes and runs on their way to windows.
pub(crate) struct Parts {
    known_len: u64,
    runs_len: u64,
    known: Bytes,
    runs: Bytes,
    counts: Vec<u32>,
    windows: Vec<Window>,
}

impl Parts {
    /// The parts of `bytes`, the first `known_len` of which are known bytes of windows.
    pub(crate) fn new(bytes: &Bytes, known_len: u64) -> Self {
        let mut runs = bytes.clone();
        let known = runs.split_to(usize_up_to(known_len).min(bytes.len()));
        Self {
            known_len: u64_from(known.len()),
            runs_len: u64_from(runs.len()),
            known,
            runs,
            counts: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// Number of windows so far.
    pub(crate) fn count(&self) -> usize {
        self.windows.len()
    }

    /// The window of the next `runs` runs.
    pub(crate) fn take(&mut self, runs: u32) -> Result<&Window, SpanFault> {
        let len = usize_from(runs).saturating_mul(Window::RUN_LEN);
        if len > self.runs.len() {
            return Err(SpanFault::Runs);
        }
        let taken = self.runs.split_to(len);
        let (lens, _) = taken.as_chunks::<{ Window::RUN_LEN }>();
        let lens = lens
            .iter()
            .map(|&[_, _, l0, l1]| usize::from(u16::from_le_bytes([l0, l1])));
        let known = lens.fold(0_usize, usize::saturating_add);
        if known > self.known.len() {
            return Err(SpanFault::Runs);
        }
        let window = Window::new(taken, self.known.split_to(known)).ok_or(SpanFault::Runs)?;
        self.counts.push(runs);
        self.windows.push(window);
        self.windows.last().ok_or(SpanFault::Runs)
    }

    /// The windows, which are stored as `stored`; `None` if they are not made of all parts.
    pub(crate) fn finish(self, stored: Bytes) -> Option<Windows> {
        (self.known.is_empty() && self.runs.is_empty()).then(|| Windows {
            stored,
            known_len: self.known_len,
            runs_len: self.runs_len,
            counts: self.counts,
            all: self.windows.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(runs: &[[u8; 4]], known: &[u8]) -> Window {
        Window::new(runs.concat().into(), known.to_vec().into()).expect("a window")
    }

    #[test]
    fn windows_are_what_they_were() {
        let windows = [
            window(&[[3, 0, 2, 0], [0, 1, 1, 0]], b"abc"),
            Window::default(),
            window(&[[0, 0, 4, 0]], b"lazy"),
        ];
        let mut builder = WindowsBuilder::default();
        for (nth, window) in (0..).zip(&windows) {
            assert_eq!(builder.push(window).expect("memory"), nth);
        }
        let built = builder.finish().expect("memory");
        assert_eq!((built.known_len, built.runs_len), (7, 12));
        assert_eq!([0, 1, 2, 3].map(|nth| built.runs(nth)), [2, 0, 1, 0]);
        assert_eq!(built.all(), windows);
        let plain = frame::decompress(&built.stored, 19).expect("one frame");
        assert_eq!(plain[..7], *b"abclazy");
        assert_eq!(plain[7..11], [3, 0, 2, 0]);
    }

    #[test]
    fn parts_are_used_up() {
        let bytes = Bytes::from_static(b"ab\0\0\x02\0");
        let mut parts = Parts::new(&bytes, 2);
        assert_eq!(parts.take(2), Err(SpanFault::Runs));
        assert_eq!(parts.take(1), Ok(&window(&[[0, 0, 2, 0]], b"ab")));
        assert_eq!(parts.count(), 1);
        let windows = parts.finish(Bytes::new()).expect("nothing is left");
        assert_eq!((windows.known_len, windows.runs_len), (2, 4));
        assert!(Parts::new(&bytes, 2).finish(Bytes::new()).is_none());
    }
}
