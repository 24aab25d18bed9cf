//! From a file's chunk address to the record of the chunk.

use erofs_format::inode::Inode;
use image_model::width::{u64_from, usize_from};
use image_model::{BlobIndex, Frame, FrameId};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use super::chunk_address::ChunkAddress;
use crate::chunk_record::ChunkRecord;
use crate::error::{At, DecodeError};
use crate::native::{FileChunk, check_record, missing_support, record_frame};
use crate::view;

impl Bootstrap {
    /// The records of the chunk table that name blob `blob`, by their index in it. They were not
    /// checked.
    pub fn chunk_records_of(&self, blob: BlobIndex) -> impl Iterator<Item = ChunkRecord> + '_ {
        let records = self.raw_chunk_records();
        let positions = self.chunk_index().positions_of(blob.0);
        positions.map(|position| ChunkRecord::from_bytes(&records[position]))
    }

    /// The chunk addresses of the file `inode`.
    pub(super) fn chunk_addresses(
        &self,
        inode: &Inode,
    ) -> Result<&[[u8; ChunkAddress::LEN]], DecodeError> {
        let count = inode.size.div_ceil(self.ext.chunk_size.into());
        let len = count.saturating_mul(u64_from(ChunkAddress::LEN));
        let bytes = view::slice(&self.bytes, "chunk addresses", inode.chunk_addresses(), len)?;
        Ok(bytes.as_chunks().0)
    }

    /// Chunk `number` of the file `inode`, whose addresses are `addresses`.
    pub(super) fn file_chunk(
        &self,
        inode: &Inode,
        addresses: &[[u8; ChunkAddress::LEN]],
        number: usize,
    ) -> Result<FileChunk, DecodeError> {
        let chunk_size = u64::from(self.ext.chunk_size);
        let file_offset = u64_from(number).saturating_mul(chunk_size);
        let len = chunk_size.min(inode.size.saturating_sub(file_offset));
        let address = ChunkAddress::from_bytes(&addresses[number]);
        let offset = view::element_offset(inode.chunk_addresses(), number, ChunkAddress::LEN);
        let (position, record, entry) = self.find_record(&address, offset)?;

        let at = At::new("chunk record", self.chunk_record_offset(position));
        let frame = FrameId(u32::try_from(position).expect("a table has fewer records"));
        FileChunk::new(frame, record, entry, (file_offset, len), at)
    }

    /// The frame of a chunk: that of record `frame` of the chunk table. `None` if there is no such
    /// record.
    pub(super) fn native_frame(&self, frame: FrameId) -> Option<Result<Frame, DecodeError>> {
        let position = usize_from(frame.0);
        let raw = self.raw_chunk_records().get(position)?;
        let record = ChunkRecord::from_bytes(raw);
        let at = At::new("chunk record", self.chunk_record_offset(position));
        let entry = self.entries.get(usize_from(record.blob_index));
        let rule = "the position of a blob";
        let entry = entry.ok_or_else(|| at.wrong("blob_index", record.blob_index, rule));
        let codec = entry.and_then(|entry| match missing_support(entry) {
            Some(feature) => Err(at.unsupported(feature)),
            None => check_record(&record, entry, at),
        });
        Some(codec.map(|codec| record_frame(&record, codec)))
    }

    /// The record that the address at `offset` names, its position, and its blob.
    fn find_record(
        &self,
        address: &ChunkAddress,
        offset: u64,
    ) -> Result<(usize, ChunkRecord, &BlobEntry), DecodeError> {
        let at = At::new("chunk address", offset);
        let rule = "the position of a blob, plus 1";
        let wrong = || at.wrong("device", address.device, rule);
        let blob = u32::from(address.device).checked_sub(1).ok_or_else(wrong)?;
        let entry = self.entries.get(usize_from(blob)).ok_or_else(wrong)?;
        if let Some(feature) = missing_support(entry) {
            return Err(at.unsupported(feature));
        }
        let index = address.index;
        let position = self
            .chunk_index()
            .find(blob, index)
            .ok_or(DecodeError::ChunkMissing {
                offset,
                blob,
                index,
            })?;
        let record = ChunkRecord::from_bytes(&self.raw_chunk_records()[position]);
        let start = self.superblock.block_size.bytes_in(address.startblk);
        at.require(
            start == record.uncompressed_offset,
            "startblk",
            address.startblk,
            "the uncompressed offset of the chunk's record",
        )?;
        Ok((position, record, entry))
    }
}
