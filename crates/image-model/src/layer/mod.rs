//! Building a tree out of a layer's entries; laying one layer over another.
//!
//! A [`LayerBuilder`] takes the entries of one layer in their order and makes a [`Layer`]. That
//! becomes a [`Tree`] by itself ([`Layer::into_tree`]), or is laid over the tree of the layers
//! below it ([`Layer::apply_to`]); an image is the fold of its layers over an empty tree.
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

/// What a name begins with that hides another one in the layers below.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// The name that hides everything that the layers below have in its directory.
pub const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";

/// What a [`.wh.` name](WHITEOUT_PREFIX) means in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// Hides this name of the layers below.
    Name(&'a [u8]),
    /// Hides every name of the layers below: [`OPAQUE_MARKER`].
    Opaque,
    /// Hides nothing, but is no file of the image either: what AUFS kept for itself (all other
    /// names that begin with `.wh..wh.`), and `.wh.` alone or before `.` or `..`.
    Leftover,
}

impl<'a> Whiteout<'a> {
    /// What `name` means; `None` if it is the name of a file.
    ///
    /// Only names of what is no directory take effect. A directory with such a name is invalid;
    /// it and what lies below it are hidden.
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

    /// Whether no layer can have a file of this kind and name: a directory with the name of a
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

/// Whether `name` is that of a whiteout that names no entry of its directory.
fn names_nothing(name: &[u8]) -> bool {
    let hidden = name.strip_prefix(WHITEOUT_PREFIX);
    matches!(hidden, Some(b"" | b"." | b".."))
}

/// Where an entry stands among its siblings when a layer is written.
///
/// Whiteouts mean what lower layers have, wherever they stand. But who unpacks a layer entry by entry
/// applies them where they stand: behind the file that replaces what it hides, a whiteout would remove
/// that file.
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

/// How a layer is read.
///
/// ```
/// use lazyoci_image_model::layer::{Entries, LayerOptions};
/// let of_an_index = LayerOptions::default().entries(Entries::Listed);
/// assert!(!of_an_index.lenient);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerOptions {
    /// Accept what the runtimes and other readers of tars disagree on, and read it as containerd does:
    /// an entry below a symbolic link to what is not there yet makes it, inside the root, and a
    /// directory may have the name of a whiteout.
    pub lenient: bool,
    /// What the entries come from.
    pub entries: Entries,
    /// What hides files of the layers below, when the layer is laid over them.
    pub whiteouts: Whiteouts,
    /// Bounds on inodes, depth, and what the layer takes in memory ([`Limits::max_metadata_len`],
    /// counted as [`LayerBuilder`] says).
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

/// What of a layer hides files of the layers below it, and is no file of the image itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whiteouts {
    /// Names: see [`Whiteout`].
    #[default]
    Oci,
    /// Character devices 0:0 hide what has their name; a directory with the extended attribute
    /// `trusted.overlay.opaque` or `user.overlay.opaque` of value `y` hides all that the layers below
    /// have in it, and loses the attribute.
    Overlayfs,
    /// Nothing.
    Nothing,
}

/// What the entries of a layer come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entries {
    /// A tar, which means what the runtimes make of it when they unpack it: symbolic links on the way
    /// to an entry, or to the target of a hard link, are followed inside the root (at most 40); an
    /// entry for the root that is no directory is ignored. An entry below any other kind of file is
    /// refused, as they refuse it.
    #[default]
    Unpacked,
    /// The index of a layer, whose readers look up names: nothing lies below a symbolic link, and the
    /// root is a directory.
    Listed,
}

/// One layer: its entries as a tree, whiteouts being ordinary files in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<C> {
    options: LayerOptions,
    tree: Tree<C>,
    /// Placeholders in the tree for hard links whose target the layer does not hold.
    links: BTreeMap<InodeId, ImagePath>,
    advisories: Advisories,
}

impl<C> Layer<C> {
    /// A tree that was read as one layer: an image whose files are those of the layer, whiteouts among
    /// them. None of its hard links leads into a lower layer.
    #[must_use]
    pub fn from_tree(tree: Tree<C>, options: LayerOptions) -> Self {
        Self {
            options,
            tree,
            links: BTreeMap::new(),
            advisories: Advisories::default(),
        }
    }

    /// What is odd about it, and read as the runtimes read it.
    #[must_use]
    pub fn advisories(&self) -> &Advisories {
        &self.advisories
    }

    /// The tree, in which fifos stand for hard links whose target the layer does not hold.
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

    /// The layer by itself. Whiteouts stay what they are in the layer: files; for overlayfs
    /// [`into_overlay_tree`](Self::into_overlay_tree) has another form of them.
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
