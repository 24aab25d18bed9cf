//! Versions of RAFS.

use std::fmt;

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
