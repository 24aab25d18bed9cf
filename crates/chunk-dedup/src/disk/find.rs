//! Lookups in a dictionary file.

use std::cmp::Ordering;

use image_model::{BlobIndex, ChunkId, Digest};

use super::DictionaryFile;
use super::bucket::split;
use super::columns::{self, WINDOW};
use crate::dictionary::{Dictionary, Key, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};

/// Lookups that are under way at the same time: enough to keep the memory busy, few enough for what they
/// have fetched to stay in the cache.
const BATCH: usize = 64;

/// What is read of a record: eight bytes of the digest, and its last 24 bytes with what follows. Together they are
/// all that the record has.
#[derive(Debug, Clone, Copy)]
struct Row<'f> {
    head: u64,
    rest: &'f [u8; 24 + WINDOW],
}

impl<'f> Row<'f> {
    /// Where the placement is.
    #[inline]
    fn window(self) -> &'f [u8; WINDOW] {
        self.rest.last_chunk().unwrap_or(&[0; WINDOW])
    }
}

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

    /// Where the chunks with these digests and lengths are stored, in the order of the keys. It takes far less
    /// time than asking for one after the other, since the memory answers many at once.
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
            // Each step reads for all keys what the next one needs: the processor asks the memory for many places
            // before it needs the first.
            let mut counts = [0; BATCH];
            for (count, (digest, _)) in counts.iter_mut().zip(keys) {
                *count = self.bucket(self.split(digest).0)?.count();
            }
            let mut candidates = [(0, 0); BATCH];
            for (((digest, _), candidate), &count) in keys.iter().zip(&mut candidates).zip(&counts)
            {
                if count != 0 {
                    *candidate = self.candidates(digest)?;
                }
            }
            let mut alike = [false; BATCH];
            for ((alike, (digest, len)), &(start, end)) in
                alike.iter_mut().zip(keys).zip(&candidates)
            {
                *alike = start < end && self.is_alike(self.row(start)?, digest, *len);
            }
            for (((digest, len), &(start, end)), &alike) in keys.iter().zip(&candidates).zip(&alike)
            {
                found(self.choose(start, end, alike, digest, *len)?)?;
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
        let (start, end) = self.candidates(digest)?;
        if start == end {
            return Ok(None);
        }
        let alike = self.is_alike(self.row(start)?, digest, len);
        self.choose(start, end, alike, digest, len)
    }

    /// Whether the beginning of a record, and the length that it states, are those of a chunk.
    #[inline]
    fn is_alike(&self, row: Row<'_>, digest: &Digest, len: u32) -> bool {
        let head = digest.as_bytes()[(32 - self.tail_len) % 8..].first_chunk();
        let head = head.unwrap_or(&[0; 8]);
        (row.head == u64::from_le_bytes(*head))
            & (self.header.columns.len_of(row.window()) == u64::from(len))
    }

    /// The record of a chunk among candidates, of which the first is `alike` or not.
    #[inline]
    fn choose(
        &self,
        start: u32,
        end: u32,
        alike: bool,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<(u32, &[u8; WINDOW])>, DictionaryError> {
        if start == end {
            return Ok(None);
        }
        let row = self.row(start)?;
        if alike && row.rest.first_chunk() == digest.as_bytes().last_chunk::<24>() {
            return Ok(Some((start, row.window())));
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
            let window = self.row(middle)?.window();
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

    #[inline]
    fn row(&self, record: u32) -> Result<Row<'_>, DictionaryError> {
        // The end has as many bytes behind the last record.
        match self.record(record).first_chunk::<{ 8 + 24 + WINDOW }>() {
            Some(bytes) => Ok(Row {
                head: u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8])),
                rest: bytes[(self.tail_len - 24) % 16..]
                    .first_chunk()
                    .unwrap_or(&[0; 24 + WINDOW]),
            }),
            None => Err(DictionaryError::Record {
                record,
                what: "it is not in the file",
            }),
        }
    }

    /// Length and placement of a record.
    #[inline]
    pub(super) fn read(&self, record: u32) -> Result<(u32, Placement), DictionaryError> {
        if record >= self.header.entries {
            let what = "there is no such record";
            return Err(DictionaryError::Record { record, what });
        }
        self.placed(record, self.row(record)?.window())
    }

    #[inline]
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
