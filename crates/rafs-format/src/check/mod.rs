//! The findings of a check of a bootstrap.

mod space;

use erofs_format::StructureError;
use image_model::advisory::Advisories;
use image_model::{Blame, Digest, Fault, ImagePath};
use verify::UnsupportedDigest;

use crate::error::DecodeError;

pub(crate) use space::Space;

/// Something wrong in a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Inconsistency {
    /// A structure breaks a rule of its own, or cannot be read at all.
    #[error(transparent)]
    Structure(#[from] DecodeError),
    /// A field contradicts what the rest of the bootstrap says.
    #[error("{field} of the {structure} is {found:#x}, expected {expected:#x}")]
    Mismatch {
        /// The structure.
        structure: &'static str,
        /// The field, by its name in the specification.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The value that the rest of the bootstrap requires.
        expected: u64,
    },
    /// The same as [`Mismatch`](Self::Mismatch), for a device slot's tag.
    #[error("the tag of the device slot is not the id of its blob")]
    DeviceTag,
    /// Two structures take the same bytes.
    #[error("the {structure} overlaps the {other} at byte {other_offset}")]
    Overlap {
        /// The structure that begins later.
        structure: &'static str,
        /// The one that begins first.
        other: &'static str,
        /// Where that begins.
        other_offset: u64,
    },
    /// Bytes that no reader looks at are not zero.
    #[error("reserved bytes of the {structure} are not zero")]
    Reserved {
        /// The structure.
        structure: &'static str,
    },
    /// Bytes that belong to no structure are not zero.
    #[error("bytes outside all structures are not zero")]
    Stray,
    /// A directory without one of its two fixed entries.
    #[error("the directory has no entry `{name}`")]
    NoDots {
        /// `.` or `..`.
        name: &'static str,
    },
    /// A chunk has two records.
    #[error("chunk {index} of blob {blob} has a second record, number {position}")]
    DuplicateRecord {
        /// Position of the blob.
        blob: u32,
        /// Position of the chunk in it.
        index: u32,
        /// Position of the other record in the chunk table.
        position: usize,
    },
    /// Two chunks of a blob overlap, or their addresses do not rise with their indexes.
    #[error("the chunk record's {field} is before the end of chunk {before}")]
    ChunkOverlap {
        /// `compressed_offset` or `uncompressed_offset`.
        field: &'static str,
        /// Index of the chunk before it in the blob.
        before: u32,
    },
    /// A chunk of a tarfs image begins before another one of the same tar ends.
    #[error("the chunk overlaps the one whose address is at byte {other_offset}")]
    SectorOverlap {
        /// Where the address of the one that begins first is.
        other_offset: u64,
    },
    /// A prefetched inode that the tree does not have.
    #[error("prefetched inode {nid} is not in the tree")]
    Prefetch {
        /// The inode: a nid in version 6, a number in version 5.
        nid: u64,
    },
    /// The digest of an inode of version 5: of the digests of a file's chunks, of a link's target, of
    /// the digests of what a directory holds.
    #[error("the inode has digest {found}, but its contents have {expected}")]
    Digest {
        /// In the inode.
        found: Digest,
        /// What its contents have.
        expected: Digest,
    },
    /// The digests of inodes are of an algorithm that this build lacks: none was compared.
    #[error("the digests of inodes were not compared")]
    Unchecked(#[source] UnsupportedDigest),
    /// Two records of one inode of version 5, which stand for two names of it, do not say the same.
    #[error("{field}: mismatch with the inode's first record, at byte {first}")]
    HardLink {
        /// The field, by its name in the specification, or what else differs.
        field: &'static str,
        /// Where the first record begins.
        first: u64,
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
            Self::Unchecked(source) => source.fault(),
            _ => Fault::Corrupt,
        }
    }
}

/// An [`Inconsistency`] and where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}byte {offset}: {what}", path.as_ref().map(|path| format!("{path:#}, ")).unwrap_or_default())]
pub struct CheckFinding {
    /// A path of the inode, if it is about one, and as long as there is room for paths
    /// ([`max_report_len`](image_model::Limits::max_report_len) bytes).
    pub path: Option<ImagePath>,
    /// First byte of the structure in the bootstrap.
    pub offset: u64,
    /// What is wrong.
    pub what: Inconsistency,
}

/// What a check covered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CheckSummary {
    /// Distinct inodes of the tree.
    pub inodes: u64,
    /// Names of the tree, including the root.
    pub names: u64,
    /// Records of the chunk table; in version 5, of files.
    pub chunks: u64,
    /// Findings that were reported.
    pub findings: u64,
    /// What an old release of nydus-image is known to write so.
    pub advisories: Advisories,
}
