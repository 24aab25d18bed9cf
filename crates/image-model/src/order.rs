//! The order of a tree's names in a tar.

use crate::error::{Blame, Fault};
use crate::layer::Rank;
use crate::limits::Limits;
use crate::name::NameRef;
use crate::path::ImagePath;
use crate::tree::{Directory, InodeId, Tree};
use crate::width::u64_from;

/// A name of an inode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// The path.
    pub path: ImagePath,
    /// The inode.
    pub inode: InodeId,
}

impl Named {
    /// Its rank among its siblings.
    #[must_use]
    pub fn rank(&self) -> Rank {
        Rank::of(self.path.last().map_or(&[][..], NameRef::as_bytes))
    }
}

/// The paths of a tree take too much memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:#}: the paths of all names have more than {limit} bytes")]
pub struct PathsTooLong {
    /// The path that exceeds the limit.
    pub path: ImagePath,
    /// The bound, [`Limits::max_metadata_len`].
    pub limit: u64,
}

impl Blame for PathsTooLong {
    fn fault(&self) -> Fault {
        Fault::Limit
    }
}

/// All names of `tree`: directories before their contents, siblings by their [`Rank`] and then in byte order, the root
/// first.
///
/// # Errors
/// [`PathsTooLong`]: the paths of deeply nested directories are together far longer than their
/// names. [`Limits::max_metadata_len`] bounds the bytes of all paths.
pub fn walk<C>(tree: &Tree<C>, limits: &Limits) -> Result<Vec<Named>, PathsTooLong> {
    walk_sorted(tree, limits, |siblings| siblings.sort_by_key(Named::rank))
}

/// All names of `tree`, siblings by their [`Rank`] and then in the order of the inode table, which is tar order for the
/// members of a layer. The contents of a directory directly follow it, as in a [walk](walk()): GNU tar restores the
/// time of a directory when it meets something outside it.
///
/// # Errors
/// [`PathsTooLong`], as for a [walk](walk()).
pub fn walk_by_table<C>(tree: &Tree<C>, limits: &Limits) -> Result<Vec<Named>, PathsTooLong> {
    walk_sorted(tree, limits, |siblings| {
        siblings.sort_by_key(|entry| (entry.rank(), entry.inode));
    })
}

/// All names; `sort` receives siblings in byte order.
fn walk_sorted<C>(
    tree: &Tree<C>,
    limits: &Limits,
    sort: impl Fn(&mut [Named]),
) -> Result<Vec<Named>, PathsTooLong> {
    check_paths(tree, limits.max_metadata_len)?;
    let mut names = Vec::new();
    let mut pending = vec![Named {
        path: ImagePath::root(),
        inode: InodeId::ROOT,
    }];
    while let Some(named) = pending.pop() {
        let first = pending.len();
        for (name, &inode) in tree.directory(named.inode).into_iter().flatten() {
            let path = named.path.join(name.as_ref());
            pending.push(Named { path, inode });
        }
        sort(&mut pending[first..]);
        pending[first..].reverse();
        names.push(named);
    }
    Ok(names)
}

/// Refuses paths of more than `limit` bytes in all, before making any of them: every name in a deeply nested directory
/// has a path of megabytes.
fn check_paths<C>(tree: &Tree<C>, limit: u64) -> Result<(), PathsTooLong> {
    let mut len = 0u64;
    // The current path, and the names to visit with their depth.
    let mut path = ImagePath::root();
    let mut depth = 0;
    let mut pending = vec![(0, None, InodeId::ROOT)];
    while let Some((level, name, inode)) = pending.pop() {
        while depth > level {
            path.pop();
            depth -= 1;
        }
        if let Some(name) = name {
            path.push(name);
            depth += 1;
        }
        len = len.saturating_add(u64_from(path.as_bytes().len()));
        if len > limit {
            return Err(PathsTooLong { path, limit });
        }
        let entries = tree.directory(inode).into_iter().flatten();
        pending.extend(entries.map(|(name, &inode)| (depth, Some(name.as_ref()), inode)));
    }
    Ok(())
}

/// Whether a layer needs an entry for `inode`: an [implied directory](crate::Inode::is_implied) exists through its
/// contents, and the root always exists.
#[must_use]
pub fn needs_entry<C>(tree: &Tree<C>, inode: InodeId) -> bool {
    let is_empty = tree.directory(inode).is_none_or(Directory::is_empty);
    let is_there = inode == InodeId::ROOT || !is_empty;
    !(is_there && tree.inode(inode).is_implied())
}
