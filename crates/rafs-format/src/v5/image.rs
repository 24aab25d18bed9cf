//! A bootstrap as an [`Image`].

use std::ops::{ControlFlow, Range};

use image_model::width::{u64_from, usize_from};
use image_model::{
    Attributes, Blob, DirEntry, Extent, FileKind, Frame, FrameId, Image, ImageError, Ino, NameRef,
    Recipe, RecipeId, Xattrs,
};

use super::bootstrap::{Bootstrap, record_number};
use super::inode::{self, Inode};
use super::xattr;
use crate::error::{At, DecodeError};
use crate::native::{answer, visit_extents};
use crate::recipes::native_recipes;
use crate::view;

/// Is shown the name and the inode of a child.
type ChildVisitor<'v> = dyn FnMut(NameRef<'_>, &Inode) -> Result<ControlFlow<()>, DecodeError> + 'v;

impl Bootstrap {
    pub(super) fn read_xattrs(&self, inode: &Inode) -> Result<Xattrs, DecodeError> {
        let max = u64::from(self.limits.max_xattr_len);
        if inode.xattr_len > max {
            return Err(DecodeError::Limit {
                what: "bytes of extended attributes",
                found: inode.xattr_len,
                max,
            });
        }
        xattr::read(&self.bytes, inode.xattr_offset(), inode.xattr_len)
    }

    /// The target's bytes, whatever they are.
    pub(super) fn raw_target(&self, inode: &Inode) -> Result<&[u8], DecodeError> {
        inode.require_kind(FileKind::Symlink)?;
        let start = inode.target().start;
        view::slice(&self.bytes, "target", start, inode.target_len.into())
    }

    pub(super) fn read_target(&self, inode: &Inode) -> Result<Box<[u8]>, DecodeError> {
        let target = self.raw_target(inode)?;
        let max = self.limits.max_symlink_len;
        if u32::from(inode.target_len) > max {
            return Err(DecodeError::Limit {
                what: "bytes of a symbolic link's target",
                found: inode.target_len.into(),
                max: max.into(),
            });
        }
        let rule = "at most the bytes before the first NUL of the link's target";
        let at = At::new("inode", inode.offset);
        let nul = target.contains(&0);
        at.require(!nul, "i_symlink_size", inode.target_len, rule)?;
        Ok(target.into())
    }

    /// The numbers of the children of `directory`, all of which exist.
    pub(super) fn children(&self, directory: &Inode) -> Result<Range<u32>, DecodeError> {
        directory.require_kind(FileKind::Directory)?;
        let numbers = directory.children();
        self.require_children(&numbers, directory.child_count, directory.offset)?;
        Ok(numbers)
    }

    /// Refuses a directory at `offset` that has children where there are no inodes.
    pub(super) fn require_children(
        &self,
        numbers: &Range<u32>,
        count: u32,
        offset: u64,
    ) -> Result<(), DecodeError> {
        let behind = self.superblock.inode_table_entries.saturating_add(1);
        let rule = "such that all children are in the inode table";
        let fits = numbers.is_empty() || numbers.end <= behind;
        At::new("inode", offset).require(fits, "i_child_count", count, rule)
    }

    /// The inode of child `number` of `directory`.
    pub(super) fn child(&self, directory: &Inode, number: u32) -> Result<Inode, DecodeError> {
        let child = self.unread(number)?;
        child.require_parent(directory.ino)?;
        child.read(&self.bytes)
    }

    /// Shows the children of `directory` with their names, which rise.
    pub(super) fn each_child(
        &self,
        directory: &Inode,
        visit: &mut ChildVisitor<'_>,
    ) -> Result<(), DecodeError> {
        let mut last: &[u8] = &[];
        for number in self.children(directory)? {
            let child = self.child(directory, number)?;
            let name = child.name(&self.bytes)?;
            if name.as_bytes() <= last {
                let offset = child.offset;
                return Err(DecodeError::NameOrder { offset });
            }
            last = name.as_bytes();
            if visit(name, &child)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn visit_extents(
        &self,
        inode: &Inode,
        range: Range<u64>,
        visit: &mut dyn FnMut(Extent) -> ControlFlow<()>,
    ) -> Result<(), DecodeError> {
        inode.require_kind(FileKind::File)?;
        self.require_chunks(inode)?;
        let records = self.records(inode)?;
        let chunk = |number| self.file_chunk(inode, records, number);
        visit_extents(
            (inode.size, self.superblock.chunk_size),
            range,
            chunk,
            visit,
        )
    }
}

impl Image for Bootstrap {
    fn root(&self) -> Ino {
        Ino(inode::ROOT.into())
    }

    fn attributes(&self, ino: Ino) -> Result<Attributes, ImageError> {
        answer(ino, || Ok(self.inode(ino)?.attributes()))
    }

    fn xattrs(&self, ino: Ino) -> Result<Xattrs, ImageError> {
        answer(ino, || self.read_xattrs(&self.inode(ino)?))
    }

    fn lookup(&self, directory: Ino, name: NameRef<'_>) -> Result<Option<Ino>, ImageError> {
        answer(directory, || {
            let child = self.find(directory, name)?;
            Ok(child.map(|child| Ino(child.ino())))
        })
    }

    fn lookup_kind(
        &self,
        directory: Ino,
        name: NameRef<'_>,
    ) -> Result<Option<(Ino, FileKind)>, ImageError> {
        answer(directory, || {
            let Some(child) = self.find(directory, name)? else {
                return Ok(None);
            };
            let ino = Ino(child.ino());
            Ok(Some((ino, self.first_link(child)?.mode()?.0)))
        })
    }

    fn read_directory(
        &self,
        directory: Ino,
        visit: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        answer(directory, || {
            let directory = self.inode(directory)?;
            self.each_child(&directory, &mut |name, child| {
                Ok(visit(DirEntry {
                    name,
                    ino: Ino(child.ino),
                    kind: child.kind,
                }))
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
        self.native_frame(frame)
            .map_err(|error| ImageError::new(None, error))
    }

    fn shared_frame(&self, frame: FrameId) -> FrameId {
        self.shared(frame)
    }

    fn frame_bound(&self) -> u32 {
        record_number(u64_from(self.bytes.len()))
    }

    fn recipe(&self, recipe: RecipeId) -> Option<Recipe> {
        native_recipes().nth(usize_from(recipe.0))
    }

    fn blobs(&self) -> &[Blob] {
        &self.blobs
    }
}
