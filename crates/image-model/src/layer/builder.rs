//! Making a layer from its entries.

use std::collections::BTreeMap;

use super::cost::{ContentCost, spend};
use super::route::{Allowance, Found, Obstacle, find, make_way};
use super::{Entries, Layer, LayerError, LayerOptions, Whiteout, hard_links};
use crate::advisory::{Advisories, Oddity};
use crate::limits::ContentLimit;
use crate::memory::{self, DIRECTORY_LEN, INODE_LEN, NAME_LEN};
use crate::metadata::{FileKind, Metadata};
use crate::name::NameRef;
use crate::path::ImagePath;
use crate::tree::{InodeId, Node, Tree};

/// Takes the entries of one layer in their order.
/// * Of several entries with the same path, the last one counts. A directory after a directory
///   replaces its attributes and keeps its contents; everything else replaces what was there, with
///   everything below it.
/// * Parent directories without an entry are implied
///   ([`Inode::is_implied`](crate::Inode::is_implied)); their own entry may come later.
/// * A hard link shares the inode that its target refers to at that moment, or, if there is none
///   yet, at the end. Its own attributes do not count.
/// * An entry below a symbolic link is placed where the link leads, inside the root; the target of a hard link is
///   resolved likewise ([`Entries`](super::Entries)).
/// * An entry for the root that is not a directory is ignored, as by containerd.
/// * Whiteouts are kept as ordinary files; they take effect in [`Layer::apply_to`].
///   [`Limits::max_metadata_len`] bounds the memory that entries take: the bytes of names, targets
///   and attributes, plus roughly the overhead of every inode, name, directory and attribute (128,
///   64, 256 and 64 bytes). Implied directories count like others, since one long path can imply
///   thousands of them. Replaced entries still count, and so does the content reported by
///   [`charge_content`](Self::charge_content). Work and memory are proportional to the entries.
///   Together they may imply as many directories as the maximum depth of a path, plus 16 per entry,
///   and follow symbolic links through 2²⁰ target components, plus 256 per entry; real layers need
///   one or two.
///
/// [`Limits::max_metadata_len`]: crate::Limits::max_metadata_len
#[derive(Debug)]
pub struct LayerBuilder<C> {
    layer: Layer<C>,
    /// Whether inodes were replaced, and are still in the table without a name.
    replaced: bool,
    /// Approximate size of the tree so far, in bytes.
    metadata_len: u64,
    content: ContentCost,
    allowance: Allowance,
    last: Option<Directory>,
}

/// Where the parents of an entry led: entries of one directory follow one another.
#[derive(Debug)]
struct Directory {
    /// The path, through no symbolic links.
    path: Vec<u8>,
    inode: InodeId,
    /// How many directories it is nested in, and itself: none for the root.
    depth: usize,
}

impl<C> LayerBuilder<C> {
    /// A layer without entries: an implied root directory.
    #[must_use]
    pub fn new(options: LayerOptions) -> Self {
        let allowance = Allowance::new(&options);
        Self {
            layer: Layer {
                options,
                tree: Tree::implied(),
                links: BTreeMap::new(),
                advisories: Advisories::default(),
            },
            replaced: false,
            metadata_len: 0,
            content: ContentCost::default(),
            allowance,
            last: None,
        }
    }

    /// Counts the content of the next entry, at `path`, which the builder cannot see: its bytes and holes towards
    /// [`Limits::max_content_len`] and [`Limits::max_hole_len`], its memory towards [`Limits::max_metadata_len`]. Holes
    /// up to 64 times the data of all files so far are free.
    ///
    /// # Errors
    /// [`LayerError::TooMuchContent`], [`LayerError::TooMuchMetadata`].
    ///
    /// [`Limits::max_content_len`]: crate::Limits::max_content_len
    /// [`Limits::max_hole_len`]: crate::Limits::max_hole_len
    /// [`Limits::max_metadata_len`]: crate::Limits::max_metadata_len
    pub fn charge_content(
        &mut self,
        path: &ImagePath,
        cost: ContentCost,
    ) -> Result<(), LayerError> {
        let sum = &mut self.content;
        sum.len = sum.len.saturating_add(cost.len);
        sum.holes = sum.holes.saturating_add(cost.holes);
        let limits = &self.layer.options.limits;
        if let Err(exceeded) = limits.check_content(sum.len, sum.len.saturating_sub(sum.holes)) {
            return Err(LayerError::TooMuchContent {
                path: path.clone(),
                holes: exceeded == ContentLimit::Holes,
                limit: exceeded.of(limits),
            });
        }
        self.charge(path, usize::try_from(cost.memory).unwrap_or(usize::MAX))
    }

    /// Adds an entry that is not a hard link. For a directory pass [`Node::empty_directory`]: its
    /// entries are added separately.
    ///
    /// # Errors
    /// [`LayerError`] with the path if the entry does not belong in the layer. Implied parent
    /// directories may have been added.
    pub fn add(
        &mut self,
        path: &ImagePath,
        metadata: Metadata,
        node: Node<C>,
    ) -> Result<(), LayerError> {
        self.allowance.entry();
        let kind = node.kind();
        self.charge(path, memory::xattrs_len(&metadata.xattrs))?;
        if let Node::Symlink(target) = &node {
            self.charge(path, target.len())?;
        }
        let mut components = path.components();
        let Some(name) = components.next_back() else {
            return match kind {
                FileKind::Directory => {
                    self.layer.tree.describe(InodeId::ROOT, metadata);
                    Ok(())
                }
                kind => self.root(path, kind),
            };
        };
        self.check_whiteout(path, name, kind)?;
        self.charge(path, NAME_LEN + name.as_bytes().len())?;
        let directory = self.directory(path, components, kind)?;
        match self.layer.tree.lookup(directory, name) {
            Some(old) if kind == FileKind::Directory && self.is_directory(old) => {
                self.layer.tree.describe(old, metadata);
            }
            _ => {
                let node = match node {
                    Node::Directory(_) => {
                        self.charge(path, DIRECTORY_LEN)?;
                        Node::empty_directory()
                    }
                    other => other,
                };
                let inode = self.create(path, metadata, node)?;
                self.put(directory, name, inode);
            }
        }
        Ok(())
    }

    /// Adds a hard link at `path` to `target`.
    ///
    /// # Errors
    /// [`LayerError`] with the path if the link does not belong in the layer, or if its target is a
    /// directory, the link itself, or below it. Implied parent directories may have been added.
    pub fn link(&mut self, path: &ImagePath, target: &ImagePath) -> Result<(), LayerError> {
        self.allowance.entry();
        let mut components = path.components();
        let Some(name) = components.next_back() else {
            return self.root(path, FileKind::File);
        };
        self.check_whiteout(path, name, FileKind::File)?;
        self.charge(path, NAME_LEN + name.as_bytes().len())?;
        let below = target.as_bytes().strip_prefix(path.as_bytes());
        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/")) {
            return Err(LayerError::LinkLoop {
                path: path.clone(),
                target: target.clone(),
            });
        }
        let entries = self.layer.options.entries;
        let known = find(&self.layer.tree, target, entries, &mut self.allowance);
        let known = known.map_err(|obstacle| {
            obstacle.for_entry(path, &self.layer.options, |inode| self.kind(inode))
        })?;
        if known.is_some_and(|found| self.is_directory(found.inode)) {
            return Err(LayerError::LinkToDirectory {
                path: path.clone(),
                target: target.clone(),
            });
        }
        let directory = self.directory(path, components, FileKind::File)?;
        let inode = match known {
            Some(Found {
                inode, by_symlink, ..
            }) => {
                if by_symlink {
                    self.advise(path, Oddity::TargetBelowSymlink);
                }
                inode
            }
            None => {
                self.charge(path, target.as_bytes().len())?;
                let placeholder = self.create(path, Metadata::default(), Node::Fifo)?;
                self.layer.links.insert(placeholder, target.clone());
                placeholder
            }
        };
        self.put(directory, name, inode);
        Ok(())
    }

    /// The kind of file at `path` so far, including implied directories; a hard link whose target
    /// does not exist yet counts as a file. For formats that forbid two entries with the same path.
    #[must_use]
    pub fn kind_at(&self, path: &ImagePath) -> Option<FileKind> {
        if let Some(last) = self.is_last(path)
            && let Some(name) = path.last()
        {
            let found = self.layer.tree.lookup(last.inode, name);
            return found.map(|inode| self.kind(inode));
        }
        let entries = self.layer.options.entries;
        let found = find(&self.layer.tree, path, entries, &mut self.allowance.clone());
        found.ok().flatten().map(|found| self.kind(found.inode))
    }

    /// The layer, with hard links resolved whose targets came after them.
    ///
    /// # Errors
    /// [`LayerError::LinkToDirectory`] and [`LayerError::LinkLoop`] for such links.
    pub fn finish(mut self) -> Result<Layer<C>, LayerError> {
        if !self.layer.links.is_empty() {
            self.replaced |= hard_links::bind(&mut self.layer, &mut self.allowance)?;
        }
        let mut layer = self.layer;
        if self.replaced {
            let kept = layer.tree.drop_unreachable();
            let moved = |id: InodeId| kept[id.index()];
            layer.links = (layer.links.into_iter())
                .filter_map(|(id, target)| Some((moved(id)?, target)))
                .collect();
        }
        Ok(layer)
    }

    /// An entry for the root that is not a directory.
    fn root(&mut self, path: &ImagePath, kind: FileKind) -> Result<(), LayerError> {
        match self.layer.options.entries {
            Entries::Listed => Err(LayerError::RootNotDirectory { kind }),
            Entries::Unpacked => {
                self.advise(path, Oddity::Root { kind });
                Ok(())
            }
        }
    }

    fn check_whiteout(
        &self,
        path: &ImagePath,
        name: NameRef<'_>,
        kind: FileKind,
    ) -> Result<(), LayerError> {
        let mut components = path.as_bytes().split(|&byte| byte == b'/');
        if components.any(super::names_nothing) {
            return Err(LayerError::EmptyWhiteout { path: path.clone() });
        }
        let hides = matches!(
            Whiteout::of(name.as_bytes()),
            Some(Whiteout::Name(_) | Whiteout::Opaque)
        );
        if hides && kind == FileKind::Directory && !self.layer.options.lenient {
            return Err(LayerError::WhiteoutDirectory { path: path.clone() });
        }
        Ok(())
    }

    /// The directory that `components`, the parents of `path`, lead to; created if missing. `kind` is the kind of the
    /// entry.
    fn directory<'p>(
        &mut self,
        path: &'p ImagePath,
        components: impl Iterator<Item = NameRef<'p>>,
        kind: FileKind,
    ) -> Result<InodeId, LayerError> {
        if let Some(Directory { inode, depth, .. }) = self.is_last(path)
            && depth + usize::from(kind == FileKind::Directory)
                <= self.layer.options.limits.max_depth as usize
        {
            return Ok(*inode);
        }
        let Layer { options, tree, .. } = &mut self.layer;
        let (metadata_len, allowance) = (&mut self.metadata_len, &mut self.allowance);
        let made = |name: NameRef<'_>| {
            let len = INODE_LEN + DIRECTORY_LEN + NAME_LEN + name.as_bytes().len();
            spend(metadata_len, len, options)
        };
        let way = make_way(tree, components, kind, (options, allowance), made);
        let found = way.map_err(|obstacle| {
            obstacle.for_entry(path, &self.layer.options, |inode| self.kind(inode))
        })?;
        if found.by_symlink {
            self.advise(path, Oddity::BelowSymlink);
        } else {
            self.last = Some(Directory {
                path: path.parent_bytes().to_vec(),
                inode: found.inode,
                depth: found.depth,
            });
        }
        Ok(found.inode)
    }

    /// The directory of the last entry, if that is the one that `path` is in.
    fn is_last(&self, path: &ImagePath) -> Option<&Directory> {
        let last = self.last.as_ref();
        last.filter(|last| !path.is_root() && last.path == path.parent_bytes())
    }

    fn advise(&mut self, path: &ImagePath, what: Oddity) {
        self.layer.advisories.add(Some(path), what);
    }

    fn charge(&mut self, path: &ImagePath, len: usize) -> Result<(), LayerError> {
        let options = &self.layer.options;
        spend(&mut self.metadata_len, len, options)
            .map_err(|obstacle| obstacle.for_entry(path, options, |inode| self.kind(inode)))
    }

    fn create(
        &mut self,
        path: &ImagePath,
        metadata: Metadata,
        node: Node<C>,
    ) -> Result<InodeId, LayerError> {
        self.charge(path, INODE_LEN)?;
        let Layer { options, tree, .. } = &mut self.layer;
        if tree.len() >= options.limits.max_inodes as usize {
            let kind = |inode: InodeId| tree.inode(inode).node.kind();
            return Err(Obstacle::TooManyInodes.for_entry(path, options, kind));
        }
        Ok(tree.add(metadata, node))
    }

    fn put(&mut self, directory: InodeId, name: NameRef<'_>, inode: InodeId) {
        let old = self.layer.tree.link(directory, name.to_name(), inode);
        if old.expect("the route ended in a directory").is_some() {
            self.replaced = true;
            // It may have been on the way.
            self.last = None;
        }
    }

    fn is_directory(&self, inode: InodeId) -> bool {
        self.layer.tree.directory(inode).is_some()
    }

    /// A placeholder stands for a file.
    fn kind(&self, inode: InodeId) -> FileKind {
        if self.layer.links.contains_key(&inode) {
            FileKind::File
        } else {
            self.layer.tree.inode(inode).node.kind()
        }
    }
}
