//! Lookups in a dictionary file.

use std::cmp::Ordering;

use image_model::width::usize_from;
use image_model::{BlobIndex, ChunkId, Digest};
use prefetch_index::prefetch_index;

use super::DictionaryFile;
use super::columns::{self, position};
use super::layout::displaced_at;
use super::part::{Asked, SEARCHED, spare};
use super::{DIGEST_LEN, WINDOW};
use crate::dictionary::{Dictionary, Key, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};

/// Lookups that are under way at the same time: enough to keep the memory busy, few enough for what they
/// have fetched to stay in the cache.
const BATCH: usize = 64;

/// The record of a chunk whose part has to be searched. No record has this number.
const ANY: u32 = u32::MAX;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Where the chunk with this digest and length in bytes is stored.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    #[inline]
    pub fn lookup(&self, digest: &Digest, len: u32) -> Result<Option<Placement>, DictionaryError> {
        let asked = Asked::new(digest, len);
        self.place(self.candidate(asked), asked, digest, len)
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
        for keys in keys.chunks(BATCH) {
            for (record, (digest, len)) in self.candidates(keys).into_iter().zip(keys) {
                found.push(self.place(record, Asked::new(digest, *len), digest, *len)?);
            }
        }
        Ok(())
    }

    /// What [`candidate`](Self::candidate) says of each of the keys, and their records on the way to the cache.
    #[inline(always)]
    fn candidates(&self, keys: &[Key]) -> [u32; BATCH] {
        let mut records = [ANY; BATCH];
        for (digest, len) in keys {
            let asked = Asked::new(digest, *len);
            let part = self.pilots_of(asked.part(self.parts));
            prefetch_index::<u8>(self.bytes(), part + usize_from(asked.pilot()));
        }
        for (record, (digest, len)) in records.iter_mut().zip(keys) {
            *record = self.candidate(Asked::new(digest, *len));
            let start = self.place_of(*record);
            prefetch_index::<u8>(self.bytes(), start);
            prefetch_index::<u8>(self.bytes(), start + self.record_len - 1);
        }
        records
    }

    /// The record that a chunk has if any; [`ANY`] if that is not told by where it comes in its part. Few instructions
    /// that do not wait for the record: so the processor begins with the next lookups while this one waits for memory.
    #[inline(always)]
    fn candidate(&self, asked: Asked) -> u32 {
        let part = asked.part(self.parts);
        let (first, end) = self.range_of(part);
        let count = end.wrapping_sub(first);
        let pilot = self.pilots_of(part) + usize_from(asked.pilot());
        let pilot = self.bytes().get(pilot).copied().unwrap_or(SEARCHED);
        let place = asked.place(pilot, count);
        if pilot == SEARCHED || place >= count {
            return self.displaced(pilot, first, count, place);
        }
        first.wrapping_add(place)
    }

    /// The record that has a spare place of the part that begins with `first` and has `count` records.
    #[cold]
    #[inline(never)]
    fn displaced(&self, pilot: u8, first: u32, count: u32, place: u32) -> u32 {
        let number = place.wrapping_sub(count);
        if pilot == SEARCHED || number >= spare(count) {
            return ANY;
        }
        let at = self.sections.displaced + displaced_at(first) + position(number, 2);
        let bytes = self.bytes().get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(ANY, |at| first.wrapping_add(u16::from_le_bytes(*at).into()))
    }

    /// Where the chunk is stored, if its record is `record`.
    // A call would hand the result over in memory, where there is room for an error.
    #[inline(always)]
    fn place(
        &self,
        record: u32,
        asked: Asked,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<Placement>, DictionaryError> {
        match self.confirm(record, asked, digest, len)? {
            Some((record, window)) => Ok(Some(self.placed(record, len, window)?)),
            None => Ok(None),
        }
    }

    /// The record of the chunk, if it is `record`, or wherever it is in a part that is searched.
    #[inline(always)]
    fn confirm(
        &self,
        record: u32,
        asked: Asked,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        if record >= self.header.entries {
            return self.search(record, asked, digest, len);
        }
        let window = self.window(record)?;
        let words: &[[u8; 8]; DIGEST_LEN / 8] =
            window.as_chunks().0.first_chunk().unwrap_or(&[[0; 8]; 4]);
        // One after the other: hits find all alike, and misses none.
        let same = words
            .iter()
            .zip(asked.words)
            .all(|(found, word)| u64::from_le_bytes(*found) == word)
            && self.header.columns.chunk_len(window) == u64::from(len)
            && digest.algorithm() == self.header.algorithm;
        Ok(same.then_some((record, window)))
    }

    /// The record of the chunk in its part, which is in order.
    #[cold]
    #[inline(never)]
    fn search(
        &self,
        record: u32,
        asked: Asked,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        let (mut start, mut end) = self.records_of(asked.part(self.parts))?;
        if record != ANY {
            let what = "a pilot leads there, but it is not in the file";
            return Err(DictionaryError::Record { record, what });
        }
        while start < end {
            let middle = start.midpoint(end);
            match self.key_of(middle)?.cmp(&(*digest, len)) {
                Ordering::Less => start = middle + 1,
                Ordering::Equal => return Ok(Some((middle, self.window(middle)?))),
                Ordering::Greater => end = middle,
            }
        }
        Ok(None)
    }

    /// The placement of a record.
    #[inline(always)]
    pub(super) fn placed(
        &self,
        record: u32,
        len: u32,
        window: &[u8; WINDOW],
    ) -> Result<Placement, DictionaryError> {
        let columns = &self.header.columns;
        let numbers = columns.unpack(window);
        columns::placement(len, &numbers, columns.plain(), self.header.blobs)
            .map_err(|what| DictionaryError::Record { record, what })
    }
}

impl<B: AsRef<[u8]> + Send + Sync> Dictionary for DictionaryFile<B> {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        let asked = Asked::new(digest, len);
        let found = self.confirm(self.candidate(asked), asked, digest, len)?;
        Ok(found.map(|(record, _)| ChunkId::new(record)))
    }

    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        for keys in keys.chunks(BATCH) {
            for (record, (digest, len)) in self.candidates(keys).into_iter().zip(keys) {
                let record = self.confirm(record, Asked::new(digest, *len), digest, *len)?;
                found.push(record.map(|(record, _)| ChunkId::new(record)));
            }
        }
        Ok(())
    }
}

impl<B: AsRef<[u8]> + Send + Sync> PlacedDictionary for DictionaryFile<B> {
    fn chunks(&self) -> u32 {
        self.len()
    }

    fn entry_placement(&self, id: ChunkId) -> Result<(u32, Placement), DictionaryError> {
        let record = u32::try_from(id.index()).unwrap_or(u32::MAX);
        if record >= self.header.entries {
            let what = "there is no such record";
            return Err(DictionaryError::Record { record, what });
        }
        let (_, len) = self.key_of(record)?;
        Ok((len, self.placed(record, len, self.window(record)?)?))
    }

    fn blobs(&self) -> u32 {
        self.blob_count()
    }

    fn blob(&self, index: BlobIndex) -> Result<BlobRecord, DictionaryError> {
        self.blob_record(index)
    }
}
