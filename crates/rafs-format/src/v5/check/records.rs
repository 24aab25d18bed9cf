//! The records of chunks, blob by blob.

use super::Checker;
use crate::check::Inconsistency;
use crate::chunk_index::ChunkIndex;
use crate::chunk_record::ChunkRecord;
use crate::v5::bootstrap::{record_number, record_offset};
use crate::v5::chunks::is_same;

impl Checker<'_> {
    /// All records of one chunk must say the same, and chunks follow each other as their indexes do.
    pub(super) fn records(&mut self) {
        let bootstrap = self.bootstrap;
        let index = ChunkIndex::new(bootstrap.file_records());
        let mut last: Option<(u64, ChunkRecord)> = None;
        for number in index.positions() {
            let offset = u32::try_from(number).map_or(0, record_offset);
            let Ok(record) = bootstrap.record_at(offset) else {
                continue;
            };
            let Some((before_offset, before)) = last else {
                last = Some((offset, record));
                continue;
            };
            if before.blob_index != record.blob_index {
                last = Some((offset, record));
                continue;
            }
            if before.index == record.index {
                if !is_same(&before, &record) {
                    let what = Inconsistency::DuplicateRecord {
                        blob: record.blob_index,
                        index: record.index,
                        position: usize::try_from(record_number(before_offset))
                            .unwrap_or(usize::MAX),
                    };
                    self.report(offset, what);
                }
                continue;
            }
            let stored = (before.compressed_offset, before.compressed_size);
            let plain = (before.uncompressed_offset, before.uncompressed_size);
            for (field, (start, len), next) in [
                ("compressed_offset", stored, record.compressed_offset),
                ("uncompressed_offset", plain, record.uncompressed_offset),
            ] {
                if next < start.saturating_add(len.into()) {
                    let before = before.index;
                    self.report(offset, Inconsistency::ChunkOverlap { field, before });
                }
            }
            last = Some((offset, record));
        }
    }
}
