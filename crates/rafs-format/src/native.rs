//! Chunks of native blobs, as the records in bootstraps of both versions describe them.

use std::ops::{ControlFlow, Range};

use image_model::width::usize_up_to;
use image_model::{
    BlobIndex, Codec, Digest, Extent, ExtentSource, Frame, FrameId, ImageError, Ino,
};

use crate::chunk_record::{ChunkFlags, ChunkRecord};
use crate::error::{At, DecodeError};
use crate::flags::{BlobFeatures, Cipher, Compressor};
use crate::recipes::recipe_in;
use crate::v6::{BlobEntry, ChunkPlace};

/// Answers a question about the inode `ino`, whose number errors have.
pub(crate) fn answer<T>(
    ino: Ino,
    question: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, ImageError> {
    question().map_err(|error| ImageError::new(ino, error))
}

/// Hands the extents of a file of `size` bytes that have some of `range` to `visit`, until that breaks
/// off; `chunk` looks up those of `chunk_size` bytes, a power of two, by their position in the file.
pub(crate) fn visit_extents(
    (size, chunk_size): (u64, u32),
    range: Range<u64>,
    chunk: impl Fn(usize) -> Result<FileChunk, DecodeError>,
    visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
) -> Result<(), DecodeError> {
    let end = range.end.min(size);
    if range.start >= end {
        return Ok(());
    }
    let first = range.start >> chunk_size.trailing_zeros();
    for number in first..end.div_ceil(chunk_size.into()) {
        if visit(chunk(usize_up_to(number))?.extent).is_break() {
            break;
        }
    }
    Ok(())
}

/// A chunk that a file uses, checked against file and blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileChunk {
    /// Number of its frame; in tarfs mode, where there are none, that of its address.
    pub(crate) id: FrameId,
    pub(crate) record: ChunkRecord,
    pub(crate) frame: Frame,
    pub(crate) digest: Option<Digest>,
    pub(crate) crc32c: Option<u32>,
    pub(crate) extent: Extent,
}

impl FileChunk {
    /// The chunk of `record`, at `at`, which its file has at `file_offset` and in `len` bytes.
    pub(crate) fn new(
        id: FrameId,
        record: ChunkRecord,
        entry: &BlobEntry,
        (file_offset, len): (u64, u64),
        at: At,
    ) -> Result<Self, DecodeError> {
        let codec = check_record(&record, entry, at)?;
        let part = FramePart {
            id,
            frame: record_frame(&record, codec, entry),
            offset: 0,
        };
        Self::in_frame(part, record, entry, (file_offset, len), at)
    }

    /// The chunk of `record`, which was checked, at `at`, which lies in `part` of a frame.
    pub(crate) fn in_frame(
        part: FramePart,
        record: ChunkRecord,
        entry: &BlobEntry,
        (file_offset, len): (u64, u64),
        at: At,
    ) -> Result<Self, DecodeError> {
        let FramePart { id, frame, offset } = part;
        let rule = "the bytes that its file has there";
        let found = record.uncompressed_size;
        at.require(u64::from(found) == len, "uncompressed_size", found, rule)?;
        let tarfs = is_tarfs(entry);
        let digest = (!tarfs).then(|| Digest::new(entry.digester.into(), record.digest));
        let has_crc = record.flags.contains(ChunkFlags::HAS_CRC32);
        let crc32c = has_crc.then_some(record.crc32);
        let source = match tarfs {
            true => ExtentSource::Plain {
                blob: frame.blob,
                offset: frame.offset,
            },
            false => ExtentSource::Chunk {
                frame: id,
                offset_in_frame: offset,
                digest,
                crc32c,
            },
        };
        Ok(Self {
            id,
            record,
            frame,
            digest,
            crc32c,
            extent: Extent {
                file_offset,
                len,
                source,
            },
        })
    }
}

/// Where in which frame a chunk begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FramePart {
    pub(crate) id: FrameId,
    pub(crate) frame: Frame,
    pub(crate) offset: u32,
}

/// The frame that holds the chunk of `record`, and nothing else.
pub(crate) fn record_frame(record: &ChunkRecord, codec: Codec, entry: &BlobEntry) -> Frame {
    Frame {
        blob: BlobIndex(record.blob_index),
        offset: record.compressed_offset,
        stored_len: record.compressed_size,
        len: record.uncompressed_size,
        recipe: recipe_in(entry, BlobIndex(record.blob_index), codec),
    }
}

/// What a bootstrap alone, or this library, lacks to find all content of a blob.
pub(crate) fn missing_support(entry: &BlobEntry) -> Option<&'static str> {
    let encrypted = entry.features.contains(BlobFeatures::ENCRYPTED);
    let by_mode = || match encrypted {
        true => Some(ENCRYPTED),
        false => is_batched(entry).then_some(BATCHES),
    };
    missing_alone(entry).or_else(by_mode)
}

/// What a bootstrap alone, or this library, lacks to find any content of a blob.
pub(crate) fn missing_alone(entry: &BlobEntry) -> Option<&'static str> {
    let tarfs = || is_tarfs(entry).then_some("tarfs mode");
    let zran = is_zran(entry).then_some(ZRAN);
    unknown_mode(entry).or(zran).or_else(tarfs)
}

const ZRAN: &str = "zran mode";
const BATCHES: &str = "batch chunks";
const ENCRYPTED: &str = "encrypted blobs";
const NO_ENCRYPTION: &str = "encrypted blobs (feature `encryption`)";

/// What a bootstrap alone lacks to find a chunk: it lies in a context of its blob.
pub(crate) fn in_context(entry: &BlobEntry, record: &ChunkRecord) -> Option<&'static str> {
    match is_zran(entry) {
        true => Some(ZRAN),
        false => is_in_batch(entry, record).then_some(BATCHES),
    }
}

/// Whether a chunk lies in a batch; then the record says nothing of its stored bytes.
pub(crate) fn is_in_batch(entry: &BlobEntry, record: &ChunkRecord) -> bool {
    is_batched(entry) && record.compressed_size == 0
}

/// Whether chunks of a blob may lie in batches, which only its chunk information finds.
pub(crate) fn is_batched(entry: &BlobEntry) -> bool {
    entry.features.contains(BlobFeatures::BATCH)
}

/// Whether a blob is a plain tar as it was, where addresses of chunks are sectors of it. Of version 6 only.
pub(crate) fn is_tarfs(entry: &BlobEntry) -> bool {
    entry.features.contains(BlobFeatures::TARFS)
}

/// Whether the chunks of a blob lie in a gzip layer, where only its chunk information finds them.
pub(crate) fn is_zran(entry: &BlobEntry) -> bool {
    entry.features.contains(BlobFeatures::ZRAN)
}

/// What this library lacks to find the content of a blob.
#[inline]
pub(crate) fn unknown_mode(entry: &BlobEntry) -> Option<&'static str> {
    let modes = BlobFeatures::TARFS
        | BlobFeatures::BATCH
        | BlobFeatures::EXTERNAL
        | BlobFeatures::ENCRYPTED;
    // Of most blobs one question is enough: this is asked for each chunk.
    match entry.features.intersects(modes) || entry.cipher != Cipher::None {
        true => unknown_of_modes(entry),
        false => None,
    }
}

fn unknown_of_modes(entry: &BlobEntry) -> Option<&'static str> {
    let has = |feature| entry.features.contains(feature);
    let others = BlobFeatures::ZRAN | BlobFeatures::BATCH | BlobFeatures::ENCRYPTED;
    if is_tarfs(entry) && entry.features.intersects(others) {
        Some("tarfs mode together with another")
    } else if has(BlobFeatures::BATCH) && (has(BlobFeatures::ZRAN) || has(BlobFeatures::SEPARATE)) {
        Some("batch chunks of a layer as it was")
    } else if has(BlobFeatures::EXTERNAL) {
        Some("external blobs")
    } else if entry.is_encrypted() && !has(BlobFeatures::ZRAN) {
        (!cfg!(feature = "encryption")).then_some(NO_ENCRYPTION)
    } else {
        let unclear = has(BlobFeatures::ENCRYPTED) || entry.cipher != Cipher::None;
        unclear.then_some(ENCRYPTED)
    }
}

impl BlobEntry {
    /// Checks that this blob, of which others say so, can hold a chunk of `codec` in `frame`, at `place`.
    ///
    /// # Errors
    /// [`DecodeError`] if a bootstrap with that chunk would be refused, or the blob is encrypted or has batches.
    pub fn check_chunk(
        &self,
        frame: &Frame,
        codec: Codec,
        place: &ChunkPlace,
    ) -> Result<(), DecodeError> {
        let at = At::new("chunk of a dictionary", frame.offset);
        if let Some(what) = missing_support(self) {
            return Err(at.unsupported(what));
        }
        let compressor = Compressor::try_from(codec).ok();
        let known = codec == Codec::None || compressor == Some(self.compressor);
        let number = self.compressor.id();
        at.require(known, "compressor", number, "that of the chunk")?;
        let flags = match codec {
            Codec::None => ChunkFlags::default(),
            _ => ChunkFlags::COMPRESSED,
        };
        let record = ChunkRecord {
            digest: [0; 32],
            blob_index: frame.blob.0,
            flags,
            compressed_size: frame.stored_len,
            uncompressed_size: frame.len,
            compressed_offset: frame.offset,
            uncompressed_offset: place.address,
            file_offset: 0,
            index: place.index,
            crc32: 0,
        };
        check_record(&record, self, at).map(drop)
    }
}

/// Checks a record against its blob; returns how the chunk is compressed.
pub(crate) fn check_record(
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
    if is_in_batch(entry, record) {
        let rule = "that of a chunk in a batch: not COMPRESSED";
        let flags = record.flags.bits();
        at.require(codec == Codec::None, "flags", flags, rule)?;
    } else if is_zran(entry) {
        // What nydus-image has read for the chunk, which may be nothing.
        let rule = "that of a chunk in a gzip layer: COMPRESSED";
        let flags = record.flags.bits();
        at.require(codec == Codec::Gzip, "flags", flags, rule)?;
    } else if entry.is_encrypted() {
        let rule = "that of an encrypted chunk: uncompressed_size, or 16 to less if it is compressed, or 18";
        let fits = match codec {
            Codec::None => stored == padded_len(plain),
            _ => stored >= MIN_ENCRYPTED && (stored < plain || stored == PADDED),
        };
        at.require(fits, "compressed_size", stored, rule)?;
    } else if codec == Codec::None {
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

/// Fewer bytes are padded before they are encrypted, and then are this many.
const MIN_ENCRYPTED: u32 = 16;
const PADDED: u32 = 18;

/// Bytes that `len` plain ones have when they are encrypted.
pub(crate) fn padded_len(len: u32) -> u32 {
    if len < MIN_ENCRYPTED { PADDED } else { len }
}

fn check_flags(record: &ChunkRecord, entry: &BlobEntry, at: At) -> Result<Codec, DecodeError> {
    let encrypted = entry.is_encrypted();
    let known = ChunkFlags::COMPRESSED | ChunkFlags::HAS_CRC32;
    if encrypted || !known.contains(record.flags) {
        check_rare_flags(record, encrypted, at)?;
    }
    if !record.flags.contains(ChunkFlags::COMPRESSED) {
        return Ok(Codec::None);
    }
    let found = record.flags.bits();
    let rule = "without COMPRESSED, as the blob has no compressor";
    at.require(entry.compressor != Compressor::None, "flags", found, rule)?;
    match entry.compressor {
        Compressor::Gzip if !is_zran(entry) => Err(at.unsupported("chunks in gzip members")),
        compressor => Ok(compressor.into()),
    }
}

/// Checks flags that few chunks have.
fn check_rare_flags(record: &ChunkRecord, encrypted: bool, at: At) -> Result<(), DecodeError> {
    for (flag, feature) in [
        (ChunkFlags::HOLE, "chunks that are holes"),
        (ChunkFlags::ENCRYPTED, "encrypted chunks"),
        (ChunkFlags::BATCH, "batch chunks"),
    ] {
        if record.flags.contains(flag) && !(encrypted && flag == ChunkFlags::ENCRYPTED) {
            return Err(at.unsupported(feature));
        }
    }
    let found = record.flags.bits();
    let rule = "with ENCRYPTED, as the blob is encrypted";
    let marked = record.flags.contains(ChunkFlags::ENCRYPTED) == encrypted;
    at.require(marked, "flags", found, rule)?;
    let known = ChunkFlags::COMPRESSED | ChunkFlags::HAS_CRC32 | ChunkFlags::ENCRYPTED;
    let (all, rule) = (known.contains(record.flags), "of known bits");
    at.require(all, "flags", found, rule)
}
