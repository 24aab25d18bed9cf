//! The digests of a chunk's blocks, as dm-verity has them.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;

/// SHA-256 of a block.
pub(crate) type BlockDigest = [u8; 32];

/// Appends the digests of the blocks of `chunk` to `out`; after its end there are zeros.
pub(super) fn digest_blocks(chunk: &[u8], out: &mut Vec<BlockDigest>) {
    let (blocks, rest) = chunk.as_chunks::<BLOCK>();
    out.extend(blocks.iter().map(digest_block));
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        out.push(digest_block(&block));
    }
}

/// The digest of a block.
pub(crate) fn digest_block(block: &[u8; BLOCK]) -> BlockDigest {
    *verify::sha256(block).as_bytes()
}
