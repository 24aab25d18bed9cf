//! Where containers/storage cuts files for zstd:chunked: at a rolling checksum of the last 64 bytes, and around holes.
//!
//! | rule | value |
//! |---|---|
//! | window | 64 bytes, zeros at the start of a file |
//! | sums, 32 bits | `s1` of the bytes plus 31 each, `s2` of the values of `s1`, as in librsync |
//! | a chunk ends | after a byte where the low 16 bits of `s2` are all set |
//! | a hole | a run of at least 1024 zeros: a chunk of its own, in which nothing is tested |
//! | length | about 64 KiB in random bytes; no maximum: a file of one repeated byte is one chunk |
//! Source: containers/storage, `pkg/chunked/compressor`, and blobs that skopeo 1.18 made.

use std::num::NonZeroU64;

/// Bytes of the window.
const WINDOW: usize = 64;
const WINDOW_LEN: u32 = 64;
/// What is added to each byte.
const OFFSET: u32 = 31;
/// Bits of `s2` that are all set where a chunk ends.
const SPLIT: u32 = 0xffff;

/// The checksum of the last 64 bytes.
///
/// ```
/// use lazyoci_chunk_dedup::rollsum::Rollsum;
/// let (mut one, mut other) = (Rollsum::new(), Rollsum::new());
/// one.roll(7);
/// for byte in [[1; 64], [2; 64]].as_flattened() {
///     one.roll(*byte);
///     other.roll(*byte);
/// }
/// assert_eq!(one.digest(), other.digest());
/// ```
#[derive(Debug, Clone)]
pub struct Rollsum {
    s1: u32,
    s2: u32,
    window: [u8; WINDOW],
    at: usize,
}

impl Rollsum {
    /// The checksum of 64 zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            s1: WINDOW_LEN * OFFSET,
            s2: WINDOW_LEN * (WINDOW_LEN - 1) * OFFSET,
            window: [0; WINDOW],
            at: 0,
        }
    }

    /// Takes the next byte.
    #[inline]
    pub fn roll(&mut self, byte: u8) {
        let dropped = u32::from(std::mem::replace(&mut self.window[self.at], byte));
        self.at = (self.at + 1) % WINDOW;
        self.s1 = self.s1.wrapping_add(byte.into()).wrapping_sub(dropped);
        let weight = WINDOW_LEN * (dropped + OFFSET);
        self.s2 = self.s2.wrapping_add(self.s1).wrapping_sub(weight);
    }

    /// Whether a chunk ends after the byte that came last.
    #[inline]
    #[must_use]
    pub const fn splits(&self) -> bool {
        self.s2 & SPLIT == SPLIT
    }

    /// Both sums as one number.
    #[must_use]
    pub const fn digest(&self) -> u32 {
        self.s1 << 16 | self.s2 & 0xffff
    }
}

impl Default for Rollsum {
    fn default() -> Self {
        Self::new()
    }
}

/// What a [`RollsumChunker`] says about the bytes that were fed, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'b> {
    /// More bytes of the current chunk, which is not a hole.
    Data(&'b [u8]),
    /// So many zeros more of the current chunk, which is a hole.
    Hole(u64),
    /// The end of the chunk. No chunk is empty.
    End,
}

/// Cuts files as containers/storage does. Whether zeros belong to a hole is known only when enough of them have come;
/// so up to 1023 of them are held back, and what is fed comes out as [`Part`]s. They do not depend on the pieces in
/// which a file is fed, but for the lengths of those between two ends.
///
/// ```
/// use std::convert::Infallible;
/// use lazyoci_chunk_dedup::rollsum::{Part, RollsumChunker};
///
/// let mut chunks = vec![(false, 0)];
/// let mut take = |part: Part<'_>| {
///     let (hole, len) = chunks.last_mut().expect("there is one");
///     match part {
///         Part::Data(bytes) => *len += bytes.len() as u64,
///         Part::Hole(zeros) => (*hole, *len) = (true, *len + zeros),
///         Part::End => chunks.push((false, 0)),
///     }
///     Ok::<_, Infallible>(())
/// };
/// let mut chunker = RollsumChunker::default();
/// chunker.feed(b"ab", &mut take)?;
/// chunker.feed_zeros(1024, &mut take)?;
/// chunker.feed(b"cd", &mut take)?;
/// chunker.end_file(&mut take)?;
/// assert_eq!(chunks, [(false, 2), (true, 1024), (false, 2), (false, 0)]);
/// # Ok::<(), Infallible>(())
/// ```
#[derive(Debug, Clone)]
pub struct RollsumChunker {
    sum: Rollsum,
    threshold: u64,
    /// Zeros that are held back, fewer than the threshold.
    held: u64,
    current: Current,
}

/// The chunk that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    Empty,
    Data,
    Hole,
}

/// Zeros that belong to data.
static ZEROS: [u8; 1024] = [0; 1024];

impl RollsumChunker {
    /// Zeros in a row that make a hole.
    pub const HOLE_LEN: u64 = 1024;

    /// A chunker for which `zeros` in a row make a hole. That of containers/storage is the default.
    #[must_use]
    pub const fn with_hole_len(zeros: NonZeroU64) -> Self {
        Self {
            sum: Rollsum::new(),
            threshold: zeros.get(),
            held: 0,
            current: Current::Empty,
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            if zeros > 0 {
                self.feed_zeros(zeros as u64, take)?;
                rest = &rest[zeros..];
                continue;
            }
            self.settle(take)?;
            let len = self.data_len(rest);
            self.data(&rest[..len], take)?;
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Takes the next `len` zeros of the file.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn feed_zeros<E>(
        &mut self,
        len: u64,
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = match self.current {
            Current::Hole => len,
            _ => self.held.saturating_add(len),
        };
        if self.current != Current::Hole {
            if len < self.threshold {
                self.held = len;
                return Ok(());
            }
            self.held = 0;
            if self.current == Current::Data {
                take(Part::End)?;
            }
            self.current = Current::Hole;
        }
        // More zeros than the window has do not change the sums.
        for _ in 0..len.min(WINDOW as u64) {
            self.sum.roll(0);
        }
        take(Part::Hole(len))
    }

    /// Ends the file, and its last chunk. The next file starts afresh.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn end_file<E>(
        &mut self,
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.settle(take)?;
        if self.current != Current::Empty {
            take(Part::End)?;
        }
        self.sum = Rollsum::new();
        self.current = Current::Empty;
        Ok(())
    }

    /// Ends a hole, and hands out the zeros that are none.
    fn settle<E>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.current == Current::Hole {
            self.current = Current::Empty;
            return take(Part::End);
        }
        while self.held > 0 {
            let now = self.held.min(ZEROS.len() as u64);
            self.held -= now;
            self.data(&ZEROS[..now as usize], take)?;
        }
        Ok(())
    }

    /// How many of `bytes`, which begin with one that is not zero, are data whatever comes after them.
    fn data_len(&self, bytes: &[u8]) -> usize {
        let mut run = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if *byte != 0 {
                run = 0;
                continue;
            }
            run += 1;
            if run == self.threshold {
                return at + 1 - run as usize;
            }
        }
        bytes.len() - run as usize
    }

    /// Takes bytes that are data.
    fn data<E>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut begun = 0;
        for (at, byte) in bytes.iter().enumerate() {
            self.sum.roll(*byte);
            if self.sum.splits() {
                take(Part::Data(&bytes[begun..=at]))?;
                take(Part::End)?;
                begun = at + 1;
            }
        }
        if begun == bytes.len() {
            self.current = Current::Empty;
            return Ok(());
        }
        self.current = Current::Data;
        take(Part::Data(&bytes[begun..]))
    }
}

impl Default for RollsumChunker {
    fn default() -> Self {
        const HOLE: NonZeroU64 = NonZeroU64::new(RollsumChunker::HOLE_LEN).expect("not 0");
        Self::with_hole_len(HOLE)
    }
}
