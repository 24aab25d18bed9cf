//! Finding the directory of a path, through symbolic links where that is wanted.

use std::borrow::Cow;

use super::{LayerError, LayerOptions};
use crate::metadata::{FileKind, Metadata};
use crate::name::{Name, NameRef};
use crate::path::ImagePath;
use crate::tree::{InodeId, Node, Tree};

/// Symbolic links that are followed on one path at most, as Linux does.
const MAX_SYMLINKS: u32 = 40;

/// Longest target that is followed, in bytes: what Linux accepts as a path.
const MAX_TARGET_LEN: usize = 4096;

/// The inode at `path`; if `follow`, through symbolic links on the way, but never the last one.
pub(super) fn find<C>(tree: &Tree<C>, path: &ImagePath, follow: bool) -> Option<InodeId> {
    let mut components = path.components();
    let Some(name) = components.next_back() else {
        return Some(InodeId::ROOT);
    };
    match Route::new(components, follow).advance(tree) {
        Arrival::At(directory) => tree.lookup(directory, name),
        _ => None,
    }
}

/// The directory that `components` lead to, for an entry of `kind`. Those that are missing are implied,
/// and their names shown to `made`, which may refuse to go on.
pub(super) fn make_way<'p, C>(
    tree: &mut Tree<C>,
    components: impl Iterator<Item = NameRef<'p>>,
    kind: FileKind,
    options: &LayerOptions,
    mut made: impl FnMut(NameRef<'_>) -> Result<(), Obstacle>,
) -> Result<InodeId, Obstacle> {
    let mut route = Route::new(components, options.lenient);
    let entry = usize::from(kind == FileKind::Directory);
    loop {
        let arrival = route.advance(tree);
        // The root is nested in nothing.
        if route.trail.len() - 1 + entry > options.limits.max_depth as usize {
            return Err(Obstacle::TooDeep);
        }
        match arrival {
            Arrival::At(directory) => return Ok(directory),
            Arrival::Missing(parent, name) => {
                if tree.len() >= options.limits.max_inodes as usize {
                    return Err(Obstacle::TooManyInodes);
                }
                let directory = tree.add(Metadata::implied_directory(), Node::empty_directory());
                let refused = made(name.as_ref());
                tree.link(parent, name, directory)
                    .expect("routes lead through directories");
                tree.imply(directory);
                refused?;
                route.trail.push(directory);
            }
            Arrival::Blocked(inode) => return Err(Obstacle::NotADirectory(inode)),
            Arrival::TooManySymlinks => return Err(Obstacle::TooManySymlinks),
        }
    }
}

/// What keeps an entry from its place.
pub(super) enum Obstacle {
    NotADirectory(InodeId),
    TooManySymlinks,
    TooDeep,
    TooManyInodes,
    TooMuchMetadata,
}

impl Obstacle {
    /// The error for the entry at `path`.
    pub(super) fn for_entry(
        self,
        path: &ImagePath,
        options: &LayerOptions,
        kind: impl FnOnce(InodeId) -> FileKind,
    ) -> LayerError {
        let path = path.clone();
        match self {
            Self::NotADirectory(inode) => LayerError::BelowNonDirectory {
                path,
                kind: kind(inode),
            },
            Self::TooManySymlinks => LayerError::TooManySymlinks {
                path,
                limit: MAX_SYMLINKS,
            },
            Self::TooDeep => LayerError::TooDeep {
                path,
                limit: options.limits.max_depth,
            },
            Self::TooManyInodes => LayerError::TooManyInodes {
                path,
                limit: options.limits.max_inodes,
            },
            Self::TooMuchMetadata => LayerError::TooMuchMetadata {
                path,
                limit: options.limits.max_metadata_len,
            },
        }
    }
}

/// The way from the root to a directory.
struct Route<'p> {
    /// Directories passed, the root first.
    trail: Vec<InodeId>,
    /// Components to go, the next one last.
    ahead: Vec<Cow<'p, [u8]>>,
    follow: bool,
    links: u32,
}

/// How far a [`Route`] leads.
enum Arrival {
    /// To its end: this directory.
    At(InodeId),
    /// To this directory, which has no such entry.
    Missing(InodeId, Name),
    /// To this inode, which is neither a directory nor a link to follow.
    Blocked(InodeId),
    /// Through more than [`MAX_SYMLINKS`] links.
    TooManySymlinks,
}

impl<'p> Route<'p> {
    /// A route through `components`; `follow` symbolic links or be blocked by them.
    fn new(components: impl Iterator<Item = NameRef<'p>>, follow: bool) -> Self {
        let mut ahead: Vec<_> = components.map(|c| Cow::Borrowed(c.as_bytes())).collect();
        ahead.reverse();
        Self {
            trail: vec![InodeId::ROOT],
            ahead,
            follow,
            links: 0,
        }
    }

    /// Goes on, as far as it leads.
    fn advance<C>(&mut self, tree: &Tree<C>) -> Arrival {
        while let Some(component) = self.ahead.pop() {
            let at = self.here();
            match &*component {
                b"" | b"." => continue,
                b".." => {
                    self.leave();
                    continue;
                }
                _ => {}
            }
            let Ok(name) = NameRef::new(&component) else {
                return Arrival::Blocked(at);
            };
            let Some(child) = tree.lookup(at, name) else {
                return Arrival::Missing(at, name.to_name());
            };
            match &tree.inode(child).node {
                Node::Directory(_) => self.trail.push(child),
                Node::Symlink(target) if self.follow && target.len() <= MAX_TARGET_LEN => {
                    self.links += 1;
                    if self.links > MAX_SYMLINKS {
                        return Arrival::TooManySymlinks;
                    }
                    self.turn(target);
                }
                _ => return Arrival::Blocked(child),
            }
        }
        Arrival::At(self.here())
    }

    fn here(&self) -> InodeId {
        *self.trail.last().expect("the root never leaves the trail")
    }

    fn leave(&mut self) {
        if self.trail.len() > 1 {
            self.trail.pop();
        }
    }

    fn turn(&mut self, target: &[u8]) {
        if target.starts_with(b"/") {
            self.trail.truncate(1);
        }
        let components = target.rsplit(|&b| b == b'/');
        self.ahead
            .extend(components.map(|c| Cow::Owned(c.to_vec())));
    }
}
