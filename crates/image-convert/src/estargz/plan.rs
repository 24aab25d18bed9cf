//! What is written, and in which order.

use estargz_toc::Landmark;
use estargz_toc::carry;
use estargz_toc::order::{Named, Prioritized, prioritize, walk};
use image_model::{ImagePath, InodeId, Metadata, Tree};

use super::EstargzOptions;
use crate::ConvertError;
use crate::report::{Loss, Report};
use crate::source::DataOrder;

/// A tree that a TOC can carry, and the order of its names in the tar.
pub(super) struct Plan<C> {
    pub(super) tree: Tree<C>,
    pub(super) names: Vec<Named>,
    /// In front of which of the names the landmark stands.
    pub(super) landmark: (usize, Landmark),
    /// Paths that were to be fetched first, but are not there.
    pub(super) missed: Vec<ImagePath>,
}

impl<C> Plan<C> {
    pub(super) fn new(
        mut tree: Tree<C>,
        order: DataOrder,
        options: &EstargzOptions,
        report: &mut Report,
    ) -> Result<Self, ConvertError> {
        for lost in carry::reduce(&mut tree) {
            let (path, what) = (lost.path, lost.what.into());
            report.lose(Loss { path, what }, options.lossy, "eStargz")?;
        }
        let mut names = walk(&tree);
        if tree.inode(InodeId::ROOT).metadata == Metadata::implied_directory() {
            names.remove(0);
        }
        if order == DataOrder::InodeTable {
            names = by_table(names);
        }
        let wanted = &options.prefetch;
        if wanted.is_empty() {
            return Ok(Self {
                tree,
                names,
                landmark: (0, Landmark::NoPrefetch),
                missed: Vec::new(),
            });
        }
        let Prioritized {
            names,
            landmark,
            missed,
        } = prioritize(names, wanted);
        Ok(Self {
            tree,
            names,
            landmark: (landmark, Landmark::Prefetch),
            missed: missed.into_iter().map(|at| wanted[at].clone()).collect(),
        })
    }

    /// For each name whether it is a further one of its inode: then the position of the first.
    pub(super) fn first_names(&self) -> Vec<Option<usize>> {
        let mut first = vec![None; self.tree.len()];
        (self.names.iter().zip(0..))
            .map(|(name, position)| {
                let first = &mut first[name.inode.index()];
                first.or_else(|| {
                    *first = Some(position);
                    None
                })
            })
            .collect()
    }
}

/// The order of the inode table, where a layer's members are in the order of the tar, but every
/// directory before what lies in it. `names` are in the order of a walk.
fn by_table(names: Vec<Named>) -> Vec<Named> {
    // The greatest inodes on the way to a name: a directory's come before those below it, or are
    // the same; then the sort keeps the order of the walk.
    let mut above: Vec<(ImagePath, InodeId)> = Vec::new();
    let mut keyed = Vec::with_capacity(names.len());
    for name in names {
        while above
            .pop_if(|(path, _)| !is_below(&name.path, path))
            .is_some()
        {}
        let key = above.last().map_or(name.inode, |top| top.1.max(name.inode));
        above.push((name.path.clone(), key));
        keyed.push((key, name));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, name)| name).collect()
}

fn is_below(path: &ImagePath, directory: &ImagePath) -> bool {
    directory.is_root()
        || (path.as_bytes())
            .strip_prefix(directory.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use image_model::{Name, Node};

    use super::*;

    #[test]
    fn directories_come_before_what_a_tar_had_before_them() {
        let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
        let mut add = |parent, name: &str, node| {
            let id = tree.add(Metadata::default(), node);
            let name = Name::new(name.as_bytes()).unwrap();
            tree.link(parent, name, id).unwrap();
            id
        };
        let z = add(InodeId::ROOT, "z", Node::Fifo);
        let a = add(InodeId::ROOT, "a", Node::empty_directory());
        add(InodeId::ROOT, "a.b", Node::Fifo);
        add(a, "c", Node::Fifo);
        // A link in a directory that comes later.
        tree.link(a, Name::new(*b"b").unwrap(), z).unwrap();
        let order = by_table(walk(&tree));
        let order: Vec<_> = order.iter().map(|n| n.path.to_string()).collect();
        assert_eq!(order, ["/", "/z", "/a", "/a/b", "/a.b", "/a/c"]);
    }
}
