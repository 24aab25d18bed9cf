//! Which names come first in the tar.

use std::collections::HashMap;

use image_model::layer::{OPAQUE_MARKER, Rank, WHITEOUT_PREFIX};
use image_model::order::Named;
use image_model::{ImagePath, InodeId, Name, NameRef};

/// Names, with those worth prefetching first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prioritized {
    /// All names.
    pub names: Vec<Named>,
    /// How many of them come first; the landmark follows them.
    pub landmark: usize,
    /// Positions, in the list of wanted paths, of those that do not exist.
    pub missed: Vec<usize>,
}

/// Moves the `wanted` paths to the front, in their order, each after what it needs: its parent directories and, for a
/// hard link, the first name of the file. Each of these is preceded by the whiteouts that could apply to it: the opaque
/// marker of its directory and its own `.wh.` name, if they are among `names`. The other names keep their order. As in
/// the reference implementation, a path is missed if it is not among `names`, symbolic links are not followed, and a
/// file does not pull its other names. Unlike there, a parent directory that is not among `names` is not an obstacle,
/// since implied directories have no entry; and the reference does not pull whiteouts.
///
/// ```
/// use lazyoci_estargz_toc::order::prioritize;
/// use image_model::order::walk;
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

    /// Picks `path` with what it needs; false if it does not exist.
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

    /// Takes the existing parent directories of `path`, and `path`, each after its whiteouts.
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
