//! The digests of a chunk's blocks, as dm-verity has them.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;

/// SHA-256 of a block.
pub(crate) type BlockDigest = [u8; 32];

/// Blocks that are digested at once. Those of several can be computed in turn by the same instructions, of which each
/// waits for the one before it if there is one block alone.
const AT_ONCE: usize = 64;

/// Appends the digests of the blocks of `chunk` to `out`; after its end there are zeros.
pub(super) fn digest_chunk(chunk: &[u8], out: &mut Vec<BlockDigest>) {
    let (blocks, rest) = chunk.as_chunks::<BLOCK>();
    digest_blocks(blocks, out);
    if !rest.is_empty() {
        let mut block = [0; BLOCK];
        block[..rest.len()].copy_from_slice(rest);
        digest_blocks(&[block], out);
    }
}

/// Appends the digests of `blocks` to `out`.
pub(crate) fn digest_blocks(blocks: &[[u8; BLOCK]], out: &mut Vec<BlockDigest>) {
    let mut slices: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
    for some in blocks.chunks(AT_ONCE) {
        let slices = &mut slices[..some.len()];
        slices
            .iter_mut()
            .zip(some)
            .for_each(|(slice, block)| *slice = block);
        let known = out.len();
        out.resize(known + some.len(), [0; 32]);
        tape_sha256::hash_many(slices, &mut out[known..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many there are, and whatever is left of the last one.
    #[test]
    fn blocks_have_the_digests_that_each_has_alone() {
        let chunk: Vec<u8> = (0..131 * BLOCK + 17)
            .map(|at| ((at * at) >> 9) as u8)
            .collect();
        for len in (0..=33)
            .chain([63, 64, 65, 130, 131])
            .flat_map(|blocks| [blocks * BLOCK, blocks * BLOCK + 17])
        {
            let mut found = vec![[7; 32]];
            digest_chunk(&chunk[..len], &mut found);
            let mut padded = chunk[..len].to_vec();
            padded.resize(len.next_multiple_of(BLOCK), 0);
            let alone = padded
                .chunks(BLOCK)
                .map(|block| *verify::sha256(block).as_bytes());
            let expected: Vec<_> = [[7; 32]].into_iter().chain(alone).collect();
            assert_eq!(found, expected, "{len} bytes");
        }
    }
}
