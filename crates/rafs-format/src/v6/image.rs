//! A bootstrap as an [`Image`].

use std::ops::{ControlFlow, Range};

use erofs_format::inode::Inode;
use erofs_format::xattr::{self, LongPrefixes};
use image_model::image::NoSuchEntry;
use image_model::{
    Attributes, Blob, DirEntry, Extent, FileKind, Frame, FrameId, Image, ImageError, Ino, NameRef,
    Recipe, RecipeId, Xattrs,
};

use super::bootstrap::Bootstrap;
use super::chunks::Locate;
use crate::error::{At, DecodeError};
use crate::native::{answer, visit_extents};
use crate::recipes::recipe_of;
use crate::view;

impl Bootstrap {
    pub(super) fn read_xattrs(&self, inode: &Inode) -> Result<Xattrs, DecodeError> {
        if inode.xattr_len > u64::from(self.limits.max_xattr_len) {
            return Err(DecodeError::Limit {
                what: "bytes of extended attributes",
                found: inode.xattr_len,
                max: self.limits.max_xattr_len.into(),
            });
        }
        let offset = inode.offset.saturating_add(inode.header_len());
        let area = view::slice(&self.bytes, "extended attributes", offset, inode.xattr_len)?;
        let shared =
            At::new("extended attributes", offset).unsupported("shared extended attributes");
        if xattr::shared_count(area) != 0 {
            return Err(shared);
        }
        xattr::read(area, offset, &LongPrefixes::default(), &mut |_| {
            Err(shared.clone())
        })
    }

    pub(super) fn read_target(&self, inode: &Inode) -> Result<Box<[u8]>, DecodeError> {
        inode.require_kind(FileKind::Symlink)?;
        if inode.size > u64::from(self.limits.max_symlink_len) {
            return Err(DecodeError::Limit {
                what: "bytes of a symbolic link's target",
                found: inode.size,
                max: self.limits.max_symlink_len.into(),
            });
        }
        let data = self.data(inode)?;
        let target = [data.blocks, data.tail].concat();
        let rule = "at most the bytes before the first NUL of the link's target";
        let nul = target.contains(&0);
        At::new("inode", inode.offset).require(!nul, "i_size", inode.size, rule)?;
        Ok(target.into())
    }

    /// As [`Image::extents`], where `located` finds the chunks of blobs in zran mode.
    pub(crate) fn located_extents(
        &self,
        ino: Ino,
        range: Range<u64>,
        located: &dyn Locate,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        answer(ino, || {
            let inode = self.inode(ino)?;
            inode.require_kind(FileKind::File)?;
            let addresses = self.chunk_addresses(&inode)?;
            let chunk = |number| self.located_chunk(&inode, addresses, number, located);
            visit_extents((inode.size, self.ext.chunk_size), range, chunk, visit)
        })
    }

    fn visit_extents(
        &self,
        inode: &Inode,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), DecodeError> {
        inode.require_kind(FileKind::File)?;
        let addresses = self.chunk_addresses(inode)?;
        let chunk = |number| self.file_chunk(inode, addresses, number);
        visit_extents((inode.size, self.ext.chunk_size), range, chunk, visit)
    }
}

impl Image for Bootstrap {
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
        answer(directory, || {
            let directory = self.directory(&self.inode(directory)?)?;
            let entry = directory.find(name.as_bytes())?;
            Ok(entry.map(|entry| Ino(entry.nid)))
        })
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        answer(directory, || {
            let directory = self.directory(&self.inode(directory)?)?;
            for entry in directory.entries() {
                let (name, entry) = entry?;
                let entry = DirEntry {
                    name,
                    ino: Ino(entry.nid),
                    kind: entry.kind,
                };
                if visit(entry).is_break() {
                    break;
                }
            }
            Ok(())
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
        match self.native_frame(frame) {
            Some(found) => found.map_err(|error| ImageError::new(None, error)),
            None => {
                let (what, index) = ("frame", frame.0);
                let count = self.frame_records().len();
                Err(ImageError::new(None, NoSuchEntry { what, index, count }))
            }
        }
    }

    fn frame_bound(&self) -> u32 {
        u32::try_from(self.frame_records().len()).unwrap_or(u32::MAX)
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        recipe_of(&self.entries, recipe)
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
