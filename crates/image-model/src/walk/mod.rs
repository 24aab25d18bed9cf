//! Visiting every path of an image.

mod copy;
mod error;
mod hard_links;
mod ino_set;
mod paths;

use std::fmt;
use std::ops::ControlFlow;

use crate::error::ImageError;
use crate::image::{Attributes, DirEntry, Image, Ino};
use crate::layer::Rank;
use crate::limits::Limits;
use crate::metadata::FileKind;
use crate::name::NameRef;
use crate::path::ImagePath;

pub use copy::{copy_tree, several_names};
pub use error::WalkError;
pub use hard_links::HardLinks;
pub use ino_set::InoSet;
pub use paths::{Paths, Visited};

/// Visits every path of an image before those below it, siblings in byte order of their names or,
/// if [requested](Self::whiteouts_first), whiteouts before the others. The walk does not trust the
/// image: [`Limits`] bound depth and number of names, each directory is entered once (a second name
/// of a directory, including one that closes a loop, is an error), and names out of order are an
/// error. What cannot be visited yields its error in its place, and the walk continues after it:
/// stop at the first error if the image has to be sound, or collect all of them in an audit.
/// Memory: the unvisited entries of the directories on the current path, and about one bit per
/// directory.
///
/// ```
/// use lazyoci_image_model::{ChunkedImage, Limits, Metadata, Name, Node, Tree, walk::Walk};
/// let mut tree = Tree::new(Metadata::implied_directory());
/// let pipe = tree.add(Metadata::default(), Node::Fifo);
/// tree.link(Tree::<()>::ROOT, Name::new(*b"pipe")?, pipe)?;
/// # let tree = tree.map(|_, _, ()| Default::default());
/// let image = ChunkedImage::new(tree, Default::default())?;
///
/// let mut walk = Walk::new(&image, &Limits::default());
/// let mut paths = Vec::new();
/// while let Some(entry) = walk.next_entry() {
///     paths.push(entry?.path.to_string());
/// }
/// assert_eq!(paths, ["/", "/pipe"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// It is also an iterator of [values](Visited) that own their paths:
///
/// ```
/// # use lazyoci_image_model::{ChunkedImage, FileKind, Limits, Metadata, Tree, walk::Walk};
/// # let tree = Tree::new(Metadata::implied_directory());
/// # let image = ChunkedImage::new(tree, Default::default())?;
/// let mut files = Vec::new();
/// for visited in Walk::new(&image, &Limits::default()) {
///     let visited = visited?;
///     if visited.attributes.kind == FileKind::File {
///         files.push(visited.path);
///     }
/// }
/// # assert!(files.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Walk<'i> {
    image: &'i dyn Image,
    max_depth: u32,
    max_names: u32,
    names_read: u32,
    /// Directories entered so far.
    directories: InoSet,
    /// The directories on the current path, outermost first.
    levels: Vec<Level>,
    /// Entries of those directories, one directory after the other.
    entries: Vec<Pending>,
    /// Their names, end to end.
    names: Vec<u8>,
    path: ImagePath,
    at: Position,
    whiteouts_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    BeforeRoot,
    /// On an entry without a level: `path` ends with its name.
    Leaf,
    /// On a directory (the last level), or between two entries of the last level.
    Level,
}

#[derive(Debug)]
struct Level {
    directory: Ino,
    first_entry: usize,
    first_name: usize,
    next_entry: usize,
    next_name: usize,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    ino: Ino,
    name_len: u8,
    kind: FileKind,
}

/// One path of an image, visited by a [`Walk`].
#[derive(Debug, Clone, Copy)]
pub struct WalkEntry<'w> {
    /// Where the walk is.
    pub path: &'w ImagePath,
    /// The inode there.
    pub ino: Ino,
    /// Its attributes.
    pub attributes: Attributes,
    /// The kind according to the directory; an image may contradict itself.
    pub entry_kind: FileKind,
    /// Number of directories above it; 0 for the root.
    pub depth: usize,
    names: &'w [u8],
    entries: &'w [Pending],
}

impl<'w> WalkEntry<'w> {
    /// The last component of the path; `None` for the root.
    #[must_use]
    pub fn name(&self) -> Option<NameRef<'w>> {
        self.path.last()
    }

    /// The entries of this directory in walk order, which are visited next; none if it is not a
    /// directory.
    pub fn children(&self) -> impl Iterator<Item = DirEntry<'w>> + use<'w> {
        let mut names = self.names;
        self.entries.iter().map(move |entry| {
            let (name, rest) = names.split_at(usize::from(entry.name_len));
            names = rest;
            DirEntry {
                name: stored_name(name),
                ino: entry.ino,
                kind: entry.kind,
            }
        })
    }
}

impl<'i> Walk<'i> {
    /// A walk over all of `image`, the root first.
    #[must_use]
    pub fn new(image: &'i dyn Image, limits: &Limits) -> Self {
        Self {
            image,
            max_depth: limits.max_depth,
            max_names: limits.max_inodes,
            names_read: 0,
            directories: InoSet::default(),
            levels: Vec::new(),
            entries: Vec::new(),
            names: Vec::new(),
            path: ImagePath::root(),
            at: Position::BeforeRoot,
            whiteouts_first: false,
        }
    }

    /// Visits siblings by their [`Rank`], then in byte order: the order in which a layer is written.
    #[must_use]
    pub fn whiteouts_first(mut self) -> Self {
        self.whiteouts_first = true;
        self
    }

    /// The next path; `None` at the end.
    ///
    /// # Errors
    /// [`WalkError`] for what cannot be visited. The next call continues after it.
    pub fn next_entry(&mut self) -> Option<Result<WalkEntry<'_>, WalkError>> {
        let entry = match self.at {
            Position::BeforeRoot => Pending {
                ino: self.image.root(),
                name_len: 0,
                kind: FileKind::Directory,
            },
            Position::Leaf => {
                self.path.pop();
                self.step()?
            }
            Position::Level => self.step()?,
        };
        let depth = self.levels.len();
        Some(match self.visit(entry.ino) {
            Ok(attributes) => {
                let entered = self.levels.last().filter(|_| self.at == Position::Level);
                let (names, entries) = entered
                    .map_or((self.names.len(), self.entries.len()), |level| {
                        (level.first_name, level.first_entry)
                    });
                Ok(WalkEntry {
                    path: &self.path,
                    ino: entry.ino,
                    attributes,
                    entry_kind: entry.kind,
                    depth,
                    names: &self.names[names..],
                    entries: &self.entries[entries..],
                })
            }
            Err(error) => {
                self.at = Position::Leaf;
                Err(error)
            }
        })
    }

    /// Where the walk is: the path of the entry last returned by [`next_entry`](Self::next_entry).
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        &self.path
    }

    /// Skips everything below the directory visited last.
    pub fn skip_children(&mut self) {
        if let (Position::Level, Some(level)) = (self.at, self.levels.last_mut()) {
            level.next_entry = self.entries.len();
        }
    }

    /// Moves the path to the next entry, out of completed directories.
    fn step(&mut self) -> Option<Pending> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(&entry) = self.entries.get(level.next_entry) {
                let end = level.next_name + usize::from(entry.name_len);
                self.path
                    .push(stored_name(&self.names[level.next_name..end]));
                level.next_entry += 1;
                level.next_name = end;
                return Some(entry);
            }
            self.entries.truncate(level.first_entry);
            self.names.truncate(level.first_name);
            self.levels.pop();
            self.path.pop();
        }
    }

    /// Visits the inode at `path`; a directory becomes the last level.
    fn visit(&mut self, ino: Ino) -> Result<Attributes, WalkError> {
        let attributes = self
            .image
            .attributes(ino)
            .map_err(|source| self.image_error(source))?;
        self.at = Position::Leaf;
        if attributes.kind == FileKind::Directory {
            self.enter(ino)?;
            self.at = Position::Level;
        }
        Ok(attributes)
    }

    fn enter(&mut self, directory: Ino) -> Result<(), WalkError> {
        if self.levels.len() > self.max_depth as usize {
            return Err(WalkError::Depth {
                path: self.path.clone(),
                limit: self.max_depth,
            });
        }
        if !self.directories.insert(directory) {
            let (path, ino) = (self.path.clone(), directory);
            return Err(
                if self.levels.iter().any(|level| level.directory == directory) {
                    WalkError::Loop { path, ino }
                } else {
                    WalkError::SecondName { path, ino }
                },
            );
        }
        let (first_entry, first_name) = (self.entries.len(), self.names.len());
        let result = self.read(directory);
        if result.is_err() {
            self.entries.truncate(first_entry);
            self.names.truncate(first_name);
        }
        result?;
        if self.whiteouts_first {
            self.move_whiteouts(first_entry, first_name);
        }
        self.levels.push(Level {
            directory,
            first_entry,
            first_name,
            next_entry: first_entry,
            next_name: first_name,
        });
        Ok(())
    }

    /// Appends the entries of `directory` to the lists.
    fn read(&mut self, directory: Ino) -> Result<(), WalkError> {
        let Self {
            entries,
            names,
            names_read,
            max_names,
            ..
        } = self;
        let mut last = names.len()..names.len();
        let mut disorder = None;
        let mut too_many = false;
        let read = self.image.read_directory(directory, &mut |entry| {
            let name = entry.name.as_bytes();
            if !last.is_empty() && name <= &names[last.clone()] {
                disorder = Some(entry.name.to_name());
                return ControlFlow::Break(());
            }
            if names_read == max_names {
                too_many = true;
                return ControlFlow::Break(());
            }
            *names_read += 1;
            last = names.len()..names.len() + name.len();
            names.extend_from_slice(name);
            entries.push(Pending {
                ino: entry.ino,
                name_len: u8::try_from(name.len()).expect("names have at most 255 bytes"),
                kind: entry.kind,
            });
            ControlFlow::Continue(())
        });
        read.map_err(|source| self.image_error(source))?;
        if let Some(name) = disorder {
            let path = self.path.clone();
            return Err(WalkError::Order { path, name });
        }
        if too_many {
            let path = self.path.clone();
            self.levels.clear();
            return Err(WalkError::Names {
                path,
                limit: self.max_names,
            });
        }
        Ok(())
    }

    /// Moves the whiteouts among the last entries, from `first_entry` on, before the others, with the opaque marker
    /// first. In byte order whiteouts are adjacent.
    fn move_whiteouts(&mut self, first_entry: usize, first_name: usize) {
        for wanted in [Rank::Whiteout, Rank::Opaque] {
            let (mut entry, mut name) = (first_entry, first_name);
            let mut found: Option<(usize, usize)> = None;
            while let Some(pending) = self.entries.get(entry) {
                let end = name + usize::from(pending.name_len);
                match (found, Rank::of(&self.names[name..end]) <= wanted) {
                    (None, true) => found = Some((entry, name)),
                    (Some(_), false) => break,
                    _ => {}
                }
                (entry, name) = (entry + 1, end);
            }
            let Some((start_entry, start_name)) = found else {
                return;
            };
            self.entries[first_entry..entry].rotate_left(start_entry - first_entry);
            self.names[first_name..name].rotate_left(start_name - first_name);
        }
    }

    fn image_error(&self, source: ImageError) -> WalkError {
        WalkError::Image {
            path: self.path.clone(),
            source,
        }
    }
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("path", &self.path)
            .field("names_read", &self.names_read)
            .finish_non_exhaustive()
    }
}

fn stored_name(bytes: &[u8]) -> NameRef<'_> {
    NameRef::new(bytes).expect("it was a name when it was stored")
}
