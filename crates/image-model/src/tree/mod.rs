//! A file system as a value: inodes in one table, names only in directories. A hard link is an
//! [`InodeId`] in several directories (or in one, under several names). The type of a regular
//! file's content depends on the stage: [`Spans`] when a source has been read,
//! [`ChunkRange`](crate::image::ChunkRange) once it is cut into stored chunks.

mod inode;
mod spans;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use crate::error::{Blame, Fault};
use crate::metadata::{FileKind, Metadata};
use crate::name::{Name, NameRef};
use crate::path::ImagePath;

pub use inode::{Directory, Inode, InodeId, Node};
pub use spans::{Span, Spans};

/// A directory entry cannot be added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("inode {} is a {kind}, not a directory", inode.index())]
pub struct NotADirectory {
    /// The inode.
    pub inode: InodeId,
    /// What it is.
    pub kind: FileKind,
}

/// A [`Tree`] whose directories do not form a tree, or whose names refer to missing inodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenTree {
    /// A directory has two names, or contains itself.
    #[error("directory {} has a second name", inode.index())]
    SharedDirectory {
        /// The directory.
        inode: InodeId,
    },
    /// A name refers to an inode that is not in the table.
    #[error("a name refers to inode {}, but the table has only {len}", inode.index())]
    Dangling {
        /// The inode that the name refers to.
        inode: InodeId,
        /// Length of the table.
        len: usize,
    },
}

impl Blame for BrokenTree {
    fn fault(&self) -> Fault {
        Fault::Misuse
    }
}

/// A file system; inode 0 is the root directory. It is assembled in any order, name by name;
/// [`check`](Self::check) tells whether the names finally form a tree. The table may have inodes
/// without a name (replaced files): encoders walk from the root and never see them.
///
/// ```
/// use lazyoci_image_model::{Metadata, Name, Node, Tree};
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// let file = tree.add(Metadata::default(), Node::Fifo);
/// tree.link(Tree::<()>::ROOT, Name::new(*b"pipe").unwrap(), file)?;
/// assert_eq!(tree.resolve(b"/pipe"), Some(file));
/// # Ok::<(), lazyoci_image_model::tree::NotADirectory>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<C> {
    inodes: Vec<Inode<C>>,
}

impl<C> Tree<C> {
    /// The root directory.
    pub const ROOT: InodeId = InodeId::ROOT;

    /// A tree of one empty root directory.
    #[must_use]
    pub fn new(root: Metadata) -> Self {
        Self {
            inodes: vec![Inode {
                metadata: root,
                node: Node::empty_directory(),
                implied: false,
            }],
        }
    }

    /// A tree of one implied, empty root directory: what the lowest layer of an image is applied to.
    #[must_use]
    pub fn implied() -> Self {
        let mut tree = Self::new(Metadata::implied_directory());
        tree.imply(InodeId::ROOT);
        tree
    }

    /// Adds an inode that has no name yet.
    ///
    /// # Panics
    /// At 2^32 inodes; [`Limits`](crate::Limits) keep decoders far below.
    pub fn add(&mut self, metadata: Metadata, node: Node<C>) -> InodeId {
        let id = InodeId(u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes"));
        self.inodes.push(Inode {
            metadata,
            node,
            implied: false,
        });
        id
    }

    /// Makes `id` an [implied](Inode::is_implied) directory.
    ///
    /// # Panics
    /// If `id` comes from another, larger tree.
    pub fn imply(&mut self, id: InodeId) {
        let inode = self.inode_mut(id);
        inode.metadata = Metadata::implied_directory();
        inode.implied = true;
    }

    /// Gives `id` the attributes of its entry.
    pub(crate) fn describe(&mut self, id: InodeId, metadata: Metadata) {
        let inode = self.inode_mut(id);
        inode.metadata = metadata;
        inode.implied = false;
    }

    /// The first path of `id`, in byte order of names, for messages; the root if it has none.
    /// Memory: one path. A directory with several names is entered by each of them, and one inside
    /// itself never ends: use [`check`](Self::check) first.
    #[must_use]
    pub fn path_of(&self, id: InodeId) -> ImagePath {
        let mut found = ImagePath::root();
        if id != InodeId::ROOT {
            let _ = self.each_path(&mut |path, child| {
                if child != id {
                    return ControlFlow::Continue(());
                }
                found = path.clone();
                ControlFlow::Break(())
            });
        }
        found
    }

    /// Passes every path but the root's to `visit`, with its inode, until that breaks.
    pub(crate) fn each_path(
        &self,
        visit: &mut dyn FnMut(&ImagePath, InodeId) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut path = ImagePath::root();
        let mut levels: Vec<_> = (self.directory(InodeId::ROOT).into_iter())
            .map(Directory::iter)
            .collect();
        while let Some(level) = levels.last_mut() {
            if let Some((name, &child)) = level.next() {
                path.push(name.as_ref());
                visit(&path, child)?;
                match self.directory(child) {
                    Some(directory) => levels.push(directory.iter()),
                    None => drop(path.pop()),
                }
            } else {
                levels.pop();
                path.pop();
            }
        }
        ControlFlow::Continue(())
    }

    /// The inode `id`.
    ///
    /// # Panics
    /// If `id` comes from another, larger tree.
    #[must_use]
    pub fn inode(&self, id: InodeId) -> &Inode<C> {
        &self.inodes[id.index()]
    }

    /// The inode `id`, mutably.
    ///
    /// # Panics
    /// If `id` comes from another, larger tree.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode<C> {
        &mut self.inodes[id.index()]
    }

    /// Number of inodes in the table, including unreachable ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// Whether the tree is just the root directory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directory(Self::ROOT).is_none_or(Directory::is_empty)
    }

    /// The entries of `id`; `None` if it is not a directory.
    #[must_use]
    pub fn directory(&self, id: InodeId) -> Option<&Directory> {
        match &self.inode(id).node {
            Node::Directory(entries) => Some(entries),
            _ => None,
        }
    }

    fn directory_mut(&mut self, id: InodeId) -> Result<&mut Directory, NotADirectory> {
        match &mut self.inode_mut(id).node {
            Node::Directory(entries) => Ok(entries),
            other => Err(NotADirectory {
                inode: id,
                kind: other.kind(),
            }),
        }
    }

    /// Makes `name` in `directory` refer to `inode`; returns its previous inode.
    ///
    /// # Errors
    /// [`NotADirectory`] if `directory` is not one.
    pub fn link(
        &mut self,
        directory: InodeId,
        name: Name,
        inode: InodeId,
    ) -> Result<Option<InodeId>, NotADirectory> {
        Ok(self.directory_mut(directory)?.insert(name, inode))
    }

    /// Removes `name` from `directory`; returns its inode.
    ///
    /// # Errors
    /// [`NotADirectory`] if `directory` is not one.
    pub fn unlink(
        &mut self,
        directory: InodeId,
        name: NameRef<'_>,
    ) -> Result<Option<InodeId>, NotADirectory> {
        Ok(self.directory_mut(directory)?.remove(name.as_bytes()))
    }

    /// The inode of `name` in `directory`.
    #[must_use]
    pub fn lookup(&self, directory: InodeId, name: NameRef<'_>) -> Option<InodeId> {
        self.directory(directory)?.get(name.as_bytes()).copied()
    }

    /// The inode at `path`, which is cleaned first; symbolic links are not followed.
    #[must_use]
    pub fn resolve(&self, path: &[u8]) -> Option<InodeId> {
        let path = ImagePath::clean(path).ok()?;
        path.components()
            .try_fold(Self::ROOT, |at, name| self.lookup(at, name))
    }

    /// The number of names of each inode in the table; for directories 1 plus the `.` and the `..`
    /// of each subdirectory, as `st_nlink`. 0 for inodes that cannot be reached from the root. A
    /// name that [`check`](Self::check) refuses does not count.
    #[must_use]
    pub fn link_counts(&self) -> Vec<u32> {
        self.count_links().0
    }

    /// Checks that every reachable name refers to an inode in the table, and that no directory has two names or
    /// contains itself.
    ///
    /// # Errors
    /// [`BrokenTree`] for the first invalid name.
    pub fn check(&self) -> Result<(), BrokenTree> {
        self.count_links().1
    }

    /// Each inode's link count, and whether all names can be counted.
    pub(crate) fn count_links(&self) -> (Vec<u32>, Result<(), BrokenTree>) {
        let len = self.inodes.len();
        let mut counts = vec![0u32; len];
        let mut checked = Ok(());
        let mut pending = vec![Self::ROOT];
        counts[0] = 2;
        while let Some(at) = pending.pop() {
            for &inode in self.directory(at).into_iter().flat_map(Directory::values) {
                let counted = match self.inodes.get(inode.index()).map(|child| &child.node) {
                    None => Err(BrokenTree::Dangling { inode, len }),
                    Some(Node::Directory(_)) if counts[inode.index()] > 0 => {
                        Err(BrokenTree::SharedDirectory { inode })
                    }
                    Some(Node::Directory(_)) => {
                        counts[inode.index()] = 2;
                        pending.push(inode);
                        Ok(at)
                    }
                    Some(_) => Ok(inode),
                };
                match counted {
                    Ok(id) => counts[id.index()] = counts[id.index()].saturating_add(1),
                    Err(error) => checked = checked.and(Err(error)),
                }
            }
        }
        (counts, checked)
    }

    /// Drops unreachable inodes; the others keep their order. Returns the new position of each
    /// inode of the old table.
    pub fn drop_unreachable(&mut self) -> Vec<Option<InodeId>> {
        let mut kept = 0;
        let moved: Vec<Option<InodeId>> = (self.link_counts().into_iter())
            .map(|names| {
                let id = InodeId(kept);
                kept += u32::from(names > 0);
                (names > 0).then_some(id)
            })
            .collect();
        let mut fate = moved.iter();
        self.inodes
            .retain(|_| fate.next().is_some_and(Option::is_some));
        for child in self.names_mut() {
            *child = moved[child.index()].expect("the root reaches it through a kept directory");
        }
        moved
    }

    /// Makes every name of an inode that is a key refer to its value instead.
    pub(crate) fn substitute(&mut self, inodes: &BTreeMap<InodeId, InodeId>) {
        for child in self.names_mut() {
            if let Some(&other) = inodes.get(child) {
                *child = other;
            }
        }
    }

    /// Appends the table of `other`; returns the new id of its root, which has no name yet.
    pub(crate) fn append(&mut self, mut other: Self) -> InodeId {
        let base = u32::try_from(self.inodes.len()).expect("fewer than 2^32 inodes");
        for child in other.names_mut() {
            *child = InodeId(base.checked_add(child.0).expect("fewer than 2^32 inodes"));
        }
        self.inodes.append(&mut other.inodes);
        InodeId(base)
    }

    /// Removes and returns all entries of `id`; none if it is not a directory.
    pub(crate) fn take_entries(&mut self, id: InodeId) -> Directory {
        match &mut self.inode_mut(id).node {
            Node::Directory(entries) => std::mem::take(entries),
            _ => Directory::new(),
        }
    }

    fn names_mut(&mut self) -> impl Iterator<Item = &mut InodeId> {
        self.inodes
            .iter_mut()
            .filter_map(|inode| match &mut inode.node {
                Node::Directory(entries) => Some(entries),
                _ => None,
            })
            .flat_map(Directory::values_mut)
    }

    /// The same tree with other content; `next` sees inodes in the order of the table.
    #[must_use]
    pub fn map<D>(self, mut next: impl FnMut(InodeId, u64, C) -> D) -> Tree<D> {
        let Ok(tree) =
            self.try_map(|id, size, content| Ok::<_, Infallible>(next(id, size, content)));
        tree
    }

    /// The same tree with every file's content turned into its next stage.
    ///
    /// # Errors
    /// The first error of `next`, which sees inodes in the order of the table.
    pub fn try_map<D, E>(
        self,
        mut next: impl FnMut(InodeId, u64, C) -> Result<D, E>,
    ) -> Result<Tree<D>, E> {
        let mut inodes = Vec::with_capacity(self.inodes.len());
        for (index, inode) in (0u32..).zip(self.inodes) {
            let Inode {
                metadata,
                node,
                implied,
            } = inode;
            let node = node.try_map(|size, content| next(InodeId(index), size, content))?;
            inodes.push(Inode {
                metadata,
                node,
                implied,
            });
        }
        Ok(Tree { inodes })
    }
}
