//! A bootstrap as it is copied into the shared model.

use erofs_format::budget::Budget;
use erofs_format::inode::Inode;
use image_model::width::u64_from;
use image_model::{Blob, FileKind, Ino, Limits, Metadata, Node, Recipe};

use super::blob_entry::BlobEntry;
use super::bootstrap::Bootstrap;
use crate::error::{At, DecodeError};
use crate::native::FileChunk;
use crate::owned::{Child, Copied, OwnedBootstrap, copy};
use crate::recipes::recorded_recipes;
use crate::view;

impl Bootstrap {
    /// Copies the image into the shared model: every inode that the root reaches once, in the order
    /// in which builders number them; every chunk that a file uses once, in the order of first use.
    ///
    /// Takes about 300 bytes for each inode and 200 for each chunk.
    ///
    /// # Errors
    /// [`DecodeError`] if any structure is damaged, directories form no tree, structures overlap, or
    /// beyond the limits given to [`open`](Self::open).
    pub fn to_chunked(&self) -> Result<OwnedBootstrap, DecodeError> {
        // Frames of such a blob have recipes of their own, which the copy has no place for.
        let mut entries = (0..).zip(&self.entries);
        if let Some((index, _)) = entries.find(|(_, entry)| entry.is_encrypted()) {
            let table = self.ext.blob_table_offset;
            let offset = view::element_offset(table, index, BlobEntry::LEN);
            return Err(
                At::new("blob table entry", offset).unsupported("a copy of encrypted blobs")
            );
        }
        copy(self)
    }

    /// The same for merging: chunks that only their blob locates are what their records say, in frames of
    /// [`Decode::Unlocated`](image_model::Decode::Unlocated).
    pub(crate) fn to_recorded(&self) -> Result<OwnedBootstrap, DecodeError> {
        copy(&Recorded(self))
    }

    /// Counts `inode` with all that belongs to it.
    pub(super) fn charge(&self, inode: &Inode, budget: &mut Budget) -> Result<(), DecodeError> {
        let data = match inode.kind {
            FileKind::Directory | FileKind::Symlink => {
                let data = self.data(inode)?;
                u64_from(data.blocks.len()).saturating_add(u64_from(data.tail.len()))
            }
            FileKind::File => {
                let addresses = self.chunk_addresses(inode)?;
                u64_from(addresses.as_flattened().len())
            }
            _ => 0,
        };
        let own = inode.header_len().saturating_add(inode.xattr_len);
        let available = u64_from(self.bytes.len());
        Ok(budget.charge(inode.offset, own.saturating_add(data), available)?)
    }
}

impl Copied for Bootstrap {
    type Inode = Inode;

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn root(&self) -> Ino {
        self.root_ino()
    }

    fn read(&self, ino: Ino, budget: &mut Budget) -> Result<Inode, DecodeError> {
        let inode = self.inode(ino)?;
        self.charge(&inode, budget)?;
        Ok(inode)
    }

    fn offset_of(&self, ino: Ino) -> u64 {
        self.superblock.inode_offset(ino.0)
    }

    fn node(&self, inode: &Inode) -> Result<(Metadata, Node<()>), DecodeError> {
        let metadata = Metadata {
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            xattrs: self.read_xattrs(inode)?,
        };
        let node = match inode.kind {
            FileKind::Directory => Node::empty_directory(),
            FileKind::File => Node::File {
                size: inode.size,
                content: (),
            },
            FileKind::Symlink => Node::Symlink(self.read_target(inode)?),
            FileKind::CharDevice => Node::CharDevice(inode.device()),
            FileKind::BlockDevice => Node::BlockDevice(inode.device()),
            FileKind::Fifo => Node::Fifo,
            FileKind::Socket => Node::Socket,
        };
        Ok((metadata, node))
    }

    fn children(
        &self,
        directory: &Inode,
        visit: &mut dyn FnMut(Child<'_>) -> Result<FileKind, DecodeError>,
    ) -> Result<(), DecodeError> {
        for entry in self.directory(directory)?.entries() {
            let (name, entry) = entry?;
            let ino = Ino(entry.nid);
            entry.require_kind(visit(Child { name, ino })?)?;
        }
        Ok(())
    }

    fn chunks(&self, file: &Inode, visit: &mut dyn FnMut(FileChunk)) -> Result<(), DecodeError> {
        let addresses = self.chunk_addresses(file)?;
        for number in 0..addresses.len() {
            visit(self.file_chunk(file, addresses, number)?);
        }
        Ok(())
    }
}

/// A bootstrap whose chunks are what their records say.
struct Recorded<'a>(&'a Bootstrap);

impl Copied for Recorded<'_> {
    type Inode = Inode;

    fn limits(&self) -> &Limits {
        self.0.limits()
    }

    fn blobs(&self) -> &[Blob] {
        Copied::blobs(self.0)
    }

    fn recipes(&self) -> Vec<Recipe> {
        recorded_recipes(&self.0.entries)
    }

    fn root(&self) -> Ino {
        Copied::root(self.0)
    }

    fn read(&self, ino: Ino, budget: &mut Budget) -> Result<Inode, DecodeError> {
        self.0.read(ino, budget)
    }

    fn offset_of(&self, ino: Ino) -> u64 {
        self.0.offset_of(ino)
    }

    fn node(&self, inode: &Inode) -> Result<(Metadata, Node<()>), DecodeError> {
        self.0.node(inode)
    }

    fn children(
        &self,
        directory: &Inode,
        visit: &mut dyn FnMut(Child<'_>) -> Result<FileKind, DecodeError>,
    ) -> Result<(), DecodeError> {
        self.0.children(directory, visit)
    }

    fn chunks(&self, file: &Inode, visit: &mut dyn FnMut(FileChunk)) -> Result<(), DecodeError> {
        let addresses = self.0.chunk_addresses(file)?;
        for number in 0..addresses.len() {
            visit(self.0.recorded_chunk(file, addresses, number)?);
        }
        Ok(())
    }
}
