//! The digests of a chunk's blocks, as dm-verity has them.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;

/// SHA-256 of a block.
pub(crate) type BlockDigest = [u8; 32];

/// Blocks that are digested at once. Those of several can be computed in turn by the same instructions, of which each
/// waits for the one before it if there is one block alone.
const AT_ONCE: usize = 64;

/// Digests the blocks of chunks.
#[derive(Default)]
pub(super) struct BlockHasher {
    /// The last blocks of chunks, with zeros after the end of each; empty until there are some.
    ends: Vec<[u8; BLOCK]>,
}

impl BlockHasher {
    /// Appends the digests of the blocks of all `chunks`, in their order, to `out`; after the end of each there are
    /// zeros.
    pub(super) fn digest<'c>(
        &mut self,
        chunks: impl Iterator<Item = &'c [u8]>,
        out: &mut Vec<BlockDigest>,
    ) {
        self.ends.resize(AT_ONCE, [0; BLOCK]);
        let mut blocks = chunks.flat_map(|chunk| chunk.chunks(BLOCK));
        loop {
            let mut some: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
            let mut len = 0;
            for ((place, end), block) in some.iter_mut().zip(&mut self.ends).zip(&mut blocks) {
                *place = block;
                if block.len() < BLOCK {
                    let (begin, zeros) = end.split_at_mut(block.len());
                    begin.copy_from_slice(block);
                    zeros.fill(0);
                    *place = end;
                }
                len += 1;
            }
            if len == 0 {
                return;
            }
            hash(&some[..len], out);
        }
    }
}

/// Appends the digests of `blocks` to `out`.
fn hash(blocks: &[&[u8]], out: &mut Vec<BlockDigest>) {
    let known = out.len();
    out.resize(known + blocks.len(), [0; 32]);
    tape_sha256::hash_many(blocks, &mut out[known..]);
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
        hash(slices, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_chunk(chunk: &[u8], out: &mut Vec<BlockDigest>) {
        BlockHasher::default().digest([chunk].into_iter(), out);
    }

    fn chunk() -> Vec<u8> {
        let byte = |at: usize| ((at * at) >> 9) as u8;
        (0..131 * BLOCK + 17).map(byte).collect()
    }

    /// Of many chunks at once, some of which end within a block.
    #[test]
    fn chunks_have_the_digests_that_each_has_alone() {
        let data = chunk();
        let lens = [1, 4095, 4096, 4097, 0, 8192, 300_000, 17, 5000, 200_000];
        let chunks = || lens.iter().map(|&len| &data[len..2 * len.min(260_000)]);
        let mut alone = vec![[7; 32]];
        for chunk in chunks() {
            digest_chunk(chunk, &mut alone);
        }
        let mut hasher = BlockHasher::default();
        for _ in 0..2 {
            let mut found = vec![[7; 32]];
            hasher.digest(chunks(), &mut found);
            assert!(found == alone);
        }
    }

    /// However many there are, and whatever is left of the last one.
    #[test]
    fn blocks_have_the_digests_that_each_has_alone() {
        let chunk = chunk();
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
