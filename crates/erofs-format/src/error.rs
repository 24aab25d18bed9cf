//! Why a structure, or an image, cannot be read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use image_model::image::WrongInode;
use image_model::metadata::XattrError;
use image_model::name::NameError;
use image_model::{Blame, Fault};

/// A structure that cannot be read. Offsets are bytes from the start of the image.
///
/// Formats that are made of these structures have errors of their own, which say the same of their files:
/// so no variant is left for later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureError {
    /// A structure exceeds the available bytes.
    #[error("the {what} at byte {offset} takes {len} bytes, but the image has only {available}")]
    Truncated {
        /// The structure.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// Its length in bytes.
        len: u64,
        /// Length of the image in bytes.
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
    /// Structures overlap: the tree so far takes more bytes than there are.
    #[error(
        "the structures up to the inode at byte {offset} take {taken} bytes, but the image has only {available}"
    )]
    Crowded {
        /// Where the inode begins.
        offset: u64,
        /// Bytes that the structures take.
        taken: u64,
        /// Length of the image in bytes.
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

impl Blame for StructureError {
    fn fault(&self) -> Fault {
        match self {
            Self::WrongInode(source) => source.fault(),
            Self::Unsupported { .. } => Fault::Unsupported,
            Self::Limit { .. } => Fault::Limit,
            Self::Truncated { .. }
            | Self::Field { .. }
            | Self::Name { .. }
            | Self::NameOrder { .. }
            | Self::Xattrs { .. }
            | Self::Crowded { .. } => Fault::Corrupt,
        }
    }
}

/// An EROFS image, or a structure in it, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A structure is damaged, not supported, or beyond a bound.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// The superblock's checksum is not that of its block.
    #[error("the superblock has checksum {found:#010x}, but its block has {expected:#010x}")]
    Checksum {
        /// In the superblock.
        found: u32,
        /// Of its block.
        expected: u32,
    },
    /// The content of a file is outside its device.
    #[error(
        "the inode at byte {offset}: byte {file_offset} of its content is at byte {address} of device {device}, which has only {available}"
    )]
    OutsideDevice {
        /// Where the inode begins.
        offset: u64,
        /// First byte in the file.
        file_offset: u64,
        /// First byte in the device.
        address: u64,
        /// The device, 0 for the image itself.
        device: u32,
        /// Length of the device in bytes.
        available: u64,
    },
    /// A directory contains itself, or has two parents.
    #[error("the directory at byte {offset} is reached more than once")]
    DirectoryAgain {
        /// Where its inode begins.
        offset: u64,
    },
    /// The source of the image's bytes failed.
    #[error("cannot read {len} bytes at byte {offset} of the image")]
    Read {
        /// First byte requested.
        offset: u64,
        /// Bytes requested.
        len: u64,
        /// Why not.
        source: ReadFault,
    },
}

impl Blame for DecodeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Structure(source) => source.fault(),
            Self::Read { source, .. } => source.fault,
            Self::Checksum { .. } | Self::OutsideDevice { .. } | Self::DirectoryAgain { .. } => {
                Fault::Corrupt
            }
        }
    }
}

/// The error of [`MetadataBytes`](crate::MetadataBytes).
#[derive(Clone)]
pub struct ReadFault {
    fault: Fault,
    source: Arc<dyn Error + Send + Sync>,
}

impl ReadFault {
    /// Wraps the error of what holds the image.
    pub fn new(source: impl Blame + Send + Sync + 'static) -> Self {
        Self {
            fault: source.fault(),
            source: Arc::new(source),
        }
    }
}

/// They are equal if they say the same.
impl PartialEq for ReadFault {
    fn eq(&self, other: &Self) -> bool {
        self.fault == other.fault && self.source.to_string() == other.source.to_string()
    }
}

impl Eq for ReadFault {}

impl fmt::Debug for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl fmt::Display for ReadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for ReadFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Builds [`StructureError`] for one structure at one place.
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
    #[inline]
    pub(crate) fn require(
        self,
        holds: bool,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> Result<(), StructureError> {
        match holds {
            true => Ok(()),
            false => Err(self.wrong(field, found, rule)),
        }
    }

    #[inline]
    pub(crate) fn wrong(
        self,
        field: &'static str,
        found: impl Into<u64>,
        rule: &'static str,
    ) -> StructureError {
        StructureError::Field {
            structure: self.structure,
            offset: self.offset,
            field,
            found: found.into(),
            rule,
        }
    }

    pub(crate) const fn unsupported(self, feature: &'static str) -> StructureError {
        StructureError::Unsupported {
            structure: self.structure,
            offset: self.offset,
            feature,
        }
    }
}

/// Refuses what goes beyond `max`.
pub(crate) fn limit(what: &'static str, found: u64, max: u64) -> Result<(), StructureError> {
    match found <= max {
        true => Ok(()),
        false => Err(StructureError::Limit { what, found, max }),
    }
}
