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
    /// The last chunk.
    last: Option<(Digest, u32)>,
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
            last: None,
        }
    }

    /// The chunk that a record is of, in a bucket that begins with the record `first`.
    pub(super) fn key_of(
        &self,
        record: u32,
        number: u32,
        first: u32,
    ) -> Result<(Digest, u32), DictionaryError> {
        let fail = |what| DictionaryError::Record { record, what };
        let slot = self.slot(record).ok_or(fail("it is not in the file"))?;
        let at = u8::try_from(record - first).ok();
        let told = self.bucket(number)?;
        let window = self.window(record)?;
        let head = match at.and_then(|at| told.head(at)) {
            Some(head) => head,
            None => self.header.columns.head(window),
        };
        let bits = u32::from(self.header.bucket_bits);
        let known = (u64::from(number) << 8 | u64::from(head)) << (56 - bits);
        let digest = slot.digest(self.header.algorithm, known, self.known_len);
        if self.split(&digest) != (number, head) {
            return Err(fail("its bucket says something else of its digest"));
        }
        Ok((digest, self.len_of(record, slot, window)?))
    }

    fn next_of(&self, at: &mut Entries<'_, B>) -> Result<Option<Entry>, DictionaryError> {
        while at.record == at.end {
            if at.bucket == self.header.buckets() {
                let (end, entries) = (at.record, self.header.entries);
                if end == entries {
                    return Ok(None);
                }
                return Err(DictionaryError::Bucket {
                    bucket: at.bucket - 1,
                    start: end,
                    end,
                    entries,
                });
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
        let (digest, len) = self.key_of(record, at.bucket - 1, at.first)?;
        if at.last.is_some_and(|last| last >= (digest, len)) {
            let what = "it is not in order";
            return Err(DictionaryError::Record { record, what });
        }
        at.last = Some((digest, len));
        let placement = self.placed(record, len, self.window(record)?)?;
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
            let header = &self.file.header;
            self.bucket = header.buckets();
            (self.record, self.end) = (header.entries, header.entries);
        }
        next
    }
}
