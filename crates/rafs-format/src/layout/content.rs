//! The content of files, as it is planned in both versions.

use image_model::image::{ChunkExtent, ChunkRange};
use image_model::width::{u64_from, usize_from};
use image_model::{Chunk, ChunkedImage, Codec, Decode, Frame, InodeId};

use super::LayoutInput;
use super::error::{BadContent, EncodeError};
use crate::blob::MAX_CHUNKS;
use crate::chunk_record::{ChunkFlags, ChunkRecord};
use crate::flags::Compat;
use crate::native::{is_batched, is_tarfs, is_zran, padded_len};
use crate::v6::{BlobEntry, ChunkPlace};
use erofs_format::loss::path_of;

/// The extents of a file.
pub(crate) fn file_extents(
    image: &ChunkedImage,
    content: ChunkRange,
) -> Result<&[ChunkExtent], EncodeError> {
    image
        .file_extents(content)
        .ok_or(EncodeError::Broken { what: "extent" })
}

/// All that is known of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredChunk<'a> {
    pub(crate) chunk: &'a Chunk,
    pub(crate) frame: &'a Frame,
    pub(crate) decode: &'a Decode,
    pub(crate) place: &'a ChunkPlace,
}

impl<'a> StoredChunk<'a> {
    pub(crate) fn find(input: LayoutInput<'a>, position: usize) -> Result<Self, EncodeError> {
        let LayoutInput { image, places, .. } = input;
        let missing = |what| EncodeError::Broken { what };
        let chunk = image.chunks.get(position).ok_or(missing("chunk"))?;
        let frame = image.frames.get(usize_from(chunk.frame.0));
        let frame = frame.ok_or(missing("frame"))?;
        let recipe = image.recipes.get(usize_from(frame.recipe.0));
        Ok(Self {
            chunk,
            frame,
            decode: &recipe.ok_or(missing("recipe"))?.decode,
            place: places.get(position).ok_or(missing("place"))?,
        })
    }

    /// A chunk that was registered.
    pub(crate) fn registered(input: LayoutInput<'a>, position: usize) -> Self {
        Self::find(input, position).expect("the plan refuses broken references")
    }

    /// Whether it is all of its frame.
    fn is_alone(&self) -> bool {
        let Self { chunk, frame, .. } = self;
        !self.place.in_batch && chunk.offset_in_frame == 0 && chunk.len == frame.len
    }

    /// Whether it lies in a batch of its blob, whose entry is `entry`.
    fn is_in_batch(&self, entry: &BlobEntry) -> bool {
        self.place.in_batch && is_batched(entry)
    }

    /// Checks the chunk against itself and the entry of its blob; its address must be a multiple of
    /// `step`.
    pub(crate) fn check(&self, entries: &[BlobEntry], step: u64) -> Result<(), BadContent> {
        let &Self {
            chunk,
            frame,
            decode,
            place,
        } = self;
        let entry = entries
            .get(usize_from(frame.blob.0))
            .ok_or(BadContent::OutsideBlob)?;
        if is_tarfs(entry) {
            return self.check_in_tar(entry, step);
        }
        let in_frame = |end: u64| end <= u64::from(frame.len);
        let chunk_end = u64::from(chunk.offset_in_frame).saturating_add(chunk.len.into());
        let codec = match *decode {
            Decode::Exact(codec) | Decode::Encrypted(_, codec) if self.is_alone() => codec,
            Decode::Exact(codec) | Decode::Encrypted(_, codec)
                if self.is_in_batch(entry) && in_frame(chunk_end) =>
            {
                codec
            }
            Decode::DeflateMembers(_) if is_zran(entry) && in_frame(chunk_end) => Codec::Gzip,
            Decode::Unlocated(Codec::Gzip) if is_zran(entry) => Codec::Gzip,
            Decode::Unlocated(Codec::None) if self.is_in_batch(entry) => Codec::None,
            _ => return Err(BadContent::PartOfFrame),
        };
        if codec != Codec::None && codec != Codec::from(entry.compressor) {
            return Err(BadContent::Codec { codec });
        }
        let key = match decode {
            Decode::Encrypted(key, _) => Some(*key),
            Decode::Unlocated(_) => entry.xts_key(),
            _ => None,
        };
        if key != entry.xts_key() {
            return Err(BadContent::Key);
        }
        let algorithm = chunk.digest.ok_or(BadContent::NoDigest)?.algorithm();
        if algorithm != entry.digester.into() {
            return Err(BadContent::DigestAlgorithm { algorithm });
        }
        let stored_len = frame.stored_len;
        let expected = match codec {
            _ if matches!(decode, Decode::Unlocated(_)) => 0..=u32::MAX,
            Codec::None if key.is_some() => padded_len(frame.len)..=padded_len(frame.len),
            Codec::None => frame.len..=frame.len,
            _ if is_zran(entry) => 1..=u32::MAX,
            _ => 1..=frame.len.saturating_sub(1),
        };
        if !expected.contains(&stored_len) {
            return Err(BadContent::StoredLen { stored_len });
        }
        let address = place.address;
        if !address.is_multiple_of(step) {
            return Err(BadContent::Unaligned { address });
        }
        let inside = fits(frame.offset, frame.stored_len, entry.data_len())
            && fits(address, chunk.len, entry.uncompressed_size)
            && place.index < entry.chunk_count.min(MAX_CHUNKS);
        if inside {
            Ok(())
        } else {
            Err(BadContent::OutsideBlob)
        }
    }

    /// The same for a chunk of a tar as it was, where all of its blocks of `step` bytes are to be.
    fn check_in_tar(&self, entry: &BlobEntry, step: u64) -> Result<(), BadContent> {
        let &Self {
            chunk,
            frame,
            decode,
            place,
        } = self;
        if *decode != Decode::Exact(Codec::None) || chunk.offset_in_frame != 0 {
            return Err(BadContent::PartOfFrame);
        }
        let stored_len = frame.stored_len;
        if stored_len != chunk.len || frame.len != chunk.len || chunk.len == 0 {
            return Err(BadContent::StoredLen { stored_len });
        }
        if chunk.digest.is_some() || chunk.crc32c.is_some() {
            return Err(BadContent::Digest);
        }
        let (address, offset) = (place.address, frame.offset);
        if address != offset {
            return Err(BadContent::Address { address, offset });
        }
        if !address.is_multiple_of(step) {
            return Err(BadContent::Unaligned { address });
        }
        let whole = chunk
            .len
            .checked_next_multiple_of(u32::try_from(step).unwrap_or(u32::MAX));
        let inside = whole.is_some_and(|len| fits(address, len, entry.uncompressed_size))
            && place.index < entry.chunk_count.min(MAX_CHUNKS);
        match inside {
            true => Ok(()),
            false => Err(BadContent::OutsideBlob),
        }
    }
}

/// Whether `len` bytes from `start` on end in the first `room` bytes.
fn fits(start: u64, len: u32, room: u64) -> bool {
    let end = start.checked_add(len.into());
    end.is_some_and(|end| end <= room)
}

/// A file whose content is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File {
    pub(crate) id: InodeId,
    pub(crate) size: u64,
    pub(crate) content: ChunkRange,
}

/// Checks that a file is cut into chunks of `chunk_size` bytes, and each chunk by `check`.
pub(crate) fn check_file(
    input: LayoutInput<'_>,
    File { id, size, content }: File,
    chunk_size: u32,
    check: &mut dyn FnMut(&StoredChunk<'_>) -> Result<(), BadContent>,
) -> Result<(), EncodeError> {
    let extents = file_extents(input.image, content)?;
    let chunk_size = u64::from(chunk_size);
    let wrong = |file_offset, what| EncodeError::Content {
        path: path_of(&input.image.tree, id),
        file_offset,
        what,
    };
    for (number, extent) in (0u64..).zip(extents) {
        let file_offset = number.saturating_mul(chunk_size);
        let stored = match extent.chunk {
            None => return Err(wrong(extent.file_offset, BadContent::Hole)),
            Some(position) => StoredChunk::find(input, position.index())?,
        };
        let expected = chunk_size.min(size.saturating_sub(file_offset));
        let len = u64::from(stored.chunk.len);
        if extent.file_offset != file_offset || len != expected {
            return Err(wrong(extent.file_offset, BadContent::Cut { len, expected }));
        }
        check(&stored).map_err(|what| wrong(file_offset, what))?;
    }
    if u64_from(extents.len()) != size.div_ceil(chunk_size) {
        return Err(EncodeError::Broken { what: "extent" });
    }
    Ok(())
}

/// The record of a chunk that was registered, which is number `number` of its file.
pub(crate) fn record(
    input: LayoutInput<'_>,
    (position, number): (u32, u32),
    chunk_size: u32,
    compat: Compat,
) -> ChunkRecord {
    let StoredChunk {
        chunk,
        frame,
        decode,
        place,
    } = StoredChunk::registered(input, usize_from(position));
    let crc32 = match compat {
        Compat::V2_2 => None,
        Compat::V2_4 => chunk.crc32c,
    };
    let compressed = match decode.codec() {
        _ if place.in_batch => ChunkFlags::default(),
        Codec::None => ChunkFlags::default(),
        _ => ChunkFlags::COMPRESSED,
    };
    let entry = input.entries.get(usize_from(frame.blob.0));
    let flags = match entry.is_some_and(BlobEntry::is_encrypted) {
        true => compressed | ChunkFlags::ENCRYPTED,
        false => compressed,
    };
    // What is stored of it is said by its context. A record that was read stays as it was.
    let in_batch = place.in_batch && !matches!(decode, Decode::Unlocated(_));
    let in_context = in_batch || matches!(decode, Decode::DeflateMembers(_));
    ChunkRecord {
        // None in tarfs images only: elsewhere the plan refuses such chunks.
        digest: chunk.digest.map_or([0; 32], |digest| *digest.as_bytes()),
        blob_index: frame.blob.0,
        flags: match crc32 {
            Some(_) => flags | ChunkFlags::HAS_CRC32,
            None => flags,
        },
        compressed_size: if in_context { 0 } else { frame.stored_len },
        uncompressed_size: chunk.len,
        compressed_offset: if in_batch { 0 } else { frame.offset },
        uncompressed_offset: place.address,
        file_offset: u64::from(number).saturating_mul(chunk_size.into()),
        index: place.index,
        crc32: crc32.unwrap_or(0),
    }
}
