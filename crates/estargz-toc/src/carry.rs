//! What a TOC cannot carry.
//!
//! JSON is UTF-8, so names, link targets and names of extended attributes have to be. The reference
//! writer replaces what is not by U+FFFD, in the TOC alone: two names can become one, and TOC and tar
//! disagree. Here such things are refused, or left out of both.

use std::collections::HashSet;

use image_model::layer::Whiteout;
use image_model::metadata::Xattr;
use image_model::tree::Directory;
use image_model::{
    Blame, Fault, FileKind, ImagePath, InodeId, Metadata, NameRef, Node, Tree, Xattrs,
};

use tar_stream::pax::is_portable;

use crate::landmark::Landmark;
use crate::toc::{TOC_NAME, time};

/// Something of an image that a TOC cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct CannotCarry {
    /// A path of it.
    pub path: ImagePath,
    /// What it is.
    pub what: Uncarried,
}

impl Blame for CannotCarry {
    fn fault(&self) -> Fault {
        Fault::Unsupported
    }
}

/// The things that a TOC cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Uncarried {
    /// A name that is not UTF-8: the name is lost; for a directory, with all below.
    #[error("a name that is not UTF-8")]
    Name,
    /// A name that eStargz keeps for itself: a landmark's or the TOC's. The name is lost.
    #[error("a name that eStargz keeps for itself")]
    ReservedName,
    /// A directory with the name of a whiteout, which layers cannot have, or `.wh.` alone, a whiteout
    /// of nothing: the name is lost; for a directory, with all below.
    #[error("a name that layers keep for whiteouts")]
    Whiteout,
    /// A symbolic link with a target that is empty, holds NUL or is not UTF-8: the link is lost.
    #[error("a symbolic link to \"{}\", which is empty, holds NUL or is not UTF-8", target.escape_ascii())]
    SymlinkTarget {
        /// The target.
        target: Box<[u8]>,
    },
    /// A socket: tar has no such thing. It is lost.
    #[error("a socket")]
    Socket,
    /// An extended attribute whose name is not UTF-8, or one that a tar cannot hold for every reader
    /// ([`is_portable`]): the attribute is lost.
    #[error("the extended attribute \"{}\", a name that is not UTF-8 or not portable", name.escape_ascii())]
    XattrName {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A time outside the years 1 to 9999: the nearest one inside takes its place.
    #[error("the time {seconds} seconds from 1970, outside the years 1 to 9999")]
    Time {
        /// Seconds since 1970.
        seconds: i64,
    },
}

/// What a TOC cannot carry of the name `path` of a file of some kind; `None` if it can.
#[must_use]
pub fn check_name(path: &ImagePath, kind: FileKind) -> Option<Uncarried> {
    if str::from_utf8(path.as_bytes()).is_err() {
        return Some(Uncarried::Name);
    }
    let name = path.last().map(NameRef::as_bytes).unwrap_or_default();
    if Whiteout::forbids(name, kind) {
        return Some(Uncarried::Whiteout);
    }
    let reserved = path.as_bytes() == TOC_NAME.as_bytes() || Landmark::of(path).is_some();
    reserved.then_some(Uncarried::ReservedName)
}

/// What a TOC cannot carry of an inode.
#[must_use]
pub fn check_inode<C>(metadata: &Metadata, node: &Node<C>) -> Vec<Uncarried> {
    let mut found = Vec::from_iter(check_kind(node));
    let seconds = metadata.mtime.seconds;
    if time::nearest(seconds) != seconds {
        found.push(Uncarried::Time { seconds });
    }
    let names = metadata.xattrs.iter().map(|xattr| &xattr.name);
    found.extend(
        names
            .filter(|name| !can_carry_xattr(name))
            .map(|name| Uncarried::XattrName { name: name.clone() }),
    );
    found
}

/// Whether TOC and tar can both hold an extended attribute of this name.
fn can_carry_xattr(name: &[u8]) -> bool {
    str::from_utf8(name).is_ok() && is_portable(name)
}

/// What makes it impossible to carry an inode at all.
fn check_kind<C>(node: &Node<C>) -> Option<Uncarried> {
    match node {
        Node::Socket => Some(Uncarried::Socket),
        Node::Symlink(target)
            if target.is_empty() || target.contains(&0) || str::from_utf8(target).is_err() =>
        {
            let target = target.clone();
            Some(Uncarried::SymlinkTarget { target })
        }
        _ => None,
    }
}

/// Takes out of `tree` what a TOC cannot carry, and tells what it was, in the order of a walk.
/// Inodes may get other numbers.
///
/// ```
/// use lazyoci_estargz_toc::carry::{Uncarried, reduce};
/// use image_model::{Metadata, Name, Node, Tree};
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let pipe = tree.add(Metadata::default(), Node::Fifo);
/// tree.link(Tree::<()>::ROOT, Name::new(*b"caf\xe9")?, pipe)?;
/// assert_eq!(reduce(&mut tree)[0].what, Uncarried::Name);
/// assert!(tree.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reduce<C>(tree: &mut Tree<C>) -> Vec<CannotCarry> {
    let mut lost = Lost::default();
    lost.repair(tree, &ImagePath::root(), InodeId::ROOT);
    let mut pending = vec![(ImagePath::root(), InodeId::ROOT)];
    while let Some((path, directory)) = pending.pop() {
        let entries = tree.directory(directory).into_iter().flatten();
        let entries: Vec<_> = entries.map(|(name, &id)| (name.clone(), id)).collect();
        let mut emptied = false;
        for (name, inode) in entries {
            let path = path.join(name.as_ref());
            let node = &tree.inode(inode).node;
            let impossible = check_name(&path, node.kind()).or_else(|| check_kind(node));
            if let Some(what) = impossible {
                lost.list.push(CannotCarry { path, what });
                tree.unlink(directory, name.as_ref())
                    .expect("its entries were read");
                emptied = true;
                continue;
            }
            lost.repair(tree, &path, inode);
            if tree.directory(inode).is_some() {
                pending.push((path, inode));
            }
        }
        if emptied {
            lost.emptied.push(path);
        }
    }
    for path in &lost.emptied {
        drop_implied(tree, path);
    }
    tree.drop_unreachable();
    lost.list.sort_by(|a, b| a.path.walk_order(&b.path));
    lost.list
}

#[derive(Default)]
struct Lost {
    list: Vec<CannotCarry>,
    /// Inodes with several names that were repaired under another one.
    repaired: HashSet<InodeId>,
    /// Directories out of which something was taken.
    emptied: Vec<ImagePath>,
}

/// Takes out the directory at `path`, and those above it, that are there only because of what lay in
/// them.
fn drop_implied<C>(tree: &mut Tree<C>, path: &ImagePath) {
    let mut path = path.as_bytes();
    while let Some(id) = tree.resolve(path)
        && tree.inode(id).is_implied()
        && tree.directory(id).is_some_and(Directory::is_empty)
    {
        let (above, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => {
                let (above, behind) = path.split_at(slash);
                (above, &behind[1..])
            }
            None => (&path[..0], path),
        };
        let (Some(parent), Ok(name)) = (tree.resolve(above), NameRef::new(name)) else {
            return;
        };
        tree.unlink(parent, name)
            .expect("the path above is a directory");
        path = above;
    }
}

impl Lost {
    fn repair<C>(&mut self, tree: &mut Tree<C>, path: &ImagePath, id: InodeId) {
        let inode = tree.inode(id);
        let found = check_inode(&inode.metadata, &inode.node);
        if found.is_empty() || !self.repaired.insert(id) {
            return;
        }
        let metadata = &mut tree.inode_mut(id).metadata;
        metadata.mtime.seconds = time::nearest(metadata.mtime.seconds);
        let xattrs = std::mem::take(&mut metadata.xattrs);
        let kept: Vec<Xattr> = (xattrs.iter())
            .filter(|xattr| can_carry_xattr(&xattr.name))
            .cloned()
            .collect();
        metadata.xattrs = Xattrs::new(kept).expect("some of those that were there");
        let cannot_carry = |what| CannotCarry {
            path: path.clone(),
            what,
        };
        self.list.extend(found.into_iter().map(cannot_carry));
    }
}
