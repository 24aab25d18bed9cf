//! A walk as an iterator.

use crate::image::{Attributes, Ino};
use crate::metadata::FileKind;
use crate::path::ImagePath;

use super::{Walk, WalkError};

/// One path of an image that a walk has visited: a [`WalkEntry`](super::WalkEntry) that owns its path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Visited {
    /// Where the walk was.
    pub path: ImagePath,
    /// The inode there.
    pub ino: Ino,
    /// Its attributes.
    pub attributes: Attributes,
    /// The kind according to the directory; an image may contradict itself.
    pub entry_kind: FileKind,
    /// Number of directories above it; 0 for the root.
    pub depth: usize,
}

/// The rest of a [`Walk`] as an iterator. Each path is copied; [`Walk::next_entry`] lends it instead, and lets its
/// caller decide which directories to enter.
#[derive(Debug)]
pub struct Paths<'i>(Walk<'i>);

impl<'i> IntoIterator for Walk<'i> {
    type Item = Result<Visited, WalkError>;
    type IntoIter = Paths<'i>;

    fn into_iter(self) -> Paths<'i> {
        Paths(self)
    }
}

impl Paths<'_> {
    /// Skips everything below the directory visited last.
    pub fn skip_children(&mut self) {
        self.0.skip_children();
    }
}

impl Iterator for Paths<'_> {
    type Item = Result<Visited, WalkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next_entry()?;
        Some(entry.map(|entry| Visited {
            path: entry.path.clone(),
            ino: entry.ino,
            attributes: entry.attributes,
            entry_kind: entry.entry_kind,
            depth: entry.depth,
        }))
    }
}
