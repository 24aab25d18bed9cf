//! Trees: names, links, and what is no tree.
#![allow(clippy::unwrap_used, reason = "test support")]

use crate::common::name;
use lazyoci_image_model::tree::{BrokenTree, NotADirectory};
use lazyoci_image_model::{Blame, Fault, FileKind, InodeId, Metadata, Node, Tree};

const ROOT: InodeId = InodeId::ROOT;

fn directory(tree: &mut Tree<()>) -> InodeId {
    tree.add(Metadata::default(), Node::empty_directory())
}

#[test]
fn hard_links_share_an_inode() {
    let mut tree: Tree<()> = Tree::new(Metadata::default());
    let dir = directory(&mut tree);
    let fifo = tree.add(Metadata::default(), Node::Fifo);
    tree.link(ROOT, name("d"), dir).unwrap();
    tree.link(ROOT, name("a"), fifo).unwrap();
    assert_eq!(tree.link(dir, name("b"), fifo), Ok(None));
    assert_eq!(tree.resolve(b"d/b"), tree.resolve(b"/a"));
    assert_eq!(tree.link_counts(), [3, 2, 2]);
    assert_eq!(tree.unlink(dir, name("b").as_ref()), Ok(Some(fifo)));
    assert_eq!(tree.link_counts(), [3, 2, 1]);
    assert_eq!(
        tree.link(fifo, name("x"), dir),
        Err(NotADirectory {
            inode: fifo,
            kind: FileKind::Fifo
        })
    );
}

#[test]
fn directories_have_one_name() {
    let mut tree: Tree<()> = Tree::new(Metadata::default());
    let dir = directory(&mut tree);
    let other = directory(&mut tree);
    tree.link(ROOT, name("d"), dir).unwrap();
    tree.link(dir, name("in"), other).unwrap();
    assert_eq!((tree.check(), tree.link_counts()), (Ok(()), vec![3, 3, 2]));
    // A second parent, which is met first; a loop; the root below itself.
    for (parent, inode, links) in [
        (ROOT, other, [4, 2, 2]),
        (other, dir, [3, 3, 2]),
        (dir, ROOT, [3, 3, 2]),
    ] {
        let mut broken = tree.clone();
        broken.link(parent, name("z"), inode).unwrap();
        let error = BrokenTree::SharedDirectory { inode };
        assert_eq!(broken.check(), Err(error));
        assert_eq!(error.fault(), Fault::Misuse);
        assert_eq!(broken.link_counts(), links);
    }
}

#[test]
fn names_mean_inodes_of_the_table() {
    let mut tree: Tree<()> = Tree::new(Metadata::default());
    let dir = directory(&mut tree);
    let inode = InodeId::new(2);
    tree.link(ROOT, name("d"), dir).unwrap();
    tree.link(dir, name("x"), inode).unwrap();
    let error = BrokenTree::Dangling { inode, len: 2 };
    assert_eq!(tree.check(), Err(error));
    assert_eq!(error.fault(), Fault::Misuse);
    assert_eq!(tree.link_counts(), [3, 2]);
    // Nobody sees what the root does not reach.
    tree.unlink(ROOT, name("d").as_ref()).unwrap();
    assert_eq!((tree.check(), tree.link_counts()), (Ok(()), vec![2, 0]));
}

/// Each directory holds the next one under two names: 64 directories, 2^64 paths.
#[test]
fn directories_are_counted_once() {
    let mut tree: Tree<()> = Tree::new(Metadata::default());
    let mut at = ROOT;
    for _ in 0..64 {
        let next = directory(&mut tree);
        tree.link(at, name("a"), next).unwrap();
        tree.link(at, name("b"), next).unwrap();
        at = next;
    }
    let inode = InodeId::new(1);
    assert_eq!(tree.check(), Err(BrokenTree::SharedDirectory { inode }));
    assert_eq!(tree.link_counts()[..64], [3; 64]);
    assert_eq!(tree.drop_unreachable().len(), 65);
}
