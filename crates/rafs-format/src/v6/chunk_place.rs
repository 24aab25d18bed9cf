//! What only RAFS knows of a chunk.

/// Where a chunk stands in its blob, beyond the frame that holds it: the record of the chunk table
/// and the chunk's address have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkPlace {
    /// Position among the chunks of its blob.
    pub index: u32,
    /// First byte in the blob's uncompressed address space.
    pub address: u64,
}
