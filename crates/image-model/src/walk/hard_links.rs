//! Which inodes have several names.

use std::collections::HashMap;

use super::{InoSet, Walk, WalkError};
use crate::image::{Image, Ino};
use crate::limits::Limits;
use crate::metadata::FileKind;
use crate::name::NameRef;
use crate::path::ImagePath;
use crate::width::u64_from;

/// The hard link groups of an image: every inode with several names, with the least of its paths in
/// byte order. Names are counted, not taken from `st_nlink`, which may be wrong, or include names
/// that are left out. Memory: about two bits per inode, and one path per group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HardLinks {
    least: HashMap<Ino, ImagePath>,
}

impl HardLinks {
    /// Walks `image` and collects its groups. Names that `hidden` accepts, and everything below
    /// them, do not count. [`Limits::max_metadata_len`] bounds the total length of the paths.
    ///
    /// # Errors
    /// The first [`WalkError`].
    pub fn collect(
        image: &dyn Image,
        limits: &Limits,
        hidden: &dyn Fn(NameRef<'_>) -> bool,
    ) -> Result<Self, WalkError> {
        let mut seen = InoSet::default();
        // The length of the shortest path of each group.
        let mut shortest = HashMap::new();
        visit_names(image, limits, hidden, |ino, _| {
            if !seen.insert(ino) {
                shortest.entry(ino).or_insert(u64::MAX);
            }
            Ok(())
        })?;
        if shortest.is_empty() {
            return Ok(Self::default());
        }
        // If even the shortest paths are too long in all, they are refused before storing any.
        let mut last = ImagePath::root();
        visit_names(image, limits, hidden, |ino, path| {
            if let Some(known) = shortest.get_mut(&ino) {
                *known = (*known).min(u64_from(path.as_bytes().len()));
                last.clone_from(path);
            }
            Ok(())
        })?;
        let limit = limits.max_metadata_len;
        let len = shortest.values().copied().fold(0, u64::saturating_add);
        if len > limit {
            return Err(WalkError::LinkPaths { path: last, limit });
        }
        let mut least: HashMap<_, ImagePath> = HashMap::with_capacity(shortest.len());
        let mut len = 0u64;
        visit_names(image, limits, hidden, |ino, path| {
            if !shortest.contains_key(&ino) {
                return Ok(());
            }
            let known = least.entry(ino).or_insert_with(ImagePath::root);
            if known.is_root() || path < known {
                len = len
                    .saturating_sub(u64_from(known.as_bytes().len()))
                    .saturating_add(u64_from(path.as_bytes().len()));
                if len > limit {
                    let path = path.clone();
                    return Err(WalkError::LinkPaths { path, limit });
                }
                known.clone_from(path);
            }
            Ok(())
        })?;
        Ok(Self { least })
    }

    /// The least path, in byte order, of the inode `ino`; `None` if it has only one name.
    #[must_use]
    pub fn group(&self, ino: Ino) -> Option<&ImagePath> {
        self.least.get(&ino)
    }

    /// Number of inodes with several names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.least.len()
    }

    /// Whether every inode has one name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.least.is_empty()
    }
}

fn visit_names(
    image: &dyn Image,
    limits: &Limits,
    hidden: &dyn Fn(NameRef<'_>) -> bool,
    mut visit: impl FnMut(Ino, &ImagePath) -> Result<(), WalkError>,
) -> Result<(), WalkError> {
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        if entry.name().is_some_and(hidden) {
            walk.skip_children();
        } else if entry.attributes.kind != FileKind::Directory {
            visit(entry.ino, entry.path)?;
        }
    }
    Ok(())
}
