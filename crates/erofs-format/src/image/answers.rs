//! An EROFS image as an [`Image`].

use std::ops::{ControlFlow, Range};

use image_model::image::NoSuchEntry;
use image_model::{
    Attributes, Blob, DirEntry, Extent, FileKind, Frame, FrameId, Image, ImageError, Ino, NameRef,
    Recipe, RecipeId, Xattrs,
};

use super::ErofsImage;
use crate::error::DecodeError;

/// Answers a question about `ino`.
fn answer<T>(ino: Ino, ask: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, ImageError> {
    ask().map_err(|error| ImageError::new(ino, error))
}

impl Image for ErofsImage {
    fn root(&self) -> Ino {
        self.root_ino()
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        answer(ino, || Ok(self.inode(ino)?.attributes()))
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        answer(ino, || self.read_xattrs(&self.inode(ino)?))
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        let found = self.lookup_kind(directory, name)?;
        Ok(found.map(|(ino, _)| ino))
    }

    fn lookup_kind(
        &self,
        directory: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<(Ino, FileKind)>, ImageError> {
        answer(directory, || {
            self.find(&self.inode(directory)?, name.as_bytes())
        })
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        answer(directory, || {
            self.each_entry(&self.inode(directory)?, &mut |name, entry| {
                let ino = Ino(entry.nid);
                let kind = entry.kind;
                visit(DirEntry { name, ino, kind }).is_continue()
            })
        })
    }

    fn symlink_target(&self, ino: Ino) -> Result<Box<[u8]>, ImageError> {
        answer(ino, || self.read_target(&self.inode(ino)?))
    }

    fn extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        answer(ino, || self.visit_extents(&self.inode(ino)?, range, visit))
    }

    fn frame(&self, frame: FrameId) -> Result<Frame, ImageError> {
        let (what, index, count) = ("frame", frame.0, 0);
        Err(ImageError::new(None, NoSuchEntry { what, index, count }))
    }

    fn frame_bound(&self) -> u32 {
        0
    }

    fn recipe(&self, _recipe: RecipeId) -> Option<Recipe> {
        None
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
