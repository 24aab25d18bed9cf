//! Finding the directory of a path, through symbolic links if wanted.

use std::borrow::Cow;

use super::{Entries, LayerError, LayerOptions};
use crate::metadata::{FileKind, Metadata};
use crate::name::{Name, NameRef};
use crate::path::ImagePath;
use crate::tree::{InodeId, Node, Tree};

/// Maximum number of symbolic links followed for one path, as on Linux.
const MAX_SYMLINKS: u32 = 40;

/// Maximum length of a target that is followed, in bytes: the longest path that Linux accepts.
const MAX_TARGET_LEN: usize = 4096;

/// What a path leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) inode: InodeId,
    /// Whether the path led through symbolic links.
    pub(super) by_symlink: bool,
    /// How many directories it is nested in, the root being one.
    pub(super) depth: usize,
}

/// Components of link targets, and implied directories, that each entry of a layer adds to the
/// common allowance.
const STEPS_PER_ENTRY: u64 = 256;
const IMPLIED_PER_ENTRY: u64 = 16;

/// The initial allowance, for layers of few entries. A path of the maximum depth implies that many
/// directories.
const FIRST_STEPS: u64 = 1 << 20;

/// The allowance for placing a layer's entries: it grows with their number, so that work and memory
/// are proportional to the layer.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    /// Components of symbolic link targets: the allowance, and those used.
    max_steps: u64,
    pub(super) steps: u64,
    /// Implied directories: the allowance, and those used.
    max_implied: u64,
    pub(super) implied: u64,
}

impl Allowance {
    pub(super) fn new(options: &LayerOptions) -> Self {
        Self {
            max_steps: FIRST_STEPS,
            steps: 0,
            max_implied: options.limits.max_depth.into(),
            implied: 0,
        }
    }

    /// Accounts for one more entry.
    pub(super) fn entry(&mut self) {
        self.max_steps = self.max_steps.saturating_add(STEPS_PER_ENTRY);
        self.max_implied = self.max_implied.saturating_add(IMPLIED_PER_ENTRY);
    }

    fn follow(&mut self, components: u64) -> Result<(), Obstacle> {
        self.steps = self.steps.saturating_add(components);
        match self.steps > self.max_steps {
            true => Err(Obstacle::TooManySteps(self.max_steps)),
            false => Ok(()),
        }
    }

    fn imply(&mut self) -> Result<(), Obstacle> {
        self.implied = self.implied.saturating_add(1);
        match self.implied > self.max_implied {
            true => Err(Obstacle::TooManyImplied(self.max_implied)),
            false => Ok(()),
        }
    }
}

/// The inode at `path`, through symbolic links in its parents if they are followed, but never through the last
/// component.
pub(super) fn find<C>(
    tree: &Tree<C>,
    path: &ImagePath,
    entries: Entries,
    allowance: &mut Allowance,
) -> Result<Option<Found>, Obstacle> {
    let mut components = path.components();
    let Some(name) = components.next_back() else {
        return Ok(Some(Found {
            inode: InodeId::ROOT,
            by_symlink: false,
            depth: 0,
        }));
    };
    let mut route = Route::new(components, entries);
    Ok(match route.advance(tree, allowance)? {
        Arrival::At(directory) => tree.lookup(directory, name).map(|inode| Found {
            inode,
            by_symlink: route.links > 0,
            depth: route.trail.len(),
        }),
        _ => None,
    })
}

/// The directory that `components` lead to, for an entry of `kind`. Missing ones are implied, and their names passed to
/// `made`, which may refuse to continue.
pub(super) fn make_way<'p, C>(
    tree: &mut Tree<C>,
    components: impl Iterator<Item = NameRef<'p>>,
    kind: FileKind,
    (options, allowance): (&LayerOptions, &mut Allowance),
    mut made: impl FnMut(NameRef<'_>) -> Result<(), Obstacle>,
) -> Result<Found, Obstacle> {
    let mut route = Route::new(components, options.entries);
    let entry = usize::from(kind == FileKind::Directory);
    loop {
        let arrival = route.advance(tree, allowance)?;
        // The root is not nested.
        if route.trail.len() - 1 + entry > options.limits.max_depth as usize {
            return Err(Obstacle::TooDeep);
        }
        match arrival {
            Arrival::At(_) if route.by_name && !options.lenient => return Err(Obstacle::Dangling),
            Arrival::At(inode) => {
                return Ok(Found {
                    inode,
                    by_symlink: route.links > 0,
                    depth: route.trail.len() - 1,
                });
            }
            Arrival::Missing(_, _, true) if !options.lenient => return Err(Obstacle::Dangling),
            Arrival::Missing(parent, name, _) => {
                if tree.len() >= options.limits.max_inodes as usize {
                    return Err(Obstacle::TooManyInodes);
                }
                allowance.imply()?;
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
    /// A symbolic link to something that does not exist yet.
    Dangling,
    TooManySymlinks,
    TooDeep,
    TooManyInodes,
    TooMuchMetadata,
    /// More than this, the allowance of the entries so far.
    TooManySteps(u64),
    TooManyImplied(u64),
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
            Self::Dangling => LayerError::BelowDanglingSymlink { path },
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
            Self::TooManySteps(limit) => LayerError::TooManySteps { path, limit },
            Self::TooManyImplied(limit) => LayerError::TooManyImplied { path, limit },
        }
    }
}

/// The route from the root to a directory.
struct Route<'p> {
    /// Directories passed, the root first.
    trail: Vec<InodeId>,
    /// Remaining components, the next one last.
    ahead: Vec<Cow<'p, [u8]>>,
    /// How many of those belong to the path itself; the ones after them are from a link's target.
    own: usize,
    entries: Entries,
    links: u32,
    /// Whether a missing component was passed by name, and left again by `..`.
    by_name: bool,
}

/// How far a [`Route`] leads.
enum Arrival {
    /// To its end: this directory.
    At(InodeId),
    /// To this directory, which has no such entry; whether the entry comes from a link's target.
    Missing(InodeId, Name, bool),
    /// To this inode, which is neither a directory nor a link to follow.
    Blocked(InodeId),
    /// Through more than [`MAX_SYMLINKS`] links.
    TooManySymlinks,
}

impl<'p> Route<'p> {
    /// A route through `components`.
    fn new(components: impl Iterator<Item = NameRef<'p>>, entries: Entries) -> Self {
        let mut ahead: Vec<_> = components.map(|c| Cow::Borrowed(c.as_bytes())).collect();
        ahead.reverse();
        Self {
            trail: vec![InodeId::ROOT],
            own: ahead.len(),
            ahead,
            entries,
            links: 0,
            by_name: false,
        }
    }

    /// Follows the route as far as it leads.
    fn advance<C>(
        &mut self,
        tree: &Tree<C>,
        allowance: &mut Allowance,
    ) -> Result<Arrival, Obstacle> {
        while let Some(component) = self.ahead.pop() {
            let of_link = self.ahead.len() >= self.own;
            self.own = self.own.min(self.ahead.len());
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
                return Ok(Arrival::Blocked(at));
            };
            let Some(child) = tree.lookup(at, name) else {
                if self.turns_back() {
                    continue;
                }
                return Ok(Arrival::Missing(at, name.to_name(), of_link));
            };
            match &tree.inode(child).node {
                Node::Directory(_) => self.trail.push(child),
                Node::Symlink(target)
                    if self.entries == Entries::Unpacked && target.len() <= MAX_TARGET_LEN =>
                {
                    self.links += 1;
                    if self.links > MAX_SYMLINKS {
                        return Ok(Arrival::TooManySymlinks);
                    }
                    let components = target.iter().filter(|&&byte| byte == b'/').count() + 1;
                    allowance.follow(components as u64)?;
                    self.turn(target);
                }
                _ => return Ok(Arrival::Blocked(child)),
            }
        }
        Ok(Arrival::At(self.here()))
    }

    fn here(&self) -> InodeId {
        *self.trail.last().expect("the root never leaves the trail")
    }

    fn leave(&mut self) {
        if self.trail.len() > 1 {
            self.trail.pop();
        }
    }

    /// Whether a later `..` undoes the component that is missing here. If so, it is passed by name,
    /// with everything in between, as by containerd; otherwise the rest is cleaned of `..`.
    fn turns_back(&mut self) -> bool {
        // The path itself is clean.
        if self.ahead.len() <= self.own {
            return false;
        }
        let mut below: Vec<Cow<'p, [u8]>> = Vec::new();
        while let Some(component) = self.ahead.pop() {
            match &*component {
                b"" | b"." => {}
                b".." if below.pop().is_none() => {
                    self.by_name = true;
                    self.own = self.own.min(self.ahead.len());
                    return true;
                }
                b".." => {}
                _ => below.push(component),
            }
        }
        below.reverse();
        self.own = below.len();
        self.ahead = below;
        false
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
