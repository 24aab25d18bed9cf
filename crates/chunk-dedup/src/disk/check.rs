//! A check of everything in a dictionary file.

use image_model::{BlobId, BlobIndex};

use super::DictionaryFile;
use super::block::Block;
use super::bucket::Buckets;
use super::header::{Header, Sections};
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
        let mut count = 0u32;
        let mut buckets = Buckets::default();
        let mut block = Block::new(self.header.columns, self.known_len);
        for entry in self.entries() {
            let entry = entry?;
            let of_digest = self.split(&entry.digest);
            let told = buckets.push(of_digest, |bucket, bytes| self.check_bucket(bucket, bytes))?;
            let head = (!told).then_some(of_digest.1);
            if let Some(bytes) = block.push(&entry, head)? {
                self.check_block(count, bytes)?;
            }
            count += 1;
        }
        self.check_block(count.saturating_sub(1), block.rest())?;
        buckets.finish(self.header.buckets(), |bucket, bytes| {
            self.check_bucket(bucket, bytes)
        })
    }

    /// Compares the block of `record` with the bytes that it has to have.
    fn check_block(&self, record: u32, bytes: &[u8]) -> Result<(), DictionaryError> {
        let start = self.block_of(record);
        match self.section(start, start + bytes.len()) == bytes {
            true => Ok(()),
            false => Err(DictionaryError::Record {
                record,
                what: "its block is not written as its records demand",
            }),
        }
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
        let Sections {
            blobs_end, buckets, ..
        } = self.sections;
        for (start, end, field) in [
            (blobs_end, buckets, "bytes before the buckets"),
            (self.sections.end, end, "end"),
        ] {
            if self.section(start, end).iter().any(|&byte| byte != 0) {
                return Err(DictionaryError::Header {
                    offset: start,
                    field,
                    value: 0,
                    rule: "zeros",
                });
            }
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
}
