//! What a TOC cannot carry. JSON is UTF-8, so names, link targets and names of extended attributes have to be. The
//! reference writer replaces other bytes by U+FFFD, but only in the TOC: two names can become one, and TOC and tar
//! disagree. Here such things are refused, or left out of both.

use std::collections::HashSet;

use image_model::layer::Whiteout;
use image_model::metadata::Xattr;
use image_model::tree::Directory;
use image_model::{
    Blame, Fault, FileKind, ImagePath, InodeId, Metadata, Name, NameRef, Node, Tree, Xattrs,
};

use tar_stream::pax::is_portable;

use crate::landmark::Landmark;
use crate::toc::{TOC_NAME, time};

/// Something in an image that a TOC cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:#}: {what}")]
pub struct CannotCarry {
    /// One of its paths.
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
    /// A name that is not UTF-8: the name is lost; for a directory, with everything below it.
    #[error("name is not UTF-8")]
    Name,
    /// A name reserved by eStargz: a landmark's or the TOC's. The name is lost.
    #[error("name is reserved by eStargz")]
    ReservedName,
    /// A directory named like a whiteout, which layers cannot have, or just `.wh.`, a whiteout of nothing: the name is
    /// lost; for a directory, with everything below it.
    #[error("name is reserved for whiteouts")]
    Whiteout,
    /// A symbolic link with a target that is empty, contains NUL or is not UTF-8: the link is lost.
    #[error(
        "link target \"{}\" is empty, contains NUL or is not UTF-8",
        image_model::name::Brief(target)
    )]
    SymlinkTarget {
        /// The target.
        target: Box<[u8]>,
    },
    /// A socket, which tar cannot store. It is lost.
    #[error("sockets cannot be stored")]
    Socket,
    /// An extended attribute whose name is not UTF-8, or one that a tar cannot hold for every reader
    /// ([`is_portable`]): the attribute is lost.
    #[error(
        "extended attribute \"{}\": its name is not UTF-8 or not portable",
        image_model::name::Brief(name)
    )]
    XattrName {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A time outside the years 1 to 9999: replaced by the nearest one inside.
    #[error("time {seconds} seconds from 1970 is outside the years 1 to 9999")]
    Time {
        /// Seconds since 1970.
        seconds: i64,
    },
}

/// Why a TOC cannot carry the name `path` of a file of some kind; `None` if it can.
#[must_use]
pub fn check_name(path: &ImagePath, kind: FileKind) -> Option<Uncarried> {
    if str::from_utf8(path.as_bytes()).is_err() {
        return Some(Uncarried::Name);
    }
    check_last_name(path, kind)
}

/// Like [`check_name`], for a path whose directories can be carried.
fn check_last_name(path: &ImagePath, kind: FileKind) -> Option<Uncarried> {
    let name = path.last().map(NameRef::as_bytes).unwrap_or_default();
    if str::from_utf8(name).is_err() {
        return Some(Uncarried::Name);
    }
    if Whiteout::forbids(name, kind) {
        return Some(Uncarried::Whiteout);
    }
    let reserved = path.as_bytes() == TOC_NAME.as_bytes() || Landmark::of(path).is_some();
    reserved.then_some(Uncarried::ReservedName)
}

/// The attributes of an inode that a TOC cannot carry.
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

/// Why an inode cannot be carried at all.
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

/// Removes from `tree` what a TOC cannot carry, and passes each path and loss to `report`, in walk order. Inodes may be
/// renumbered.
///
/// Memory: the names of the directories on one path.
///
/// ```
/// use lazyoci_estargz_toc::carry::{Uncarried, reduce};
/// use image_model::{Metadata, Name, Node, Tree};
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let pipe = tree.add(Metadata::default(), Node::Fifo);
/// tree.link(Tree::<()>::ROOT, Name::new(*b"caf\xe9")?, pipe)?;
/// reduce(&mut tree, &mut |path, what| {
///     assert_eq!((path.as_bytes(), what), (&b"caf\xe9"[..], Uncarried::Name));
/// });
/// assert!(tree.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reduce<C>(tree: &mut Tree<C>, report: &mut dyn FnMut(&ImagePath, Uncarried)) {
    let mut repaired = HashSet::new();
    let mut path = ImagePath::root();
    for what in repair(tree, InodeId::ROOT, &mut repaired) {
        report(&path, what);
    }
    let mut levels = vec![Level::new(tree, InodeId::ROOT)];
    while let Some(level) = levels.last_mut() {
        let Some((name, inode)) = level.entries.next() else {
            let (inode, emptied) = (level.inode, level.emptied);
            levels.pop();
            if let (true, Some(above), Some(name)) = (emptied, levels.last_mut(), path.last())
                && is_needless(tree, inode)
            {
                // It existed only because of its contents.
                tree.unlink(above.inode, name)
                    .expect("the level above is a directory");
                above.emptied = true;
            }
            path.pop();
            continue;
        };
        path.push(name.as_ref());
        let node = &tree.inode(inode).node;
        let impossible = check_last_name(&path, node.kind()).or_else(|| check_kind(node));
        if let Some(what) = impossible {
            report(&path, what);
            level.emptied = true;
            tree.unlink(level.inode, name.as_ref())
                .expect("its entries were read");
            path.pop();
            continue;
        }
        for what in repair(tree, inode, &mut repaired) {
            report(&path, what);
        }
        match tree.directory(inode) {
            Some(_) => levels.push(Level::new(tree, inode)),
            None => {
                path.pop();
            }
        }
    }
    tree.drop_unreachable();
}

/// A directory on the current path.
struct Level {
    inode: InodeId,
    entries: std::vec::IntoIter<(Name, InodeId)>,
    /// Whether something was removed.
    emptied: bool,
}

impl Level {
    fn new<C>(tree: &Tree<C>, inode: InodeId) -> Self {
        let entries = tree.directory(inode).into_iter().flatten();
        let entries: Vec<_> = entries.map(|(name, &id)| (name.clone(), id)).collect();
        Self {
            inode,
            entries: entries.into_iter(),
            emptied: false,
        }
    }
}

/// Whether a directory existed only because of its contents, and is now empty.
fn is_needless<C>(tree: &Tree<C>, directory: InodeId) -> bool {
    let is_empty = tree.directory(directory).is_some_and(Directory::is_empty);
    tree.inode(directory).is_implied() && is_empty
}

/// Removes the attributes of an inode that cannot be carried; returns them, unless they were already reported under
/// another name.
fn repair<C>(tree: &mut Tree<C>, id: InodeId, repaired: &mut HashSet<InodeId>) -> Vec<Uncarried> {
    let inode = tree.inode(id);
    let found = check_inode(&inode.metadata, &inode.node);
    if found.is_empty() || !repaired.insert(id) {
        return Vec::new();
    }
    let metadata = &mut tree.inode_mut(id).metadata;
    metadata.mtime.seconds = time::nearest(metadata.mtime.seconds);
    let xattrs = std::mem::take(&mut metadata.xattrs);
    let kept: Vec<Xattr> = (xattrs.iter())
        .filter(|xattr| can_carry_xattr(&xattr.name))
        .cloned()
        .collect();
    metadata.xattrs = Xattrs::new(kept).expect("some of those that were there");
    found
}
