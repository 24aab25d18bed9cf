//! A bound on what a traversal of the tree may read.

use crate::error::DecodeError;

/// Counts the bytes of all structures of a tree, inode by inode.
///
/// In a sound bootstrap structures lie apart, so that all together fit into it. Refusing more bounds
/// the time and memory of a traversal by the length of the bootstrap, whatever the inodes say.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    taken: u64,
}

impl Budget {
    /// Counts the inode at `offset`, which takes `len` bytes with all that belongs to it, in a bootstrap
    /// of `available` bytes.
    pub(crate) fn charge(
        &mut self,
        offset: u64,
        len: u64,
        available: u64,
    ) -> Result<(), DecodeError> {
        self.taken = self.taken.saturating_add(len);
        if self.taken > available {
            return Err(DecodeError::Crowded {
                offset,
                taken: self.taken,
                available,
            });
        }
        Ok(())
    }
}
