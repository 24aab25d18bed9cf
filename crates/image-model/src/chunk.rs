//! Chunks, frames and blobs.
//!
//! A *chunk* is a byte range of a file's content: the unit of address, digest and dedup. A *frame*
//! is what is decompressed at once: a stored byte range of a blob. One frame holds one or more
//! chunks (RAFS plain 1:1; RAFS batch, eStargz with `innerOffset`, zran n:1). A *blob* is an object
//! in a store or registry that holds frames.

use std::fmt;
use std::num::NonZeroU32;

use crate::digest::Digest;

/// How the bytes of a frame are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Stored as they are.
    None,
    /// One LZ4 block without frame or size prefix.
    Lz4Block,
    /// One zstd frame.
    Zstd,
    /// One gzip member (RFC 1952).
    Gzip,
}

impl Codec {
    /// Most stored bytes of a frame with `len` decoded ones that a reader has to take.
    ///
    /// * `Gzip`: `len`, an eighth of it and 64 KiB. No literal takes more than nine bits in the fixed
    ///   code of deflate, and some encoders have nothing else for what does not compress (zlib-ng at
    ///   level 1); stored blocks and flushes cost far less. The constant is for headers with a name, a
    ///   comment or an extra field, of a few members.
    /// * The others: `len`, since RAFS stores as it is what does not get shorter.
    #[must_use]
    pub fn max_stored_len(self, len: u32) -> u64 {
        let len = u64::from(len);
        match self {
            Self::Gzip => len + len / 8 + (64 << 10),
            Self::None | Self::Lz4Block | Self::Zstd => len,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4Block => "lz4_block",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        })
    }
}

/// Position of a blob in its image's blob list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobIndex(pub u32);

/// Position of a frame in an image's frame list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(pub u32);

/// Position of a chunk in an image's chunk list. Takes four bytes also inside an `Option`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(NonZeroU32);

impl ChunkId {
    /// The chunk at `index`.
    ///
    /// # Panics
    /// If `index` is `u32::MAX`, which no image reaches ([`Limits`](crate::Limits) bound it).
    #[must_use]
    pub fn new(index: u32) -> Self {
        let one_based = index.checked_add(1).and_then(NonZeroU32::new);
        Self(one_based.expect("chunk lists are shorter than u32::MAX"))
    }

    /// Position in the chunk list, counted from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({})", self.index())
    }
}

/// A stored byte range of a blob that is decompressed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Blob that holds the frame.
    pub blob: BlobIndex,
    /// First stored byte, from the start of the blob.
    pub offset: u64,
    /// Stored bytes. More may follow that belong to it if it is open-ended.
    pub stored_len: u32,
    /// Decoded bytes that the image's metadata vouch for.
    pub len: u32,
    /// Compression.
    pub codec: Codec,
    /// Whether more than `len` bytes may come out of the decoder: an eStargz member goes on with
    /// the tar headers of the next files. If not, `len` is exact.
    pub open_ended: bool,
}

/// A stored piece of file content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// Digest of the plain bytes; `None` where the format keeps none.
    pub digest: Option<Digest>,
    /// Plain bytes.
    pub len: u32,
    /// CRC-32C of the plain bytes, where the format keeps one.
    pub crc32c: Option<u32>,
    /// Frame that holds the chunk.
    pub frame: FrameId,
    /// First byte in the decoded frame.
    pub offset_in_frame: u32,
    /// Position among the chunks of its blob.
    pub index_in_blob: u32,
    /// First byte in the blob's logical, decoded address space (RAFS: uncompressed offset).
    pub address: u64,
}

/// Name of a blob: in a store the file name, in a registry the hex part of its digest.
///
/// Safe as a file name: 1 to 255 visible ASCII characters, no `/`, neither `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(Box<str>);

/// Text that is no [`BlobId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot name a blob: 1 to 255 visible ASCII characters without `/` are needed", id.escape_ascii())]
pub struct BlobIdError {
    /// The bytes given.
    pub id: Vec<u8>,
}

impl BlobId {
    /// Checks and takes over `id`.
    ///
    /// # Errors
    /// [`BlobIdError`] if it would be unsafe as a file name.
    pub fn new(id: &[u8]) -> Result<Self, BlobIdError> {
        let safe = (1..=255).contains(&id.len())
            && id.iter().all(|&b| b.is_ascii_graphic() && b != b'/')
            && id != b"."
            && id != b"..";
        match str::from_utf8(id) {
            Ok(text) if safe => Ok(Self(text.into())),
            _ => Err(BlobIdError { id: id.to_vec() }),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What an image says about one of its blobs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Blob {
    /// Name of the blob.
    pub id: BlobId,
    /// Bytes of the stored object, where known; else 0.
    pub stored_len: u64,
    /// Bytes of its logical, decoded address space, where known; else 0.
    pub decoded_len: u64,
    /// Chunks in the blob, also those that this image does not use; 0 where unknown.
    pub chunk_count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_are_safe_file_names() {
        assert_eq!(BlobId::new(b"ab12").unwrap().as_str(), "ab12");
        for bad in [
            &b""[..],
            b".",
            b"..",
            b"a/b",
            b"a\0",
            b"\xff",
            b"a b",
            &[b'a'; 256],
        ] {
            assert_eq!(BlobId::new(bad), Err(BlobIdError { id: bad.to_vec() }));
        }
    }

    #[test]
    fn gzip_may_make_frames_longer() {
        assert_eq!(Codec::Gzip.max_stored_len(5), 65_541);
        assert_eq!(Codec::Gzip.max_stored_len(800), 66_436);
        assert_eq!(Codec::Gzip.max_stored_len(u32::MAX), 4_831_903_742);
        for codec in [Codec::None, Codec::Lz4Block, Codec::Zstd] {
            assert_eq!(codec.max_stored_len(800), 800);
        }
    }

    #[test]
    fn optional_chunk_ids_cost_nothing() {
        assert_eq!(size_of::<Option<ChunkId>>(), 4);
        assert_eq!(ChunkId::new(7).index(), 7);
    }
}
