//! A directory of this machine as an image.

mod error;
mod places;
mod source;
mod walk;
mod xattrs;

pub use error::DirectoryError;
pub use source::DirectorySource;

use std::path::Path;

use image_model::{BlobId, Limits};

use crate::TreeImage;

/// A directory as an image: its tree, and its files' contents as one long source.
///
/// Opening walks the directory once by `lstat`, follows no symbolic link and reads no content;
/// names are sorted, so that equal directories give equal images. Names of one inode (device and
/// inode number) are hard links. Content is read later, by [`DirectorySource`], from the files as
/// they then are: one that has another length by then is an error. A file with a name of 20 bytes
/// takes about 250 bytes of memory: a million files take 250 MB.
#[derive(Debug)]
#[non_exhaustive]
pub struct DirectoryImage {
    /// Names, metadata, and where in the source each file's bytes are.
    pub image: TreeImage,
    /// The files' contents, one file after the other in the order of the tree's inodes.
    pub source: DirectorySource,
}

impl DirectoryImage {
    /// Walks the directory at `path`.
    ///
    /// # Errors
    /// [`DirectoryError`] on the first entry that cannot be read, or that is beyond `limits`.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, DirectoryError> {
        let (tree, source) = walk::walk(path, limits)?;
        let id = BlobId::new(b"directory").expect("a valid id");
        Ok(Self {
            image: TreeImage::new(tree, id, source.end()),
            source,
        })
    }
}
