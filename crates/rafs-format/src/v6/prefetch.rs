//! The prefetch table: which files a reader should fetch first.
//!
//! It lies right behind the blob table: one nid of 4 bytes for each rule that matched, in the order of
//! the rules. A directory stands for all files below it. 0 ends the table: nydus 2.2 has an entry for
//! each distinct rule, and those of rules that name nothing or an empty file are 0, at the end.

use image_model::{ImagePath, InodeId, Node, Tree};

/// The inodes that prefetch rules name, as nydus 2.4 picks them: a rule that equals an earlier one or lies
/// below it is dropped, and so is one that names nothing or an empty file. Order is kept.
///
/// ```
/// use image_model::{ImagePath, Metadata, Name, Node, Tree};
/// use rafs_format::v6::prefetch_inodes;
///
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let bin = tree.add(Metadata::default(), Node::empty_directory());
/// tree.link(Tree::<()>::ROOT, Name::new(*b"bin")?, bin)?;
/// let rules = [b"bin".as_slice(), b"bin/sh", b"lib"].map(|rule| ImagePath::clean(rule).unwrap());
/// assert_eq!(prefetch_inodes(&tree, &rules), [bin]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn prefetch_inodes<C>(tree: &Tree<C>, rules: &[ImagePath]) -> Vec<InodeId> {
    let is_covered = |position: usize| {
        let rule = &rules[position];
        let covers = |earlier: &ImagePath| {
            let rest = rule.as_bytes().strip_prefix(earlier.as_bytes());
            rest.is_some_and(|rest| earlier.is_root() || rest.is_empty() || rest[0] == b'/')
        };
        rules[..position].iter().any(covers)
    };
    (0..rules.len())
        .filter(|&position| !is_covered(position))
        .filter_map(|position| tree.resolve(rules[position].as_bytes()))
        .filter(|&id| !matches!(tree.inode(id).node, Node::File { size: 0, .. }))
        .collect()
}
