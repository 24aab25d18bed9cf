//! The checkpoints of a gzip layer.

use bytes::{BufMut as _, Bytes, BytesMut};
use image_model::width::{u64_from, usize_from};

use crate::error::ZtocError;

/// Bytes of a window: as far back as deflate refers.
pub const WINDOW_LEN: usize = 32 << 10;

/// A place at which the inflater can begin: the start of a deflate block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Its first whole byte in the layer.
    pub stored_offset: u64,
    /// Its first byte in the tar.
    pub decoded_offset: u64,
    /// Number of bits of the byte before the first whole one that belong to it, the high ones: 0 to 7.
    pub bits: u8,
    /// The [`WINDOW_LEN`] bytes of the tar before it, the oldest first; zeros before the start of the tar.
    pub window: Bytes,
}

/// The checkpoints of a gzip layer ("zinfo"), as a zTOC holds them. All numbers are little endian.
///
/// | size | field |
/// |---|---|
/// | 4 | i32: number of checkpoints |
/// | 8 | i64: length of spans in decoded bytes: one ends at the first block boundary beyond it |
/// | 32,785 each | checkpoints |
///
/// A checkpoint:
///
/// | offset | size | field | rule |
/// |---|---|---|---|
/// | 0 | 8 | i64: its first whole byte in the layer | |
/// | 8 | 8 | i64: its first byte in the tar | |
/// | 16 | 1 | number of bits of the byte before the first whole one | 0 to 7 |
/// | 17 | 32768 | the bytes of the tar before it | zeros before its start |
///
/// The first version lacks the first checkpoint, which is at byte 10 of the layer and 0 of the tar. Which version this is
/// only the length tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GzipZinfo {
    span_size: i64,
    count: i32,
    /// The checkpoints that are there.
    records: Bytes,
    is_first_version: bool,
}

impl GzipZinfo {
    pub(crate) const HEADER_LEN: usize = 12;
    pub(crate) const RECORD_LEN: usize = 17 + WINDOW_LEN;

    /// The length of the header that the first version takes a layer to have.
    const FIRST_OFFSET: u64 = 10;

    /// These checkpoints of spans of `span_size` bytes. Windows are cut to [`WINDOW_LEN`] bytes, or padded before.
    #[must_use]
    pub fn new<'a>(span_size: u64, checkpoints: impl IntoIterator<Item = &'a Checkpoint>) -> Self {
        let mut records = BytesMut::new();
        let mut count = 0_i32;
        for checkpoint in checkpoints {
            records.put_i64_le(signed(checkpoint.stored_offset));
            records.put_i64_le(signed(checkpoint.decoded_offset));
            records.put_u8(checkpoint.bits);
            let window = &checkpoint.window[..];
            let window = &window[window.len().saturating_sub(WINDOW_LEN)..];
            records.put_bytes(0, WINDOW_LEN.saturating_sub(window.len()));
            records.put_slice(window);
            count = count.saturating_add(1);
        }
        Self {
            span_size: signed(span_size),
            count,
            records: records.freeze(),
            is_first_version: false,
        }
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, ZtocError> {
        let header = bytes.split_first_chunk::<4>();
        let found = u64_from(bytes.len());
        let cut = ZtocError::Checkpoints { count: 0, found };
        let (count, rest) = header.ok_or_else(|| cut.clone())?;
        let span_size = i64::from_le_bytes(*rest.first_chunk().ok_or(cut)?);
        let count = i32::from_le_bytes(*count);
        let len = |count: i32| {
            let records = usize_from(u32::try_from(count).ok()?).checked_mul(Self::RECORD_LEN)?;
            records.checked_add(Self::HEADER_LEN)
        };
        let is_first_version = match bytes.len() {
            found if Some(found) == len(count) => false,
            found if count > 0 && Some(found) == len(count.saturating_sub(1)) => true,
            _ => return Err(ZtocError::Checkpoints { count, found }),
        };
        Ok(Self {
            span_size,
            count,
            records: bytes.slice(Self::HEADER_LEN..),
            is_first_version,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend(self.count.to_le_bytes());
        out.extend(self.span_size.to_le_bytes());
        out.extend_from_slice(&self.records);
        out
    }

    pub(crate) fn encoded_len(&self) -> usize {
        self.records.len().saturating_add(Self::HEADER_LEN)
    }

    /// The length of spans in decoded bytes that was asked for; spans end at the first boundary of blocks beyond it.
    #[must_use]
    pub fn span_size(&self) -> i64 {
        self.span_size
    }

    /// Number of checkpoints.
    #[must_use]
    pub fn count(&self) -> usize {
        // It is not negative: it was compared with a length.
        usize::try_from(self.count).unwrap_or_default()
    }

    /// Whether the first checkpoint is not stored: the first version of the format.
    #[must_use]
    pub fn is_first_version(&self) -> bool {
        self.is_first_version
    }

    /// Checkpoint number `nth`.
    #[must_use]
    pub fn checkpoint(&self, nth: usize) -> Option<Checkpoint> {
        if nth >= self.count() {
            return None;
        }
        let nth = match self.is_first_version {
            false => nth,
            true => match nth.checked_sub(1) {
                Some(nth) => nth,
                None => {
                    return Some(Checkpoint {
                        stored_offset: Self::FIRST_OFFSET,
                        decoded_offset: 0,
                        bits: 0,
                        window: Bytes::from_static(&[0; WINDOW_LEN]),
                    });
                }
            },
        };
        let at = nth.checked_mul(Self::RECORD_LEN)?;
        let record = self.records.get(at..)?.get(..Self::RECORD_LEN)?;
        let (offsets, _) = record.as_chunks::<8>();
        // One that is negative is beyond the end of any layer.
        let offset = |nth: usize| u64::from_le_bytes(offsets[nth]);
        let window = at.saturating_add(17);
        Some(Checkpoint {
            stored_offset: offset(0),
            decoded_offset: offset(1),
            bits: record[16],
            window: self
                .records
                .slice(window..window.saturating_add(WINDOW_LEN)),
        })
    }

    /// The checkpoints, in order.
    pub fn checkpoints(&self) -> impl Iterator<Item = Checkpoint> + '_ {
        (0..self.count()).filter_map(|nth| self.checkpoint(nth))
    }
}

impl Checkpoint {
    /// A checkpoint, with zeros for a window.
    #[must_use]
    pub fn new(stored_offset: u64, decoded_offset: u64, bits: u8) -> Self {
        Self {
            stored_offset,
            decoded_offset,
            bits,
            window: Bytes::from_static(&[0; WINDOW_LEN]),
        }
    }

    image_model::setters! { window: Bytes }

    /// The first byte of the layer that it needs.
    #[must_use]
    pub fn first_byte(&self) -> u64 {
        let shared = u64::from(self.bits != 0);
        self.stored_offset.saturating_sub(shared)
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(count: i32, len: usize) -> Result<GzipZinfo, ZtocError> {
        let mut bytes = [&count.to_le_bytes()[..], &3_000_i64.to_le_bytes()].concat();
        bytes.resize(len, 0);
        let decoded = GzipZinfo::decode(&bytes.clone().into());
        if let Ok(zinfo) = &decoded {
            assert_eq!(zinfo.encode(), bytes);
            assert_eq!((zinfo.encoded_len(), zinfo.span_size()), (len, 3_000));
            assert_eq!(zinfo.checkpoints().count(), zinfo.count());
            assert_eq!(zinfo.checkpoint(zinfo.count()), None);
        }
        decoded
    }

    /// The cases of `TestNewGzipZinfo` of the SOCI snapshotter, and those beside them.
    #[test]
    fn a_length_is_that_of_either_version_or_of_none() {
        const RECORD: usize = GzipZinfo::RECORD_LEN;
        for (count, len, is_first) in [
            (0, 12, false),
            (1, 12, true),
            (1, 12 + RECORD, false),
            (2, 12 + RECORD, true),
            (2, 12 + 2 * RECORD, false),
        ] {
            let zinfo = decoded(count, len).expect("a length");
            let found = (zinfo.count(), zinfo.is_first_version());
            assert_eq!(found, (count.unsigned_abs() as usize, is_first));
        }
        for (count, len) in [
            (0, 13),
            (0, 12 + RECORD),
            (1, 11 + RECORD),
            (1, 13 + RECORD),
            (1, 12 + 2 * RECORD),
            (3, 12 + RECORD),
            (-1, 12),
            (-1, 12 + RECORD),
            (i32::MIN, 12),
            (i32::MAX, 12),
        ] {
            let found = len as u64;
            let error = ZtocError::Checkpoints { count, found };
            assert_eq!(decoded(count, len), Err(error));
        }
    }

    #[test]
    fn what_is_shorter_than_a_header_has_no_checkpoints() {
        for found in 0..12_u64 {
            let error = ZtocError::Checkpoints { count: 0, found };
            assert_eq!(decoded(7, found as usize), Err(error));
        }
    }

    #[test]
    fn windows_are_cut_or_padded_at_their_beginning() {
        let long = [&b"too old"[..], &[7; WINDOW_LEN]].concat();
        let short = [&vec![0; WINDOW_LEN - 3][..], b"new"].concat();
        for (window, expected) in [(&long[..], &long[7..]), (b"new", &short)] {
            let point = Checkpoint::new(18, 0, 0).window(window.to_vec().into());
            let zinfo = GzipZinfo::new(3_000, &[point]);
            let found = zinfo.checkpoint(0).expect("it is there");
            assert!(found.window == expected);
        }
    }
}
