//! Why a blob of version 7 cannot be read.

use frame_codec::CodecError;
use image_model::{Blame, BlobIndex, Fault};

use super::table_header::TableKind;

/// A blob of version 7, or a structure in it, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum V7Error {
    /// A piece of the blob has the wrong length: the caller gave the wrong bytes.
    #[error("{piece}: {found} bytes given, but {expected} expected")]
    Given {
        /// What was given.
        piece: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
    /// A structure exceeds the available bytes.
    #[error("the {structure} at byte {offset} takes {len} bytes, but there are only {available}")]
    Truncated {
        /// The structure.
        structure: &'static str,
        /// Where it begins.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Bytes of what should hold it.
        available: u64,
    },
    /// A field has a value that it must not have.
    #[error("the {structure} at byte {offset}: {field} is {found:#x}, but must be {rule}")]
    Field {
        /// The structure.
        structure: &'static str,
        /// Where the structure begins: in the blob, or if it is part of the blob metadata, in that.
        offset: u64,
        /// The field.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// A checksum is wrong.
    #[error("the {structure} has checksum {found:#010x}, but its bytes have {expected:#010x}")]
    Checksum {
        /// What the checksum is of.
        structure: &'static str,
        /// The checksum of the bytes.
        expected: u32,
        /// What is stored.
        found: u32,
    },
    /// Needs something that this library lacks.
    #[error("the {structure} at byte {offset} needs {feature}, which is not supported")]
    Unsupported {
        /// The structure.
        structure: &'static str,
        /// Where the structure begins.
        offset: u64,
        /// What it needs.
        feature: &'static str,
    },
    /// A table is missing.
    #[error("the blob metadata have no {}", table.name())]
    NoTable {
        /// The table.
        table: TableKind,
    },
    /// A table has a number of entries that does not match the groups.
    #[error("the {} has {found} entries, but the groups need {expected}", table.name())]
    Count {
        /// The table.
        table: TableKind,
        /// Entries that the groups need.
        expected: u64,
        /// Entries of the table.
        found: u64,
    },
    /// A group breaks a rule.
    #[error("invalid group {index}")]
    Group {
        /// Its position.
        index: u32,
        /// What is wrong.
        #[source]
        fault: GroupFault,
    },
    /// The index of groups names another group than the one that covers the block.
    #[error(
        "entry {entry} of the index of groups is {found}, but block {block} is in group {expected}"
    )]
    Index {
        /// Position of the entry.
        entry: u32,
        /// The block that it stands for.
        block: u32,
        /// The group that covers it.
        expected: u32,
        /// The group that is named.
        found: u32,
    },
    /// The content of a file is not a chunk of the blob.
    #[error("{len} bytes at byte {address} of blob {} are not a chunk of it", blob.0)]
    NoChunk {
        /// The blob.
        blob: BlobIndex,
        /// First byte in its address space.
        address: u64,
        /// Bytes of the file.
        len: u64,
    },
    /// The image has no such blob.
    #[error("there is no blob {}: the image has {count}", index.0)]
    NoSuchBlob {
        /// The number.
        index: BlobIndex,
        /// How many there are.
        count: u64,
    },
    /// The groups of all blobs are more than frames can be numbered.
    #[error("there are too many groups in the blobs of the image")]
    TooManyGroups,
    /// The blob holds no bootstrap.
    #[error("the blob holds no bootstrap: open the image's bootstrap instead")]
    NoBootstrap,
    /// The bootstrap in the blob cannot be decoded.
    #[error("cannot decode the bootstrap")]
    Bootstrap(#[source] CodecError),
    /// The bootstrap is damaged, compressed, or beyond a limit.
    #[error("cannot read the bootstrap")]
    Erofs(#[from] erofs_format::DecodeError),
    /// More is declared than the limits allow.
    #[error("{found} {what}; at most {max} are accepted")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// The bound.
        max: u64,
    },
}

impl Blame for V7Error {
    fn fault(&self) -> Fault {
        match self {
            Self::Given { .. } | Self::NoSuchBlob { .. } | Self::NoBootstrap => Fault::Misuse,
            Self::Unsupported { .. } => Fault::Unsupported,
            Self::Limit { .. } | Self::TooManyGroups => Fault::Limit,
            Self::Bootstrap(source) => source.fault(),
            Self::Erofs(source) => source.fault(),
            Self::Truncated { .. }
            | Self::Field { .. }
            | Self::Checksum { .. }
            | Self::NoTable { .. }
            | Self::Count { .. }
            | Self::Group { .. }
            | Self::Index { .. }
            | Self::NoChunk { .. } => Fault::Corrupt,
        }
    }
}

/// What is wrong with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupFault {
    /// The first group begins elsewhere.
    #[error("it begins at block {block} and chunk {chunk}, but the first one begins at 0 and 0")]
    First {
        /// Its first block.
        block: u32,
        /// Its first chunk.
        chunk: u32,
    },
    /// Its stored bytes are none, too many, or beyond the data.
    #[error("its stored bytes are {start}..{end}, which must be 1 to 2^32 - 1 of {data_len}")]
    Stored {
        /// First byte in the data.
        start: u64,
        /// One past the last.
        end: u64,
        /// Bytes of the data.
        data_len: u64,
    },
    /// It covers no blocks, too many, or fewer than the index needs.
    #[error("it covers the blocks {start}..{end}, which must be {min} to {max}")]
    Blocks {
        /// First block.
        start: u32,
        /// One past the last.
        end: u32,
        /// Fewest blocks of a group.
        min: u32,
        /// Most blocks of a group.
        max: u32,
    },
    /// It has no chunks, or more than have lengths.
    #[error("its chunks are {start}..{end} of {count}")]
    Chunks {
        /// First chunk.
        start: u32,
        /// One past the last.
        end: u32,
        /// Chunks with a length.
        count: u32,
    },
    /// One of its chunks is empty.
    #[error("chunk {chunk} is empty")]
    EmptyChunk {
        /// The chunk.
        chunk: u32,
    },
    /// Its chunks have other lengths than it.
    #[error("its chunks have {found} bytes, but it has {expected}")]
    Len {
        /// Bytes of the group.
        expected: u32,
        /// Bytes of its chunks.
        found: u64,
    },
    /// Its chunks take other blocks than it.
    #[error("its chunks take {found} blocks, but it covers {expected}")]
    ChunkBlocks {
        /// Blocks of the group.
        expected: u32,
        /// Blocks of its chunks.
        found: u64,
    },
    /// It is stored in more or fewer bytes than it has, although nothing is compressed.
    #[error("it has {len} bytes, but {stored_len} stored bytes, and is not compressed")]
    Plain {
        /// Bytes of the group.
        len: u32,
        /// Stored bytes.
        stored_len: u32,
    },
    /// It is a copy of a group of the bootstrap.
    #[error("it is a copy of something in blob 0, which is the bootstrap")]
    Redirect,
}

/// Builds [`V7Error`] for one structure at one place.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) structure: &'static str,
    pub(super) offset: u64,
}

impl At {
    pub(super) const fn new(structure: &'static str, offset: u64) -> Self {
        Self { structure, offset }
    }

    /// Refuses the structure unless `holds`.
    pub(super) fn require(
        self,
        holds: bool,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> Result<(), V7Error> {
        match holds {
            true => Ok(()),
            false => Err(self.wrong(field, found, rule)),
        }
    }

    pub(super) fn wrong(
        self,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> V7Error {
        V7Error::Field {
            structure: self.structure,
            offset: self.offset,
            field,
            found: found.into(),
            rule,
        }
    }

    pub(super) const fn unsupported(self, feature: &'static str) -> V7Error {
        V7Error::Unsupported {
            structure: self.structure,
            offset: self.offset,
            feature,
        }
    }
}

/// Refuses what goes beyond `max`.
pub(super) fn limit(what: &'static str, found: u64, max: u64) -> Result<(), V7Error> {
    match found <= max {
        true => Ok(()),
        false => Err(V7Error::Limit { what, found, max }),
    }
}
