//! Buckets: which records begin with the same bits, and what comes next in their digests.

use image_model::Digest;
use image_model::width::usize_from;

/// Bytes of a bucket: what a processor fetches at once.
pub(super) const LEN: usize = 64;

/// Words of two bytes before the heads.
const BEFORE: usize = 3;

/// Heads of a bucket.
pub(super) const HEADS: u16 = 29;

/// Twice the position of each word, and 65: of numbers with several bits the compiler makes the fewest instructions.
const PLACES: [u16; LEN / 2] = {
    let mut places = [65; LEN / 2];
    let mut at = 1;
    while at < places.len() {
        places[at] = places[at - 1] + 2;
        at += 1;
    }
    places
};

/// One bucket, as a view of its bytes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | first | its first record |
/// | 4 | 2 | count | its records, 2^16 - 1 if there are as many or more: then they end where the next bucket begins |
/// | 6 | 58 | heads | of its first 29 records, the 16 bits of the digest after those that name the bucket, as a number; `ff ff` where there is no record |
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket<'f>(pub(super) &'f [u8; LEN]);

impl Bucket<'_> {
    #[inline]
    pub(super) fn first(self) -> u32 {
        let [first @ .., _, _, _, _] = *self.0.first_chunk::<8>().unwrap_or(&[0; 8]);
        u32::from_le_bytes(first)
    }

    /// Number of records, if it is less than 2^16 - 1.
    #[inline]
    pub(super) fn count(self) -> u16 {
        let [_, _, _, _, count @ .., _, _] = *self.0.first_chunk::<8>().unwrap_or(&[0; 8]);
        u16::from_le_bytes(count)
    }

    /// How many of the heads are less than `head`: no branch depends on what is read.
    #[inline]
    pub(super) fn below(self, head: u16) -> u16 {
        let mut below = 0;
        for (at, word) in self.0.as_chunks().0.iter().enumerate() {
            let less = u16::from_le_bytes(*word) < head;
            below += u16::from(less & (at >= BEFORE));
        }
        below
    }

    /// The record whose head is `head`, if the bucket has it once; `None` if it does not have it. It is another one if
    /// there are several, or the words before the heads are equal: whoever reads it compares. No branch depends on
    /// what is read, but for whether there is one.
    #[inline]
    pub(super) fn only(self, head: u16) -> Option<u32> {
        let mut sum = 0u16;
        for (word, place) in self.0.as_chunks().0.iter().zip(PLACES) {
            let equal = u16::from_le_bytes(*word) == head;
            sum = sum.wrapping_add(if equal { place } else { 0 });
        }
        let at = u32::from(sum / 2).wrapping_sub(32 + 3);
        (sum != 0).then_some(self.first().wrapping_add(at))
    }

    /// One of the heads.
    #[inline]
    pub(super) fn head(self, at: u16) -> Option<u16> {
        let word = self.0.as_chunks().0.get(BEFORE + usize::from(at));
        word.map(|word| u16::from_le_bytes(*word))
    }
}

/// All buckets, as they are written.
#[derive(Debug)]
pub(super) struct Buckets {
    /// The bucket of the last record, and how many records it has so far.
    number: u32,
    count: u32,
    bytes: [u8; LEN],
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            number: 0,
            count: 0,
            bytes: Self::empty(0),
        }
    }
}

impl Buckets {
    /// A bucket without records.
    fn empty(first: u32) -> [u8; LEN] {
        let mut bytes = [0xff; LEN];
        bytes[..4].copy_from_slice(&first.to_le_bytes());
        bytes
    }

    /// Adds the next record; hands the buckets that end before it to `take`.
    pub(super) fn push<E>(
        &mut self,
        number: u32,
        head: u16,
        take: impl FnMut(u32, &[u8; LEN]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.finish(number, take)?;
        let at = usize_from(self.count).saturating_add(BEFORE);
        if let Some(word) = self.bytes.as_chunks_mut().0.get_mut(at) {
            *word = head.to_le_bytes();
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Hands all buckets before `end` to `take`.
    pub(super) fn finish<E>(
        &mut self,
        end: u32,
        mut take: impl FnMut(u32, &[u8; LEN]) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.number < end {
            let count = u16::try_from(self.count).unwrap_or(u16::MAX);
            self.bytes[4..6].copy_from_slice(&count.to_le_bytes());
            take(self.number, &self.bytes)?;
            let next = Bucket(&self.bytes).first().saturating_add(self.count);
            *self = Self {
                number: self.number + 1,
                count: 0,
                bytes: Self::empty(next),
            };
        }
        Ok(())
    }
}

/// The number of the bucket that is named by the first `bits` bits of a digest, and the head: the 16 bits after them.
#[inline]
pub(super) fn split(digest: &Digest, bits: u8) -> (u32, u16) {
    let first = u64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    // At most 28.
    let both = first >> (48u8.saturating_sub(bits) & 63);
    let [low, high, bucket @ .., _, _] = both.to_le_bytes();
    (u32::from_le_bytes(bucket), u16::from_le_bytes([low, high]))
}
