//! Where one chunk of a file is: the record after the inode.

use erofs_format::ChunkIndex;

/// The address of one chunk, 8 bytes. A file's addresses follow its inode and extended attributes at
/// the next multiple of 8, one for each chunk of the image's chunk size.
///
/// | offset | size | RAFS | EROFS |
/// |---|---|---|---|
/// | 0 | 2 | chunk index, bits 0 to 15 | high bits of the block address, not used |
/// | 2 | 1 | blob index + 1 | device id, low byte |
/// | 3 | 1 | chunk index, bits 16 to 23 | device id, high byte, masked off |
/// | 4 | 4 | uncompressed offset, in blocks | block address in the device |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v6.rs` (`RafsV6InodeChunkAddr`); Linux masks the device
/// id with the next power of two of the number of devices, so that at most 254 blobs are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkAddress {
    /// Position of the blob plus 1; 0 is invalid.
    pub device: u8,
    /// Position among the blob's chunks, 24 bits.
    pub index: u32,
    /// First block in the blob's uncompressed address space.
    pub startblk: u32,
}

impl ChunkAddress {
    /// Size of an address in bytes.
    pub const LEN: usize = ChunkIndex::LEN;

    /// Reads an address.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let raw = ChunkIndex::from_bytes(bytes);
        let [device, index_hi] = raw.device_id.to_le_bytes();
        Self {
            device,
            index: u32::from(raw.startblk_hi) | u32::from(index_hi) << 16,
            startblk: raw.startblk,
        }
    }

    /// The address as stored; bits of the index beyond 24 are cut.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [lo0, lo1, hi, _] = self.index.to_le_bytes();
        let raw = ChunkIndex {
            startblk_hi: u16::from_le_bytes([lo0, lo1]),
            device_id: u16::from_le_bytes([self.device, hi]),
            startblk: self.startblk,
        };
        raw.to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_split_around_the_device() {
        let address = ChunkAddress {
            device: 0xab,
            index: 0x12_3456,
            startblk: 0x0102_0304,
        };
        let bytes = [0x56, 0x34, 0xab, 0x12, 4, 3, 2, 1];
        assert_eq!(address.to_bytes(), bytes);
        assert_eq!(ChunkAddress::from_bytes(&bytes), address);
    }
}
