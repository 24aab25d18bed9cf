//! Bounds on what a traversal of the tree may read, and on what is said of it.

use image_model::width::u64_from;
use image_model::{ImagePath, Limits};

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

/// Room for the paths of findings: [`Limits::max_report_len`] bytes.
///
/// Paths may have megabytes, and as many findings as an image has names would copy one each.
#[derive(Debug)]
pub struct PathRoom {
    left: u64,
}

impl PathRoom {
    /// All the room that `limits` leave.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            left: limits.max_report_len,
        }
    }

    /// A copy of `path`, as long as there is room.
    pub fn copy(&mut self, path: &ImagePath) -> Option<ImagePath> {
        let left = self.left.checked_sub(u64_from(path.as_bytes().len()));
        self.left = left.unwrap_or(0);
        left.map(|_| path.clone())
    }
}
