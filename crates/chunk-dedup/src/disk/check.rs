//! A check of everything in a dictionary file.

use image_model::width::usize_from;
use image_model::{BlobId, BlobIndex};

use super::DictionaryFile;
use super::bucket::Buckets;
use super::columns::position;
use super::header::Header;
use crate::error::DictionaryError;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Reads all of the file: its checksum, the descriptions of all blobs, that each record is in its bucket and
    /// in order, and that every placement can be.
    ///
    /// # Errors
    /// [`DictionaryError`], the first fault that is found.
    pub fn check(&self) -> Result<(), DictionaryError> {
        self.check_sum()?;
        self.check_blobs()?;
        let mut last = None;
        let mut count = 0;
        let mut buckets = Buckets::default();
        for entry in self.entries() {
            let entry = entry?;
            let key = (entry.digest, entry.len);
            if last.is_some_and(|last| last >= key) {
                return Err(DictionaryError::Record {
                    record: count,
                    what: "it is not in order",
                });
            }
            let padding = self.padding(count);
            if padding != 0 {
                let what = "the bits after its placement are not zero";
                return Err(DictionaryError::Record {
                    record: count,
                    what,
                });
            }
            let (number, head) = self.split(&entry.digest);
            buckets.push(number, head, |bucket, bytes| {
                self.check_bucket(bucket, bytes)
            })?;
            last = Some(key);
            count += 1;
        }
        if count != self.header.entries {
            let bucket = self.header.buckets() - 1;
            return Err(DictionaryError::Bucket {
                bucket,
                start: count,
                end: count,
                entries: self.header.entries,
            });
        }
        buckets.finish(self.header.buckets(), |bucket, bytes| {
            self.check_bucket(bucket, bytes)
        })
    }

    fn check_bucket(&self, bucket: u32, bytes: &[u8]) -> Result<(), DictionaryError> {
        match self.bucket(bucket)?.0 == bytes {
            true => Ok(()),
            false => Err(DictionaryError::BucketForm { bucket }),
        }
    }

    fn check_sum(&self) -> Result<(), DictionaryError> {
        let end = self.sections.end + Header::END_LEN - 4;
        let computed = crc32fast::hash(self.section(Header::LEN, end));
        let stored = self.section(end, end + 4).first_chunk();
        let stored = u32::from_le_bytes(*stored.unwrap_or(&[0; 4]));
        if stored != computed {
            return Err(DictionaryError::Checksum { stored, computed });
        }
        let zeros = self.section(self.sections.end, end);
        if zeros.iter().any(|&byte| byte != 0) {
            return Err(DictionaryError::Header {
                offset: self.sections.end,
                field: "end",
                value: 0,
                rule: "zeros",
            });
        }
        Ok(())
    }

    fn check_blobs(&self) -> Result<(), DictionaryError> {
        let mut last: Option<BlobId> = None;
        for blob in 0..self.header.blobs {
            let record = self.blob_record(BlobIndex(blob))?;
            if last.is_some_and(|last| last >= record.id) {
                let what = "it is not in the order of ids";
                return Err(DictionaryError::Blob { blob, what });
            }
            last = Some(record.id);
        }
        let end = match self.header.blobs.checked_sub(1) {
            Some(blob) => self.blob_end(blob),
            None => 0,
        };
        if end != self.header.blob_len {
            return Err(DictionaryError::Blob {
                blob: self.header.blobs,
                what: "something follows the last description",
            });
        }
        Ok(())
    }

    /// The bits of a record that follow its placement.
    fn padding(&self, record: u32) -> u8 {
        let unused = self.header.columns.padding();
        let end = position(record, self.record_len()) + self.record_len();
        let records = self.section(self.sections.records, self.sections.end);
        let last = end.checked_sub(1).and_then(|last| records.get(last));
        let last = last.copied().unwrap_or(0);
        match unused {
            0 => 0,
            _ => last >> (8 - usize_from(unused)),
        }
    }
}
