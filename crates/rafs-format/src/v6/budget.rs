//! A bound on what a traversal of the tree may read.

use image_model::FileKind;

use super::bootstrap::Bootstrap;
use super::inode::Inode;
use crate::error::DecodeError;

/// Counts the bytes of all structures of a tree, inode by inode.
///
/// In a sound bootstrap structures lie apart, so that all together fit into it. Refusing more bounds
/// the time and memory of a traversal by the length of the bootstrap, whatever the inodes say.
#[derive(Debug, Default)]
pub(super) struct Budget {
    taken: u64,
}

impl Budget {
    /// Counts `inode` with all that belongs to it.
    pub(super) fn charge(
        &mut self,
        bootstrap: &Bootstrap,
        inode: &Inode,
    ) -> Result<(), DecodeError> {
        let data = match inode.kind {
            FileKind::Directory | FileKind::Symlink => {
                let data = bootstrap.data(inode)?;
                (data.blocks.len() + data.tail.len()) as u64
            }
            FileKind::File => bootstrap.chunk_addresses(inode)?.as_flattened().len() as u64,
            _ => 0,
        };
        let own = inode.header_len() + inode.xattr_len;
        self.taken = self.taken.saturating_add(own).saturating_add(data);
        let available = bootstrap.bytes.len() as u64;
        if self.taken > available {
            return Err(DecodeError::Crowded {
                offset: inode.offset,
                taken: self.taken,
                available,
            });
        }
        Ok(())
    }
}
