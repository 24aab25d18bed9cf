//! Sparse files: the four ways GNU tar maps the data regions of a file with holes.
//!
//! | format | where the map is | real size |
//! |---|---|---|
//! | old GNU (type `S`) | 4 pairs in the header block, then blocks of 21 pairs while `isextended` (byte 482, in those blocks 504) is not 0; they do not count into the size field | `realsize` of the header block |
//! | PAX 0.0 | records `GNU.sparse.offset`, `GNU.sparse.numbytes` in turn; their count in `GNU.sparse.numblocks` | `GNU.sparse.size` |
//! | PAX 0.1 | record `GNU.sparse.map`: the numbers with commas; count as before; the name in `GNU.sparse.name` | `GNU.sparse.size` |
//! | PAX 1.0 | at the start of the payload: count, then offset and length of each region, each number in decimal with a newline, filled up to whole blocks; counts into the size | `GNU.sparse.realsize` |
//! The regions' bytes follow the map, one after the other. Source: GNU tar 1.35 `sparse.c`, Go 1.25
//! `archive/tar`.

use image_model::tree::{Span, Spans};
use image_model::width::{u64_from, usize_from};
use image_model::{Blame, Fault};
use tar_core::GnuSparseHeader;

use crate::block::{BLOCK_LEN, Block, Field, field_number};
use crate::error::{Refusal, TarError};
use crate::pax::decimal;

/// What is wrong with the map of a sparse file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SparseFault {
    /// A map for a kind of member that has no payload.
    #[error("it has a sparse map, but no payload")]
    Kind,
    /// Type `S` in a header block without the GNU magic.
    #[error("it has an old GNU sparse header without the GNU magic")]
    Magic,
    /// An invalid or negative number.
    #[error("its map contains something that is not a number")]
    Number,
    /// The number of regions differs from the declared one.
    #[error("its map contains {found} numbers, but {regions} regions are declared")]
    Count {
        /// Declared regions.
        regions: u64,
        /// Numbers found; there should be two per region.
        found: u64,
    },
    /// A map at the start of the payload that is longer than the payload.
    #[error("its map does not end within its {stored} bytes")]
    MapTooLong {
        /// Bytes that the member has.
        stored: u64,
    },
    /// Regions that overlap, are not in order, or end beyond the file.
    #[error("its data regions overlap, are out of order or exceed the {size} bytes of the file")]
    Regions {
        /// Size of the file.
        size: u64,
    },
    /// Regions whose total length differs from the payload's.
    #[error("its data regions have {regions} bytes, but the payload has {stored}")]
    DataLen {
        /// Sum of the regions' lengths.
        regions: u64,
        /// Length of the payload in bytes.
        stored: u64,
    },
    /// More regions than [`Limits`](image_model::Limits) allow.
    #[error("its map has more than {limit} data regions")]
    TooMany {
        /// Maximum number of regions.
        limit: u32,
    },
}

impl SparseFault {
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::TooMany { .. } => Fault::Limit,
            _ => Fault::Corrupt,
        }
    }
}

impl Blame for SparseFault {
    fn fault(&self) -> Fault {
        (*self).fault()
    }
}

/// The data regions in a file's map.
#[derive(Debug)]
pub(crate) struct Regions {
    /// Offset and length.
    list: Vec<(u64, u64)>,
    limit: u32,
}

impl Regions {
    pub(crate) fn new(limit: u32) -> Self {
        let list = Vec::new();
        Self { list, limit }
    }

    fn push(&mut self, offset: i64, len: i64) -> Result<(), SparseFault> {
        if self.list.len() >= usize_from(self.limit) {
            return Err(SparseFault::TooMany { limit: self.limit });
        }
        let number = |n| u64::try_from(n).map_err(|_| SparseFault::Number);
        self.list.push((number(offset)?, number(len)?));
        Ok(())
    }

    /// Takes the pairs of the header or extension block at `offset` of the tar, up to the first
    /// free one.
    pub(crate) fn push_old(
        &mut self,
        pairs: &[GnuSparseHeader],
        offset: u64,
    ) -> Result<(), TarError> {
        for pair in pairs.iter().take_while(|pair| pair.offset[0] != 0) {
            let at = field_number(Field::SparseOffset, &pair.offset, offset)?;
            let len = field_number(Field::SparseLength, &pair.numbytes, offset)?;
            self.push(at, len)
                .map_err(|fault| TarError::Sparse { offset, fault })?;
        }
        Ok(())
    }

    /// The first region, except the last, that is not a multiple of a block, which GNU tar reads
    /// differently from the others.
    pub(crate) fn check_alignment(&self) -> Result<(), Refusal> {
        let filled = self.list.iter().rposition(|&(_, len)| len > 0).unwrap_or(0);
        match self.list[..filled]
            .iter()
            .find(|(_, len)| !len.is_multiple_of(u64_from(BLOCK_LEN)))
        {
            Some(&(_, len)) => Err(Refusal::SparseRegion { len }),
            None => Ok(()),
        }
    }

    /// Where the map ends, if that is not the end of the file of `size` bytes: GNU tar truncates the file there.
    pub(crate) fn check_end(&self, size: u64) -> Result<(), Refusal> {
        let end = self
            .list
            .last()
            .map_or(0, |(offset, len)| offset.saturating_add(*len));
        match end {
            // What lies beyond the end is corrupt.
            end if end < size => Err(Refusal::SparseEnd { end, size }),
            _ => Ok(()),
        }
    }

    /// Where the file's bytes are, if the payload of `stored` bytes begins at `payload_offset`.
    pub(crate) fn spans(
        &self,
        size: u64,
        payload_offset: u64,
        stored: u64,
    ) -> Result<Spans, SparseFault> {
        let mut data_len = 0u64;
        let mut spans = Vec::with_capacity(self.list.len());
        for &(file_offset, len) in &self.list {
            let source_offset = payload_offset.checked_add(data_len);
            let end = file_offset.checked_add(len).filter(|end| *end <= size);
            let sum = data_len.checked_add(len);
            let (Some(source_offset), Some(_), Some(sum)) = (source_offset, end, sum) else {
                return Err(SparseFault::Regions { size });
            };
            data_len = sum;
            spans.push(Span {
                file_offset,
                source_offset,
                len,
            });
        }
        let spans = Spans::sparse(spans).ok_or(SparseFault::Regions { size })?;
        if data_len != stored {
            let regions = data_len;
            return Err(SparseFault::DataLen { regions, stored });
        }
        Ok(spans)
    }
}

/// The `GNU.sparse.` records of a member, verbatim.
#[derive(Debug, Default)]
pub(crate) struct SparseRecords<'a> {
    name: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    real_size: Option<&'a [u8]>,
    major: Option<&'a [u8]>,
    minor: Option<&'a [u8]>,
    block_count: Option<&'a [u8]>,
    map: Option<&'a [u8]>,
    pairs: Vec<&'a [u8]>,
}

/// Where a sparse map is, according to PAX records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapPlace {
    /// In the records (0.0 and 0.1).
    Records,
    /// At the start of the payload (1.0).
    Payload,
}

impl<'a> SparseRecords<'a> {
    pub(crate) fn slot(&mut self, key: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match key.strip_prefix(b"GNU.sparse.")? {
            b"name" => &mut self.name,
            b"size" => &mut self.size,
            b"realsize" => &mut self.real_size,
            b"major" => &mut self.major,
            b"minor" => &mut self.minor,
            b"numblocks" => &mut self.block_count,
            b"map" => &mut self.map,
            _ => return None,
        })
    }

    /// Takes a number of format 0.0; false if it is out of turn. Other records are ignored.
    pub(crate) fn take_pair(&mut self, key: &[u8], value: &'a [u8]) -> bool {
        let turn = match key {
            b"GNU.sparse.offset" => 0,
            b"GNU.sparse.numbytes" => 1,
            _ => return true,
        };
        let in_turn = self.pairs.len() % 2 == turn;
        self.pairs.push(value);
        in_turn
    }

    /// The name, if the records are those of a sparse file.
    pub(crate) fn name(&self) -> Option<&'a [u8]> {
        filled(self.name)
    }

    /// Whether the member is a sparse file, and of which format.
    pub(crate) fn place(&self, strict: bool) -> Result<Option<MapPlace>, Refusal> {
        let has_map = filled(self.map).is_some() || !self.pairs.is_empty();
        let place = match (filled(self.major), filled(self.minor)) {
            (Some(b"0"), Some(b"0" | b"1")) => Some(MapPlace::Records),
            (Some(b"1"), Some(b"0")) => Some(MapPlace::Payload),
            (None, None) if has_map => Some(MapPlace::Records),
            (None, None) => None,
            (major, minor) if strict => {
                let version = |part: Option<&[u8]>| part.unwrap_or_default().into();
                return Err(Refusal::SparseVersion {
                    major: version(major),
                    minor: version(minor),
                });
            }
            _ => None,
        };
        let two_maps = self.map.is_some() && !self.pairs.is_empty()
            || has_map && place == Some(MapPlace::Payload);
        let sizes = [filled(self.size), filled(self.real_size)];
        let two_sizes = matches!(sizes, [Some(a), Some(b)] if a != b);
        let no_map = place.is_none()
            && [self.name, self.size, self.real_size, self.block_count] != [None; 4];
        if strict && (two_maps || two_sizes || no_map) {
            return Err(Refusal::SparseRecords);
        }
        Ok(place)
    }

    /// Size of the file with its holes; `None` if no record gives it.
    pub(crate) fn logical_size(&self) -> Result<Option<u64>, SparseFault> {
        match filled(self.size).or(filled(self.real_size)) {
            Some(text) => number(text).map(Some),
            None => Ok(None),
        }
    }

    /// The map of formats 0.0 and 0.1.
    pub(crate) fn regions(&self, limit: u32) -> Result<Regions, SparseFault> {
        let declared = number(self.block_count.unwrap_or_default())?;
        let listed;
        let numbers: &[&[u8]] = match filled(self.map) {
            Some(map) if self.pairs.is_empty() => {
                listed = map.split(|&b| b == b',').collect::<Vec<_>>();
                &listed
            }
            _ => &self.pairs,
        };
        let found = u64_from(numbers.len());
        if declared.checked_mul(2) != Some(found) {
            return Err(SparseFault::Count {
                regions: declared,
                found,
            });
        }
        let mut regions = Regions::new(limit);
        for pair in numbers.chunks_exact(2) {
            let read = |text| decimal(text).ok_or(SparseFault::Number);
            regions.push(read(pair[0])?, read(pair[1])?)?;
        }
        Ok(regions)
    }
}

fn filled(value: Option<&[u8]>) -> Option<&[u8]> {
    value.filter(|v| !v.is_empty())
}

fn number(text: &[u8]) -> Result<u64, SparseFault> {
    let number = decimal(text).and_then(|n| u64::try_from(n).ok());
    number.ok_or(SparseFault::Number)
}

/// Reads the map of format 1.0, block by block.
#[derive(Debug)]
pub(crate) struct MapReader {
    regions: Regions,
    /// Remaining regions; `None` until their number has been read.
    left: Option<u64>,
    offset: Option<i64>,
    digits: Vec<u8>,
}

impl MapReader {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            regions: Regions::new(limit),
            left: None,
            offset: None,
            digits: Vec::new(),
        }
    }

    /// Takes the next block; true if the map ends in it.
    pub(crate) fn push(&mut self, block: &Block) -> Result<bool, SparseFault> {
        for &byte in block {
            if byte != b'\n' {
                // Longer texts are not 64-bit numbers, or have leading zeros.
                if self.digits.len() == 20 {
                    return Err(SparseFault::Number);
                }
                self.digits.push(byte);
                continue;
            }
            let number = decimal(&self.digits).ok_or(SparseFault::Number)?;
            self.digits.clear();
            match (self.left, self.offset.take()) {
                (None, _) => {
                    let count = u64::try_from(number).map_err(|_| SparseFault::Number)?;
                    let limit = self.regions.limit;
                    if count > limit.into() {
                        return Err(SparseFault::TooMany { limit });
                    }
                    self.left = Some(count);
                }
                (Some(_), None) => self.offset = Some(number),
                (Some(left), Some(offset)) => {
                    self.regions.push(offset, number)?;
                    self.left = Some(left.saturating_sub(1));
                }
            }
            if self.left == Some(0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn into_regions(self) -> Regions {
        self.regions
    }
}

#[cfg(test)]
mod tests;
