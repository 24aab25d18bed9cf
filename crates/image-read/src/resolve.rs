//! From a path to an inode.

use image_model::name::{MAX_NAME_LEN, NameError};
use image_model::path::PathError;
use image_model::{Blame, Fault, FileKind, Image, ImageError, ImagePath, Ino, NameRef};

/// Maximum number of symbolic links followed for one path, as on Linux.
pub const MAX_LINKS: u32 = 40;

/// Which symbolic links of a path are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Follow {
    /// None: the path is cleaned [lexically](ImagePath::clean) and leads through directories only.
    Never,
    /// All but the last component, as `lstat` does.
    Parents,
    /// All, as `stat` does.
    #[default]
    All,
}

/// A path that cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// A component of the path is not a valid name.
    #[error("not a valid path in an image")]
    Path(#[from] PathError),
    /// There is no file of this name.
    #[error("{path:#}: not found")]
    NotFound {
        /// The missing path, with the links before it resolved.
        path: ImagePath,
    },
    /// The path continues below something that is not a directory.
    #[error("{path:#}: is a {kind}, not a directory")]
    NotADirectory {
        /// What is not a directory, with the links before it resolved.
        path: ImagePath,
        /// What it is.
        kind: FileKind,
    },
    /// More than [`MAX_LINKS`] symbolic links.
    #[error("{path:#}: the path leads through more than {MAX_LINKS} symbolic links")]
    TooManyLinks {
        /// The link that is one too many.
        path: ImagePath,
    },
    /// The target of a symbolic link is not a valid path.
    #[error("{path:#}: the link target is not a valid path")]
    Target {
        /// The link.
        path: ImagePath,
        /// What is wrong with a component of its target.
        source: NameError,
    },
    /// The image is damaged along the path.
    #[error("{path:#}: cannot read the inode")]
    Image {
        /// Where.
        path: ImagePath,
        /// What the image says.
        source: ImageError,
    },
}

impl Blame for ResolveError {
    fn fault(&self) -> Fault {
        match self {
            Self::Path(_) | Self::NotFound { .. } | Self::NotADirectory { .. } => Fault::Misuse,
            Self::TooManyLinks { .. } => Fault::Limit,
            Self::Target { .. } => Fault::Corrupt,
            Self::Image { source, .. } => source.fault(),
        }
    }
}

/// Finds the inode at `path` of `image`.
///
/// Nothing leads out of the image: absolute link targets start at its root, and `..` stays there.
///
/// ```
/// use image_model::{Image, Metadata, Name, Node, Tree};
/// use image_model::{BlobId, tree::Spans};
/// use lazyoci_image_read::{Follow, TreeImage, resolve};
///
/// let mut tree: Tree<Spans> = Tree::new(Metadata::implied_directory());
/// let pipe = tree.add(Metadata::default(), Node::Fifo);
/// let link = tree.add(Metadata::default(), Node::Symlink((*b"../../pipe").into()));
/// tree.link(Tree::<Spans>::ROOT, Name::new(*b"pipe").unwrap(), pipe)?;
/// tree.link(Tree::<Spans>::ROOT, Name::new(*b"link").unwrap(), link)?;
///
/// let image = TreeImage::new(tree, BlobId::new(b"none")?, 0);
/// assert_eq!(
///     resolve(&image, b"/link", Follow::All)?,
///     resolve(&image, b"pipe", Follow::Never)?
/// );
/// assert_ne!(
///     resolve(&image, b"/link", Follow::All)?,
///     resolve(&image, b"/link", Follow::Parents)?
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ResolveError`] says where the way ends.
pub fn resolve<I: Image + ?Sized>(
    image: &I,
    path: &[u8],
    follow: Follow,
) -> Result<Ino, ResolveError> {
    // A path this short cannot have a component that is too long.
    if path.len() > MAX_NAME_LEN || path.contains(&0) {
        ImagePath::clean(path)?;
    }
    let cleaned;
    let start = match follow {
        // `..` may be cleaned lexically only if there are no links.
        Follow::Never => {
            cleaned = ImagePath::clean(path)?;
            cleaned.as_bytes()
        }
        Follow::Parents | Follow::All => path,
    };
    let mut way = Way {
        image,
        directories: Vec::with_capacity(8),
        given: start,
        rest: start,
        path: None,
        links: 0,
    };
    way.directories.push(image.root());
    // Components of link targets still to be resolved, the next one on top.
    let mut pending: Vec<Box<[u8]>> = Vec::new();
    loop {
        let popped = pending.pop();
        let step = match &popped {
            Some(component) => way.step_of_link(component)?,
            None => match way.next_given() {
                Some(step) => step,
                None => return Ok(way.here()),
            },
        };
        let Step::Into(name) = step else {
            way.up();
            continue;
        };
        let (ino, kind) = way.enter(name)?;
        if kind == FileKind::Directory {
            way.directories.push(ino);
            continue;
        }
        let last = pending.is_empty() && components(way.rest).next().is_none();
        let followed = match follow {
            Follow::Never => false,
            Follow::Parents => !last,
            Follow::All => true,
        };
        match kind {
            FileKind::Symlink if followed => {
                let target = way.leave_by_link(ino)?;
                let components = components(&target).rev();
                pending.extend(components.map(Box::from));
            }
            _ if last => return Ok(ino),
            kind => {
                let path = way.path();
                return Err(ResolveError::NotADirectory { path, kind });
            }
        }
    }
}

/// What a component means.
enum Step<'a> {
    /// The directory above.
    Up,
    /// What has this name here.
    Into(NameRef<'a>),
}

/// Where resolution has come to.
struct Way<'a, I: ?Sized> {
    image: &'a I,
    /// The directories from the root to here.
    directories: Vec<Ino>,
    /// The path that was given.
    given: &'a [u8],
    /// What is left of it.
    rest: &'a [u8],
    /// Where here is, once a link was followed; before that, what was taken of `given` says it.
    path: Option<ImagePath>,
    links: u32,
}

impl<'a, I: Image + ?Sized> Way<'a, I> {
    fn here(&self) -> Ino {
        *self.directories.last().expect("the root is never left")
    }

    /// Takes the next component of the path that was given.
    fn next_given(&mut self) -> Option<Step<'a>> {
        while !self.rest.is_empty() {
            let taken = self.rest;
            let (name, rest) = NameRef::split_first(taken);
            self.rest = rest;
            match name {
                Ok(name) => return Some(Step::Into(name)),
                Err(NameError::Dots) if taken.starts_with(b"..") => return Some(Step::Up),
                // Empty, or `.`: everything else was checked before.
                Err(_) => {}
            }
        }
        None
    }

    /// What a component of the target of a link means.
    fn step_of_link<'c>(&self, component: &'c [u8]) -> Result<Step<'c>, ResolveError> {
        if component == b".." {
            return Ok(Step::Up);
        }
        let name = NameRef::new(component);
        name.map(Step::Into).map_err(|source| ResolveError::Target {
            path: self.path(),
            source,
        })
    }

    /// Where here is.
    fn path(&self) -> ImagePath {
        if let Some(path) = &self.path {
            return path.clone();
        }
        let taken = &self.given[..self.given.len() - self.rest.len()];
        ImagePath::clean(taken).expect("its components were checked")
    }

    fn up(&mut self) {
        if let Some(path) = &mut self.path {
            path.pop();
        }
        if self.directories.len() > 1 {
            self.directories.pop();
        }
    }

    /// What is called `name` here; the path then includes it.
    fn enter(&mut self, name: NameRef<'_>) -> Result<(Ino, FileKind), ResolveError> {
        let found = self.image.lookup_kind(self.here(), name);
        if let Some(path) = &mut self.path {
            path.push(name);
        }
        match found {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(ResolveError::NotFound { path: self.path() }),
            Err(source) => Err(self.damaged(source)),
        }
    }

    /// Goes back to where the link `ino` was entered, or to the root; returns its target.
    fn leave_by_link(&mut self, ino: Ino) -> Result<Box<[u8]>, ResolveError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            let path = self.path();
            return Err(ResolveError::TooManyLinks { path });
        }
        let target = self.image.symlink_target(ino);
        let target = target.map_err(|source| self.damaged(source))?;
        let mut path = ImagePath::root();
        if target.starts_with(b"/") {
            self.directories.truncate(1);
        } else {
            path = self.path();
            path.pop();
        }
        self.path = Some(path);
        Ok(target)
    }

    fn damaged(&self, source: ImageError) -> ResolveError {
        let path = self.path();
        ResolveError::Image { path, source }
    }
}

/// The components of `path` that lead somewhere.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let components = path.split(|&b| b == b'/');
    components.filter(|component| !matches!(*component, b"" | b"."))
}
