//! The header of a dictionary file, and where its sections are.

use image_model::DigestAlgorithm;
use image_model::width::{u64_from, usize_from, usize_up_to};

use super::columns::{COLUMNS, Columns, table_len};
use super::layout::{self, displaced_at};
use super::part::{PILOTS, parts};
use crate::error::DictionaryError;

/// The header; [`DictionaryFile`](super::DictionaryFile) has its byte table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: DigestAlgorithm,
    pub(super) entries: u32,
    pub(super) blobs: u32,
    pub(super) profile_len: u32,
    pub(super) blob_len: u64,
    pub(super) columns: Columns,
}

/// Where the sections begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sections {
    pub(super) blob_ends: usize,
    pub(super) blobs: usize,
    pub(super) blobs_end: usize,
    pub(super) pilots: usize,
    pub(super) displaced: usize,
    pub(super) firsts: usize,
    pub(super) firsts_end: usize,
    pub(super) records: usize,
    pub(super) end: usize,
}

/// Whether a file that begins with `bytes` is a dictionary.
///
/// ```
/// assert!(!lazyoci_chunk_dedup::is_dictionary(b"something else"));
/// ```
#[must_use]
pub fn is_dictionary(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

const MAGIC: [u8; 8] = *b"\x89LZCHD\r\n";
const VERSION: u32 = 2;
const COLUMNS_AT: usize = 40;
const CHECKSUM_AT: usize = 124;
/// Where nothing is stored.
const ZEROS: [std::ops::Range<usize>; 3] = [13..16, 28..32, COLUMNS_AT + 2 * COLUMNS..CHECKSUM_AT];

impl Header {
    pub(super) const LEN: usize = 128;
    /// Zeros after the last record, and the checksum.
    pub(super) const END_LEN: usize = 64;

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, DictionaryError> {
        let Some((bytes, _)) = bytes.split_first_chunk::<{ Self::LEN }>() else {
            return match bytes.starts_with(&MAGIC) {
                true => Err(DictionaryError::Len {
                    len: u64_from(bytes.len()),
                    expected: u64_from(Self::LEN),
                }),
                false => Err(DictionaryError::NotADictionary),
            };
        };
        if !bytes.starts_with(&MAGIC) {
            return Err(DictionaryError::NotADictionary);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(DictionaryError::Version { version });
        }
        let (stored, computed) = (
            u32_at(bytes, CHECKSUM_AT),
            crc32fast::hash(&bytes[..CHECKSUM_AT]),
        );
        if stored != computed {
            return Err(DictionaryError::HeaderChecksum { stored, computed });
        }
        let require = |holds: bool, offset, field, value: u64, rule| match holds {
            true => Ok(()),
            false => Err(DictionaryError::Header {
                offset,
                field,
                value,
                rule,
            }),
        };
        let algorithm = match bytes[12] {
            1 => DigestAlgorithm::Sha256,
            2 => DigestAlgorithm::Blake3,
            other => {
                require(false, 12, "algorithm", other.into(), "1 or 2")?;
                return Err(DictionaryError::NotADictionary);
            }
        };
        let (entries, blobs) = (u32_at(bytes, 16), u32_at(bytes, 20));
        for (offset, field, value) in [(16, "entries", entries), (20, "blobs", blobs)] {
            let rule = "at most 2^32 - 2";
            require(value < u32::MAX, offset, field, value.into(), rule)?;
        }
        for offset in ZEROS.into_iter().flatten() {
            let byte = bytes[offset];
            require(byte == 0, offset, "unused byte", byte.into(), "0")?;
        }
        let pairs = &bytes[COLUMNS_AT..COLUMNS_AT + 2 * COLUMNS];
        let mut columns = [0; 2 * COLUMNS];
        columns.copy_from_slice(pairs);
        Ok(Self {
            algorithm,
            entries,
            blobs,
            profile_len: u32_at(bytes, 24),
            blob_len: u64::from(u32_at(bytes, 32)) | u64::from(u32_at(bytes, 36)) << 32,
            columns: Columns::from_bytes(&columns, COLUMNS_AT)?,
        })
    }

    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut put = |offset: usize, field: &[u8]| {
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        put(0, &MAGIC);
        put(8, &VERSION.to_le_bytes());
        let algorithm = match self.algorithm {
            DigestAlgorithm::Sha256 => 1,
            _ => 2,
        };
        put(12, &[algorithm]);
        put(16, &self.entries.to_le_bytes());
        put(20, &self.blobs.to_le_bytes());
        put(24, &self.profile_len.to_le_bytes());
        put(32, &self.blob_len.to_le_bytes());
        put(COLUMNS_AT, &self.columns.to_bytes());
        let checksum = crc32fast::hash(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Number of parts.
    pub(super) fn parts(&self) -> u32 {
        parts(self.entries)
    }

    /// Where the sections are in a file of `len` bytes, which has to be all of them.
    pub(super) fn sections(&self, len: usize) -> Result<Sections, DictionaryError> {
        let mut at = u64_from(Self::LEN);
        let mut next = |size: u64| {
            at = at.saturating_add(size);
            at
        };
        let blob_ends = next(self.profile_len.into());
        let blobs = next(table_len(self.blobs.into(), 8));
        let blobs_end = next(self.blob_len);
        let pilots = next(alignment(blobs_end).into());
        let displaced = next(table_len(self.parts().into(), usize_from(PILOTS)));
        let firsts = next(u64_from(displaced_at(self.entries)));
        let firsts_end = next(table_len(u64::from(self.parts()) + 2, 4));
        let records = next(alignment(firsts_end).into());
        let end = next(table_len(self.entries.into(), layout::len(&self.columns)));
        let expected = next(u64_from(Self::END_LEN));
        if u64_from(len) != expected {
            let len = u64_from(len);
            return Err(DictionaryError::Len { len, expected });
        }
        // None is behind the end, which is in memory.
        Ok(Sections {
            blob_ends: usize_up_to(blob_ends),
            blobs: usize_up_to(blobs),
            blobs_end: usize_up_to(blobs_end),
            pilots: usize_up_to(pilots),
            displaced: usize_up_to(displaced),
            firsts: usize_up_to(firsts),
            firsts_end: usize_up_to(firsts_end),
            records: usize_up_to(records),
            end: usize_up_to(end),
        })
    }
}

/// Zeros from `end` to where a processor fetches.
pub(super) fn alignment(end: u64) -> u8 {
    let [behind, ..] = (end % 64).to_le_bytes();
    64u8.saturating_sub(behind) % 64
}

pub(super) fn u32_at(bytes: &[u8; Header::LEN], offset: usize) -> u32 {
    let field = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(*field.expect("the header has this field"))
}

const _: () = assert!(usize_from(u32::MAX) > Header::LEN);
