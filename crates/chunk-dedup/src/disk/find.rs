//! Lookups in a dictionary file.

use std::cmp::Ordering;

use image_model::{BlobIndex, ChunkId, Digest};

use super::DictionaryFile;
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
        match self.find_row(digest, len)? {
            Some((record, window)) => Ok(Some(self.placed(record, window)?.1)),
            None => Ok(None),
        }
    }

    /// Where the chunks with these digests and lengths are stored, in the order of the keys. The records
    /// of up to 64 keys are asked for before the first of them is needed, since the memory answers many at once.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    pub fn lookup_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<Placement>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.search_many(keys, |chosen| {
            let placement = match chosen {
                Some((record, window)) => Some(self.placed(record, window)?.1),
                None => None,
            };
            found.push(placement);
            Ok(())
        })
    }

    fn search_many(
        &self,
        keys: &[Key],
        mut found: impl FnMut(Option<(u32, &[u8; WINDOW])>) -> Result<(), DictionaryError>,
    ) -> Result<(), DictionaryError> {
        for keys in keys.chunks(BATCH) {
            // First the records of all, so that the processor asks the memory for many before it needs one.
            let mut rows: [Option<(u32, &[u8; WINDOW])>; BATCH] = [None; BATCH];
            for (row, (digest, len)) in rows.iter_mut().zip(keys) {
                *row = self.find_row(digest, *len)?;
            }
            for row in rows.iter().take(keys.len()) {
                found(*row)?;
            }
        }
        Ok(())
    }

    /// The records among which a chunk with this digest is, if it is there: nearly always one or none.
    #[inline]
    fn candidates(&self, digest: &Digest) -> Result<(u32, u32), DictionaryError> {
        if digest.algorithm() != self.header.algorithm {
            return Ok((0, 0));
        }
        let (number, head) = self.split(digest);
        let bucket = self.bucket(number)?;
        let (first, end) = self.records_of(number, bucket)?;
        let below = bucket.below(head);
        let start = first.saturating_add(below.into()).min(end);
        let same = bucket.head(below).is_none_or(|found| found == head);
        // What is behind the last head is not told.
        Ok((start, if same { end } else { start }))
    }

    /// The record of a chunk, and where its placement is.
    #[inline]
    fn find_row(
        &self,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        let record = self.only(digest);
        self.confirm(record, digest, len)
    }

    /// The record that a chunk has if any, by what its bucket says; [`NONE`], or [`MANY`] if that does not tell.
    /// Nothing but the bucket is read, with few instructions: so the processor begins with the next lookups while this
    /// one waits for memory.
    #[inline]
    fn only(&self, digest: &Digest) -> u32 {
        let (number, head) = self.split(digest);
        let at = self.sections.buckets + position(number, bucket::LEN);
        let bytes = self.bytes().get(at..).and_then(<[u8]>::first_chunk);
        let Some(bucket) = bytes.map(Bucket) else {
            return MANY;
        };
        match bucket.only(head) {
            // Otherwise the head is equal to a word before the heads.
            Some(record) if record < self.header.entries => record,
            Some(_) => MANY,
            None => {
                let end = u64::from(bucket.first()) + u64::from(bucket.count());
                let all = bucket.count() <= HEADS && end <= u64::from(self.header.entries);
                if all { NONE } else { MANY }
            }
        }
    }

    /// The chunk and where its placement is, if it is in `record`, or otherwise wherever it is.
    #[inline]
    fn confirm(
        &self,
        record: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        if record == NONE {
            return Ok(None);
        }
        match self.same(record, digest, len) {
            Some(window) => Ok(Some((record, window))),
            None => self.find_among(digest, len),
        }
    }

    /// Where the placement of `record` is, if it is that of the chunk.
    #[inline]
    fn same(&self, record: u32, digest: &Digest, len: u32) -> Option<&[u8; WINDOW]> {
        let row: &[u8; 16 + 24 + WINDOW] = self.record(record).first_chunk()?;
        let rest: &[u8; 24 + WINDOW] = row[(self.tail_len - 24) & 15..].first_chunk()?;
        let window: &[u8; WINDOW] = rest.last_chunk()?;
        let head = digest.as_bytes()[(32 - self.tail_len) & 7..].first_chunk::<8>()?;
        let same = row.first_chunk() == Some(head)
            && rest.first_chunk() == digest.as_bytes().last_chunk::<24>()
            && self.header.columns.len_of(window) == u64::from(len)
            && digest.algorithm() == self.header.algorithm
            && record < self.header.entries;
        same.then_some(window)
    }

    /// The same as [`find_row`](Self::find_row), whatever is in the bucket.
    #[cold]
    fn find_among(
        &self,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        let (start, end) = self.candidates(digest)?;
        if start == end {
            return Ok(None);
        }
        self.search(start, end, digest, len)
    }

    /// The same for candidates that are many.
    #[cold]
    fn search(
        &self,
        mut start: u32,
        end: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        let tail = digest.as_bytes().get(32 - self.tail_len..);
        let wanted = (tail.unwrap_or_default(), u64::from(len));
        let mut last = end;
        while start < last {
            let middle = start.midpoint(last);
            let window = self.window(middle)?;
            let found = (self.tail_of(middle), self.header.columns.len_of(window));
            match found.cmp(&wanted) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal => return Ok(Some((middle, window))),
                Ordering::Greater => last = middle,
            }
        }
        Ok(None)
    }

    /// Bucket and head of a digest.
    #[inline]
    pub(super) fn split(&self, digest: &Digest) -> (u32, u16) {
        split(digest, self.header.bucket_bits)
    }

    /// What a record has of its digest.
    pub(super) fn tail_of(&self, record: u32) -> &[u8] {
        let bytes = self.record(record);
        bytes.get(..self.tail_len).unwrap_or_default()
    }

    /// Where the placement of `record` is.
    #[inline]
    fn window(&self, record: u32) -> Result<&[u8; WINDOW], DictionaryError> {
        // The end has as many bytes behind the last record.
        let behind = self.record(record).get(self.tail_len..);
        let window = behind.and_then(<[u8]>::first_chunk);
        window.ok_or(DictionaryError::Record {
            record,
            what: "it is not in the file",
        })
    }

    /// Length and placement of a record.
    #[inline]
    pub(super) fn read(&self, record: u32) -> Result<(u32, Placement), DictionaryError> {
        if record >= self.header.entries {
            let what = "there is no such record";
            return Err(DictionaryError::Record { record, what });
        }
        self.placed(record, self.window(record)?)
    }

    #[inline(always)]
    fn placed(
        &self,
        record: u32,
        window: &[u8; WINDOW],
    ) -> Result<(u32, Placement), DictionaryError> {
        let numbers = self.header.columns.unpack(window);
        columns::placement(&numbers, self.header.blobs)
            .map_err(|what| DictionaryError::Record { record, what })
    }
}

impl<B: AsRef<[u8]> + Send + Sync> Dictionary for DictionaryFile<B> {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        Ok(self
            .find_row(digest, len)?
            .map(|(record, _)| ChunkId::new(record)))
    }

    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.search_many(keys, |chosen| {
            found.push(chosen.map(|(record, _)| ChunkId::new(record)));
            Ok(())
        })
    }
}

impl<B: AsRef<[u8]> + Send + Sync> PlacedDictionary for DictionaryFile<B> {
    fn chunks(&self) -> u32 {
        self.len()
    }

    fn entry_placement(&self, id: ChunkId) -> Result<(u32, Placement), DictionaryError> {
        self.read(u32::try_from(id.index()).unwrap_or(u32::MAX))
    }

    fn blobs(&self) -> u32 {
        self.blob_count()
    }

    fn blob(&self, index: BlobIndex) -> Result<BlobRecord, DictionaryError> {
        self.blob_record(index)
    }
}
