//! Where deflate data can be entered in the middle: the position, and the bytes before it that are referred to.

use std::fmt;

use bytes::Bytes;

/// How far back deflate refers (RFC 1951), in bytes.
pub const WINDOW_LEN: usize = 32 << 10;

/// The start of a deflate block inside a gzip member, from where it can be decoded by itself.
///
/// ```
/// use lazyoci_image_model::deflate::DeflateStart;
/// assert!(DeflateStart::default().window.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DeflateStart {
    /// Number of bits of the first stored byte that belong to the block, the high ones: 1 to 7; 0 for all of them.
    pub bits: u8,
    /// The decoded bytes before the block.
    pub window: Window,
}

/// The 32 KiB of decoded bytes before a deflate block, as far as the data after it refer to them. The others are zero.
///
/// Runs of known bytes, the oldest first, each 4 bytes long:
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 2 | bytes between the run before (or the start of the window) and this one, little endian |
/// | 2 | 2 | length of the run in bytes, little endian; not 0 |
///
/// ```
/// use lazyoci_image_model::deflate::{WINDOW_LEN, Window};
/// let window = Window::new(vec![0xfd, 0x7f, 2, 0].into(), b"ab".to_vec().into()).ok_or("runs")?;
/// let mut bytes = [0; WINDOW_LEN];
/// assert_eq!(window.fill(&mut bytes), WINDOW_LEN - 3);
/// assert_eq!(bytes[WINDOW_LEN - 3..], *b"ab\0");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Window {
    runs: Bytes,
    known: Bytes,
}

impl Window {
    /// Length of a run in bytes.
    pub const RUN_LEN: usize = 4;

    /// The window of `runs`, which are filled with `known`; `None` if they do not lie in 32 KiB, if one is empty, or if
    /// `known` has another length than all of them together.
    #[must_use]
    pub fn new(runs: Bytes, known: Bytes) -> Option<Self> {
        if !runs.len().is_multiple_of(Self::RUN_LEN) {
            return None;
        }
        let window = Self { runs, known };
        let (mut at, mut filled) = (0_usize, 0_usize);
        for (gap, len) in window.runs() {
            at = at.checked_add(gap)?.checked_add(len)?;
            filled = filled.checked_add(len)?;
            if len == 0 || at > WINDOW_LEN {
                return None;
            }
        }
        (filled == window.known.len()).then_some(window)
    }

    /// Whether nothing before the block is referred to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs, as bytes.
    #[must_use]
    pub fn encoded_runs(&self) -> &[u8] {
        &self.runs
    }

    /// The known bytes.
    #[must_use]
    pub fn known(&self) -> &[u8] {
        &self.known
    }

    /// Writes all of the window to `out`; returns the position of the first known byte, its length if there is none.
    pub fn fill(&self, out: &mut [u8; WINDOW_LEN]) -> usize {
        out.fill(0);
        let mut first = WINDOW_LEN;
        let (mut at, mut taken) = (0_usize, 0_usize);
        for (gap, len) in self.runs() {
            let start = at.saturating_add(gap);
            let (end, next) = (start.saturating_add(len), taken.saturating_add(len));
            out[start..end].copy_from_slice(&self.known[taken..next]);
            first = first.min(start);
            (at, taken) = (end, next);
        }
        first
    }

    /// Gap and length of each run.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let (runs, _) = self.runs.as_chunks::<{ Self::RUN_LEN }>();
        runs.iter().map(|&[g0, g1, l0, l1]| {
            let number = |low, high| usize::from(u16::from_le_bytes([low, high]));
            (number(g0, g1), number(l0, l1))
        })
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("runs", &(self.runs.len() / Self::RUN_LEN))
            .field("known", &self.known.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(runs: &[(u16, u16)]) -> Bytes {
        let bytes = runs
            .iter()
            .map(|(gap, len)| [gap.to_le_bytes(), len.to_le_bytes()]);
        bytes.flatten().flatten().collect()
    }

    #[test]
    fn runs_lie_in_the_window() {
        let make =
            |given: &[(u16, u16)], known: usize| Window::new(runs(given), vec![7; known].into());
        assert!(make(&[], 0).is_some());
        assert!(make(&[(0, 0x8000)], 0x8000).is_some());
        assert!(make(&[(0x7ffe, 1), (0, 1)], 2).is_some());
        assert_eq!(make(&[(1, 0x8000)], 0x8000), None);
        assert_eq!(make(&[(0xffff, 1)], 1), None);
        assert_eq!(make(&[(3, 0)], 0), None);
        assert_eq!(make(&[(3, 2)], 1), None);
        assert_eq!(make(&[(3, 2)], 3), None);
        assert_eq!(Window::new(vec![0; 3].into(), Bytes::new()), None);
    }

    #[test]
    fn what_is_unknown_is_zero() {
        let window = Window::new(runs(&[(10, 2), (5, 1)]), b"abc".to_vec().into());
        let mut bytes = [9; WINDOW_LEN];
        assert_eq!(window.map(|w| w.fill(&mut bytes)), Some(10));
        assert_eq!(bytes[..19], *b"\0\0\0\0\0\0\0\0\0\0ab\0\0\0\0\0c\0");
        assert!(bytes[19..].iter().all(|&b| b == 0));
        assert_eq!(Window::default().fill(&mut bytes), WINDOW_LEN);
    }
}
