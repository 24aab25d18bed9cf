//! The prefetch table: which files a reader should fetch first.
//!
//! It lies directly after the blob table: one nid of 4 bytes for each rule that matched, in the order of
//! the rules. A directory stands for all files below it. 0 ends the table: nydus 2.2 has an entry for
//! each distinct rule, and those of rules that name nothing or an empty file are 0, at the end.

use std::collections::HashSet;

use image_model::{ImagePath, InodeId, Node, Tree};

/// The inodes that prefetch rules name, as nydus 2.4 picks them: a rule that equals an earlier one or lies
/// below it is dropped, and so is one that names nothing or an empty file. Order is kept.
///
/// ```
/// use image_model::{ImagePath, Metadata, Name, Node, Tree};
/// use lazyoci_rafs_format::prefetch_inodes;
///
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let bin = tree.add(Metadata::default(), Node::empty_directory());
/// tree.link(Tree::<()>::ROOT, Name::new(*b"bin")?, bin)?;
/// let rules = [b"bin".as_slice(), b"bin/sh", b"lib"].map(|rule| ImagePath::clean(rule).unwrap());
/// assert_eq!(prefetch_inodes(&tree, &rules), [bin]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn prefetch_inodes<'r, C>(tree: &Tree<C>, rules: &'r [ImagePath]) -> Vec<InodeId> {
    let mut earlier: HashSet<&[u8]> = HashSet::new();
    let mut is_new = |rule: &'r ImagePath| {
        let path = rule.as_bytes();
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = slashes.map(|(offset, _)| &path[..offset]).chain([&[][..]]);
        let covered = above.any(|above| earlier.contains(above));
        earlier.insert(path) && !covered
    };
    let mut inodes = Vec::new();
    for rule in rules {
        if !is_new(rule) {
            continue;
        }
        let named = tree.resolve(rule.as_bytes());
        let is_empty = |id| matches!(tree.inode(id).node, Node::File { size: 0, .. });
        inodes.extend(named.filter(|&id| !is_empty(id)));
    }
    inodes
}
