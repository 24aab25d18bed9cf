//! The entries of a dictionary file, one after the other.

use std::vec::IntoIter;

use image_model::Digest;
use image_model::width::usize_from;

use super::part::{Asked, MOST};
use super::{DIGEST_LEN, DictionaryFile};
use crate::error::DictionaryError;
use crate::placement::Entry;

/// The entries of a file by ascending digest, and then by length.
#[derive(Debug)]
pub struct Entries<'f, B> {
    file: &'f DictionaryFile<B>,
    /// Number of parts that were begun.
    parts: u32,
    /// The next record that was not read.
    record: u32,
    /// One past the last record of the part.
    end: u32,
    /// Those of the part that were read, with their records.
    read: IntoIter<(Entry, u32)>,
    /// The last chunk.
    last: Option<(Digest, u32)>,
}

impl<B: AsRef<[u8]>> DictionaryFile<B> {
    /// All entries. At most 4096 of them are in memory.
    pub fn entries(&self) -> Entries<'_, B> {
        Entries {
            file: self,
            parts: 0,
            record: 0,
            end: 0,
            read: Vec::new().into_iter(),
            last: None,
        }
    }

    /// The chunk that a record is of.
    pub(super) fn key_of(&self, record: u32) -> Result<(Digest, u32), DictionaryError> {
        let window = self.window(record)?;
        let digest = window.first_chunk().unwrap_or(&[0; DIGEST_LEN]);
        let digest = Digest::new(self.header.algorithm, *digest);
        // The header allows no more bits.
        let len = u32::try_from(self.header.columns.chunk_len(window)).unwrap_or(u32::MAX);
        Ok((digest, len))
    }

    fn entry(&self, record: u32) -> Result<Entry, DictionaryError> {
        let (digest, len) = self.key_of(record)?;
        let placement = self.placed(record, len, self.window(record)?)?;
        Ok(Entry {
            digest,
            len,
            placement,
        })
    }
}

impl<B: AsRef<[u8]>> Entries<'_, B> {
    /// Goes on to the next part, if there is one.
    fn begin(&mut self) -> Result<bool, DictionaryError> {
        let header = &self.file.header;
        let part = self.parts;
        let is_part = part < header.parts();
        let (start, end) = match is_part {
            true => self.file.records_of(part)?,
            false => (header.entries, header.entries),
        };
        if start != self.record {
            return Err(DictionaryError::Part {
                part,
                start: if is_part { start } else { self.record },
                end,
                entries: header.entries,
            });
        }
        self.parts += u32::from(is_part);
        self.end = end;
        Ok(is_part)
    }

    /// Reads records of the part: all of them, if it can have pilots; those of a longer one are in order.
    fn read(&mut self) -> Result<(), DictionaryError> {
        let count = usize_from(self.end - self.record).min(MOST);
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push((self.file.entry(self.record)?, self.record));
            self.record += 1;
        }
        entries.sort_by_key(|(entry, _)| (entry.digest, entry.len));
        self.read = entries.into_iter();
        Ok(())
    }

    fn try_next(&mut self) -> Result<Option<Entry>, DictionaryError> {
        let (entry, record) = loop {
            if let Some(next) = self.read.next() {
                break next;
            }
            if self.record == self.end && !self.begin()? {
                return Ok(None);
            }
            self.read()?;
        };
        let fail = |what| DictionaryError::Record { record, what };
        // The part was counted when it began.
        let part = Asked::new(&entry.digest, entry.len).part(self.file.header.parts());
        if part + 1 != self.parts {
            return Err(fail("it is not in the part of its digest"));
        }
        let key = (entry.digest, entry.len);
        if self.last.is_some_and(|last| last >= key) {
            return Err(fail("it is not in order"));
        }
        self.last = Some(key);
        Ok(Some(entry))
    }
}

impl<B: AsRef<[u8]>> Iterator for Entries<'_, B> {
    type Item = Result<Entry, DictionaryError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.try_next().transpose();
        if matches!(next, Some(Err(_))) {
            // Nothing comes after an error.
            let header = &self.file.header;
            self.parts = header.parts();
            (self.record, self.end) = (header.entries, header.entries);
            self.read = Vec::new().into_iter();
        }
        next
    }
}
