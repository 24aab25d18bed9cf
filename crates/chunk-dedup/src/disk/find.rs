//! Lookups in a dictionary file.

use std::cmp::Ordering;
use std::hint::black_box;

use image_model::{BlobIndex, ChunkId, Digest};

use super::DictionaryFile;
use super::block::Slot;
use super::bucket::{self, Bucket, HEADS, split};
use super::columns::{self, WINDOW, position};
use crate::dictionary::{Dictionary, Key, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};

/// Lookups that are under way at the same time: enough to keep the memory busy, few enough for what they
/// have fetched to stay in the cache.
const BATCH: usize = 64;

/// What a bucket says of a chunk, if not its record: there is none, or it does not tell. No record has these numbers.
const NONE: u32 = u32::MAX;
const MANY: u32 = u32::MAX - 1;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Where the chunk with this digest and length in bytes is stored.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    #[inline]
    pub fn lookup(&self, digest: &Digest, len: u32) -> Result<Option<Placement>, DictionaryError> {
        match self.find_record(digest, len)? {
            Some(record) => Ok(Some(self.placed(record, len, self.window(record)?)?)),
            None => Ok(None),
        }
    }

    /// Where the chunks with these digests and lengths are stored, in the order of the keys. What is read for up to 64
    /// keys is asked for before the first of it is needed, since the memory answers many questions at once.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    pub fn lookup_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<Placement>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.search_many(keys, true, |record, len| {
            let placement = match record {
                Some(record) => Some(self.placed(record, len, self.window(record)?)?),
                None => None,
            };
            found.push(placement);
            Ok(())
        })
    }

    /// Hands the records of the chunks, with their lengths, to `found`, which reads `placements`, too, or does not.
    fn search_many(
        &self,
        keys: &[Key],
        placements: bool,
        mut found: impl FnMut(Option<u32>, u32) -> Result<(), DictionaryError>,
    ) -> Result<(), DictionaryError> {
        // A length that is not all beside the digest is read there, too.
        let placements = placements || self.header.columns.has_len();
        for keys in keys.chunks(BATCH) {
            // Each round reads one place for each of the keys, in so few instructions that the processor asks the memory
            // for many before it has the first; the next round finds them in its cache.
            for (digest, _) in keys {
                let (number, _) = self.split(digest);
                self.touch(self.sections.buckets + position(number, bucket::LEN));
            }
            let mut records = [NONE; BATCH];
            for (record, (digest, _)) in records.iter_mut().zip(keys) {
                *record = self.candidate(digest);
            }
            for record in records.iter().take(keys.len()) {
                let (slot, placement) = self.places(*record);
                self.touch(slot);
                if placements {
                    self.touch(placement);
                }
            }
            for (record, (digest, len)) in records.iter().zip(keys) {
                let record = match *record {
                    NONE => None,
                    record => self.confirm(record, digest, *len)?,
                };
                found(record, *len)?;
            }
        }
        Ok(())
    }

    /// Reads a byte, so that it is in the processor's cache.
    #[inline]
    fn touch(&self, at: usize) {
        black_box(self.bytes().get(at).copied());
    }

    /// The record of a chunk.
    #[inline]
    fn find_record(&self, digest: &Digest, len: u32) -> Result<Option<u32>, DictionaryError> {
        match self.candidate(digest) {
            NONE => Ok(None),
            record => self.confirm(record, digest, len),
        }
    }

    /// The record that a chunk has if any, by what its bucket says; [`NONE`], or [`MANY`] if that does not tell.
    /// Nothing but the bucket is read, with few instructions: so the processor begins with the next lookups while this
    /// one waits for memory.
    #[inline]
    fn candidate(&self, digest: &Digest) -> u32 {
        let (number, head) = self.split(digest);
        let at = self.sections.buckets + position(number, bucket::LEN);
        let bytes = self.bytes().get(at..).and_then(<[u8]>::first_chunk);
        let Some(bucket) = bytes.map(Bucket) else {
            return MANY;
        };
        let below = bucket.below(head);
        if bucket.head(below) == Some(head) {
            // If it is none of the records, that is found out where they are read.
            return bucket.first().wrapping_add(below.into());
        }
        let end = u64::from(bucket.first()) + u64::from(bucket.count());
        let all = bucket.count() <= HEADS && end <= u64::from(self.header.entries);
        if all { NONE } else { MANY }
    }

    /// The record of a chunk: `record`, or otherwise wherever it is.
    // A call would hand the result over in memory, where there is room for an error.
    #[inline(always)]
    fn confirm(
        &self,
        record: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<u32>, DictionaryError> {
        match self.is_of(record, digest, len) {
            true => Ok(Some(record)),
            // Another record before it has the same head.
            false => self.find_among(digest, len),
        }
    }

    /// Whether a record, which the bucket of the digest has, is that of a chunk.
    #[inline(always)]
    fn is_of(&self, record: u32, digest: &Digest, len: u32) -> bool {
        let slot = Slot::new(digest, len, self.known_len);
        self.slot(record).is_some_and(|found| found.is(slot))
            && record < self.header.entries
            && digest.algorithm() == self.header.algorithm
            && self.is_len(record, len)
    }

    /// The same, whatever is in the bucket.
    #[cold]
    #[inline(never)]
    fn find_among(&self, digest: &Digest, len: u32) -> Result<Option<u32>, DictionaryError> {
        if digest.algorithm() != self.header.algorithm {
            return Ok(None);
        }
        let (number, head) = self.split(digest);
        let bucket = self.bucket(number)?;
        let (first, end) = self.records_of(number, bucket)?;
        let below = bucket.below(head);
        let record_at = |at: u8| first.saturating_add(at.into()).min(end);
        if bucket.count() <= HEADS {
            // Those with the head, of which there are hardly ever more than two.
            let alike = (below..bucket.count()).take_while(|&at| bucket.head(at) == Some(head));
            let mut records = alike.map(record_at);
            return Ok(records.find(|&record| self.is_of(record, digest, len)));
        }
        // Those with the head, and those behind the last head.
        let (mut start, mut last) = (record_at(below), end);
        while start < last {
            let middle = start.midpoint(last);
            match self.key_of(middle, number, first)?.cmp(&(*digest, len)) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal => return Ok(Some(middle)),
                Ordering::Greater => last = middle,
            }
        }
        Ok(None)
    }

    /// Bucket and head of a digest.
    #[inline]
    pub(super) fn split(&self, digest: &Digest) -> (u32, u8) {
        split(digest, self.header.bucket_bits)
    }

    /// Whether the placement of a record says what the bytes beside its digest do not say of this length.
    #[inline]
    fn is_len(&self, record: u32, len: u32) -> bool {
        let high = u64::from(len) >> ((8 * self.known_len) & 63);
        if !self.header.columns.has_len() {
            return high == 0;
        }
        let window = self.window(record);
        window.is_ok_and(|window| self.header.columns.len_high(window) == high)
    }

    /// The length of a record.
    pub(super) fn len_of(
        &self,
        record: u32,
        slot: Slot,
        window: &[u8; WINDOW],
    ) -> Result<u32, DictionaryError> {
        let high = self.header.columns.len_high(window);
        let len = high << ((8 * self.known_len) & 63) | slot.len_low(self.known_len);
        let what = "its chunk is too long";
        u32::try_from(len).map_err(|_| DictionaryError::Record { record, what })
    }

    #[inline(always)]
    pub(super) fn placed(
        &self,
        record: u32,
        len: u32,
        window: &[u8; WINDOW],
    ) -> Result<Placement, DictionaryError> {
        let numbers = self.header.columns.unpack(window);
        columns::placement(len, &numbers, self.header.blobs)
            .map_err(|what| DictionaryError::Record { record, what })
    }
}

impl<B: AsRef<[u8]> + Send + Sync> Dictionary for DictionaryFile<B> {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        Ok(self.find_record(digest, len)?.map(ChunkId::new))
    }

    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.search_many(keys, false, |record, _| {
            found.push(record.map(ChunkId::new));
            Ok(())
        })
    }
}

impl<B: AsRef<[u8]> + Send + Sync> PlacedDictionary for DictionaryFile<B> {
    fn chunks(&self) -> u32 {
        self.len()
    }

    fn entry_placement(&self, id: ChunkId) -> Result<(u32, Placement), DictionaryError> {
        let record = u32::try_from(id.index()).unwrap_or(u32::MAX);
        let fail = |what| DictionaryError::Record { record, what };
        if record >= self.header.entries {
            return Err(fail("there is no such record"));
        }
        let slot = self.slot(record).ok_or(fail("it is not in the file"))?;
        let window = self.window(record)?;
        let len = self.len_of(record, slot, window)?;
        Ok((len, self.placed(record, len, window)?))
    }

    fn blobs(&self) -> u32 {
        self.blob_count()
    }

    fn blob(&self, index: BlobIndex) -> Result<BlobRecord, DictionaryError> {
        self.blob_record(index)
    }
}
