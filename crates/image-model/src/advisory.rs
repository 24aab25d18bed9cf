//! Oddities of an image that do not prevent reading it.

use std::fmt;

use crate::metadata::FileKind;
use crate::path::ImagePath;

/// Number of advisories kept with their paths; further ones are only counted.
const MAX_KEPT: usize = 1 << 10;

/// Maximum total length of the kept paths, in bytes: each may be as long as an extension header.
const MAX_PATHS_LEN: usize = 4 << 20;

/// An oddity that is accepted, because the runtimes agree on it, or because a release of a tool is known to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advisory {
    /// The path, if it concerns a single one.
    pub path: Option<ImagePath>,
    /// The oddity.
    pub what: Oddity,
}

impl fmt::Display for Advisory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{path:#}: {}", self.what),
            None => self.what.fmt(f),
        }
    }
}

/// A kind of oddity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oddity {
    /// An entry below a symbolic link: it is placed where the link leads.
    BelowSymlink,
    /// A hard link to a path through a symbolic link.
    TargetBelowSymlink,
    /// An entry for the root that is not a directory: it is ignored.
    Root {
        /// What it is; a hard link counts as a file.
        kind: FileKind,
    },
    /// A whiteout that is a hard link: its name counts, its target does not.
    LinkedWhiteout,
    /// A size for a member without content: it is ignored.
    Size {
        /// The size.
        size: i64,
    },
    /// A GNU header block with a name prefix of ustar: it counts.
    NamePrefix,
    /// The same record twice: the last one counts.
    RepeatedRecord {
        /// Its key, or the start of a long one.
        key: Box<[u8]>,
    },
    /// Several extension headers of one type for one member: the last one counts.
    RepeatedExtension {
        /// The type.
        typeflag: u8,
    },
    /// An extension header without a member: it is ignored.
    DanglingExtension {
        /// The type.
        typeflag: u8,
    },
    /// A tar that ends inside the padding of a payload: it counts as complete.
    CutPadding,
    /// A directory without an entry in the layer: the target stores it with mode 0755 and owner 0, even if a lower
    /// layer has other attributes.
    Undescribed,
    /// A structure in the form that an old release of a tool wrote.
    Release {
        /// The releases.
        releases: &'static str,
        /// What they wrote.
        what: &'static str,
    },
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowSymlink => {
                f.write_str("lies below a symbolic link, and is placed where the link leads")
            }
            Self::TargetBelowSymlink => f.write_str("hard link through a symbolic link"),
            Self::Root { kind } => write!(f, "the entry for the root is a {kind}, and is ignored"),
            Self::LinkedWhiteout => f.write_str("a whiteout that is a hard link"),
            Self::Size { size } => write!(f, "size {size} for a member without content"),
            Self::NamePrefix => f.write_str("a GNU header block with a ustar name prefix"),
            Self::RepeatedRecord { key } => write!(
                f,
                "PAX record `{}` appears twice; the last one counts",
                key.escape_ascii()
            ),
            Self::RepeatedExtension { typeflag } => write!(
                f,
                "several extension headers of type `{}`; the last one counts",
                char::from(*typeflag)
            ),
            Self::DanglingExtension { typeflag } => write!(
                f,
                "an extension header of type `{}` with no member after it",
                char::from(*typeflag)
            ),
            Self::CutPadding => f.write_str("the padding after the last payload is truncated"),
            Self::Undescribed => {
                f.write_str("the directory has no entry, and gets mode 0755 and owner 0:0")
            }
            Self::Release { releases, what } => write!(f, "{what}, as {releases} wrote it"),
        }
    }
}

/// The advisories of one image: the first thousand with their paths (up to 4 MiB of paths), and their total number.
///
/// ```
/// use lazyoci_image_model::advisory::{Advisories, Oddity};
/// let mut advisories = Advisories::default();
/// advisories.add(None, Oddity::NamePrefix);
/// assert_eq!(advisories.count(), 1);
/// assert_eq!(advisories.kept()[0].what, Oddity::NamePrefix);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advisories {
    kept: Vec<Advisory>,
    /// Bytes of the kept paths.
    paths_len: usize,
    count: u64,
}

impl Advisories {
    /// Adds each of `oddities`, found at `path` or in the image as a whole.
    pub fn add_all(
        &mut self,
        path: Option<&ImagePath>,
        oddities: impl IntoIterator<Item = Oddity>,
    ) {
        for what in oddities {
            self.add(path, what);
        }
    }

    /// Counts `what`, and keeps it if there is room.
    pub fn add(&mut self, path: Option<&ImagePath>, what: Oddity) {
        self.count = self.count.saturating_add(1);
        if self.make_room(path) {
            let path = path.cloned();
            self.kept.push(Advisory { path, what });
        }
    }

    /// Whether an advisory about `path` is kept.
    fn make_room(&mut self, path: Option<&ImagePath>) -> bool {
        let len = path.map_or(0, |path| path.as_bytes().len());
        let paths_len = self.paths_len.saturating_add(len);
        let fits = self.kept.len() < MAX_KEPT && paths_len <= MAX_PATHS_LEN;
        if fits {
            self.paths_len = paths_len;
        }
        fits
    }

    /// Adds those of `other`.
    pub fn append(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        for advisory in other.kept {
            if self.make_room(advisory.path.as_ref()) {
                self.kept.push(advisory);
            }
        }
    }

    /// The total number.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first ones, with their paths.
    #[must_use]
    pub fn kept(&self) -> &[Advisory] {
        &self.kept
    }
}

/// As `{"count": 1, "first": ["/etc: ..."]}`.
#[cfg(feature = "serde")]
impl serde::Serialize for Advisories {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let first: Vec<_> = self.kept.iter().map(ToString::to_string).collect();
        let mut object = serializer.serialize_struct("Advisories", 2)?;
        object.serialize_field("count", &self.count)?;
        object.serialize_field("first", &first)?;
        object.end()
    }
}
