//! The findings of a check of an image.

mod run;
mod space;
mod tree;

use image_model::{Blame, Fault, ImagePath};

use crate::error::{DecodeError, StructureError};

/// Something wrong in an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A structure breaks a rule of its own, or cannot be read at all.
    #[error(transparent)]
    Structure(#[from] DecodeError),
    /// A field contradicts what the rest of the image says.
    #[error("{field} of the {structure} is {found:#x}, expected {expected:#x}")]
    Mismatch {
        /// The structure.
        structure: &'static str,
        /// The field, by its name in the specification.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The value that the rest of the image requires.
        expected: u64,
    },
    /// Two structures take the same bytes, or a structure and content.
    #[error("the {structure} overlaps the {other} at byte {other_offset}")]
    Overlap {
        /// The structure that begins later.
        structure: &'static str,
        /// The one that begins first.
        other: &'static str,
        /// Where that begins.
        other_offset: u64,
    },
    /// Bytes that readers ignore are not zero.
    #[error("reserved bytes of the {structure} are not zero")]
    Reserved {
        /// The structure.
        structure: &'static str,
    },
    /// A directory without one of its two fixed entries.
    #[error("the directory has no entry `{name}`")]
    NoDots {
        /// `.` or `..`.
        name: &'static str,
    },
}

impl From<StructureError> for Inconsistency {
    fn from(error: StructureError) -> Self {
        Self::Structure(error.into())
    }
}

impl Blame for Inconsistency {
    fn fault(&self) -> Fault {
        match self {
            Self::Structure(source) => source.fault(),
            _ => Fault::Corrupt,
        }
    }
}

/// An [`Inconsistency`] and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}byte {offset}: {what}", path.as_ref().map(|path| format!("{path:#}, ")).unwrap_or_default())]
pub struct CheckFinding {
    /// A path of the inode, if it is about one, and as long as there is room for paths.
    pub path: Option<ImagePath>,
    /// First byte of the structure in the image.
    pub offset: u64,
    /// What is wrong.
    pub what: Inconsistency,
}

/// What a check covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckSummary {
    /// Distinct inodes of the tree.
    pub inodes: u64,
    /// Names of the tree, including the root.
    pub names: u64,
    /// Pieces of content: chunks, and files that are stored in one piece.
    pub extents: u64,
    /// Findings that were reported.
    pub findings: u64,
}
