//! The entries of a dictionary file, one after the other.

use image_model::Digest;

use super::DictionaryFile;
use crate::error::DictionaryError;
use crate::placement::Entry;

/// The entries of a file by ascending digest, and then by length.
#[derive(Debug)]
pub struct Entries<'f, B> {
    file: &'f DictionaryFile<B>,
    bucket: u32,
    record: u32,
    /// The first record of the bucket.
    first: u32,
    /// One past the last record of the bucket.
    end: u32,
}

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// All entries.
    pub fn entries(&self) -> Entries<'_, B> {
        Entries {
            file: self,
            bucket: 0,
            record: 0,
            first: 0,
            end: 0,
        }
    }

    /// The digest of a record in a bucket.
    fn digest_of(&self, record: u32, bucket: u32, first: u32) -> Result<Digest, DictionaryError> {
        let fail = |what| DictionaryError::Record { record, what };
        let bits = u32::from(self.header.bucket_bits);
        let known = bucket.checked_shl(u32::BITS - bits).unwrap_or(0);
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&known.to_be_bytes());
        let tail = self.tail_of(record);
        let place = bytes.get_mut(32 - tail.len()..);
        let place = place.ok_or_else(|| fail("it is not in the file"))?;
        place.copy_from_slice(tail);
        let digest = Digest::new(self.header.algorithm, bytes);
        let (own, head) = self.split(&digest);
        if own != bucket {
            return Err(fail("its digest belongs into another bucket"));
        }
        let told = u16::try_from(record - first).ok();
        let told = told.and_then(|at| self.bucket(bucket).ok()?.head(at));
        if told.is_some_and(|told| told != head) {
            return Err(fail("its bucket says something else of its digest"));
        }
        Ok(digest)
    }

    fn next_of(&self, at: &mut Entries<'_, B>) -> Result<Option<Entry>, DictionaryError> {
        while at.record == at.end {
            if at.bucket == self.header.buckets() {
                return Ok(None);
            }
            let (start, end) = self.records_of(at.bucket, self.bucket(at.bucket)?)?;
            if start != at.record {
                return Err(DictionaryError::Bucket {
                    bucket: at.bucket,
                    start,
                    end,
                    entries: self.header.entries,
                });
            }
            (at.first, at.end) = (start, end);
            at.bucket += 1;
        }
        let record = at.record;
        at.record += 1;
        // The bucket was counted when its end was read.
        let digest = self.digest_of(record, at.bucket - 1, at.first)?;
        let (len, placement) = self.read(record)?;
        Ok(Some(Entry {
            digest,
            len,
            placement,
        }))
    }
}

impl<B: AsRef<[u8]>> Iterator for Entries<'_, B> {
    type Item = Result<Entry, DictionaryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.file.next_of(self).transpose();
        if matches!(next, Some(Err(_))) {
            // Nothing comes after an error.
            (self.bucket, self.record, self.end) = (self.file.header.buckets(), 0, 0);
        }
        next
    }
}
