//! Blocks: the digests of some records, and then their placements.

use image_model::{Digest, DigestAlgorithm};

use super::columns::{Columns, numbers_of, stored};
use crate::error::DictionaryError;
use crate::placement::Entry;

/// Records of a block.
pub(super) const RECORDS: usize = 32;

/// Bytes of a digest and of the length.
pub(super) const SLOT_LEN: usize = 32;

/// Whole bytes of a digest that its bucket and its head tell, if `bucket_bits` bits, at most 28, name the bucket: as many
/// of the length are there instead.
pub(super) fn known_len(bucket_bits: u8) -> u8 {
    (bucket_bits + 8) / 8
}

/// The digest and the length of a record.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | *j* | length | its lowest bytes, lowest first; *j* is (*k* + 8) / 8 |
/// | *j* | 32 - *j* | digest | from its byte *j* on |
///
/// Here in words, which are compared without a copy in memory: lookups would wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot([u64; SLOT_LEN / 8]);

impl Slot {
    #[inline]
    pub(super) fn from_bytes(bytes: &[u8; SLOT_LEN]) -> Self {
        let mut words = [0; SLOT_LEN / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

    fn to_bytes(self) -> [u8; SLOT_LEN] {
        let mut bytes = [0; SLOT_LEN];
        for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *to = word.to_le_bytes();
        }
        bytes
    }

    /// That of a chunk, `known_len` bytes of whose digest are known.
    #[inline]
    pub(super) fn new(digest: &Digest, len: u32, known_len: u8) -> Self {
        let Self([first, rest @ ..]) = Self::from_bytes(digest.as_bytes());
        let [second, third, fourth] = rest;
        let kept = kept(known_len);
        Self([first & kept | u64::from(len) & !kept, second, third, fourth])
    }

    /// Whether both are the same.
    #[inline]
    pub(super) fn is(self, other: Self) -> bool {
        let words = self.0.into_iter().zip(other.0);
        words.fold(0, |different, (one, other)| different | (one ^ other)) == 0
    }

    /// The lowest bytes of the length.
    #[inline]
    pub(super) fn len_low(self, known_len: u8) -> u64 {
        self.0[0] & !kept(known_len)
    }

    /// The digest, which begins with the bits of `known`.
    pub(super) fn digest(self, algorithm: DigestAlgorithm, known: u64, known_len: u8) -> Digest {
        let mut bytes = self.to_bytes();
        let known = known.to_be_bytes().into_iter().take(known_len.into());
        for (byte, known) in bytes.iter_mut().zip(known) {
            *byte = known;
        }
        Digest::new(algorithm, bytes)
    }
}

/// The bits of the first word that are those of the digest.
#[inline]
fn kept(known_len: u8) -> u64 {
    u64::MAX << ((8 * known_len) & 63)
}

/// A block, as it is written.
#[derive(Debug)]
pub(super) struct Block {
    columns: Columns,
    known_len: u8,
    records: usize,
    /// Digests, and then placements.
    bytes: Vec<u8>,
}

impl Block {
    pub(super) fn new(columns: Columns, known_len: u8) -> Self {
        Self {
            columns,
            known_len,
            records: 0,
            bytes: vec![0; len(&columns)],
        }
    }

    /// Adds a record, whose bucket does not tell its head if there is `head`. Returns the block if it is full.
    ///
    /// # Errors
    /// [`DictionaryError`] if no record can hold the entry.
    pub(super) fn push(
        &mut self,
        entry: &Entry,
        head: Option<u8>,
    ) -> Result<Option<&[u8]>, DictionaryError> {
        if self.records == RECORDS {
            self.records = 0;
            self.bytes.fill(0);
        }
        let slot = Slot::new(&entry.digest, entry.len, self.known_len).to_bytes();
        let numbers = numbers_of(entry)?;
        let numbers = stored(&numbers, head.unwrap_or(0), self.known_len);
        let placement = self.columns.pack(&numbers);
        let placement = placement.get(..self.columns.len()).unwrap_or(&placement);
        let at = self.records;
        for (part, offset) in [
            (&slot[..], at * SLOT_LEN),
            (placement, placement_at(at, self.columns.len())),
        ] {
            if let Some(place) = self.bytes.get_mut(offset..offset + part.len()) {
                place.copy_from_slice(part);
            }
        }
        self.records += 1;
        let full = self.records == RECORDS;
        Ok(full.then_some(self.bytes.as_slice()))
    }

    /// The last block, if it is not full: zeros are where no record is.
    pub(super) fn rest(&self) -> &[u8] {
        match self.records % RECORDS {
            0 => &[],
            _ => &self.bytes,
        }
    }
}

/// Bytes of a block.
pub(super) fn len(columns: &Columns) -> usize {
    RECORDS * (SLOT_LEN + columns.len())
}

/// Where the placement is, of `len` bytes, of record `at` of a block.
#[inline]
pub(super) fn placement_at(at: usize, len: usize) -> usize {
    RECORDS * SLOT_LEN + at * len
}
