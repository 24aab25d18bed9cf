//! Lookups in a dictionary file.

use std::cmp::Ordering;

use image_model::width::usize_from;
use image_model::{BlobIndex, ChunkId, Digest};
use prefetch_index::prefetch_index;

use super::columns::{self, position};
use super::layout::displaced_at;
use super::part::{Asked, SEARCHED};
use super::{DictionaryFile, WINDOW};
use crate::dictionary::{Dictionary, Key, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};

/// How many lookups later one that has asked for its pilot asks for its record, and how many later again it reads that:
/// enough to keep the memory busy, few enough for what they have fetched to stay in the cache.
const TO_RECORD: usize = 12;
const TO_READ: usize = 20;

/// Lookups under way: a power of two, and at least as many as wait for one thing.
const RING: usize = 32;

const _: () = assert!(TO_RECORD <= RING && TO_READ <= RING);

/// What leads to no record: none has this number.
const NONE: u32 = u32::MAX;

/// A key, its part, and where its pilot is.
#[derive(Clone, Copy, Default)]
struct Route {
    asked: Asked,
    part: u32,
    pilot: usize,
}

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Where the chunk with this digest and length in bytes is stored.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    #[inline]
    pub fn lookup(&self, digest: &Digest, len: u32) -> Result<Option<Placement>, DictionaryError> {
        let record = self.candidate(&self.route(digest, len));
        match self.confirm(record, digest, len)? {
            Some((record, window)) => Ok(Some(self.placed(record, len, window)?)),
            None => Ok(None),
        }
    }

    /// Where the chunks with these digests and lengths are stored, in the order of the keys. What is read for
    /// later keys is asked for while earlier ones are answered, since the memory answers many questions at once.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    pub fn lookup_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<Placement>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.each_of(keys, |record, len| {
            found.push(match record {
                Some((record, window)) => Some(self.placed(record, len, window)?),
                None => None,
            });
            Ok(())
        })
    }

    /// Hands the record of each of the keys to `take`, in their order, with the length of the chunk.
    #[inline(always)]
    fn each_of<'s>(
        &'s self,
        keys: &[Key],
        mut take: impl FnMut(Option<(u32, &'s [u8; WINDOW])>, u32) -> Result<(), DictionaryError>,
    ) -> Result<(), DictionaryError> {
        let mut routes = [Route::default(); RING];
        let mut records = [NONE; RING];
        for at in 0..keys.len().saturating_add(TO_RECORD + TO_READ) {
            if let Some((digest, len)) = keys.get(at) {
                let route = self.route(digest, *len);
                prefetch_index::<u8>(self.bytes(), route.pilot);
                routes[at % RING] = route;
            }
            if let Some(at) = at.checked_sub(TO_RECORD)
                && at < keys.len()
            {
                let record = self.candidate(&routes[at % RING]);
                // The processor fetches the line behind it as well.
                prefetch_index::<u8>(self.bytes(), self.place_of(record));
                records[at % RING] = record;
            }
            if let Some(at) = at.checked_sub(TO_RECORD + TO_READ)
                && let Some((digest, len)) = keys.get(at)
            {
                take(self.confirm(records[at % RING], digest, *len)?, *len)?;
            }
        }
        Ok(())
    }

    /// Where the pilot of a key is.
    #[inline(always)]
    fn route(&self, digest: &Digest, len: u32) -> Route {
        let asked = Asked::new(digest, len);
        let part = asked.part(self.parts);
        let pilot = self.pilots_of(part) + usize_from(asked.pilot());
        Route { asked, part, pilot }
    }

    /// The record that a chunk has, if any: or else another one, or [`NONE`]. Few instructions, none of which waits for
    /// the record: so the processor begins with the next lookups while this one waits for memory.
    #[inline(always)]
    fn candidate(&self, route: &Route) -> u32 {
        let Some((first, end)) = self.range_of(route.part) else {
            return NONE;
        };
        let count = end.wrapping_sub(first);
        let Some(&pilot) = self.bytes().get(route.pilot) else {
            return NONE;
        };
        let place = route.asked.place(pilot, count);
        if place >= count {
            return self.displaced(first, place.wrapping_sub(count));
        }
        first.wrapping_add(place)
    }

    /// The record that has one of the spare places of the part that begins with `first`.
    #[cold]
    #[inline(never)]
    fn displaced(&self, first: u32, number: u32) -> u32 {
        let at = self.sections.displaced + displaced_at(first) + position(number, 2);
        let bytes = self.array(at);
        bytes.map_or(NONE, |at| {
            first.wrapping_add(u16::from_le_bytes(*at).into())
        })
    }

    /// The record of the chunk: `record`, or wherever it is in a part that is searched.
    // A call would hand the result over in memory, where there is room for an error.
    #[inline(always)]
    fn confirm(
        &self,
        record: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        if let Some(window) = self.peek(record) {
            // One word after the other: hits find all alike, and misses none.
            let (words, _) = digest.as_bytes().as_chunks::<8>();
            let same = words
                .iter()
                .zip(window.as_chunks().0)
                .all(|(word, found)| u64::from_le_bytes(*found) == u64::from_le_bytes(*word))
                && self.header.columns.chunk_len(window) == u64::from(len)
                && digest.algorithm() == self.header.algorithm;
            if same {
                return Ok(Some((record, window)));
            }
            if !self.searched {
                return Ok(None);
            }
        }
        self.search(record, digest, len)
    }

    /// The record of the chunk in its part, if that is searched. If not, `record` led nowhere, or to another chunk.
    #[cold]
    #[inline(never)]
    fn search(
        &self,
        record: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        let route = self.route(digest, len);
        let (mut start, mut end) = self.records_of(route.part)?;
        if self.bytes().get(route.pilot) != Some(&SEARCHED) {
            // In a part without records, all that is computed is 0.
            let is_sound = record < self.header.entries || start == end;
            let what = "a pilot leads there, but it is not in the file";
            return match is_sound {
                true => Ok(None),
                false => Err(DictionaryError::Record { record, what }),
            };
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
        let record = self.candidate(&self.route(digest, len));
        let found = self.confirm(record, digest, len)?;
        Ok(found.map(|(record, _)| ChunkId::new(record)))
    }

    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.each_of(keys, |record, _| {
            found.push(record.map(|(record, _)| ChunkId::new(record)));
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
