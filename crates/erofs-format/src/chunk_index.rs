//! Where one chunk of a file is: the record after the inode.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawChunkIndex {
    startblk_hi: U16,
    device_id: U16,
    startblk_lo: U32,
}

const _: () = assert!(size_of::<RawChunkIndex>() == ChunkIndex::LEN);

/// The address of one chunk, 8 bytes, at the next multiple of 8 after inode and extended attributes.
///
/// | offset | size | field | unit and rule |
/// |---|---|---|---|
/// | 0 | 2 | startblk_hi | high bits of the address in 48-bit images; else not read |
/// | 2 | 2 | device_id | 0 the image, n slot n - 1 of the device table; masked with the next power of two |
/// | 4 | 4 | startblk_lo | first block in the device; all bits set: a hole |
///
/// A file whose inode lacks [`CHUNK_FORMAT_INDEXES`](crate::CHUNK_FORMAT_INDEXES) has the last field alone
/// of each chunk, at the next multiple of 4, and all chunks in the image.
///
/// Source: Linux `fs/erofs/erofs_fs.h` (`erofs_inode_chunk_index`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkIndex {
    /// High bits of the address, where the image has 48 of them.
    pub startblk_hi: u16,
    /// The device, before it is masked.
    pub device_id: u16,
    /// First block.
    pub startblk: u32,
}

impl ChunkIndex {
    /// Size of an address in bytes.
    pub const LEN: usize = 8;
    /// Address of a chunk that is nowhere: it is zero.
    pub const HOLE: u32 = u32::MAX;

    /// Reads an address.
    #[inline]
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw: RawChunkIndex = zerocopy::transmute!(*bytes);
        Self {
            startblk_hi: raw.startblk_hi.get(),
            device_id: raw.device_id.get(),
            startblk: raw.startblk_lo.get(),
        }
    }

    /// The address as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(RawChunkIndex {
            startblk_hi: self.startblk_hi.into(),
            device_id: self.device_id.into(),
            startblk_lo: self.startblk.into(),
        })
    }
}
