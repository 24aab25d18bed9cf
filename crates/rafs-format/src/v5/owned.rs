//! A bootstrap as it is copied into the shared model.

use std::ops::ControlFlow;

use erofs_format::budget::Budget;
use image_model::width::u64_from;
use image_model::{Blob, FileKind, Ino, Limits, Metadata, Node};

use super::bootstrap::Bootstrap;
use super::inode::{self, Inode};
use super::inode_table;
use crate::error::{At, DecodeError};
use crate::native::FileChunk;
use crate::owned::{Child, Copied, OwnedBootstrap, copy};

impl Bootstrap {
    /// Copies the image into the shared model: every inode that the root reaches once, in the order
    /// in which builders number them; every chunk that a file uses once, in the order of first use.
    ///
    /// Takes about 300 bytes for each inode and 200 for each chunk.
    ///
    /// # Errors
    /// [`DecodeError`] if any structure is damaged, directories form no tree, structures overlap, or
    /// beyond the limits given to [`open`](Self::open). Digests are not looked at.
    pub fn to_chunked(&self) -> Result<OwnedBootstrap, DecodeError> {
        copy(self)
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
        Ino(inode::ROOT.into())
    }

    fn read(&self, ino: Ino, budget: &mut Budget) -> Result<Inode, DecodeError> {
        let inode = self.inode(ino)?;
        let available = u64_from(self.bytes.len());
        budget.charge(inode.offset, inode.len(), available)?;
        Ok(inode)
    }

    fn offset_of(&self, ino: Ino) -> u64 {
        let number = u32::try_from(ino.0).unwrap_or(u32::MAX);
        let table = self.superblock.inode_table_offset;
        inode_table::find(&self.bytes, table, number).unwrap_or(0)
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
        self.each_child(directory, &mut |name, child| {
            let ino = Ino(child.ino);
            let kind = visit(Child { name, ino })?;
            let rule = "of the kind that the inode's first name has";
            let mode = child.kind.mode_bits();
            At::new("inode", child.offset).require(child.kind == kind, "i_mode", mode, rule)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn chunks(&self, file: &Inode, visit: &mut dyn FnMut(FileChunk)) -> Result<(), DecodeError> {
        self.require_chunks(file)?;
        let records = self.records(file)?;
        for number in 0..records.len() {
            let chunk = self.file_chunk(file, records, number)?;
            let id = self.shared(chunk.id);
            visit(FileChunk { id, ..chunk });
        }
        Ok(())
    }
}
