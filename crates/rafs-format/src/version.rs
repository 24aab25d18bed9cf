//! Versions of RAFS.

use std::fmt;

use erofs_format::Room;

use crate::v5;

/// A version of RAFS, which is the layout of its metadata. What blobs hold is alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Version {
    /// Version 5: inodes with digests of their contents, readable by nydus only.
    V5,
    /// Version 6: an EROFS file system with private tables.
    #[default]
    V6,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V5 => "RAFS v5",
            Self::V6 => "RAFS v6",
        })
    }
}

impl Version {
    /// What inodes of this version have room for.
    pub(crate) const fn room(self) -> Room {
        match self {
            Self::V5 => Room {
                max_name: v5::xattr::MAX_NAME_LEN,
                max_value: v5::xattr::MAX_VALUE_LEN,
                max_sum: u64::MAX,
                links_of_all_kinds: false,
            },
            Self::V6 => Room::EROFS,
        }
    }
}
