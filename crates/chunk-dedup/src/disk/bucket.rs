//! Buckets: which records begin with the same bits, and what comes next in their digests.

use image_model::Digest;
use image_model::width::usize_from;

/// Bytes of a bucket: what a processor fetches at once.
pub(super) const LEN: usize = 64;

/// Bytes before the heads.
const BEFORE: usize = 5;

/// Heads of a bucket.
pub(super) const HEADS: u8 = 59;

/// One bucket, as a view of its bytes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 4 | first | its first record |
/// | 4 | 1 | count | its records, 255 if there are as many or more: then they end where the next bucket begins |
/// | 5 | 59 | heads | of its first 59 records, the 8 bits of the digest after those that name the bucket; `ff` where there is no record |
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket<'f>(pub(super) &'f [u8; LEN]);

impl Bucket<'_> {
    #[inline]
    pub(super) fn first(self) -> u32 {
        let [first @ .., _, _, _, _] = *self.0.first_chunk::<8>().unwrap_or(&[0; 8]);
        u32::from_le_bytes(first)
    }

    /// Number of records, if it is less than 255.
    #[inline]
    pub(super) fn count(self) -> u8 {
        self.0[BEFORE - 1]
    }

    /// How many of the heads are less than `head`: no branch depends on what is read.
    #[inline]
    pub(super) fn below(self, head: u8) -> u8 {
        let mut below = 0;
        for (at, byte) in self.0.iter().enumerate() {
            below += u8::from((*byte < head) & (at >= BEFORE));
        }
        below
    }

    /// One of the heads, if there are as many.
    #[inline]
    pub(super) fn head(self, at: u8) -> Option<u8> {
        let head = self.0.get(BEFORE + usize::from(at)).copied();
        head.filter(|_| at < self.count())
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

    /// Adds the next record; hands the buckets that end before it to `take`. Returns whether the bucket has room for
    /// its head.
    pub(super) fn push<E>(
        &mut self,
        (number, head): (u32, u8),
        take: impl FnMut(u32, &[u8; LEN]) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.finish(number, take)?;
        let at = usize_from(self.count).saturating_add(BEFORE);
        let place = self.bytes.get_mut(at);
        let room = place.is_some();
        if let Some(byte) = place {
            *byte = head;
        }
        self.count = self.count.saturating_add(1);
        Ok(room)
    }

    /// Hands all buckets before `end` to `take`.
    pub(super) fn finish<E>(
        &mut self,
        end: u32,
        mut take: impl FnMut(u32, &[u8; LEN]) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.number < end {
            self.bytes[BEFORE - 1] = u8::try_from(self.count).unwrap_or(u8::MAX);
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

/// The number of the bucket that is named by the first `bits` bits of a digest, at most 28, and the head: the 8 bits
/// after them.
#[inline]
pub(super) fn split(digest: &Digest, bits: u8) -> (u32, u8) {
    let first = u64::from_be_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    let both = first >> (56u8.saturating_sub(bits) & 63);
    let [head, bucket @ .., _, _, _] = both.to_le_bytes();
    (u32::from_le_bytes(bucket), head)
}

/// Finds out, of digests in order, whether some bucket has more records than heads, whatever bits name it.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    last: u32,
    /// Number of digests so far.
    count: u64,
    /// For each number of bits, the first digest that begins with the same ones as the last.
    starts: [u64; 32],
    /// Numbers of bits below this have a bucket with more records.
    crowded: u8,
}

impl Crowds {
    pub(super) fn push(&mut self, digest: &Digest) {
        let first = u32::from_be_bytes(*digest.as_bytes().first_chunk().unwrap_or(&[0; 4]));
        let same = match self.count {
            0 => 0,
            _ => usize_from((self.last ^ first).leading_zeros()) + 1,
        };
        // With more bits than are the same, a bucket begins here.
        for start in self.starts.iter_mut().skip(same) {
            *start = self.count;
        }
        self.last = first;
        self.count += 1;
        while let Some(start) = self.starts.get(usize::from(self.crowded))
            && self.count - start > HEADS.into()
        {
            self.crowded += 1;
        }
    }

    /// Whether there is such a bucket if `bits` bits name it.
    pub(super) fn is_crowded(&self, bits: u8) -> bool {
        bits < self.crowded
    }
}
