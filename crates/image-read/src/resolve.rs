//! From a path to an inode.

use image_model::name::NameError;
use image_model::path::PathError;
use image_model::{Blame, Fault, FileKind, Image, ImageError, ImagePath, Ino, NameRef};

/// Most symbolic links that are followed on one way, as on Linux.
pub const MAX_LINKS: u32 = 40;

/// Which symbolic links are followed on the way to an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Follow {
    /// None: the path is cleaned [lexically](ImagePath::clean) and leads through directories only.
    Never,
    /// Those on the way, but not the last component, as `lstat` does.
    Parents,
    /// All, as `stat` does.
    #[default]
    All,
}

/// A path leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The path holds what no name can be.
    #[error("not a path in an image")]
    Path(#[from] PathError),
    /// There is nothing of this name.
    #[error("{path:#}: not found")]
    NotFound {
        /// Where nothing is, links on the way resolved.
        path: ImagePath,
    },
    /// The path goes on below something that is no directory.
    #[error("{path:#}: is a {kind}, not a directory")]
    NotADirectory {
        /// What is no directory, links on the way resolved.
        path: ImagePath,
        /// What it is.
        kind: FileKind,
    },
    /// More than [`MAX_LINKS`] symbolic links.
    #[error("{path:#}: more than {MAX_LINKS} symbolic links lead there")]
    TooManyLinks {
        /// The link that is one too many.
        path: ImagePath,
    },
    /// The target of a symbolic link is no path.
    #[error("{path:#}: the link leads to no path in an image")]
    Target {
        /// The link.
        path: ImagePath,
        /// What is wrong with a component of its target.
        source: NameError,
    },
    /// The image is damaged on the way.
    #[error("{path:#}")]
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
    // Only without links does `..` mean what it looks like.
    let cleaned = ImagePath::clean(path)?;
    let start = match follow {
        Follow::Never => cleaned.as_bytes(),
        Follow::Parents | Follow::All => path,
    };
    let mut way = Way {
        image,
        directories: vec![image.root()],
        path: ImagePath::root(),
        links: 0,
    };
    let mut pending = Vec::new();
    push_components(&mut pending, start);
    while let Some(component) = pending.pop() {
        let name = match &*component {
            b".." => {
                way.up();
                continue;
            }
            // Components of the path given were checked, those of links are here.
            name => NameRef::new(name).map_err(|source| ResolveError::Target {
                path: way.path.clone(),
                source,
            })?,
        };
        let last = pending.is_empty();
        let (ino, kind) = way.enter(name)?;
        let followed = match follow {
            Follow::Never => false,
            Follow::Parents => !last,
            Follow::All => true,
        };
        match kind {
            FileKind::Directory => way.directories.push(ino),
            FileKind::Symlink if followed => {
                let target = way.leave_by_link(ino)?;
                push_components(&mut pending, &target);
            }
            _ if last => return Ok(ino),
            kind => {
                return Err(ResolveError::NotADirectory {
                    path: way.path,
                    kind,
                });
            }
        }
    }
    Ok(way.here())
}

/// Where resolution has come to.
struct Way<'a, I: ?Sized> {
    image: &'a I,
    /// The directories from the root to here.
    directories: Vec<Ino>,
    path: ImagePath,
    links: u32,
}

impl<I: Image + ?Sized> Way<'_, I> {
    fn here(&self) -> Ino {
        *self.directories.last().expect("the root is never left")
    }

    fn up(&mut self) {
        if self.path.pop() {
            self.directories.pop();
        }
    }

    /// What is called `name` here; the path then includes it.
    fn enter(&mut self, name: NameRef<'_>) -> Result<(Ino, FileKind), ResolveError> {
        let found = self.image.lookup(self.here(), name);
        self.path.push(name);
        let Some(ino) = found.map_err(|source| self.damaged(source))? else {
            return Err(ResolveError::NotFound {
                path: self.path.clone(),
            });
        };
        match self.image.attributes(ino) {
            Ok(attributes) => Ok((ino, attributes.kind)),
            Err(source) => Err(self.damaged(source)),
        }
    }

    /// Goes back to where the link `ino` was entered, or to the root; returns its target.
    fn leave_by_link(&mut self, ino: Ino) -> Result<Box<[u8]>, ResolveError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(ResolveError::TooManyLinks {
                path: self.path.clone(),
            });
        }
        let target = self.image.symlink_target(ino);
        let target = target.map_err(|source| self.damaged(source))?;
        if target.starts_with(b"/") {
            self.path = ImagePath::root();
            self.directories.truncate(1);
        } else {
            self.path.pop();
        }
        Ok(target)
    }

    fn damaged(&self, source: ImageError) -> ResolveError {
        ResolveError::Image {
            path: self.path.clone(),
            source,
        }
    }
}

/// Puts the components of `path` on the stack, the first one on top.
fn push_components(pending: &mut Vec<Box<[u8]>>, path: &[u8]) {
    let components = path.split(|&b| b == b'/');
    pending.extend(
        components
            .rev()
            .filter(|component| !component.is_empty() && *component != b".")
            .map(Box::from),
    );
}
