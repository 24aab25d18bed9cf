//! What only RAFS knows of a chunk.

/// The place of a chunk in its blob, besides its frame: the record of the chunk table
/// and the chunk's address have both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkPlace {
    /// Position among the chunks of its blob.
    pub index: u32,
    /// First byte in the blob's uncompressed address space.
    pub address: u64,
    /// Whether it lies in a batch, so that only the chunk information says where it is stored.
    pub in_batch: bool,
}
