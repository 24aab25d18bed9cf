//! From a file's chunk address to the record of the chunk.

use erofs_format::inode::Inode;
use image_model::width::{u64_from, usize_from, usize_up_to};
use image_model::{BlobIndex, Frame, FrameId, RecipeId};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use super::chunk_address::ChunkAddress;
use crate::blob::{BlobError, BlobMeta, ChunkExtra, ChunkFault};
use crate::chunk_record::{ChunkFlags, ChunkRecord};
use crate::error::{At, DecodeError};
use crate::native::{
    FileChunk, FramePart, check_record, in_context, is_in_batch, missing_alone, record_frame,
    unknown_mode,
};
use crate::recipes::{recipe_bound, unlocated_recipe};
use crate::view;

/// Finds chunks that lie in frames that only the chunk information of their blob tells.
pub(crate) trait Locate {
    /// Blob number `blob`; `None` if its chunk information is not at hand.
    fn located(&self, blob: BlobIndex) -> Option<Located<'_>>;
}

/// A blob whose contexts are frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located<'a> {
    pub(crate) meta: &'a BlobMeta,
    /// Number of the frame of its first context, and of the recipe of that.
    pub(crate) frames: u32,
    pub(crate) recipes: u32,
}

/// A chunk of a file, as the bootstrap describes it.
struct FoundChunk<'a> {
    position: usize,
    record: ChunkRecord,
    entry: &'a BlobEntry,
    /// In its file: where it begins, and how many bytes it has.
    range: (u64, u64),
    at: At,
}

impl FoundChunk<'_> {
    /// In a frame of its own.
    fn native(self) -> Result<FileChunk, DecodeError> {
        let frame = FrameId(u32::try_from(self.position).expect("a table has fewer records"));
        FileChunk::new(frame, self.record, self.entry, self.range, self.at)
    }

    /// What its record says, if it lies in a context of its blob.
    fn recorded(self, recipes: u32) -> Result<FileChunk, DecodeError> {
        let Self {
            record, entry, at, ..
        } = self;
        let codec = check_record(&record, entry, at)?;
        let part = FramePart {
            id: FrameId(u32::try_from(self.position).expect("a table has fewer records")),
            frame: Frame {
                recipe: unlocated_recipe(recipes, codec),
                ..record_frame(&record, codec, entry)
            },
            offset: 0,
        };
        FileChunk::in_frame(part, record, entry, self.range, at)
    }

    /// In a context of its blob.
    fn located(self, located: &dyn Locate) -> Result<FileChunk, DecodeError> {
        let Self {
            record, entry, at, ..
        } = self;
        check_record(&record, entry, at)?;
        let blob = BlobIndex(record.blob_index);
        let Located {
            meta,
            frames,
            recipes,
        } = located
            .located(blob)
            .ok_or_else(|| at.unsupported(without_chunk_information(entry, &record)))?;
        let wrong = |source| DecodeError::ChunkInformation {
            offset: at.offset,
            blob,
            source: Box::new(source),
        };
        let info = meta.chunk(record.index).map_err(wrong)?;
        let rule = "what the chunk information says";
        let (len, address) = (record.uncompressed_size, record.uncompressed_offset);
        at.require(info.len == len, "uncompressed_size", len, rule)?;
        at.require(
            info.address == address,
            "uncompressed_offset",
            address,
            rule,
        )?;
        let (ChunkExtra::Zran { context, offset } | ChunkExtra::Batch { context, offset }) =
            info.extra
        else {
            let rule = "that of a chunk outside of batches, as the chunk information says";
            at.require(!is_in_batch(entry, &record), "compressed_size", 0u32, rule)?;
            return Err(at.unsupported("chunks of a gzip layer outside of contexts"));
        };
        let recipe = RecipeId(recipes.saturating_add(context));
        let frame = meta.frame(context, blob, recipe).map_err(wrong)?;
        let count = meta.context_count();
        let missing = || {
            let (index, fault) = (record.index, ChunkFault::NoContext { context, count });
            wrong(BlobError::Chunk { index, fault })
        };
        let part = FramePart {
            id: FrameId(frames.saturating_add(context)),
            frame: frame.ok_or_else(missing)?,
            offset,
        };
        FileChunk::in_frame(part, record, entry, self.range, at)
    }
}

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
        let found = self.find_chunk(inode, addresses, number, missing_alone)?;
        match in_context(found.entry, &found.record) {
            Some(feature) => Err(found.at.unsupported(feature)),
            None => found.native(),
        }
    }

    /// The same, where `located` finds the chunks in contexts of their blobs.
    pub(super) fn located_chunk(
        &self,
        inode: &Inode,
        addresses: &[[u8; ChunkAddress::LEN]],
        number: usize,
        located: &dyn Locate,
    ) -> Result<FileChunk, DecodeError> {
        let found = self.find_chunk(inode, addresses, number, unknown_mode)?;
        match in_context(found.entry, &found.record) {
            Some(_) => found.located(located),
            None => found.native(),
        }
    }

    /// The same, where chunks in contexts of their blobs are what their records say.
    pub(super) fn recorded_chunk(
        &self,
        inode: &Inode,
        addresses: &[[u8; ChunkAddress::LEN]],
        number: usize,
    ) -> Result<FileChunk, DecodeError> {
        let found = self.find_chunk(inode, addresses, number, unknown_mode)?;
        match in_context(found.entry, &found.record) {
            Some(_) => found.recorded(recipe_bound(&self.entries)),
            None => found.native(),
        }
    }

    /// Checks chunk `number` of the file `inode`, as far as the bootstrap tells where it is.
    pub(super) fn check_chunk(
        &self,
        inode: &Inode,
        addresses: &[[u8; ChunkAddress::LEN]],
        number: usize,
    ) -> Result<(), DecodeError> {
        let found = self.find_chunk(inode, addresses, number, unknown_mode)?;
        if in_context(found.entry, &found.record).is_none() {
            return found.native().map(drop);
        }
        check_record(&found.record, found.entry, found.at)?;
        let rule = "the bytes that its file has there";
        let (len, (_, expected)) = (found.record.uncompressed_size, found.range);
        let fits = u64::from(len) == expected;
        found.at.require(fits, "uncompressed_size", len, rule)
    }

    /// Chunk `number` of the file `inode`, in a blob of which nothing is `missing`.
    fn find_chunk(
        &self,
        inode: &Inode,
        addresses: &[[u8; ChunkAddress::LEN]],
        number: usize,
        missing: impl Fn(&BlobEntry) -> Option<&'static str>,
    ) -> Result<FoundChunk<'_>, DecodeError> {
        let chunk_size = u64::from(self.ext.chunk_size);
        let file_offset = u64_from(number).saturating_mul(chunk_size);
        let len = chunk_size.min(inode.size.saturating_sub(file_offset));
        let address = ChunkAddress::from_bytes(&addresses[number]);
        let offset = view::element_offset(inode.chunk_addresses(), number, ChunkAddress::LEN);
        if self.is_tarfs() {
            return self.tar_chunk(&address, offset, (file_offset, len));
        }
        let (position, record, entry) = self.find_record(&address, offset, missing)?;
        Ok(FoundChunk {
            position,
            record,
            entry,
            range: (file_offset, len),
            at: At::new("chunk record", self.chunk_record_offset(position)),
        })
    }

    /// The chunk of a tar to which the address at `offset` leads, which its file has in `range`: where it begins and how
    /// many bytes it has. The chunk table of a tarfs image has one record for each tar, which says nothing.
    fn tar_chunk(
        &self,
        address: &ChunkAddress,
        offset: u64,
        range: (u64, u64),
    ) -> Result<FoundChunk<'_>, DecodeError> {
        let at = At::new("chunk address", offset);
        let (blob_index, entry) = self.find_blob(address, at)?;
        if let Some(feature) = unknown_mode(entry) {
            return Err(at.unsupported(feature));
        }
        let (file_offset, len) = range;
        let start = self.superblock.block_size.bytes_in(address.startblk);
        // Chunks have at most 16 MiB.
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let record = ChunkRecord {
            digest: [0; 32],
            blob_index,
            flags: ChunkFlags::default(),
            compressed_size: len,
            uncompressed_size: len,
            compressed_offset: start,
            uncompressed_offset: start,
            file_offset,
            index: address.index,
            crc32: 0,
        };
        // Addresses begin at multiples of 8.
        let position = usize_up_to(offset / 8);
        Ok(FoundChunk {
            position,
            record,
            entry,
            range,
            at,
        })
    }

    /// The frame of a chunk: that of record `frame` of the chunk table. `None` if there is no such
    /// record.
    pub(super) fn native_frame(&self, frame: FrameId) -> Option<Result<Frame, DecodeError>> {
        let position = usize_from(frame.0);
        let raw = self.frame_records().get(position)?;
        let record = ChunkRecord::from_bytes(raw);
        let at = At::new("chunk record", self.chunk_record_offset(position));
        let entry = self.entries.get(usize_from(record.blob_index));
        let rule = "the position of a blob";
        let entry = entry.ok_or_else(|| at.wrong("blob_index", record.blob_index, rule));
        let codec = entry.and_then(|entry| {
            match unknown_mode(entry).or_else(|| in_context(entry, &record)) {
                Some(feature) => Err(at.unsupported(feature)),
                None => check_record(&record, entry, at).map(|codec| (codec, entry)),
            }
        });
        Some(codec.map(|(codec, entry)| record_frame(&record, codec, entry)))
    }

    /// The records whose chunks are frames: in tarfs mode none.
    pub(super) fn frame_records(&self) -> &[[u8; ChunkRecord::LEN]] {
        match self.is_tarfs() {
            true => &[],
            false => self.raw_chunk_records(),
        }
    }

    /// The blob that `address` names, and its position.
    fn find_blob(&self, address: &ChunkAddress, at: At) -> Result<(u32, &BlobEntry), DecodeError> {
        let rule = "the position of a blob, plus 1";
        let wrong = || at.wrong("device", address.device, rule);
        let blob = u32::from(address.device).checked_sub(1).ok_or_else(wrong)?;
        let entry = self.entries.get(usize_from(blob)).ok_or_else(wrong)?;
        Ok((blob, entry))
    }

    /// The record that the address at `offset` names, its position, and its blob.
    fn find_record(
        &self,
        address: &ChunkAddress,
        offset: u64,
        missing: impl Fn(&BlobEntry) -> Option<&'static str>,
    ) -> Result<(usize, ChunkRecord, &BlobEntry), DecodeError> {
        let at = At::new("chunk address", offset);
        let (blob, entry) = self.find_blob(address, at)?;
        if let Some(feature) = missing(entry) {
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

/// What is missing of a blob whose chunk information is not at hand.
fn without_chunk_information(entry: &BlobEntry, record: &ChunkRecord) -> &'static str {
    match is_in_batch(entry, record) {
        true => "batch chunks without chunk information",
        false => "zran mode without chunk information",
    }
}
