//! The hash tree of dm-verity.

use image_model::Digest;

use crate::stage::{BLOCK, BlockDigest, digest_blocks};

/// Digests in a block of them.
const IN_A_BLOCK: usize = BLOCK / size_of::<BlockDigest>();

/// Gathers the digests of an image's blocks, as it goes by.
///
/// The tree is of format 1: SHA-256, no salt, blocks of 4096 bytes of data and of digests, 128 digests in
/// each. Digests that a block has no use for are zero, as veritysetup has it.
///
/// Memory: 32 bytes for each block.
///
/// Source: Linux `Documentation/admin-guide/device-mapper/verity.rst`; cryptsetup `lib/verity/verity_hash.c`.
#[derive(Default)]
pub(super) struct VerityHasher {
    /// Of the blocks so far.
    digests: Vec<BlockDigest>,
    /// The beginning of a block.
    begun: Vec<u8>,
}

/// A complete tree.
pub(super) struct VerityTree {
    /// The levels, the top one first; none if there is one block of data.
    pub(super) levels: Vec<Vec<BlockDigest>>,
    pub(super) root: Digest,
    pub(super) data_blocks: u64,
}

impl VerityHasher {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        if !self.begun.is_empty() {
            let missing = (BLOCK - self.begun.len()).min(bytes.len());
            self.begun.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.begun.len() < BLOCK {
                return;
            }
            digest_blocks(self.begun.as_chunks().0, &mut self.digests);
            self.begun.clear();
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        digest_blocks(blocks, &mut self.digests);
        self.begun.extend_from_slice(rest);
    }

    /// Takes the digests of the next blocks, after blocks that are whole.
    pub(super) fn take(&mut self, digests: &[BlockDigest]) {
        debug_assert!(self.begun.is_empty(), "the last block is incomplete");
        self.digests.extend(digests);
    }

    /// The tree over the blocks, which are whole, and one at least.
    pub(super) fn finish(self) -> VerityTree {
        let data_blocks = self.digests.len() as u64;
        let mut levels = Vec::new();
        let mut digests = self.digests;
        while digests.len() > 1 {
            digests.resize(digests.len().next_multiple_of(IN_A_BLOCK), [0; 32]);
            let (blocks, _) = digests.as_flattened().as_chunks::<BLOCK>();
            let mut above = Vec::with_capacity(blocks.len());
            digest_blocks(blocks, &mut above);
            levels.push(std::mem::replace(&mut digests, above));
        }
        let root = digests.first().copied().unwrap_or_default();
        levels.reverse();
        VerityTree {
            levels,
            root: Digest::new(image_model::DigestAlgorithm::Sha256, root),
            data_blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(blocks: usize) -> VerityTree {
        let data: Vec<u8> = (0..blocks * BLOCK).map(|at| (at / BLOCK) as u8).collect();
        let mut hasher = VerityHasher::default();
        // However the input is cut.
        for part in data.chunks(3000) {
            hasher.update(part);
        }
        hasher.finish()
    }

    const ROOTS: [(usize, usize, &str); 5] = [
        (
            1,
            0,
            "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7",
        ),
        (
            2,
            4096,
            "dd9c4d99ab2332f88ff3bd4cb99e3db16fea710ecbc8cef4b7e237fc5765401b",
        ),
        (
            128,
            4096,
            "eade1212c3a6dd9dd817bf456bf067c41cdb483af154c5d0890d32744b7e4f6b",
        ),
        (
            129,
            12288,
            "f0dbc433d6188c4e8e30ee2de31ee90ab1edf2fd7438d97feab12f75375886ad",
        ),
        (
            300,
            16384,
            "761a5f4b2b77d95bcaf53e120a502390a949a42fc1d2daa90ceb3252aa87489b",
        ),
    ];

    /// Roots by veritysetup 2.7.5: `veritysetup format --no-superblock --salt=- DATA HASHES`.
    #[test]
    fn roots_are_those_of_veritysetup() {
        for (blocks, len, root) in ROOTS {
            let tree = tree(blocks);
            assert_eq!(
                (tree.data_blocks, tree.levels.concat().as_flattened().len()),
                (blocks as u64, len)
            );
            assert_eq!(tree.root.hex(), root, "{blocks} blocks");
        }
    }
}
