//! The chunk table.

use image_model::width::usize_from;

use super::Checker;
use crate::check::Inconsistency;
use crate::chunk_record::ChunkRecord;
use crate::error::At;
use crate::native::{check_record, is_in_batch, unknown_mode};

impl Checker<'_> {
    pub(super) fn chunk_table(&mut self) {
        // In tarfs mode nobody reads it.
        if self.bootstrap.is_tarfs() {
            return;
        }
        self.each_record();
        self.each_blob();
    }

    /// Each record against its blob and the one before it.
    fn each_record(&mut self) {
        let bootstrap = self.bootstrap;
        let key = |record: &ChunkRecord| (record.digest, record.blob_index);
        let mut last = None;
        let mut in_order = true;
        for (position, record) in bootstrap.chunk_records().enumerate() {
            let offset = bootstrap.chunk_record_offset(position);
            let at = At::new("chunk record", offset);
            in_order &= last.is_none_or(|last| key(&record) >= last);
            last = Some(key(&record));
            let Some(entry) = bootstrap.entries.get(usize_from(record.blob_index)) else {
                let rule = "the position of a blob";
                self.report(offset, at.wrong("blob_index", record.blob_index, rule));
                continue;
            };
            if unknown_mode(entry).is_some() {
                continue;
            }
            let aligned = |value: u64, step, field, rule| {
                at.require(value.is_multiple_of(step), field, value, rule)
            };
            let plain = record.uncompressed_offset;
            let chunk_size = u64::from(bootstrap.ext.chunk_size);
            let file = record.file_offset;
            for result in [
                check_record(&record, entry, at).map(drop),
                aligned(plain, 4096, "uncompressed_offset", "a multiple of 4096"),
                aligned(
                    file,
                    chunk_size,
                    "file_offset",
                    "a multiple of the chunk size",
                ),
            ] {
                if let Err(error) = result {
                    self.report(offset, error);
                }
            }
        }
        if !in_order {
            self.release("nydus-image 2.0", "the chunk records in no order");
        }
    }

    /// The records of each blob in the order of their indexes.
    fn each_blob(&mut self) {
        let bootstrap = self.bootstrap;
        let records = bootstrap.raw_chunk_records();
        let read = |position: usize| ChunkRecord::from_bytes(&records[position]);
        let mut last: Option<(usize, ChunkRecord)> = None;
        // The last one that says where it is stored.
        let mut last_stored: Option<ChunkRecord> = None;
        for position in bootstrap.chunk_index().positions() {
            let record = read(position);
            let before = last.replace((position, record));
            let entry = bootstrap.entries.get(usize_from(record.blob_index));
            let in_batch = entry.is_some_and(|entry| is_in_batch(entry, &record));
            let stored_before = match in_batch {
                true => None,
                false => last_stored.replace(record),
            };
            let Some((before_position, before)) = before else {
                continue;
            };
            if before.blob_index != record.blob_index {
                continue;
            }
            let offset = bootstrap.chunk_record_offset(position);
            if before.index == record.index {
                let what = Inconsistency::DuplicateRecord {
                    blob: record.blob_index,
                    index: record.index,
                    position: before_position,
                };
                self.report(offset, what);
                continue;
            }
            if entry.is_none_or(|entry| unknown_mode(entry).is_some()) {
                continue;
            }
            let mut check = |field, before: u32, (start, len): (u64, u32), next: u64| {
                if next < start.saturating_add(len.into()) {
                    self.report(offset, Inconsistency::ChunkOverlap { field, before });
                }
            };
            if let Some(before) = stored_before
                && before.blob_index == record.blob_index
            {
                let stored = (before.compressed_offset, before.compressed_size);
                let next = record.compressed_offset;
                check("compressed_offset", before.index, stored, next);
            }
            let plain = (before.uncompressed_offset, before.uncompressed_size);
            let next = record.uncompressed_offset;
            check("uncompressed_offset", before.index, plain, next);
        }
    }
}
