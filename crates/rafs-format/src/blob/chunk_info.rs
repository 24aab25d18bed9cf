//! One entry of the chunk information, independent of its version.

use crate::flags::BlobFeatures;
use crate::native::padded_len;
use crate::v6::BlobEntry;

/// nydus-image refuses to number a chunk beyond.
pub(crate) const MAX_CHUNKS: u32 = 0xff_ffff;

/// Largest chunk, plain or stored: 16 MiB.
pub const MAX_CHUNK_LEN: u32 = 1 << 24;
/// First offset beyond what an entry can hold, in the stored blob.
pub const MAX_STORED_OFFSET: u64 = 1 << 40;
/// First address beyond what an entry can hold, in the uncompressed address space.
pub const MAX_ADDRESS: u64 = 1 << 44;
/// Addresses of chunks are multiples of this.
pub const ADDRESS_ALIGN: u64 = 4096;

/// One entry of the chunk information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkInfo {
    /// First byte in the blob's uncompressed address space; a multiple of 4096 below 2^44.
    pub address: u64,
    /// Plain bytes, 1 to 2^24.
    pub len: u32,
    /// First stored byte, from the start of the blob; below 2^40.
    pub offset: u64,
    /// Stored bytes, up to 2^24. 0 for chunks in a batch.
    pub stored_len: u32,
    /// Whether the stored bytes are compressed.
    pub compressed: bool,
    /// Whether they are encrypted (v2 only).
    pub encrypted: bool,
    /// What else is known (v2 only).
    pub extra: ChunkExtra,
}

/// What an entry of version 2 can add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChunkExtra {
    /// Nothing.
    #[default]
    None,
    /// CRC-32C of the plain bytes; not 0.
    Crc32c(u32),
    /// The chunk lies in a gzip stream.
    Zran {
        /// Position of the inflate context.
        context: u32,
        /// First byte in what is inflated from there.
        offset: u32,
    },
    /// The chunk lies in a batch.
    Batch {
        /// Position of the batch.
        context: u32,
        /// First byte in the decompressed batch.
        offset: u32,
    },
}

/// What is wrong with one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkFault {
    /// The length of the plain bytes is 0 or above 2^24.
    #[error("{len} plain bytes; must be 1 to 2^24")]
    Len {
        /// Plain bytes.
        len: u32,
    },
    /// The stored length is 0, or above what the entry can hold.
    #[error("invalid number of stored bytes: {stored_len}")]
    StoredLen {
        /// Stored bytes.
        stored_len: u32,
    },
    /// The address is not a multiple of 4096, or not below 2^44.
    #[error("address {address} is not a multiple of 4096 below 2^44")]
    Address {
        /// The address.
        address: u64,
    },
    /// The stored offset is not below 2^40.
    #[error("stored offset {offset} is not below 2^40")]
    Offset {
        /// The offset.
        offset: u64,
    },
    /// The stored bytes end after the chunk data section.
    #[error("stored bytes end at {end}, past the data section of {data_len} bytes")]
    BeyondData {
        /// End of the stored bytes.
        end: u64,
        /// Length of the data section in bytes.
        data_len: u64,
    },
    /// The plain bytes end after the blob's address space.
    #[error("plain bytes end at {end}, past the address space of {space} bytes")]
    BeyondSpace {
        /// End of the plain bytes.
        end: u64,
        /// Length of the address space in bytes.
        space: u64,
    },
    /// The chunk is stored plain, but the lengths differ; or compression did not make it smaller,
    /// which no builder stores so and which version 1 cannot tell from plain.
    #[error("{len} plain and {stored_len} stored bytes contradict the compression flag")]
    Compression {
        /// Plain bytes.
        len: u32,
        /// Stored bytes.
        stored_len: u32,
    },
    /// The flag of a CRC is set, but the CRC is 0: nydus refuses such entries.
    #[error("the CRC is 0")]
    ZeroCrc,
    /// The flags exclude each other, or version 1 cannot hold them.
    #[error("flags contradict each other or the version of the entry")]
    Flags,
    /// A flag lacks the blob feature that it needs.
    #[error("a flag needs blob feature {needed:#x}, which is not set")]
    MissingFeature {
        /// Bits of the feature.
        needed: u32,
    },
    /// The blob has no such context.
    #[error("there is no context {context}: the blob has {count}")]
    NoContext {
        /// The context.
        context: u32,
        /// How many there are.
        count: u32,
    },
    /// The context gives fewer bytes.
    #[error("bytes of context {context} that end at {end}, past the {len} that it gives")]
    BeyondContext {
        /// The context.
        context: u32,
        /// End of the chunk.
        end: u64,
        /// What the context gives.
        len: u32,
    },
    /// The chunks of a batch disagree on where it begins.
    #[error("batch {context} begins at {offset}, but at {expected} for the chunks before")]
    BatchOffset {
        /// The batch.
        context: u32,
        /// Where it begins.
        offset: u64,
        /// Where it begins for the first of its chunks.
        expected: u64,
    },
    /// Unused bits are set, which every writer leaves 0. Readers ignore them.
    #[error("reserved bits are set")]
    Reserved,
    /// The entry lies before its predecessor, in the file or in the address space.
    #[error("entries out of order")]
    Order,
}

impl ChunkInfo {
    /// First address after the plain bytes.
    #[must_use]
    pub fn address_end(&self) -> u64 {
        self.address.saturating_add(u64::from(self.len))
    }

    /// First offset after the stored bytes.
    #[must_use]
    pub fn offset_end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.stored_len))
    }

    /// CRC-32C of the plain bytes, if the entry has it.
    #[must_use]
    pub fn crc32c(&self) -> Option<u32> {
        match self.extra {
            ChunkExtra::Crc32c(crc32c) => Some(crc32c),
            _ => None,
        }
    }

    /// Checks the entry against the blob that it belongs to.
    ///
    /// # Errors
    /// The first [`ChunkFault`] found.
    pub fn check(&self, blob: &BlobEntry) -> Result<(), ChunkFault> {
        let needed = match self.extra {
            ChunkExtra::Zran { .. } => BlobFeatures::ZRAN,
            ChunkExtra::Batch { .. } => BlobFeatures::BATCH,
            ChunkExtra::None | ChunkExtra::Crc32c(_) => BlobFeatures::default(),
        };
        let needed = if self.encrypted {
            needed | BlobFeatures::ENCRYPTED
        } else {
            needed
        };
        if !blob.features.contains(needed) {
            return Err(ChunkFault::MissingFeature {
                needed: needed.bits(),
            });
        }
        if self.encrypted != blob.is_encrypted() {
            return Err(ChunkFault::Flags);
        }
        let plain_len = match self.encrypted {
            true => padded_len(self.len),
            false => self.len,
        };
        let in_batch = matches!(self.extra, ChunkExtra::Batch { .. });
        if !self.compressed && !in_batch && plain_len != self.stored_len {
            return Err(ChunkFault::Compression {
                len: self.len,
                stored_len: self.stored_len,
            });
        }
        let stored_len = self.stored_len;
        let fits = match self.extra {
            // The batch has them.
            ChunkExtra::Batch { .. } => stored_len == 0,
            _ => stored_len > 0 || blob.is_separate(),
        };
        if !fits {
            return Err(ChunkFault::StoredLen { stored_len });
        }
        let (end, data_len) = (self.offset_end(), blob.data_len());
        if end > data_len {
            return Err(ChunkFault::BeyondData { end, data_len });
        }
        let (end, space) = (self.address_end(), blob.uncompressed_size);
        if end > space {
            return Err(ChunkFault::BeyondSpace { end, space });
        }
        Ok(())
    }

    /// Checks the rules that every stored entry must satisfy.
    pub(super) fn check_fields(&self) -> Result<(), ChunkFault> {
        if self.len == 0 || self.len > MAX_CHUNK_LEN {
            return Err(ChunkFault::Len { len: self.len });
        }
        if !self.address.is_multiple_of(ADDRESS_ALIGN) || self.address >= MAX_ADDRESS {
            return Err(ChunkFault::Address {
                address: self.address,
            });
        }
        if self.offset >= MAX_STORED_OFFSET {
            return Err(ChunkFault::Offset {
                offset: self.offset,
            });
        }
        Ok(())
    }
}
