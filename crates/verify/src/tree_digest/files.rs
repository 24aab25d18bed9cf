//! The digests of all files' contents, computed before the tree's digest, so that content is read in the cheapest
//! order.

use image_model::walk::{InoSet, Walk, WalkError};
use image_model::{Cancelled, FileKind, Image, ImagePath, Ino, Limits, NameRef, Progress};
use sha2::{Digest as _, Sha256};

use super::TreeDigestError;
use super::compute::Hash;
use crate::content::{Content, ContentError};

/// The distinct files of an image, in the order of their first names.
pub(super) struct Files {
    files: Vec<Ino>,
    /// Total bytes.
    total: u64,
}

impl Files {
    /// Names that `hidden` accepts, and everything below them, do not count.
    pub(super) fn collect(
        image: &dyn Image,
        limits: &Limits,
        hidden: &dyn Fn(NameRef<'_>) -> bool,
    ) -> Result<Self, TreeDigestError> {
        let limit = limits.max_content_len;
        let mut seen = InoSet::default();
        let (mut files, mut total) = (Vec::new(), 0u64);
        let mut walk = Walk::new(image, limits);
        while let Some(entry) = walk.next_entry() {
            let entry = entry?;
            if entry.name().is_some_and(hidden) {
                walk.skip_children();
            } else if entry.attributes.kind == FileKind::File && seen.insert(entry.ino) {
                files.push(entry.ino);
                let sum = total.checked_add(entry.attributes.size);
                total = sum.filter(|&sum| sum <= limit).ok_or_else(|| {
                    let path = entry.path.clone();
                    TreeDigestError::TooLarge { path, limit }
                })?;
            }
        }
        Ok(Self { files, total })
    }

    /// SHA-256 of each file's bytes.
    pub(super) fn digest(
        &self,
        image: &dyn Image,
        content: &mut dyn Content,
        limits: &Limits,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Hash>, TreeDigestError> {
        let nothing: Hash = Sha256::digest([]).into();
        let mut digests = vec![nothing; self.files.len()];
        let (mut current, mut hasher) = (None, Sha256::new());
        let mut done = 0;
        let total = Some(self.total);
        content
            .read_files(&self.files, &mut |piece| {
                if current != Some(piece.file) {
                    let before = std::mem::take(&mut hasher).finalize().into();
                    if let Some(file) = current.replace(piece.file) {
                        digests[file] = before;
                    }
                }
                for slice in piece.bytes.slices() {
                    hasher.update(slice);
                    done += slice.len() as u64;
                    progress.advance(done, total)?;
                }
                Ok(())
            })
            .map_err(|source| self.blame(image, limits, source))?;
        if let Some(file) = current {
            digests[file] = hasher.finalize().into();
        }
        Ok(digests)
    }

    /// Looks for the path of the file that cannot be read.
    fn blame(&self, image: &dyn Image, limits: &Limits, source: ContentError) -> TreeDigestError {
        if source.is_cancelled() {
            return Cancelled.into();
        }
        let Some(ino) = source.ino() else {
            return TreeDigestError::Contents(source);
        };
        let path = path_of(image, limits, ino).ok().flatten();
        TreeDigestError::Content {
            path: path.unwrap_or_default(),
            source,
        }
    }
}

fn path_of(image: &dyn Image, limits: &Limits, ino: Ino) -> Result<Option<ImagePath>, WalkError> {
    let mut walk = Walk::new(image, limits);
    while let Some(entry) = walk.next_entry() {
        let entry = entry?;
        if entry.ino == ino {
            return Ok(Some(entry.path.clone()));
        }
    }
    Ok(None)
}
