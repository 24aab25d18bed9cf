//! Why a bootstrap cannot be read.

use erofs_format::StructureError;
use image_model::blob::BlobIdError;
use image_model::image::WrongInode;
use image_model::metadata::XattrError;
use image_model::name::NameError;
use image_model::{Blame, BlobIndex, Fault};

use crate::blob::BlobError;
use crate::flags::FlagsError;

/// A bootstrap, or a structure in it, that cannot be read. Offsets are bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A structure exceeds the available bytes.
    #[error(
        "the {what} at byte {offset} takes {len} bytes, but the bootstrap has only {available}"
    )]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Length of the bootstrap in bytes.
        available: u64,
    },
    /// A field has a value that it must not have.
    #[error("the {structure} at byte {offset}: {field} is {found:#x}, but must be {rule}")]
    Field {
        /// The structure.
        structure: &'static str,
        /// Where the structure begins.
        offset: u64,
        /// The field, by its name in the specification.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// A flag word or algorithm id is refused.
    #[error("invalid {structure} at byte {offset}")]
    Flags {
        /// The structure.
        structure: &'static str,
        /// Where the structure begins.
        offset: u64,
        /// Why.
        source: FlagsError,
    },
    /// Two tables take the same bytes.
    #[error("the {first} and the {second} overlap at byte {offset}")]
    Overlap {
        /// The table that begins first.
        first: &'static str,
        /// The other one.
        second: &'static str,
        /// Where the second one begins.
        offset: u64,
    },
    /// A blob's name cannot be used.
    #[error("invalid blob table entry at byte {offset}")]
    BlobId {
        /// Where the entry begins.
        offset: u64,
        /// Why.
        source: BlobIdError,
    },
    /// Two blobs have one name.
    #[error("the blob table entry at byte {offset} has the same id as entry {first}")]
    DuplicateBlob {
        /// Position of the earlier entry.
        first: usize,
        /// Where the later entry begins.
        offset: u64,
    },
    /// The name of a directory entry cannot be used.
    #[error("invalid directory entry at byte {offset}")]
    Name {
        /// Where the entry begins.
        offset: u64,
        /// Why.
        source: NameError,
    },
    /// A directory's entries are not sorted, or one is a duplicate: lookups would miss some.
    #[error("the directory entry at byte {offset} does not sort after the previous one")]
    NameOrder {
        /// Where the later entry begins.
        offset: u64,
    },
    /// Extended attributes that cannot be used.
    #[error("invalid extended attributes at byte {offset}")]
    Xattrs {
        /// Where they begin.
        offset: u64,
        /// Why.
        source: XattrError,
    },
    /// A file uses a chunk that the chunk table lacks.
    #[error(
        "the chunk address at byte {offset} names chunk {index} of blob {blob}, which is not in the chunk table"
    )]
    ChunkMissing {
        /// Where the chunk address begins.
        offset: u64,
        /// Position of the blob.
        blob: u32,
        /// Position of the chunk in the blob.
        index: u32,
    },
    /// What a blob says of a chunk is wrong.
    #[error("the chunk record at byte {offset} is of blob {}, whose chunk information is invalid", blob.0)]
    ChunkInformation {
        /// Where the record begins.
        offset: u64,
        /// The blob.
        blob: BlobIndex,
        /// What is wrong.
        source: Box<BlobError>,
    },
    /// A directory contains itself, or has two parents.
    #[error("the directory at byte {offset} is reached more than once")]
    DirectoryAgain {
        /// Where its inode begins.
        offset: u64,
    },
    /// Structures overlap: the tree so far takes more bytes than there are.
    #[error(
        "the structures up to the inode at byte {offset} take {taken} bytes, but the bootstrap has only {available}"
    )]
    Crowded {
        /// Where the inode begins.
        offset: u64,
        /// Bytes that the structures take.
        taken: u64,
        /// Length of the bootstrap in bytes.
        available: u64,
    },
    /// The inode is not of the requested kind.
    #[error(transparent)]
    WrongInode(#[from] WrongInode),
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
    /// Beyond a bound of [`Limits`](image_model::Limits).
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

impl Blame for DecodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Flags { source, .. } => source.fault(),
            Self::WrongInode(source) => source.fault(),
            Self::ChunkInformation { source, .. } => source.fault(),
            Self::Unsupported { .. } => Fault::Unsupported,
            Self::Limit { .. } => Fault::Limit,
            Self::Truncated { .. }
            | Self::Field { .. }
            | Self::Overlap { .. }
            | Self::BlobId { .. }
            | Self::DuplicateBlob { .. }
            | Self::Name { .. }
            | Self::NameOrder { .. }
            | Self::Xattrs { .. }
            | Self::ChunkMissing { .. }
            | Self::DirectoryAgain { .. }
            | Self::Crowded { .. } => Fault::Corrupt,
        }
    }
}

/// What EROFS says of an image, said of a bootstrap.
impl From<StructureError> for DecodeError {
    fn from(error: StructureError) -> Self {
        match error {
            StructureError::Truncated {
                what,
                offset,
                len,
                available,
            } => Self::Truncated {
                what,
                offset,
                len,
                available,
            },
            StructureError::Field {
                structure,
                offset,
                field,
                found,
                rule,
            } => Self::Field {
                structure,
                offset,
                field,
                found,
                rule,
            },
            StructureError::Name { offset, source } => Self::Name { offset, source },
            StructureError::NameOrder { offset } => Self::NameOrder { offset },
            StructureError::Xattrs { offset, source } => Self::Xattrs { offset, source },
            StructureError::Crowded {
                offset,
                taken,
                available,
            } => Self::Crowded {
                offset,
                taken,
                available,
            },
            StructureError::WrongInode(source) => Self::WrongInode(source),
            StructureError::Unsupported {
                structure,
                offset,
                feature,
            } => Self::Unsupported {
                structure,
                offset,
                feature,
            },
            StructureError::Limit { what, found, max } => Self::Limit { what, found, max },
        }
    }
}

/// Builds [`DecodeError::Field`] for one structure at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) structure: &'static str,
    pub(crate) offset: u64,
}

impl At {
    pub(crate) const fn new(structure: &'static str, offset: u64) -> Self {
        Self { structure, offset }
    }

    /// Refuses the structure unless `holds`.
    pub(crate) fn require(
        self,
        holds: bool,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> Result<(), DecodeError> {
        if holds {
            Ok(())
        } else {
            Err(self.wrong(field, found, rule))
        }
    }

    pub(crate) fn wrong(
        self,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> DecodeError {
        DecodeError::Field {
            structure: self.structure,
            offset: self.offset,
            field,
            found: found.into(),
            rule,
        }
    }

    pub(crate) fn flags<T>(self, result: Result<T, FlagsError>) -> Result<T, DecodeError> {
        result.map_err(|source| DecodeError::Flags {
            structure: self.structure,
            offset: self.offset,
            source,
        })
    }

    pub(crate) const fn unsupported(self, feature: &'static str) -> DecodeError {
        DecodeError::Unsupported {
            structure: self.structure,
            offset: self.offset,
            feature,
        }
    }
}

/// Refuses what goes beyond `max`.
pub(crate) fn limit(what: &'static str, found: u64, max: u64) -> Result<(), DecodeError> {
    if found <= max {
        Ok(())
    } else {
        Err(DecodeError::Limit { what, found, max })
    }
}
