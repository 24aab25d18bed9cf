//! From blob and index of a chunk to its record.

use image_model::width::usize_up_to;

use crate::chunk_record::ChunkRecord;

/// Finds records by blob and position in the blob; 8 bytes a record.
///
/// An element holds the blob index (8 bits), the chunk's index in the blob (24 bits) and the record's
/// position (32 bits; what it counts is the bootstrap's affair), from high to low, so that sorting
/// numbers sorts by key.
#[derive(Debug)]
pub(crate) struct ChunkIndex(Vec<u64>);

impl ChunkIndex {
    /// Records that have no key are left out.
    pub(crate) fn new(records: impl Iterator<Item = (u32, ChunkRecord)>) -> Self {
        let element = |(position, record): (u32, ChunkRecord)| {
            Some(key(record.blob_index, record.index)? << 32 | u64::from(position))
        };
        let mut index = Vec::new();
        records
            .filter_map(element)
            .for_each(|element| index.push(element));
        index.shrink_to_fit();
        index.sort_unstable();
        Self(index)
    }

    /// The same with one record for each key, the first.
    pub(crate) fn distinct(mut self) -> Self {
        self.0.dedup_by_key(|element| *element >> 32);
        self.0.shrink_to_fit();
        self
    }

    /// Position of the record of chunk `index` in blob `blob`; the last one if there are several,
    /// as nydus reads the table.
    pub(crate) fn find(&self, blob: u32, index: u32) -> Option<usize> {
        let key = key(blob, index)?;
        let behind = self.0.partition_point(|element| element >> 32 <= key);
        let element = self.0[..behind].last()?;
        (element >> 32 == key).then(|| position(element))
    }

    /// Positions of the records of blob `blob`, by index.
    pub(crate) fn positions_of(&self, blob: u32) -> impl Iterator<Item = usize> + '_ {
        let from = |blob: u64| self.0.partition_point(|element| element >> 56 < blob);
        let blob = u64::from(blob);
        self.0[from(blob)..from(blob + 1)].iter().map(position)
    }

    /// All positions, by blob and index.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(position)
    }
}

fn position(element: &u64) -> usize {
    usize_up_to(element & u64::from(u32::MAX))
}

fn key(blob: u32, index: u32) -> Option<u64> {
    (blob < 1 << 8 && index < 1 << 24).then_some(u64::from(blob << 24 | index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk_record::ChunkFlags;

    fn record(blob_index: u32, index: u32) -> ChunkRecord {
        ChunkRecord {
            digest: [0; 32],
            blob_index,
            flags: ChunkFlags::default(),
            compressed_size: 0,
            uncompressed_size: 0,
            compressed_offset: 0,
            uncompressed_offset: 0,
            file_offset: 0,
            index,
            crc32: 0,
        }
    }

    #[test]
    fn a_record_takes_8_bytes() {
        for count in [0, 1, 1000, 100_000] {
            let records = || (0..count).map(|number| (number, record(0, number / 2)));
            let bytes = |index: &ChunkIndex| size_of::<u64>() * index.0.capacity();
            let all = ChunkIndex::new(records());
            assert_eq!(bytes(&all), 8 * count as usize);
            let distinct = all.distinct();
            assert_eq!(bytes(&distinct), 8 * count.div_ceil(2) as usize);
        }
    }

    #[test]
    fn the_last_of_equal_keys_is_found() {
        let records = [
            record(1, 7),
            record(0, 0xff_ffff),
            record(256, 0),
            record(1, 7),
            record(0, 1 << 24),
        ];
        let index = ChunkIndex::new((0..).zip(records));
        assert_eq!(index.find(1, 7), Some(3));
        assert_eq!(index.find(0, 0xff_ffff), Some(1));
        for (blob, chunk) in [(0, 0), (1, 0), (1, 8), (256, 0), (0, 1 << 24)] {
            assert_eq!(index.find(blob, chunk), None);
        }
    }
}
