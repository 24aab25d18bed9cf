//! A bound on what a traversal of the tree may read.

use image_model::FileKind;
use image_model::width::u64_from;

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
                u64_from(data.blocks.len()).saturating_add(u64_from(data.tail.len()))
            }
            FileKind::File => {
                let addresses = bootstrap.chunk_addresses(inode)?;
                u64_from(addresses.as_flattened().len())
            }
            _ => 0,
        };
        let own = inode.header_len().saturating_add(inode.xattr_len);
        self.taken = self.taken.saturating_add(own).saturating_add(data);
        let available = u64_from(bootstrap.bytes.len());
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
