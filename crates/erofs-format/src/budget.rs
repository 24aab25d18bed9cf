//! A bound on what a traversal of the tree may read.

use crate::error::StructureError;

/// Counts the bytes of all structures of a tree, inode by inode.
///
/// In a sound image structures lie apart, so that all together fit into it. Refusing more bounds
/// the time and memory of a traversal by the length of the image, whatever the inodes say.
#[derive(Debug, Default)]
pub struct Budget {
    taken: u64,
}

impl Budget {
    /// Counts the inode at `offset`, which takes `len` bytes with all that belongs to it, in an image
    /// of `available` bytes.
    ///
    /// # Errors
    /// [`StructureError::Crowded`] if there are more than those.
    pub fn charge(&mut self, offset: u64, len: u64, available: u64) -> Result<(), StructureError> {
        self.taken = self.taken.saturating_add(len);
        if self.taken > available {
            return Err(StructureError::Crowded {
                offset,
                taken: self.taken,
                available,
            });
        }
        Ok(())
    }
}
