//! In which order names stand in the tar.

use std::collections::HashMap;

use image_model::layer::{OPAQUE_MARKER, Rank, WHITEOUT_PREFIX};
use image_model::width::u64_from;
use image_model::{Blame, Fault, ImagePath, InodeId, Limits, Name, NameRef, Tree};

/// A name of an inode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// The path.
    pub path: ImagePath,
    /// The inode.
    pub inode: InodeId,
}

impl Named {
    /// Where it stands among its siblings.
    #[must_use]
    pub fn rank(&self) -> Rank {
        Rank::of(self.path.last().map_or(&[][..], NameRef::as_bytes))
    }
}

/// The paths of a tree are too long to be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the paths of all names have more than {limit} bytes")]
pub struct PathsTooLong {
    /// The path that is too much.
    pub path: ImagePath,
    /// The bound, [`Limits::max_metadata_len`].
    pub limit: u64,
}

impl Blame for PathsTooLong {
    fn fault(&self) -> Fault {
        Fault::Limit
    }
}

/// All names of `tree`: directories before what lies in them, siblings by their [`Rank`] and then in
/// byte order, the root first.
///
/// # Errors
/// [`PathsTooLong`]: directories nested deeply have paths that are far longer, together, than their
/// names. [`Limits::max_metadata_len`] bounds the bytes of all paths.
pub fn walk<C>(tree: &Tree<C>, limits: &Limits) -> Result<Vec<Named>, PathsTooLong> {
    walk_sorted(tree, limits, |siblings| siblings.sort_by_key(Named::rank))
}

/// All names of `tree`, siblings by their [`Rank`] and then in the order of the inode table, where a
/// layer's members are in the order of the tar.
///
/// What lies in a directory follows it without a break, as in a [walk](walk()): GNU tar restores the
/// time of a directory once it meets something outside.
///
/// # Errors
/// [`PathsTooLong`], as a [walk](walk()).
pub fn walk_by_table<C>(tree: &Tree<C>, limits: &Limits) -> Result<Vec<Named>, PathsTooLong> {
    walk_sorted(tree, limits, |siblings| {
        siblings.sort_by_key(|entry| (entry.rank(), entry.inode));
    })
}

/// All names; `sort` is given siblings in byte order.
fn walk_sorted<C>(
    tree: &Tree<C>,
    limits: &Limits,
    sort: impl Fn(&mut [Named]),
) -> Result<Vec<Named>, PathsTooLong> {
    let limit = limits.max_metadata_len;
    let mut len = 0u64;
    let mut names = Vec::new();
    let mut pending = vec![Named {
        path: ImagePath::root(),
        inode: InodeId::ROOT,
    }];
    while let Some(named) = pending.pop() {
        let first = pending.len();
        for (name, &inode) in tree.directory(named.inode).into_iter().flatten() {
            let path = named.path.join(name.as_ref());
            len = len.saturating_add(u64_from(path.as_bytes().len()));
            if len > limit {
                return Err(PathsTooLong { path, limit });
            }
            pending.push(Named { path, inode });
        }
        sort(&mut pending[first..]);
        pending[first..].reverse();
        names.push(named);
    }
    Ok(names)
}

/// Names with those first that are worth fetching ahead of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prioritized {
    /// All names.
    pub names: Vec<Named>,
    /// How many of them come first; the landmark stands behind them.
    pub landmark: usize,
    /// Positions, in the list of wanted paths, of those that are not there.
    pub missed: Vec<usize>,
}

/// Moves the `wanted` paths to the front, in their order, each behind what it needs: the
/// directories on the way to it and, for a further name of a file, the first one. In front of each
/// of these come the whiteouts that could mean it: the opaque marker of its directory and its own
/// `.wh.` name, if they are among `names`. The other names keep their order.
///
/// As in the reference implementation a path is missed if it is not among `names`, symbolic links are
/// not followed, and a file does not pull its further names. Unlike there a directory on the way that
/// is not among `names` is no obstacle, since those that a layer only implies have no entry; and
/// whiteouts are not pulled there.
///
/// ```
/// use lazyoci_estargz_toc::order::{prioritize, walk};
/// use image_model::{ImagePath, Limits, Metadata, Name, Node, Tree};
/// let mut tree: Tree<()> = Tree::new(Metadata::implied_directory());
/// for name in [*b"a", *b"b", *b"c"] {
///     let fifo = tree.add(Metadata::default(), Node::Fifo);
///     tree.link(Tree::<()>::ROOT, Name::new(name)?, fifo)?;
/// }
/// let names = walk(&tree, &Limits::default())?;
/// let first = prioritize(names, &[ImagePath::clean(b"c")?, ImagePath::clean(b"x")?]);
/// let order: Vec<_> = first.names.iter().map(|named| named.path.to_string()).collect();
/// assert_eq!(order, ["/", "/c", "/a", "/b"]);
/// assert_eq!((first.landmark, first.missed), (2, vec![1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn prioritize(names: Vec<Named>, wanted: &[ImagePath]) -> Prioritized {
    let mut picker = Picker::new(&names);
    let missed = (0..wanted.len())
        .filter(|&position| !picker.pick(&wanted[position]))
        .collect();
    let Picker {
        picked, mut order, ..
    } = picker;
    let landmark = order.len();
    order.extend((0..names.len()).filter(|&position| !picked[position]));
    let mut names: Vec<_> = names.into_iter().map(Some).collect();
    let names = order
        .into_iter()
        .map(|position| names[position].take().expect("each is picked once"))
        .collect();
    Prioritized {
        names,
        landmark,
        missed,
    }
}

struct Picker<'n> {
    names: &'n [Named],
    positions: HashMap<&'n ImagePath, usize>,
    first_names: HashMap<InodeId, usize>,
    picked: Vec<bool>,
    order: Vec<usize>,
}

impl<'n> Picker<'n> {
    fn new(names: &'n [Named]) -> Self {
        let mut first_names = HashMap::new();
        for (position, named) in names.iter().enumerate() {
            first_names.entry(named.inode).or_insert(position);
        }
        Self {
            names,
            positions: names.iter().map(|n| &n.path).zip(0..).collect(),
            first_names,
            picked: vec![false; names.len()],
            order: Vec::new(),
        }
    }

    /// Picks `path` with what it needs; false if it is not there.
    fn pick(&mut self, path: &ImagePath) -> bool {
        let Some(&position) = self.positions.get(path) else {
            return path.is_root();
        };
        let first = self.first_names[&self.names[position].inode];
        let mut parent = path.clone();
        parent.pop();
        self.take_way(&parent);
        self.take_way(&self.names[first].path);
        self.take_way(path);
        true
    }

    /// Takes the directories on the way to `path` and `path`, as far as they are there, each behind
    /// its whiteouts.
    fn take_way(&mut self, path: &ImagePath) {
        let mut at = ImagePath::root();
        self.take(&at);
        for name in path.components() {
            if Rank::of(name.as_bytes()) > Rank::Opaque {
                self.take(&at.join(opaque_marker()));
            }
            if Rank::of(name.as_bytes()) > Rank::Whiteout
                && let Some(whiteout) = whiteout_of(name)
            {
                self.take(&at.join(whiteout.as_ref()));
            }
            at.push(name);
            self.take(&at);
        }
    }

    fn take(&mut self, path: &ImagePath) {
        if let Some(&position) = self.positions.get(path)
            && !std::mem::replace(&mut self.picked[position], true)
        {
            self.order.push(position);
        }
    }
}

fn opaque_marker() -> NameRef<'static> {
    NameRef::new(OPAQUE_MARKER).expect("it is a name")
}

/// The name that hides `name`; `None` if it would be too long for a name.
fn whiteout_of(name: NameRef<'_>) -> Option<Name> {
    Name::new([WHITEOUT_PREFIX, name.as_bytes()].concat()).ok()
}
