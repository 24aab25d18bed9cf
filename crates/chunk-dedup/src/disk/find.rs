//! Lookups in a dictionary file.

use image_model::{BlobIndex, ChunkId, Digest};

use super::DictionaryFile;
use crate::dictionary::{Dictionary, Key, PlacedDictionary};
use crate::error::DictionaryError;
use crate::placement::{BlobRecord, Placement};

/// Lookups that are under way at the same time: enough to keep the memory busy, few enough for what they
/// have fetched to stay in the cache.
const BATCH: usize = 64;

/// Records of a bucket that are compared one after the other. Only digests that were chosen for it have more.
const SCAN: u32 = 16;

/// No record.
const NONE: u32 = u32::MAX;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Where the chunk with this digest and length in bytes is stored.
    ///
    /// # Errors
    /// [`DictionaryError`] if what was read on the way is damaged.
    pub fn lookup(&self, digest: &Digest, len: u32) -> Result<Option<Placement>, DictionaryError> {
        match self.find_record(digest, len)? {
            Some(record) => Ok(Some(self.read(record)?.1)),
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
        self.search_many(keys, |record| {
            let placement = match record {
                Some(record) => Some(self.read(record)?.1),
                None => None,
            };
            found.push(placement);
            Ok(())
        })
    }

    fn search_many(
        &self,
        keys: &[Key],
        mut found: impl FnMut(Option<u32>) -> Result<(), DictionaryError>,
    ) -> Result<(), DictionaryError> {
        for keys in keys.chunks(BATCH) {
            let mut buckets = [(0, 0); BATCH];
            for (bucket, (digest, _)) in buckets.iter_mut().zip(keys) {
                if digest.algorithm() == self.header.algorithm {
                    *bucket = self.bucket(self.bucket_of(digest))?;
                }
            }
            // No branch depends on what comes from the records, so that the processor fetches those of
            // all keys before it needs the first.
            let mut candidates = [NONE; BATCH];
            for ((candidate, &(start, end)), (digest, _)) in
                candidates.iter_mut().zip(&buckets).zip(keys)
            {
                *candidate = self.candidate(start, end, digest);
            }
            for ((&(start, end), (digest, len)), &candidate) in
                buckets.iter().zip(keys).zip(&candidates)
            {
                found(if end.saturating_sub(start) > SCAN {
                    self.search(start, end, digest, *len)?
                } else if candidate == NONE {
                    None
                } else {
                    self.scan(candidate, end, digest, *len)?
                })?;
            }
        }
        Ok(())
    }

    /// The record of a chunk.
    #[inline]
    fn find_record(&self, digest: &Digest, len: u32) -> Result<Option<u32>, DictionaryError> {
        if digest.algorithm() != self.header.algorithm {
            return Ok(None);
        }
        let (start, end) = self.bucket(self.bucket_of(digest))?;
        self.search(start, end, digest, len)
    }

    /// The first record of a bucket that begins as the digest does, without a branch that depends on one.
    #[inline]
    fn candidate(&self, start: u32, end: u32, digest: &Digest) -> u32 {
        let head = self.head(digest);
        let mut candidate = NONE;
        for record in (start..end.min(start.saturating_add(SCAN))).rev() {
            let same = self.head_of(record) == head;
            candidate = if same { record } else { candidate };
        }
        candidate
    }

    fn search(
        &self,
        start: u32,
        end: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<u32>, DictionaryError> {
        let (mut start, mut last) = (start, end);
        while last.saturating_sub(start) > SCAN {
            let middle = start.midpoint(last);
            match self.tail_of(middle) < self.tail(digest) {
                true => start = middle,
                false => last = middle,
            }
        }
        self.scan(start, end, digest, len)
    }

    /// Compares records one after the other, until one comes after the digest.
    #[inline]
    fn scan(
        &self,
        start: u32,
        end: u32,
        digest: &Digest,
        len: u32,
    ) -> Result<Option<u32>, DictionaryError> {
        let head = self.head(digest);
        for record in start..end {
            let found = self.head_of(record);
            if found == head && self.ends_as(record, digest) {
                if self.header.columns.len_of(self.window(record)?) == u64::from(len) {
                    return Ok(Some(record));
                }
            } else if found > head {
                break;
            }
        }
        Ok(None)
    }

    #[inline]
    pub(super) fn bucket_of(&self, digest: &Digest) -> u32 {
        bucket_of(digest, self.header.bucket_bits)
    }

    /// What a record has of a digest.
    #[inline]
    pub(super) fn tail<'d>(&self, digest: &'d Digest) -> &'d [u8] {
        digest
            .as_bytes()
            .get(32 - self.tail_len..)
            .unwrap_or_default()
    }

    /// What a record has of its digest.
    #[inline]
    pub(super) fn tail_of(&self, record: u32) -> &[u8] {
        let bytes = self.record(record);
        bytes.get(..self.tail_len).unwrap_or_default()
    }

    /// Whether the last 24 bytes of a digest are those of a record; with the first eight of what the record has, they
    /// are all.
    #[inline]
    fn ends_as(&self, record: u32, digest: &Digest) -> bool {
        let end: Option<&[u8; 24]> = self.tail_of(record).last_chunk();
        end == digest.as_bytes().last_chunk()
    }

    /// The first eight bytes of what a record has of a digest.
    #[inline]
    fn head(&self, digest: &Digest) -> u64 {
        let head = self.tail(digest).first_chunk();
        u64::from_be_bytes(*head.unwrap_or(&[0; 8]))
    }

    #[inline]
    fn head_of(&self, record: u32) -> u64 {
        let head = self.record(record).first_chunk();
        u64::from_be_bytes(*head.unwrap_or(&[0; 8]))
    }
}

/// The first `bits` bits of a digest.
#[inline]
pub(super) fn bucket_of(digest: &Digest, bits: u8) -> u32 {
    let [first @ .., _, _, _, _] = *digest.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]);
    u32::from_be_bytes(first)
        .checked_shr(u32::BITS - u32::from(bits))
        .unwrap_or(0)
}

impl<B: AsRef<[u8]> + Send + Sync> Dictionary for DictionaryFile<B> {
    fn find(&self, digest: &Digest, len: u32) -> Result<Option<ChunkId>, DictionaryError> {
        Ok(self.find_record(digest, len)?.map(Self::id))
    }

    fn find_many(
        &self,
        keys: &[Key],
        found: &mut Vec<Option<ChunkId>>,
    ) -> Result<(), DictionaryError> {
        found.reserve(keys.len());
        self.search_many(keys, |record| {
            found.push(record.map(Self::id));
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
