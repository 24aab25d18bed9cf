//! What EROFS, and formats that resemble it, cannot carry.

use std::collections::btree_map;
use std::ops::ControlFlow;

use image_model::metadata::{Metadata, Xattr};
use image_model::name::Brief;
use image_model::tree::{Directory, Inode};
use image_model::{Device, FileKind, ImagePath, InodeId, Name, Node, Timestamp, Tree, Xattrs};

use crate::device_number::pack_device;
use crate::xattr;

/// Maximum length of a target of a symbolic link, in bytes: Linux has no longer paths. Of a longer one in an image
/// it shows the beginning, and no more.
pub const MAX_TARGET_LEN: usize = 4095;

/// Something about an inode that the format cannot represent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotCarry {
    /// A device number beyond 12 bits of major and 20 bits of minor.
    #[error("device number {}:{} does not fit in 12 and 20 bits", device.major, device.minor)]
    Device {
        /// The number.
        device: Device,
    },
    /// A symbolic link whose target is empty, longer than [`MAX_TARGET_LEN`], or holds NUL.
    #[error("link target of {len} bytes: must be 1 to {MAX_TARGET_LEN} bytes without NUL")]
    Target {
        /// Length of the target in bytes.
        len: usize,
    },
    /// A time with a billion nanoseconds or more.
    #[error("invalid time: {} nanoseconds", mtime.nanoseconds)]
    Time {
        /// The time.
        mtime: Timestamp,
    },
    /// An extended attribute outside `user.`, `trusted.`, `security.` and the two POSIX ACLs, or with
    /// no or more than 255 bytes after such a prefix (in RAFS v5: 255 bytes with it).
    #[error("extended attribute {}: its name cannot be stored", Brief(name))]
    XattrName {
        /// Full name.
        name: Box<[u8]>,
    },
    /// A value of more than 65,535 bytes, or 65,536 in RAFS v5.
    #[error(
        "extended attribute {} of {len} bytes; at most {max} are possible",
        Brief(name)
    )]
    XattrValue {
        /// Full name.
        name: Box<[u8]>,
        /// Length of the value in bytes.
        len: usize,
        /// The maximum.
        max: usize,
    },
    /// An extended attribute that would make those of its inode too long in sum.
    #[error(
        "extended attribute {}: with it, the inode's attributes take {len} bytes; at most {} are possible",
        Brief(name),
        xattr::MAX_AREA_LEN
    )]
    XattrSum {
        /// Full name.
        name: Box<[u8]>,
        /// Bytes that the attributes up to this one would take.
        len: u64,
    },
    /// A hard link to an inode that is not a regular file: RAFS v5 has such links for files alone.
    #[error("hard link to a {kind}; only regular files can have several names")]
    HardLink {
        /// Kind of the inode.
        kind: FileKind,
    },
}

/// Something in an image that cannot be carried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:#}: {what}")]
pub struct Loss {
    /// Where; the first path of the inode, or the further one if it is about that.
    pub path: ImagePath,
    /// What.
    pub what: CannotCarry,
}

/// What a format can represent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Longest full name of an extended attribute, in bytes.
    pub max_name: usize,
    /// Maximum length of a value of one, in bytes.
    pub max_value: usize,
    /// Maximum number of bytes of all entries of an inode, as EROFS stores them.
    pub max_sum: u64,
    /// Whether what is not a regular file may have several names.
    pub links_of_all_kinds: bool,
}

impl Room {
    /// What EROFS has, and RAFS v6.
    pub const EROFS: Self = Self {
        max_name: usize::MAX,
        max_value: xattr::MAX_VALUE_LEN,
        max_sum: xattr::MAX_AREA_LEN,
        links_of_all_kinds: true,
    };
}

/// Finds what there is no `room` for in `tree`, in the order of paths, and tells `report` where and what.
///
/// ```
/// use image_model::{Device, Metadata, Name, Node, Tree};
/// use lazyoci_erofs_format::{CannotCarry, Room, losses};
///
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let device = Device { major: 5000, minor: 0 };
/// let node = tree.add(Metadata::default(), Node::CharDevice(device));
/// tree.link(Tree::<()>::ROOT, Name::new(*b"odd")?, node)?;
/// let mut found = Vec::new();
/// losses(&tree, Room::EROFS, &mut |_, what| found.push(what));
/// assert_eq!(found, [CannotCarry::Device { device }]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn losses<C>(tree: &Tree<C>, room: Room, report: &mut dyn FnMut(&ImagePath, CannotCarry)) {
    each_loss(tree, room, &mut |path, _, what| report(path, what));
}

fn each_loss<C>(
    tree: &Tree<C>,
    room: Room,
    report: &mut dyn FnMut(&ImagePath, Visit, CannotCarry),
) {
    each_path(tree, &mut |path, visit| {
        let inode = tree.inode(visit.id);
        let report = &mut |what| report(path, visit, what);
        if !visit.again {
            inode_losses(inode, room, report);
        } else if let Some(what) = link_loss(&inode.node, room) {
            report(what);
        }
        ControlFlow::Continue(())
    });
}

/// Removes from `tree` what there is no `room` for, and reports each loss: whole devices and symbolic
/// links, single extended attributes; a time loses its nanoseconds; a hard link to anything but a file
/// becomes a copy. Memory: a number for each inode that loses something, the names that get
/// copies, and one path.
pub fn drop_losses<C: Clone>(
    tree: &mut Tree<C>,
    room: Room,
    report: &mut dyn FnMut(&ImagePath, CannotCarry),
) {
    let mut changed = Vec::new();
    let mut parted = Vec::new();
    each_loss(tree, room, &mut |path, visit, what| {
        match (&what, path.last()) {
            (CannotCarry::HardLink { .. }, Some(name)) => {
                parted.push((visit.parent, name.to_name()));
            }
            _ => changed.push(visit.id),
        }
        report(path, what);
    });
    let mut removed = vec![false; tree.len()];
    changed.dedup();
    for id in changed {
        let metadata = &tree.inode(id).metadata;
        let kept = kept_metadata(metadata, room);
        let inode = tree.inode_mut(id);
        inode.metadata = kept;
        removed[id.index()] = node_loss(&inode.node).is_some();
    }
    for (parent, name) in parted {
        part(tree, parent, name);
    }
    for index in 0..u32::try_from(tree.len()).expect("trees have fewer than 2^32 inodes") {
        if let Node::Directory(entries) = &mut tree.inode_mut(InodeId::new(index)).node {
            entries.retain(|_, id| !removed.get(id.index()).copied().unwrap_or(false));
        }
    }
}

/// Makes the name in `parent` that of a copy of its inode.
fn part<C: Clone>(tree: &mut Tree<C>, parent: InodeId, name: Name) {
    let named = |directory: &Directory| directory.get(name.as_ref().as_bytes()).copied();
    let Some(id) = tree.directory(parent).and_then(named) else {
        return;
    };
    if node_loss(&tree.inode(id).node).is_some() {
        return;
    }
    let Inode { metadata, node, .. } = tree.inode(id).clone();
    let copy = tree.add(metadata, node);
    if let Node::Directory(entries) = &mut tree.inode_mut(parent).node {
        entries.insert(name, copy);
    }
}

fn link_loss<C>(node: &Node<C>, room: Room) -> Option<CannotCarry> {
    match node {
        Node::File { .. } | Node::Directory(_) => None,
        _ if room.links_of_all_kinds => None,
        node => Some(CannotCarry::HardLink { kind: node.kind() }),
    }
}

fn inode_losses<C>(inode: &Inode<C>, room: Room, report: &mut dyn FnMut(CannotCarry)) {
    if let Some(what) = node_loss(&inode.node) {
        report(what);
    }
    let mtime = inode.metadata.mtime;
    if mtime.nanoseconds >= 1_000_000_000 {
        report(CannotCarry::Time { mtime });
    }
    split_xattrs(&inode.metadata.xattrs, room, &mut |_| {}, report);
}

fn node_loss<C>(node: &Node<C>) -> Option<CannotCarry> {
    match node {
        Node::CharDevice(device) | Node::BlockDevice(device) => match pack_device(*device) {
            Some(_) => None,
            None => Some(CannotCarry::Device { device: *device }),
        },
        Node::Symlink(target) => {
            let fits = (1..=MAX_TARGET_LEN).contains(&target.len()) && !target.contains(&0);
            (!fits).then_some(CannotCarry::Target { len: target.len() })
        }
        _ => None,
    }
}

fn kept_metadata(metadata: &Metadata, room: Room) -> Metadata {
    let mut kept = Vec::new();
    split_xattrs(
        &metadata.xattrs,
        room,
        &mut |xattr| kept.push(xattr.clone()),
        &mut |_| {},
    );
    let mut mtime = metadata.mtime;
    if mtime.nanoseconds >= 1_000_000_000 {
        mtime.nanoseconds = 0;
    }
    Metadata {
        mtime,
        xattrs: Xattrs::new(kept).expect("a part of sorted, distinct attributes is such again"),
        ..*metadata
    }
}

/// Tells attributes that can be stored from those that cannot, in the order of their names.
fn split_xattrs(
    xattrs: &Xattrs,
    room: Room,
    keep: &mut dyn FnMut(&Xattr),
    lose: &mut dyn FnMut(CannotCarry),
) {
    let Room {
        max_name,
        max_value: max,
        max_sum,
        ..
    } = room;
    let mut sum = xattr::AreaLen::default();
    for xattr in xattrs {
        let name = || xattr.name.clone();
        let len = xattr.value.len();
        let split = xattr::split_name(&xattr.name).filter(|_| xattr.name.len() <= max_name);
        let Some((_, suffix)) = split else {
            lose(CannotCarry::XattrName { name: name() });
            continue;
        };
        if len > max {
            let name = name();
            lose(CannotCarry::XattrValue { name, len, max });
            continue;
        }
        let longer = sum.with(suffix.len().saturating_add(len));
        if longer.bytes() > max_sum {
            let len = longer.bytes();
            lose(CannotCarry::XattrSum { name: name(), len });
            continue;
        }
        sum = longer;
        keep(xattr);
    }
}

/// A name that a walk comes to.
#[derive(Debug, Clone, Copy)]
pub struct Visit {
    /// The directory that has it; of the root itself the root.
    pub parent: InodeId,
    /// What it names.
    pub id: InodeId,
    /// Whether that had a name before.
    pub again: bool,
}

/// Shows every path of `tree`, parents first and siblings in the order of their names. A directory is
/// entered once.
pub fn each_path<C>(tree: &Tree<C>, visit: &mut dyn FnMut(&ImagePath, Visit) -> ControlFlow<()>) {
    let mut seen = vec![false; tree.len()];
    let mut path = ImagePath::root();
    let mut levels: Vec<(InodeId, btree_map::Iter<'_, Name, InodeId>)> = Vec::new();
    let mut enter = |path: &ImagePath, parent, id: InodeId| {
        let again = std::mem::replace(&mut seen[id.index()], true);
        visit(path, Visit { parent, id, again })?;
        ControlFlow::Continue(tree.directory(id).filter(|_| !again))
    };
    let ControlFlow::Continue(Some(root)) = enter(&path, InodeId::ROOT, InodeId::ROOT) else {
        return;
    };
    levels.push((InodeId::ROOT, root.iter()));
    while let Some((parent, level)) = levels.last_mut() {
        let Some((name, &id)) = level.next() else {
            levels.pop();
            path.pop();
            continue;
        };
        path.push(name.as_ref());
        match enter(&path, *parent, id) {
            ControlFlow::Break(()) => return,
            ControlFlow::Continue(Some(directory)) => levels.push((id, directory.iter())),
            ControlFlow::Continue(None) => {
                path.pop();
            }
        }
    }
}

/// The first path of `id`; the root if it has none.
#[must_use]
pub fn path_of<C>(tree: &Tree<C>, id: InodeId) -> ImagePath {
    find_path(tree, |visit| visit.id == id)
}

/// The second path of `id`; the root if it has none.
#[must_use]
pub fn second_path_of<C>(tree: &Tree<C>, id: InodeId) -> ImagePath {
    find_path(tree, |visit| visit.id == id && visit.again)
}

fn find_path<C>(tree: &Tree<C>, wanted: impl Fn(Visit) -> bool) -> ImagePath {
    let mut found = ImagePath::root();
    each_path(tree, &mut |path, visit| {
        if wanted(visit) {
            found = path.clone();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    found
}
