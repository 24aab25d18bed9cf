//! From a file's chunk address to the record of the chunk.

use image_model::width::{u64_from, usize_from, usize_up_to};
use image_model::{
    BlobIndex, Codec, Digest, Extent, ExtentSource, Frame, FrameId, Recipe, RecipeId,
};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use super::chunk_address::ChunkAddress;
use super::inode::Inode;
use crate::chunk_record::{ChunkFlags, ChunkRecord};
use crate::error::{At, DecodeError};
use crate::flags::{BlobFeatures, Cipher, Compressor};
use crate::view;

/// Finds records by blob and position in the blob; 8 bytes a record.
///
/// An element holds the blob index (8 bits), the chunk's index in the blob (24 bits) and the record's
/// position in the chunk table (32 bits), from high to low, so that sorting numbers sorts by key.
#[derive(Debug)]
pub(super) struct ChunkIndex(Vec<u64>);

impl ChunkIndex {
    /// Records that no address can name are left out.
    pub(super) fn new(records: &[[u8; ChunkRecord::LEN]]) -> Self {
        let mut index: Vec<u64> = (0u64..)
            .zip(records)
            .filter_map(|(position, record)| {
                let record = ChunkRecord::from_bytes(record);
                Some(key(record.blob_index, record.index)? << 32 | position)
            })
            .collect();
        index.sort_unstable();
        Self(index)
    }

    /// Position of the record of chunk `index` in blob `blob`; the last one if there are several,
    /// as nydus reads the table.
    pub(super) fn find(&self, blob: u32, index: u32) -> Option<usize> {
        let key = key(blob, index)?;
        let behind = self.0.partition_point(|element| element >> 32 <= key);
        let element = self.0[..behind].last()?;
        (element >> 32 == key).then(|| position(element))
    }

    /// Positions of the records of blob `blob`, by index.
    fn positions_of(&self, blob: u32) -> impl Iterator<Item = usize> + '_ {
        let from = |blob: u64| self.0.partition_point(|element| element >> 56 < blob);
        let blob = u64::from(blob);
        self.0[from(blob)..from(blob + 1)].iter().map(position)
    }

    /// Positions in the chunk table, by blob and index.
    pub(super) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(position)
    }
}

fn position(element: &u64) -> usize {
    usize_up_to(element & u64::from(u32::MAX))
}

fn key(blob: u32, index: u32) -> Option<u64> {
    (blob < 1 << 8 && index < 1 << 24).then_some(u64::from(blob << 24 | index))
}

/// A chunk that a file uses, checked against file and blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileChunk {
    /// Position of its record in the chunk table.
    pub(super) position: usize,
    pub(super) record: ChunkRecord,
    pub(super) frame: Frame,
    pub(super) digest: Option<Digest>,
    pub(super) crc32c: Option<u32>,
    pub(super) extent: Extent,
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
        let chunk_size = u64::from(self.ext.chunk_size);
        let file_offset = u64_from(number).saturating_mul(chunk_size);
        let len = chunk_size.min(inode.size.saturating_sub(file_offset));
        let address = ChunkAddress::from_bytes(&addresses[number]);
        let offset = view::element_offset(inode.chunk_addresses(), number, ChunkAddress::LEN);
        let (position, record, entry) = self.find_record(&address, offset)?;

        let at = At::new("chunk record", self.chunk_record_offset(position));
        let codec = check_record(&record, entry, at)?;
        let rule = "the bytes that its file has there";
        let found = record.uncompressed_size;
        at.require(u64::from(found) == len, "uncompressed_size", found, rule)?;
        let frame = FrameId(u32::try_from(position).expect("a table has fewer records"));
        let digest = Some(Digest::new(entry.digester.into(), record.digest));
        let has_crc = record.flags.contains(ChunkFlags::HAS_CRC32);
        let crc32c = has_crc.then_some(record.crc32);
        let source = ExtentSource::Chunk {
            frame,
            offset_in_frame: 0,
            digest,
            crc32c,
        };
        Ok(FileChunk {
            position,
            record,
            frame: record_frame(&record, codec),
            digest,
            crc32c,
            extent: Extent {
                file_offset,
                len,
                source,
            },
        })
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

/// The frame that holds the chunk of `record`, and nothing else.
fn record_frame(record: &ChunkRecord, codec: Codec) -> Frame {
    Frame {
        blob: BlobIndex(record.blob_index),
        offset: record.compressed_offset,
        stored_len: record.compressed_size,
        len: record.uncompressed_size,
        recipe: native_recipe(codec),
    }
}

/// How chunks of native blobs are stored. A frame's recipe is a position in this list.
const NATIVE_CODECS: [Codec; 3] = [Codec::None, Codec::Lz4Block, Codec::Zstd];

/// The position of the recipe of `codec` in [`native_recipes`].
pub(super) fn native_recipe(codec: Codec) -> RecipeId {
    RecipeId(match codec {
        Codec::Lz4Block => 1,
        Codec::Zstd => 2,
        // Gzip is refused before.
        _ => 0,
    })
}

/// The recipes of native blobs: each chunk is a frame of one codec, and has a digest of its own.
pub(super) fn native_recipes() -> impl Iterator<Item = Recipe> {
    NATIVE_CODECS.into_iter().map(Recipe::exact)
}

/// What this library lacks to find the content of a blob.
pub(super) fn missing_support(entry: &BlobEntry) -> Option<&'static str> {
    let has = |feature| entry.features.contains(feature);
    if has(BlobFeatures::TARFS) {
        Some("tarfs mode")
    } else if has(BlobFeatures::ZRAN) {
        Some("zran mode")
    } else if has(BlobFeatures::BATCH) {
        Some("batch chunks")
    } else if has(BlobFeatures::ENCRYPTED) || entry.cipher != Cipher::None {
        Some("encrypted blobs")
    } else if has(BlobFeatures::EXTERNAL) {
        Some("external blobs")
    } else {
        None
    }
}

/// Checks a record against its blob; answers how the chunk is compressed.
pub(super) fn check_record(
    record: &ChunkRecord,
    entry: &BlobEntry,
    at: At,
) -> Result<Codec, DecodeError> {
    let codec = check_flags(record, entry, at)?;
    let plain = record.uncompressed_size;
    let rule = "1 to the chunk size";
    at.require(
        (1..=entry.chunk_size).contains(&plain),
        "uncompressed_size",
        plain,
        rule,
    )?;
    let stored = record.compressed_size;
    if codec == Codec::None {
        let rule = "uncompressed_size, as the chunk is not compressed";
        at.require(stored == plain, "compressed_size", stored, rule)?;
    } else {
        // Equal sizes mean "not compressed" in chunk information of version 1.
        let rule = "1 or more, and less than uncompressed_size";
        at.require(
            (1..plain).contains(&stored),
            "compressed_size",
            stored,
            rule,
        )?;
    }
    let rule = "one that ends inside the blob's data";
    let end = record.compressed_offset.checked_add(stored.into());
    let inside = end.is_some_and(|end| end <= entry.data_len());
    at.require(inside, "compressed_offset", record.compressed_offset, rule)?;
    let rule = "one that ends inside the blob's uncompressed address space";
    let end = record.uncompressed_offset.checked_add(plain.into());
    let inside = end.is_some_and(|end| end <= entry.uncompressed_size);
    at.require(
        inside,
        "uncompressed_offset",
        record.uncompressed_offset,
        rule,
    )?;
    let rule = "less than the blob's number of chunks";
    at.require(
        record.index < entry.chunk_count,
        "index",
        record.index,
        rule,
    )?;
    Ok(codec)
}

fn check_flags(record: &ChunkRecord, entry: &BlobEntry, at: At) -> Result<Codec, DecodeError> {
    for (flag, feature) in [
        (ChunkFlags::HOLE, "chunks that are holes"),
        (ChunkFlags::ENCRYPTED, "encrypted chunks"),
        (ChunkFlags::BATCH, "batch chunks"),
    ] {
        if record.flags.contains(flag) {
            return Err(at.unsupported(feature));
        }
    }
    let known = ChunkFlags::COMPRESSED | ChunkFlags::HAS_CRC32;
    let found = record.flags.bits();
    at.require(
        known.contains(record.flags),
        "flags",
        found,
        "of known bits",
    )?;
    if !record.flags.contains(ChunkFlags::COMPRESSED) {
        return Ok(Codec::None);
    }
    let rule = "without COMPRESSED, as the blob has no compressor";
    at.require(entry.compressor != Compressor::None, "flags", found, rule)?;
    match entry.compressor {
        Compressor::Gzip => Err(at.unsupported("chunks in gzip members")),
        compressor => Ok(compressor.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_is_found() {
        let record = |blob_index, index| {
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
            .to_bytes()
        };
        let index = ChunkIndex::new(&[
            record(1, 7),
            record(0, 0xff_ffff),
            record(256, 0),
            record(1, 7),
            record(0, 1 << 24),
        ]);
        assert_eq!(index.find(1, 7), Some(3));
        assert_eq!(index.find(0, 0xff_ffff), Some(1));
        for (blob, chunk) in [(0, 0), (1, 0), (1, 8), (256, 0), (0, 1 << 24)] {
            assert_eq!(index.find(blob, chunk), None);
        }
    }
}
