//! What an [`Image`](crate::Image) answers from its tree alone.

use std::ops::ControlFlow;

use crate::error::ImageError;
use crate::image::{Attributes, DirEntry, Ino, WrongInode};
use crate::metadata::{FileKind, Xattrs};
use crate::name::NameRef;
use crate::tree::{Directory, InodeId, Node, Tree};

/// A tree seen as an image without content: inode numbers are positions in the tree's table. Owned
/// images use it for every method of [`Image`](crate::Image) but `extents` and `blobs`.
#[derive(Debug)]
pub struct TreeView<'a, C> {
    tree: &'a Tree<C>,
    links: &'a [u32],
}

impl<'a, C> TreeView<'a, C> {
    /// A view of `tree`, whose [link counts](Tree::link_counts) are `links`.
    #[must_use]
    pub fn new(tree: &'a Tree<C>, links: &'a [u32]) -> Self {
        Self { tree, links }
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> Ino {
        ino(InodeId::ROOT)
    }

    /// The fixed-size part of `ino`.
    ///
    /// # Errors
    /// If there is no such inode.
    pub fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        let id = self.id(ino)?;
        let inode = self.tree.inode(id);
        Ok(Attributes {
            kind: inode.node.kind(),
            mode: inode.metadata.mode,
            uid: inode.metadata.uid,
            gid: inode.metadata.gid,
            mtime: inode.metadata.mtime,
            size: inode.node.size(),
            links: self.links[id.index()],
            device: inode.node.device(),
        })
    }

    /// Whether `ino` is an implied directory of the tree; false if there is no such inode.
    #[must_use]
    pub fn is_implied(&self, ino: Ino) -> bool {
        self.id(ino)
            .is_ok_and(|id| self.tree.inode(id).is_implied())
    }

    /// The extended attributes of `ino`.
    ///
    /// # Errors
    /// If there is no such inode.
    pub fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        Ok(self.node(ino)?.0.clone())
    }

    /// What `name` means in `directory`.
    ///
    /// # Errors
    /// If `directory` is not a directory.
    pub fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        let entries = self.directory(directory)?;
        Ok(entries.get(name.as_bytes()).map(|&id| ino(id)))
    }

    /// Passes the entries of `directory` to `visit` in byte order, until it breaks.
    ///
    /// # Errors
    /// If `directory` is not a directory.
    pub fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        for (name, &id) in self.directory(directory)? {
            let entry = DirEntry {
                name: name.as_ref(),
                ino: ino(id),
                kind: self.tree.inode(id).node.kind(),
            };
            if visit(entry).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The target of the symbolic link `ino`.
    ///
    /// # Errors
    /// If `ino` is not a symbolic link.
    pub fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        match self.node(ino)?.1 {
            Node::Symlink(target) => Ok(target.clone()),
            other => Err(wrong_kind(ino, FileKind::Symlink, other.kind())),
        }
    }

    /// Length in bytes and content of the regular file `ino`.
    ///
    /// # Errors
    /// If `ino` is not a regular file.
    pub fn file(&self, ino: Ino) -> Result<(u64, &'a C), ImageError> {
        match self.node(ino)?.1 {
            Node::File { size, content } => Ok((*size, content)),
            other => Err(wrong_kind(ino, FileKind::File, other.kind())),
        }
    }

    fn node(&self, ino: Ino) -> Result<(&'a Xattrs, &'a Node<C>), ImageError> {
        let inode = self.tree.inode(self.id(ino)?);
        Ok((&inode.metadata.xattrs, &inode.node))
    }

    fn directory(&self, ino: Ino) -> Result<&'a Directory, ImageError> {
        match self.node(ino)?.1 {
            Node::Directory(entries) => Ok(entries),
            other => Err(wrong_kind(ino, FileKind::Directory, other.kind())),
        }
    }

    fn id(&self, ino: Ino) -> Result<InodeId, ImageError> {
        u32::try_from(ino.0)
            .ok()
            .filter(|&index| (index as usize) < self.tree.len())
            .map(InodeId::new)
            .ok_or_else(|| ImageError::new(ino, WrongInode::Missing(ino)))
    }
}

fn wrong_kind(ino: Ino, expected: FileKind, found: FileKind) -> ImageError {
    ImageError::new(ino, WrongInode::Kind { expected, found })
}

const fn ino(id: InodeId) -> Ino {
    Ino(id.index() as u64)
}
