//! The chunks of files.

use erofs_format::budget::Budget;
use image_model::width::{u64_from, usize_up_to};
use image_model::{Frame, FrameId};

use super::bootstrap::{Bootstrap, record_number, record_offset};
use super::inode::{Inode, InodeFlags};
use crate::chunk_record::ChunkRecord;
use crate::error::{At, DecodeError};
use crate::native::{FileChunk, check_record, missing_support, record_frame};
use crate::v6::BlobEntry;
use crate::view;

const RECORD: &str = "chunk record";

impl Bootstrap {
    /// The records of a file's chunks, in order. They were not checked.
    pub(super) fn records(&self, inode: &Inode) -> Result<&[[u8; ChunkRecord::LEN]], DecodeError> {
        let len = u64::from(inode.chunk_count()).saturating_mul(u64_from(ChunkRecord::LEN));
        Ok(match len {
            0 => &[],
            len => {
                let bytes = view::slice(&self.bytes, "chunk records", inode.chunks_offset(), len)?;
                bytes.as_chunks().0
            }
        })
    }

    /// Refuses a file whose chunks are not as many as its length needs.
    pub(super) fn require_chunks(&self, inode: &Inode) -> Result<(), DecodeError> {
        let at = At::new("inode", inode.offset);
        let expected = inode.size.div_ceil(self.superblock.chunk_size.into());
        let count = inode.chunk_count();
        if u64::from(count) != expected && inode.flags.contains(InodeFlags::HAS_HOLE) {
            return Err(at.unsupported("files that lack the chunks of holes"));
        }
        let rule = "the number of chunks that i_size bytes need";
        at.require(u64::from(count) == expected, "i_child_count", count, rule)
    }

    /// Chunk `number` of the file `inode`, whose records are `records`.
    pub(super) fn file_chunk(
        &self,
        inode: &Inode,
        records: &[[u8; ChunkRecord::LEN]],
        number: usize,
    ) -> Result<FileChunk, DecodeError> {
        let chunk_size = u64::from(self.superblock.chunk_size);
        let file_offset = u64_from(number).saturating_mul(chunk_size);
        let len = chunk_size.min(inode.size.saturating_sub(file_offset));
        let offset = view::element_offset(inode.chunks_offset(), number, ChunkRecord::LEN);
        let record = ChunkRecord::from_bytes(&records[number]);
        let at = At::new(RECORD, offset);
        let entry = self.entry_of(&record, at)?;
        let rule = "its number in the file, times the chunk size";
        let found = record.file_offset;
        at.require(found == file_offset, "file_offset", found, rule)?;
        let id = FrameId(record_number(offset));
        FileChunk::new(id, record, entry, (file_offset, len), at)
    }

    /// The frame of a chunk, whose number tells where the chunk's record lies.
    pub(super) fn native_frame(&self, frame: FrameId) -> Result<Frame, DecodeError> {
        let offset = record_offset(frame.0);
        let record = self.record_at(offset)?;
        let at = At::new(RECORD, offset);
        let entry = self.entry_of(&record, at)?;
        let codec = check_record(&record, entry, at)?;
        Ok(record_frame(&record, codec, entry))
    }

    pub(super) fn record_at(&self, offset: u64) -> Result<ChunkRecord, DecodeError> {
        let bytes = view::slice(&self.bytes, RECORD, offset, u64_from(ChunkRecord::LEN))?;
        let bytes = bytes.first_chunk().expect("as many were taken");
        Ok(ChunkRecord::from_bytes(bytes))
    }

    pub(super) fn entry_of(&self, record: &ChunkRecord, at: At) -> Result<&BlobEntry, DecodeError> {
        let rule = "the position of a blob";
        let entry = self.entries.get(usize_up_to(record.blob_index.into()));
        let entry = entry.ok_or_else(|| at.wrong("blob_index", record.blob_index, rule))?;
        match missing_support(entry) {
            Some(feature) => Err(at.unsupported(feature)),
            None => Ok(entry),
        }
    }

    /// The number of the first record that says the same as record `frame`; its own if the first record of that chunk
    /// says something else.
    pub(super) fn shared(&self, frame: FrameId) -> FrameId {
        let first = || {
            let record = self.record_at(record_offset(frame.0)).ok()?;
            let first = self.chunk_index().find(record.blob_index, record.index)?;
            let first = u32::try_from(first).ok()?;
            let other = self.record_at(record_offset(first)).ok()?;
            is_same(&other, &record).then_some(FrameId(first))
        };
        first().unwrap_or(frame)
    }

    /// The records of all files, by their numbers: of each inode that can be read, until they take more
    /// bytes than there are.
    pub(super) fn file_records(&self) -> impl Iterator<Item = (u32, ChunkRecord)> + '_ {
        let mut budget = Budget::default();
        let available = u64_from(self.bytes.len());
        let numbers = 1..=self.superblock.inode_table_entries;
        let records = |number| {
            let inode = self.numbered(number).ok()?;
            let (start, len) = (inode.chunks_offset(), inode.len());
            let records = self.records(&inode).unwrap_or_default();
            Some((inode.offset, len, start, records))
        };
        let files = numbers
            .filter_map(records)
            .take_while(move |&(offset, len, ..)| budget.charge(offset, len, available).is_ok());
        files.flat_map(|(_, _, start, records)| {
            records.iter().enumerate().map(move |(number, record)| {
                let offset = view::element_offset(start, number, ChunkRecord::LEN);
                (record_number(offset), ChunkRecord::from_bytes(record))
            })
        })
    }
}

/// Whether two records tell of one chunk, whatever file has it where.
pub(super) fn is_same(a: &ChunkRecord, b: &ChunkRecord) -> bool {
    let file_offset = b.file_offset;
    ChunkRecord { file_offset, ..*a } == *b
}
