//! Inodes and their kinds.

use std::collections::BTreeMap;

use crate::metadata::{Device, FileKind, Metadata};
use crate::name::Name;

/// Position of an inode in its tree's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub(super) u32);

impl InodeId {
    /// The root directory of every tree.
    pub const ROOT: Self = Self(0);

    /// The inode at `index` of the table.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// Position in the table, counted from 0.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Directory entries, sorted by name as bytes.
pub type Directory = BTreeMap<Name, InodeId>;

/// What an inode is, with the content `C` of regular files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node<C> {
    /// A directory and its entries.
    Directory(Directory),
    /// A regular file.
    File {
        /// Length in bytes, holes included.
        size: u64,
        /// Where the bytes are.
        content: C,
    },
    /// A symbolic link and its target, verbatim.
    Symlink(Box<[u8]>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
}

impl<C> Node<C> {
    /// An empty directory.
    #[must_use]
    pub const fn empty_directory() -> Self {
        Self::Directory(Directory::new())
    }

    /// The same node with a file's content turned into its next stage by `next`, which also
    /// receives the file's length.
    ///
    /// # Errors
    /// That of `next`.
    pub fn try_map<D, E>(self, next: impl FnOnce(u64, C) -> Result<D, E>) -> Result<Node<D>, E> {
        Ok(match self {
            Self::File { size, content } => Node::File {
                size,
                content: next(size, content)?,
            },
            Self::Directory(entries) => Node::Directory(entries),
            Self::Symlink(target) => Node::Symlink(target),
            Self::CharDevice(device) => Node::CharDevice(device),
            Self::BlockDevice(device) => Node::BlockDevice(device),
            Self::Fifo => Node::Fifo,
            Self::Socket => Node::Socket,
        })
    }

    /// Which kind of file this is.
    #[must_use]
    pub const fn kind(&self) -> FileKind {
        match self {
            Self::Directory(_) => FileKind::Directory,
            Self::File { .. } => FileKind::File,
            Self::Symlink(_) => FileKind::Symlink,
            Self::CharDevice(_) => FileKind::CharDevice,
            Self::BlockDevice(_) => FileKind::BlockDevice,
            Self::Fifo => FileKind::Fifo,
            Self::Socket => FileKind::Socket,
        }
    }

    /// `st_size` of everything but directories: file length, target length, else 0.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }

    /// The device number; 0:0 if it is not a device.
    #[must_use]
    pub fn device(&self) -> Device {
        match self {
            Self::CharDevice(device) | Self::BlockDevice(device) => *device,
            _ => Device::default(),
        }
    }
}

/// One inode. Two are equal if they describe the same file; where they come from does not count.
#[derive(Debug, Clone)]
pub struct Inode<C> {
    /// Permissions, owner, time, extended attributes.
    pub metadata: Metadata,
    /// Kind and content.
    pub node: Node<C>,
    /// It was created without an entry; its attributes may have been set since.
    pub(super) implied: bool,
}

impl<C> Inode<C> {
    /// Whether this is a directory without an entry in the layer: it exists because of its contents, with the
    /// attributes of an [implied directory](Metadata::implied_directory). Unpacked over another layer it leaves the
    /// existing directory unchanged, so it must not become an entry.
    #[must_use]
    pub fn is_implied(&self) -> bool {
        let directory = matches!(self.node, Node::Directory(_));
        directory && self.implied && self.metadata == Metadata::implied_directory()
    }
}

impl<C: PartialEq> PartialEq for Inode<C> {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.node == other.node
    }
}

impl<C: Eq> Eq for Inode<C> {}
