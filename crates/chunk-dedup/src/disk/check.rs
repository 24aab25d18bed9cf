//! A check of everything in a dictionary file.

use image_model::width::usize_from;
use image_model::{BlobId, BlobIndex};

use super::DictionaryFile;
use super::header::{Header, Sections};
use super::layout::{Index, records};
use super::part::PILOTS;
use crate::error::DictionaryError;

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// Reads all of the file: its checksum, the descriptions of all blobs, that each record is where its key leads, and
    /// that every placement can be.
    ///
    /// # Errors
    /// [`DictionaryError`], the first fault that is found.
    pub fn check(&self) -> Result<(), DictionaryError> {
        self.check_sum()?;
        self.check_blobs()?;
        let parts = self.header.parts();
        let mut part = 0;
        let mut entries = self.entries();
        let mut next = || entries.next().transpose();
        let index = Index::of(parts, &mut next, &mut |pilots| {
            let at = self.pilots_of(part);
            if self.section(at, at + usize_from(PILOTS)) != pilots {
                return Err(DictionaryError::PartForm { part });
            }
            part += 1;
            Ok(())
        })?;
        let Sections {
            displaced,
            firsts,
            firsts_end,
            ..
        } = self.sections;
        for (start, end, bytes, field) in [
            (displaced, firsts, &index.displaced, "displaced records"),
            (firsts, firsts_end, &index.firsts, "first records"),
        ] {
            let stored = self.section(start, end);
            if let Some(at) = (0..stored.len()).find(|&at| stored.get(at) != bytes.get(at)) {
                return Err(DictionaryError::Header {
                    offset: start + at,
                    field,
                    value: stored.get(at).copied().unwrap_or(0).into(),
                    rule: "as the records demand",
                });
            }
        }
        let mut entries = self.entries();
        let mut next = || entries.next().transpose();
        records(
            parts,
            &self.header.columns,
            &mut next,
            &mut |record, bytes| {
                let at = self.place_of(record);
                match self.section(at, at + bytes.len()) == bytes {
                    true => Ok(()),
                    false => Err(DictionaryError::Record {
                        record,
                        what: "it is not written as its part demands",
                    }),
                }
            },
        )
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
            blobs_end,
            pilots,
            firsts_end,
            records,
            ..
        } = self.sections;
        for (start, end, field) in [
            (blobs_end, pilots, "bytes before the pilots"),
            (firsts_end, records, "bytes before the records"),
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
