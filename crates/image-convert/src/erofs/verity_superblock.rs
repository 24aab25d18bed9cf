//! The superblock of dm-verity.

use super::verity::VerityTree;

/// Bytes of a block, of data and of hashes.
const BLOCK: u32 = 4096;

/// Bytes that the superblock takes, which are 512, and those to the block with which the tree begins.
pub(super) const SPACE: usize = 4096;

/// The superblock of `tree`, and zeros to the end of its block.
///
/// | offset | size | field | value |
/// |---|---|---|---|
/// | 0 | 8 | signature | `verity`, zero padded |
/// | 8 | 4 | version | 1 |
/// | 12 | 4 | hash_type | 1 |
/// | 16 | 16 | uuid | that of the image; containerd refuses 0 |
/// | 32 | 32 | algorithm | `sha256`, zero padded |
/// | 64 | 4 | data_block_size | 4096 |
/// | 68 | 4 | hash_block_size | 4096 |
/// | 72 | 8 | data_blocks | blocks that the tree vouches for |
/// | 80 | 2 | salt_size | 0 |
/// | 82 | 430 | padding, salt, padding | 0 |
///
/// The root hash does not cover it. Integers are little endian.
///
/// Source: cryptsetup `lib/verity/verity.c` (`struct verity_sb`).
pub(super) fn superblock(tree: &VerityTree, uuid: [u8; 16]) -> [u8; SPACE] {
    let mut bytes = [0; SPACE];
    for (at, field) in [
        (0, &b"verity"[..]),
        (8, &1u32.to_le_bytes()),
        (12, &1u32.to_le_bytes()),
        (16, &uuid),
        (32, b"sha256"),
        (64, &BLOCK.to_le_bytes()),
        (68, &BLOCK.to_le_bytes()),
        (72, &tree.data_blocks.to_le_bytes()),
    ] {
        bytes[at..at + field.len()].copy_from_slice(field);
    }
    bytes
}
