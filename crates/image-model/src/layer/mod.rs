//! Building a tree from a layer's entries; stacking layers. A [`LayerBuilder`] takes the entries of
//! one layer in order and makes a [`Layer`]. That becomes a [`Tree`] by itself
//! ([`Layer::into_tree`]), or is applied to the tree of the layers below it ([`Layer::apply_to`]);
//! an image is the fold of its layers over an empty tree.
//!
//! ```
//! use lazyoci_image_model::layer::{LayerBuilder, LayerOptions};
//! use lazyoci_image_model::{ImagePath, Metadata, Node, Tree};
//!
//! let path = |text: &str| ImagePath::clean(text.as_bytes());
//! let mut lower = LayerBuilder::new(LayerOptions::default());
//! lower.add(&path("etc/passwd")?, Metadata::default(), Node::File { size: 0, content: () })?;
//! let mut upper = LayerBuilder::new(LayerOptions::default());
//! upper.add(&path("etc/.wh.passwd")?, Metadata::default(), Node::File { size: 0, content: () })?;
//! upper.add(&path("etc/motd")?, Metadata::default(), Node::File { size: 5, content: () })?;
//!
//! let empty = Tree::new(Metadata::implied_directory());
//! let mut odd = Default::default();
//! let below = lower.finish()?.apply_to(empty, &mut odd)?;
//! let image = upper.finish()?.apply_to(below, &mut odd)?;
//! assert_eq!(image.resolve(b"/etc/passwd"), None);
//! assert!(image.resolve(b"/etc/motd").is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod cost;
mod error;
mod hard_links;
mod hiding;
mod overlay;
mod route;

use std::collections::BTreeMap;

use crate::advisory::Advisories;
use crate::limits::Limits;
use crate::metadata::FileKind;
use crate::path::ImagePath;
use crate::tree::{InodeId, Tree};

pub use builder::LayerBuilder;
pub use cost::ContentCost;
pub use error::LayerError;

/// Prefix of a name that hides another name in lower layers.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// The name that hides everything in its directory in lower layers.
pub const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";

/// The meaning of a [`.wh.` name](WHITEOUT_PREFIX) in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// Hides this name in lower layers.
    Name(&'a [u8]),
    /// Hides every name in lower layers: [`OPAQUE_MARKER`].
    Opaque,
    /// Hides nothing, but is not a file of the image either: names reserved by AUFS (all others
    /// that begin with `.wh..wh.`), and `.wh.` alone or before `.` or `..`.
    Leftover,
}

impl<'a> Whiteout<'a> {
    /// What `name` means; `None` if it is the name of a file. Only names of non-directories take
    /// effect. A directory with such a name is invalid; it and everything below it are hidden.
    #[must_use]
    pub fn of(name: &'a [u8]) -> Option<Self> {
        let hidden = name.strip_prefix(WHITEOUT_PREFIX)?;
        Some(if name == OPAQUE_MARKER {
            Self::Opaque
        } else if names_nothing(name) || hidden.starts_with(WHITEOUT_PREFIX) {
            Self::Leftover
        } else {
            Self::Name(hidden)
        })
    }

    /// What the last name of `path` means; `None` also for the root.
    #[must_use]
    pub fn at(path: &'a ImagePath) -> Option<Self> {
        Self::of(path.last()?.as_bytes())
    }

    /// Whether a file of this kind and name is invalid in a layer: a directory named like a
    /// whiteout, or a whiteout of nothing, of `.` or of `..`.
    ///
    /// ```
    /// use lazyoci_image_model::FileKind;
    /// use lazyoci_image_model::layer::Whiteout;
    /// assert!(Whiteout::forbids(b".wh.etc", FileKind::Directory));
    /// assert!(!Whiteout::forbids(b".wh.etc", FileKind::File));
    /// assert!(Whiteout::forbids(b".wh.", FileKind::File));
    /// ```
    #[must_use]
    pub fn forbids(name: &[u8], kind: FileKind) -> bool {
        match Whiteout::of(name) {
            Some(Whiteout::Name(_) | Whiteout::Opaque) => kind == FileKind::Directory,
            Some(Whiteout::Leftover) => names_nothing(name),
            None => false,
        }
    }
}

/// Whether `name` is a whiteout that does not name an entry of its directory.
fn names_nothing(name: &[u8]) -> bool {
    let hidden = name.strip_prefix(WHITEOUT_PREFIX);
    matches!(hidden, Some(b"" | b"." | b".."))
}

/// The position of an entry among its siblings when a layer is written. Whiteouts refer to lower layers, wherever they
/// are in the layer. But tools that unpack entry by entry apply them immediately: after the file that replaces what it
/// hides, a whiteout would remove that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// First: [`OPAQUE_MARKER`].
    Opaque,
    /// Then every other [`.wh.` name](WHITEOUT_PREFIX).
    Whiteout,
    /// Then the files of the image.
    File,
}

impl Rank {
    /// The rank of `name`.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match Whiteout::of(name) {
            Some(Whiteout::Opaque) => Self::Opaque,
            Some(Whiteout::Name(_) | Whiteout::Leftover) => Self::Whiteout,
            None => Self::File,
        }
    }
}

/// Options for reading a layer.
///
/// ```
/// use lazyoci_image_model::layer::{Entries, LayerOptions};
/// let of_an_index = LayerOptions::default().entries(Entries::Listed);
/// assert!(!of_an_index.lenient);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerOptions {
    /// Accept what runtimes and other tar readers disagree on, and read it as containerd does: an entry below a
    /// dangling symbolic link creates the link's target, inside the root, and a directory may be named like a whiteout.
    pub lenient: bool,
    /// The source of the entries.
    pub entries: Entries,
    /// What hides files of lower layers, when the layer is applied to them.
    pub whiteouts: Whiteouts,
    /// Bounds on inodes, depth, and the memory that the layer takes ([`Limits::max_metadata_len`],
    /// counted as [`LayerBuilder`] describes).
    pub limits: Limits,
}

impl LayerOptions {
    crate::setters! {
        lenient: bool,
        entries: Entries,
        whiteouts: Whiteouts,
        limits: Limits,
    }
}

/// What in a layer hides files of lower layers, and is not itself a file of the image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whiteouts {
    /// Names: see [`Whiteout`].
    #[default]
    Oci,
    /// Character devices 0:0 hide their name; a directory with the extended attribute `trusted.overlay.opaque` or
    /// `user.overlay.opaque` with value `y` hides everything in it in lower layers, and loses the attribute.
    Overlayfs,
    /// Nothing.
    Nothing,
}

/// The source of a layer's entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entries {
    /// A tar, read as the runtimes unpack it: symbolic links on the path of an entry, or of a hard link's target, are
    /// followed inside the root (at most 40); an entry for the root that is not a directory is ignored. An entry below
    /// any other kind of file is refused, as by the runtimes.
    #[default]
    Unpacked,
    /// The index of a layer, whose readers look up names: there is nothing below a symbolic link, and the root is a
    /// directory.
    Listed,
}

/// One layer: its entries as a tree, with whiteouts as ordinary files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<C> {
    options: LayerOptions,
    tree: Tree<C>,
    /// Placeholders in the tree for hard links whose target is not in the layer.
    links: BTreeMap<InodeId, ImagePath>,
    advisories: Advisories,
}

impl<C> Layer<C> {
    /// A tree that was read as one layer: an image with the layer's files, including whiteouts. None of its hard links
    /// leads into a lower layer.
    #[must_use]
    pub fn from_tree(tree: Tree<C>, options: LayerOptions) -> Self {
        Self {
            options,
            tree,
            links: BTreeMap::new(),
            advisories: Advisories::default(),
        }
    }

    /// Its oddities, which are read as the runtimes read them.
    #[must_use]
    pub fn advisories(&self) -> &Advisories {
        &self.advisories
    }

    /// The tree, in which FIFOs stand for hard links whose target is not in the layer.
    #[must_use]
    pub fn tree(&self) -> &Tree<C> {
        &self.tree
    }

    /// The same layer with other content.
    #[must_use]
    pub fn map<D>(self, next: impl FnMut(InodeId, u64, C) -> D) -> Layer<D> {
        let Self {
            options,
            tree,
            links,
            advisories,
        } = self;
        Layer {
            options,
            tree: tree.map(next),
            links,
            advisories,
        }
    }

    /// The layer by itself. Whiteouts remain ordinary files;
    /// [`into_overlay_tree`](Self::into_overlay_tree) writes them in overlayfs form.
    ///
    /// # Errors
    /// [`LayerError::TargetOutsideLayer`] if a hard link leads into a lower layer.
    pub fn into_tree(self) -> Result<Tree<C>, LayerError> {
        match self.links.into_iter().next() {
            None => Ok(self.tree),
            Some((link, target)) => Err(LayerError::TargetOutsideLayer {
                path: self.tree.path_of(link),
                target,
            }),
        }
    }
}
