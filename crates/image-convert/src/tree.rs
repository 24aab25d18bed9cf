//! Trees on their way through a conversion.

use image_model::tree::Directory;
use image_model::{InodeId, Node, Tree};

/// Bytes of those of `inodes` that are files.
pub(crate) fn content_len<C>(tree: &Tree<C>, inodes: impl IntoIterator<Item = InodeId>) -> u64 {
    let sizes = inodes.into_iter().map(|id| match tree.inode(id).node {
        Node::File { size, .. } => size,
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

/// The files of `tree` that have content, each once, in the order in which they are stored.
pub(crate) struct StoreOrder {
    files: Vec<InodeId>,
    /// How many of them come first because they are requested.
    first: usize,
}

impl StoreOrder {
    /// The files below each of `first`, then all others, directory by directory.
    pub(crate) fn new<C>(tree: &Tree<C>, first: &[InodeId]) -> Self {
        let mut seen = vec![false; tree.len()];
        let mut files = Vec::new();
        for &start in first {
            append_files(tree, start, &mut seen, &mut files);
        }
        let first = files.len();
        append_files(tree, InodeId::ROOT, &mut seen, &mut files);
        Self { files, first }
    }

    /// Those that come first because they are requested, and the others.
    pub(crate) fn parts(&self) -> (&[InodeId], &[InodeId]) {
        self.files.split_at(self.first)
    }

    /// The others in the order of the inode table instead.
    pub(crate) fn by_table(mut self) -> Self {
        self.files[self.first..].sort_unstable();
        self
    }
}

/// Visits a directory's children, then its subdirectories one after the other, as nydus does.
fn append_files<C>(tree: &Tree<C>, start: InodeId, seen: &mut [bool], order: &mut Vec<InodeId>) {
    let mut append = |id: InodeId| {
        let has_content = matches!(tree.inode(id).node, Node::File { size: 1.., .. });
        if has_content && !std::mem::replace(&mut seen[id.index()], true) {
            order.push(id);
        }
    };
    append(start);
    let mut pending = vec![start];
    while let Some(directory) = pending.pop() {
        let children = || {
            tree.directory(directory)
                .into_iter()
                .flat_map(Directory::values)
        };
        for &child in children() {
            append(child);
        }
        pending.extend(children().rev().filter(|&&id| tree.directory(id).is_some()));
    }
}
