//! Applying a layer to the tree of the layers below it.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use super::route::{Allowance, Obstacle, find, make_way};
use super::{
    Entries, Layer, LayerError, LayerOptions, OPAQUE_MARKER, WHITEOUT_PREFIX, Whiteout, Whiteouts,
};
use crate::advisory::{Advisories, Oddity};
use crate::metadata::{Device, FileKind, Xattrs};
use crate::name::{Name, NameRef};
use crate::path::ImagePath;
use crate::tree::{Directory, InodeId, Node, Tree};

/// Extended attributes that make a directory opaque for overlayfs, with value `y`.
const OPAQUE_XATTRS: [&[u8]; 2] = [b"trusted.overlay.opaque", b"user.overlay.opaque"];

impl<C> Layer<C> {
    /// The tree of `lower` with this layer applied, following the OCI image specification or
    /// [`LayerOptions::whiteouts`].
    /// * Whiteouts hide files of `lower`, never of the layer itself, whatever their order; no
    ///   `.wh.` name is left. They take effect before the rest of the layer.
    /// * A directory over a directory replaces its attributes, unless the layer only implies it,
    ///   and keeps its contents. Everything else replaces what was there.
    /// * A hard link whose target is not in the layer shares the inode that `lower` has there, even
    ///   if the layer hides or replaces that name.
    /// * An entry below a symbolic link of `lower` is placed where the link leads, inside the root. `advisories`
    ///   receives the oddities that only arise with `lower`: entries and hard link targets below its symbolic links.
    ///   The oddities of the layer itself are in [its own advisories](Self::advisories).
    ///
    /// # Errors
    /// [`LayerError`] with the path of an entry that does not fit `lower`.
    pub fn apply_to(
        self,
        lower: Tree<C>,
        advisories: &mut Advisories,
    ) -> Result<Tree<C>, LayerError> {
        let targets = self.links_into(&lower, advisories)?;
        let limit = self.options.limits.max_inodes;
        if lower.len() + self.tree.len() > limit as usize {
            let path = ImagePath::root();
            return Err(LayerError::TooManyInodes { path, limit });
        }
        let mut tree = lower;
        let upper = Upper {
            root: tree.append(self.tree),
            options: self.options,
            targets,
        };
        upper.merge(&mut tree, advisories)?;
        tree.drop_unreachable();
        Ok(tree)
    }

    /// The inodes of hard links whose target is not in the layer.
    fn links_into(
        &self,
        lower: &Tree<C>,
        advisories: &mut Advisories,
    ) -> Result<BTreeMap<InodeId, InodeId>, LayerError> {
        let mut targets = BTreeMap::new();
        let mut allowance = Allowance::new(&self.options);
        for (&link, target) in &self.links {
            allowance.entry();
            let found = find(lower, target, self.options.entries, &mut allowance);
            let found = found.map_err(|obstacle| {
                let kind = |inode: InodeId| lower.inode(inode).node.kind();
                obstacle.for_entry(&self.tree.path_of(link), &self.options, kind)
            })?;
            if found.as_ref().is_some_and(|found| found.by_symlink) {
                advisories.add(Some(&self.tree.path_of(link)), Oddity::TargetBelowSymlink);
            }
            let found = found.map(|found| found.inode);
            let Some(inode) = found.filter(|&inode| lower.directory(inode).is_none()) else {
                let (path, target) = (self.tree.path_of(link), target.clone());
                return Err(match found {
                    None => LayerError::MissingTarget { path, target },
                    Some(_) => LayerError::LinkToDirectory { path, target },
                });
            };
            targets.insert(link, inode);
        }
        Ok(targets)
    }
}

/// The layer while it is merged: its inodes are in the tree's table from `root` on.
struct Upper {
    root: InodeId,
    options: LayerOptions,
    /// Ids in the layer's own table, and their inodes in the lower tree.
    targets: BTreeMap<InodeId, InodeId>,
}

/// A directory of the layer whose entries are put into a directory of the tree.
struct Level {
    entries: btree_map::IntoIter<Name, InodeId>,
    into: InodeId,
    /// How many directories `into` is nested in.
    depth: usize,
    /// Whether the path leads through a symbolic link of the lower layers.
    by_symlink: bool,
}

/// A directory of the tree that one of the layer is merged into.
#[derive(Clone, Copy)]
struct Onto {
    inode: InodeId,
    depth: usize,
    by_symlink: bool,
}

impl Upper {
    fn merge<C>(&self, tree: &mut Tree<C>, advisories: &mut Advisories) -> Result<(), LayerError> {
        let mut path = ImagePath::root();
        let mut allowance = Allowance::new(&self.options);
        let root = Onto {
            inode: InodeId::ROOT,
            depth: 0,
            by_symlink: false,
        };
        let mut levels = vec![self.join(tree, self.root, root)];
        while let Some(level) = levels.last_mut() {
            let (into, depth, by_symlink) = (level.into, level.depth + 1, level.by_symlink);
            let Some((name, inode)) = level.entries.next() else {
                levels.pop();
                path.pop();
                continue;
            };
            if self.is_whiteout(tree, &name, inode) {
                continue;
            }
            path.push(name.as_ref());
            if by_symlink && !tree.inode(inode).is_implied() {
                advisories.add(Some(&path), Oddity::BelowSymlink);
            }
            if tree.directory(inode).is_none() {
                path.pop();
                link(tree, into, name, self.bound(inode));
                continue;
            }
            allowance.entry();
            let at = |inode, depth| Onto {
                inode,
                depth,
                by_symlink,
            };
            let onto = match tree.lookup(into, name.as_ref()) {
                Some(old) if tree.directory(old).is_some() => at(old, depth),
                Some(old) if tree.inode(inode).is_implied() => {
                    self.follow(tree, &path, old, &mut allowance)?
                }
                _ => {
                    link(tree, into, name, inode);
                    at(inode, depth)
                }
            };
            // The layer's own depth is bounded; it grows where a symbolic link leads further down.
            let limit = self.options.limits.max_depth;
            if onto.depth > limit as usize {
                return Err(LayerError::TooDeep { path, limit });
            }
            levels.push(self.join(tree, inode, onto));
        }
        Ok(())
    }

    /// Whether an entry only hides another one, and is not a file.
    fn is_whiteout<C>(&self, tree: &Tree<C>, name: &Name, inode: InodeId) -> bool {
        match self.options.whiteouts {
            Whiteouts::Oci => Whiteout::of(name.as_bytes()).is_some(),
            Whiteouts::Overlayfs => is_overlay_whiteout(&tree.inode(inode).node),
            Whiteouts::Nothing => false,
        }
    }

    /// Gives `onto` the attributes of the layer's directory `upper` and hides what that hides.
    fn join<C>(&self, tree: &mut Tree<C>, upper: InodeId, onto: Onto) -> Level {
        let Onto {
            inode: onto,
            depth,
            by_symlink,
        } = onto;
        let by_attribute = self.options.whiteouts == Whiteouts::Overlayfs
            && take_opaque(&mut tree.inode_mut(upper).metadata.xattrs);
        if upper != onto && !tree.inode(upper).is_implied() {
            let metadata = std::mem::take(&mut tree.inode_mut(upper).metadata);
            tree.describe(onto, metadata);
        }
        let entries = tree.take_entries(upper);
        self.hide(tree, &entries, by_attribute, onto);
        Level {
            entries: entries.into_iter(),
            into: onto,
            depth,
            by_symlink,
        }
    }

    /// Removes from `directory` the lower layers' entries that whiteouts among `entries` hide; all of them if an
    /// attribute makes the layer's directory opaque.
    fn hide<C>(
        &self,
        tree: &mut Tree<C>,
        entries: &Directory,
        by_attribute: bool,
        directory: InodeId,
    ) {
        let is_file = |inode: InodeId| tree.directory(inode).is_none();
        let (opaque, hidden): (bool, Vec<&[u8]>) = match self.options.whiteouts {
            Whiteouts::Oci => {
                let marker = entries.get(OPAQUE_MARKER).copied();
                let from = (Bound::Included(WHITEOUT_PREFIX), Bound::Unbounded);
                let hidden = entries
                    .range::<[u8], _>(from)
                    .map_while(|(name, &inode)| Some((Whiteout::of(name.as_bytes())?, inode)))
                    .filter_map(|(whiteout, inode)| match whiteout {
                        Whiteout::Name(name) if is_file(inode) => Some(name),
                        _ => None,
                    });
                (marker.is_some_and(is_file), hidden.collect())
            }
            Whiteouts::Overlayfs => {
                let hidden = entries
                    .iter()
                    .filter(|(_, inode)| is_overlay_whiteout(&tree.inode(**inode).node))
                    .map(|(name, _)| name.as_bytes());
                (by_attribute, hidden.collect())
            }
            Whiteouts::Nothing => (false, Vec::new()),
        };
        let mut below = tree.take_entries(directory);
        if opaque {
            below.retain(|_, &mut inode| self.owns(inode));
        }
        for name in hidden {
            if below.get(name).is_some_and(|&inode| !self.owns(inode)) {
                below.remove(name);
            }
        }
        tree.inode_mut(directory).node = Node::Directory(below);
    }

    /// The directory that the layer's implied directory at `path` stands for, if the lower layers
    /// have `blocking` there.
    fn follow<C>(
        &self,
        tree: &mut Tree<C>,
        path: &ImagePath,
        blocking: InodeId,
        allowance: &mut Allowance,
    ) -> Result<Onto, LayerError> {
        let kind = |tree: &Tree<C>, inode: InodeId| tree.inode(inode).node.kind();
        if self.options.entries == Entries::Listed {
            return Err(LayerError::BelowNonDirectory {
                path: path.clone(),
                kind: kind(tree, blocking),
            });
        }
        let made = |_: NameRef<'_>| Ok::<_, Obstacle>(());
        let (components, budget) = (path.components(), (&self.options, allowance));
        make_way(tree, components, FileKind::File, budget, made)
            .map(|found| Onto {
                inode: found.inode,
                depth: found.depth,
                by_symlink: true,
            })
            .map_err(|obstacle| obstacle.for_entry(path, &self.options, |inode| kind(tree, inode)))
    }

    /// Whether `inode` comes from the layer, not from a lower one.
    fn owns(&self, inode: InodeId) -> bool {
        inode >= self.root
    }

    /// The id in the layer's own table.
    fn own(&self, inode: InodeId) -> Option<InodeId> {
        let index = inode.index().checked_sub(self.root.index())?;
        u32::try_from(index).ok().map(InodeId::new)
    }

    fn bound(&self, inode: InodeId) -> InodeId {
        let target = self.own(inode).and_then(|own| self.targets.get(&own));
        target.copied().unwrap_or(inode)
    }
}

/// Whether overlayfs treats a file as a whiteout.
fn is_overlay_whiteout<C>(node: &Node<C>) -> bool {
    matches!(node, Node::CharDevice(device) if *device == Device::default())
}

/// Whether the attributes make a directory opaque for overlayfs, which reserves them.
fn take_opaque(xattrs: &mut Xattrs) -> bool {
    let is_opaque = |name: &[u8]| OPAQUE_XATTRS.contains(&name);
    let opaque = xattrs
        .iter()
        .any(|x| is_opaque(&x.name) && *x.value == *b"y");
    if opaque {
        let kept = xattrs.iter().filter(|x| !is_opaque(&x.name)).cloned();
        *xattrs = Xattrs::new(kept).expect("they were extended attributes before");
    }
    opaque
}

fn link<C>(tree: &mut Tree<C>, directory: InodeId, name: Name, inode: InodeId) {
    let linked = tree.link(directory, name, inode);
    linked.expect("only directories are merged into");
}
