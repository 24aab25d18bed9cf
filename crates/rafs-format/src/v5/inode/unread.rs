//! Inodes of which nothing was checked.

use std::cmp::Ordering;
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

/// A name that is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'n> {
    name: &'n [u8],
    /// See [`head`].
    head: u64,
}

impl<'n> Sought<'n> {
    pub(crate) fn new(name: &'n [u8]) -> Self {
        let first = name.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; HEAD_LEN];
            padded[..name.len()].copy_from_slice(name);
            padded
        });
        Self {
            name,
            head: u64::from_be_bytes(first),
        }
    }

    /// How `name` compares with it.
    pub(crate) fn order_of(&self, name: &[u8]) -> Ordering {
        name.cmp(self.name)
    }

    /// How the name of the inode at `offset` compares with it; `None` if that leaves the bootstrap, or ends it.
    #[inline]
    pub(crate) fn order_at(&self, bytes: &[u8], offset: u64) -> Option<Ordering> {
        let from_here = bytes.get(usize::try_from(offset).ok()?..)?;
        let (inode, behind) = RawInode::ref_from_prefix(from_here).ok()?;
        let len = usize::from(inode.i_name_size.get());
        let name = behind.get(..len)?;
        // Most names differ there already.
        let order = head(*behind.first_chunk()?, len).cmp(&self.head);
        Some(order.then_with(|| self.order_of(name)))
    }
}

const HEAD_LEN: usize = 8;

/// The first bytes of a name of `len` bytes, without those behind it, as a number that orders as they do. A NUL
/// in a name equals its absence, which nothing but the whole names decides.
#[inline]
fn head(bytes: [u8; HEAD_LEN], len: usize) -> u64 {
    let behind = match len {
        HEAD_LEN.. => 0,
        len => u64::MAX >> (8 * len),
    };
    u64::from_be_bytes(bytes) & !behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &[u8], sought: &[u8]) -> Option<Ordering> {
        let mut raw = RawInode::new_zeroed();
        raw.i_name_size = u16::try_from(name.len()).expect("it is short").into();
        let mut bytes = raw.as_bytes().to_vec();
        bytes.extend_from_slice(name);
        // What follows a name counts for nothing.
        bytes.resize(bytes.len().next_multiple_of(8), b'z');
        Sought::new(sought).order_at(&bytes, 0)
    }

    #[test]
    fn names_compare_as_their_bytes_do() {
        let names: [&[u8]; 12] = [
            b"\x01",
            b"a",
            b"a\0",
            b"a\0b",
            b"ab",
            b"abcdefg",
            b"abcdefg\xff",
            b"abcdefgh",
            b"abcdefghi",
            b"abcdefgi",
            b"b",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        for name in names {
            for sought in names {
                assert_eq!(
                    order(name, sought),
                    Some(name.cmp(sought)),
                    "{name:?} {sought:?}"
                );
            }
        }
    }

    #[test]
    fn names_that_leave_the_bootstrap_have_no_order() {
        let mut raw = RawInode::new_zeroed();
        raw.i_name_size = 9.into();
        let mut bytes = raw.as_bytes().to_vec();
        bytes.extend_from_slice(b"abcdefgh");
        let sought = Sought::new(b"b");
        assert_eq!(sought.order_at(&bytes, 0), None);
        assert_eq!(sought.order_at(&bytes, 8), None);
        assert_eq!(sought.order_at(&bytes, u64::MAX), None);
    }
}
