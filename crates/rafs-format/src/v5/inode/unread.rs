//! Inodes of which nothing was checked.

use std::ops::Range;

use image_model::image::WrongInode;
use image_model::{FileKind, Ino, Timestamp};
use zerocopy::FromBytes;

use super::{Inode, InodeFlags, OWN_NUMBER, RawInode, name_behind, require_behind};
use crate::error::{At, DecodeError};
use crate::v5::xattr;
use crate::view;

/// An inode of which nothing was checked but that its fixed-size part is there: enough to look for a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unread<'b> {
    number: u32,
    offset: u64,
    raw: &'b RawInode,
}

impl<'b> Unread<'b> {
    /// Inode `number`, which begins at `offset`.
    #[inline]
    pub(crate) fn at(bytes: &'b [u8], number: u32, offset: u64) -> Result<Self, DecodeError> {
        let raw = view::record(bytes, "inode", offset)?;
        Ok(Self {
            number,
            offset,
            raw,
        })
    }

    /// First byte in the bootstrap.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes of the name, whatever they are.
    pub(crate) fn name(&self, bytes: &'b [u8]) -> Result<&'b [u8], DecodeError> {
        name_behind(bytes, self.offset, self.raw.i_name_size.get())
    }

    /// Number of the first inode that stands for the same file, if the inode is sound.
    pub(crate) fn ino(&self) -> u64 {
        self.raw.i_ino.get()
    }

    /// Whether it is that inode itself.
    pub(crate) fn is_first(&self) -> bool {
        self.ino() == u64::from(self.number)
    }

    /// Refuses an inode that is in another directory.
    pub(crate) fn require_parent(&self, directory: u64) -> Result<(), DecodeError> {
        let found = self.raw.i_parent.get();
        let rule = "the number of the directory that has it";
        self.place()
            .require(found == directory, "i_parent", found, rule)
    }

    /// Refuses an inode that does not stand for all names of `ino`.
    pub(crate) fn require_ino(&self, ino: Ino) -> Result<(), DecodeError> {
        self.place()
            .require(self.ino() == ino.0, "i_ino", self.ino(), OWN_NUMBER)
    }

    /// Kind of file, and permissions.
    pub(crate) fn mode(&self) -> Result<(FileKind, u16), DecodeError> {
        let mode = self.raw.i_mode.get();
        let known = u16::try_from(mode);
        let known = known.map_err(|_| self.place().wrong("i_mode", mode, "of 16 bits"))?;
        let kind = FileKind::from_mode(known);
        let kind =
            kind.ok_or_else(|| self.place().wrong("i_mode", mode, "of a known file type"))?;
        Ok((kind, known & 0o7777))
    }

    /// The numbers of the children of a directory; whether there are as many is another question.
    pub(crate) fn children(&self) -> Result<Range<u32>, DecodeError> {
        let (found, _) = self.mode()?;
        let expected = FileKind::Directory;
        if found != expected {
            return Err(WrongInode::Kind { expected, found }.into());
        }
        let (first, count) = (self.raw.i_child_index.get(), self.child_count());
        require_behind(self.place(), self.number, first, count)?;
        Ok(first..first.saturating_add(count))
    }

    /// Directories: children, as stored.
    pub(crate) fn child_count(&self) -> u32 {
        self.raw.i_child_count.get()
    }

    fn place(&self) -> At {
        At::new("inode", self.offset)
    }

    /// All of the inode, checked against itself. Inlined, since an index of chunks needs little of every inode.
    #[inline(always)]
    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Inode, DecodeError> {
        let Self {
            number,
            offset,
            raw,
        } = *self;
        let (kind, permissions) = self.mode()?;
        let nanoseconds = raw.i_mtime_nsec.get();
        let mut inode = Inode {
            number,
            offset,
            digest: raw.i_digest,
            parent: raw.i_parent.get(),
            ino: raw.i_ino.get(),
            uid: raw.i_uid.get(),
            gid: raw.i_gid.get(),
            project: raw.i_projid.get(),
            kind,
            mode: permissions,
            size: raw.i_size.get(),
            blocks: raw.i_blocks.get(),
            flags: InodeFlags(raw.i_flags.get()),
            links: raw.i_nlink.get(),
            child_index: raw.i_child_index.get(),
            child_count: raw.i_child_count.get(),
            name_len: raw.i_name_size.get(),
            target_len: raw.i_symlink_size.get(),
            rdev: raw.i_rdev.get(),
            mtime: Timestamp {
                seconds: raw.i_mtime.get().cast_signed(),
                nanoseconds,
            },
            xattr_len: 0,
        };
        inode.check(self.place())?;
        if inode.flags.contains(InodeFlags::XATTR) {
            inode.xattr_len = xattr::table_len(bytes, inode.xattr_offset())?;
        }
        view::slice(bytes, "inode", offset, inode.len())?;
        Ok(inode)
    }
}

/// The bytes of the name of the inode at `offset`; `None` if they leave the bootstrap, or cannot be a name. To know that,
/// the first of them is read: who looks at several names has them all on their way from memory.
#[inline]
pub(crate) fn name_at(bytes: &[u8], offset: u64) -> Option<&[u8]> {
    let from_here = bytes.get(usize::try_from(offset).ok()?..)?;
    let (inode, behind) = RawInode::ref_from_prefix(from_here).ok()?;
    let name = behind.get(..usize::from(inode.i_name_size.get()))?;
    name.first()
        .is_some_and(|&first| first != 0)
        .then_some(name)
}
