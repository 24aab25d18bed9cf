//! Inodes, with their names.

mod unread;

use std::ops::{BitOr, Range};

use erofs_format::device_number::unpack_device;
use image_model::image::WrongInode;
use image_model::width::u64_from;
use image_model::{Attributes, Device, FileKind, NameRef, Timestamp};
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::chunk_record::ChunkRecord;
use crate::error::{At, DecodeError};
use crate::view;

pub(crate) use unread::{Unread, name_at};

/// Size of an inode without what follows it, in bytes.
pub(crate) const LEN: u64 = 128;
/// Number of the root.
pub(crate) const ROOT: u32 = 1;
/// Maximum length of a name, in bytes, that readers take.
const MAX_NAME_LEN: u16 = 256;
/// What `i_ino` is to be where another inode refers to it.
pub(crate) const OWN_NUMBER: &str = "its own number, as another inode refers to it";

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawInode {
    i_digest: [u8; 32],
    i_parent: U64,
    i_ino: U64,
    i_uid: U32,
    i_gid: U32,
    i_projid: U32,
    i_mode: U32,
    i_size: U64,
    i_blocks: U64,
    i_flags: U64,
    i_nlink: U32,
    i_child_index: U32,
    i_child_count: U32,
    i_name_size: U16,
    i_symlink_size: U16,
    i_rdev: U32,
    i_mtime_nsec: U32,
    i_mtime: U64,
    i_reserved: U64,
}

const _: () = assert!(u64_from(size_of::<RawInode>()) == LEN);
const _: () = assert!(std::mem::offset_of!(RawInode, i_nlink) == 88);
const _: () = assert!(std::mem::offset_of!(RawInode, i_mtime) == 112);

/// The flag word of an inode; unknown bits are kept.
///
/// | bit | flag |
/// |---|---|
/// | `0x1` | a symbolic link |
/// | `0x2` | one of several links; builders of directories do not set it |
/// | `0x4` | extended attributes follow |
/// | `0x8` | chunks are missing where the file has zeros; no current builder writes it |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct InodeFlags(u64);

impl InodeFlags {
    /// A symbolic link.
    pub const SYMLINK: Self = Self(0x1);
    /// One of several links.
    pub const HARDLINK: Self = Self(0x2);
    /// Extended attributes follow.
    pub const XATTR: Self = Self(0x4);
    /// Chunks are missing where the file has zeros.
    pub const HAS_HOLE: Self = Self(0x8);

    /// Flags out of their word.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The word as stored.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other`'s bits are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for InodeFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An inode, 128 bytes and what follows them.
///
/// | offset | size | field | unit and meaning |
/// |---|---|---|---|
/// | 0 | 32 | i_digest | digest of what it contains: see [the module](super) |
/// | 32 | 8 | i_parent | i_ino of the directory; 0 for the root |
/// | 40 | 8 | i_ino | its own number; of a hard link that of the first one |
/// | 48 | 4 | i_uid | owner |
/// | 52 | 4 | i_gid | group |
/// | 56 | 4 | i_projid | 0, not read |
/// | 60 | 4 | i_mode | as `st_mode` |
/// | 64 | 8 | i_size | bytes of a file or target; directories: 8 and its name for each entry, rounded up to 4096 |
/// | 72 | 8 | i_blocks | i_size and extended attributes in units of 512 bytes |
/// | 80 | 8 | i_flags | [`InodeFlags`] |
/// | 88 | 4 | i_nlink | names, not 0; directories: 2 plus subdirectories |
/// | 92 | 4 | i_child_index | directories: number of the first child, more than its own |
/// | 96 | 4 | i_child_count | directories: children; files: chunks |
/// | 100 | 2 | i_name_size | bytes of the name, 1 to 256 |
/// | 102 | 2 | i_symlink_size | bytes of the target, 0 for others |
/// | 104 | 4 | i_rdev | device number; some builders write `0xffffffff` for what is none |
/// | 108 | 4 | i_mtime_nsec | nanoseconds |
/// | 112 | 8 | i_mtime | seconds since 1970, signed |
/// | 120 | 8 | i_reserved | 0, not read |
/// | 128 | | name | `/` for the root; then zeros to a multiple of 8 |
/// | | | target | of a symbolic link; then zeros to a multiple of 8 |
/// | | | extended attributes | see [`xattr`](super::xattr), with [`InodeFlags::XATTR`] |
/// | | 80 each | chunks | of a file: [`ChunkRecord`]s in order |
///
/// Source: nydus v2, `rafs/src/metadata/layout/v5.rs` (`RafsV5Inode`), and the checks of
/// `rafs/src/metadata/direct_v5.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inode {
    /// Position in the inode table, from 1.
    pub number: u32,
    /// First byte in the bootstrap.
    pub offset: u64,
    /// Digest of what it contains.
    pub digest: [u8; 32],
    /// `ino` of the directory above; 0 for the root.
    pub parent: u64,
    /// Number of the first inode that stands for the same file.
    pub ino: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Project; no builder writes another one than 0.
    pub project: u32,
    /// Kind of file.
    pub kind: FileKind,
    /// Low 12 bits of i_mode.
    pub mode: u16,
    /// Bytes of a file or target; directories: see the table above.
    pub size: u64,
    /// `size` and extended attributes in units of 512 bytes.
    pub blocks: u64,
    /// What holds for the inode.
    pub flags: InodeFlags,
    /// Names of the inode; directories: 2 plus subdirectories.
    pub links: u32,
    /// Directories: number of the first child.
    pub child_index: u32,
    /// Directories: children; files: chunks.
    pub child_count: u32,
    /// Length of the name in bytes.
    pub name_len: u16,
    /// Bytes of the target of a symbolic link, as stored for others too.
    pub target_len: u16,
    /// Device number, as stored for others too.
    pub rdev: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Bytes of extended attributes; 0 if there are none.
    pub xattr_len: u64,
}

impl Inode {
    /// Reads inode `number`, which begins at `offset`, and checks it against itself.
    ///
    /// # Errors
    /// [`DecodeError`] if it, or what follows it, leaves the bootstrap, or a field breaks its rule.
    pub fn read(bytes: &[u8], number: u32, offset: u64) -> Result<Self, DecodeError> {
        Unread::at(bytes, number, offset)?.read(bytes)
    }

    #[inline(always)]
    fn check(&self, at: At) -> Result<(), DecodeError> {
        let nanoseconds = self.mtime.nanoseconds;
        let rule = "less than a second";
        at.require(
            nanoseconds < 1_000_000_000,
            "i_mtime_nsec",
            nanoseconds,
            rule,
        )?;
        let is_root = self.number == ROOT;
        let number = u64::from(self.number);
        let is_first = self.ino == number;
        let own = is_first || self.kind != FileKind::Directory && (1..number).contains(&self.ino);
        let rule = "its number, or, but for directories, a lower one";
        at.require(own, "i_ino", self.ino, rule)?;
        // The directory of a hard link may have a higher number than the first link.
        let above = self.parent < number && (is_root || self.parent != 0);
        let rule = "a lower number than its own, 0 for the root alone";
        at.require(above, "i_parent", self.parent, rule)?;
        at.require(self.links != 0, "i_nlink", self.links, "not 0")?;
        at.require(
            (1..=MAX_NAME_LEN).contains(&self.name_len),
            "i_name_size",
            self.name_len,
            "1 to 256",
        )?;
        match self.kind {
            FileKind::Directory => {
                require_behind(at, self.number, self.child_index, self.child_count)
            }
            FileKind::Symlink => {
                let rule = "not 0 for a symbolic link";
                at.require(
                    self.target_len != 0,
                    "i_symlink_size",
                    self.target_len,
                    rule,
                )
            }
            _ => Ok(()),
        }
    }

    /// Refuses an inode of another kind: the caller mixed something up.
    pub(crate) fn require_kind(&self, expected: FileKind) -> Result<(), DecodeError> {
        let found = self.kind;
        if found == expected {
            Ok(())
        } else {
            Err(WrongInode::Kind { expected, found }.into())
        }
    }

    /// The numbers of a directory's children.
    #[must_use]
    pub fn children(&self) -> Range<u32> {
        match self.kind {
            FileKind::Directory => {
                self.child_index..self.child_index.saturating_add(self.child_count)
            }
            _ => 0..0,
        }
    }

    /// Chunks of a file, 0 for others.
    #[must_use]
    pub const fn chunk_count(&self) -> u32 {
        match self.kind {
            FileKind::File => self.child_count,
            _ => 0,
        }
    }

    /// The name in a directory as stored.
    ///
    /// # Errors
    /// [`DecodeError`] if it cannot be used.
    pub(crate) fn name<'b>(&self, bytes: &'b [u8]) -> Result<NameRef<'b>, DecodeError> {
        let offset = self.offset;
        NameRef::new(self.raw_name(bytes)?).map_err(|source| DecodeError::Name { offset, source })
    }

    /// The bytes of the name, whatever they are.
    pub(crate) fn raw_name<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8], DecodeError> {
        name_behind(bytes, self.offset, self.name_len)
    }

    /// Where the target of a symbolic link is.
    pub(crate) fn target(&self) -> Range<u64> {
        let start = self
            .offset
            .saturating_add(LEN)
            .saturating_add(view::align(self.name_len.into(), 8));
        let len = match self.kind {
            FileKind::Symlink => self.target_len,
            _ => 0,
        };
        start..start.saturating_add(len.into())
    }

    /// Where the extended attributes begin.
    pub(crate) fn xattr_offset(&self) -> u64 {
        view::align(self.target().end, 8)
    }

    /// Where the chunks of a file begin.
    pub(crate) fn chunks_offset(&self) -> u64 {
        self.xattr_offset().saturating_add(self.xattr_len)
    }

    /// Length of the inode with all that follows it, in bytes.
    pub(crate) fn len(&self) -> u64 {
        let chunks = u64::from(self.chunk_count()).saturating_mul(u64_from(ChunkRecord::LEN));
        let end = self.chunks_offset().saturating_add(chunks);
        end.saturating_sub(self.offset)
    }

    /// Device number, 0:0 for anything that is not a device.
    #[must_use]
    pub const fn device(&self) -> Device {
        match self.kind {
            FileKind::CharDevice | FileKind::BlockDevice => unpack_device(self.rdev),
            _ => Device { major: 0, minor: 0 },
        }
    }

    /// The fixed-size part in the shared model.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        let size = match self.kind {
            FileKind::File => self.size,
            FileKind::Symlink => self.target_len.into(),
            _ => 0,
        };
        Attributes {
            kind: self.kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            size,
            links: self.links,
            device: self.device(),
        }
    }

    /// The inode as stored, without what follows it. `number` and `offset` do not go into it.
    pub(crate) fn to_raw(self) -> RawInode {
        let mut raw = RawInode::new_zeroed();
        raw.i_digest = self.digest;
        raw.i_parent = self.parent.into();
        raw.i_ino = self.ino.into();
        raw.i_uid = self.uid.into();
        raw.i_gid = self.gid.into();
        raw.i_projid = self.project.into();
        raw.i_mode = u32::from(self.kind.mode_bits() | self.mode).into();
        raw.i_size = self.size.into();
        raw.i_blocks = self.blocks.into();
        raw.i_flags = self.flags.0.into();
        raw.i_nlink = self.links.into();
        raw.i_child_index = self.child_index.into();
        raw.i_child_count = self.child_count.into();
        raw.i_name_size = self.name_len.into();
        raw.i_symlink_size = self.target_len.into();
        raw.i_rdev = self.rdev.into();
        raw.i_mtime_nsec = self.mtime.nanoseconds.into();
        raw.i_mtime = self.mtime.seconds.cast_unsigned().into();
        raw
    }
}

/// Refuses a directory `number` that has children, `count` from `first` on, but not after itself.
fn require_behind(at: At, number: u32, first: u32, count: u32) -> Result<(), DecodeError> {
    let rule = "more than the directory's own number";
    at.require(count == 0 || first > number, "i_child_index", first, rule)
}

/// The name of `len` bytes after the inode at `offset`.
fn name_behind(bytes: &[u8], offset: u64, len: u16) -> Result<&[u8], DecodeError> {
    view::slice(bytes, "name", offset.saturating_add(LEN), len.into())
}

/// What an entry with a name of `len` bytes adds to the `i_size` of its directory.
pub(crate) fn entry_len(len: usize) -> u64 {
    u64_from(len).saturating_add(8)
}

/// `i_size` of a directory whose entries have `entries` bytes together.
pub(crate) fn directory_size(entries: u64) -> u64 {
    view::align(entries.max(1), 4096)
}

/// `i_blocks` of an inode of `size` bytes and `xattr_len` bytes of extended attributes.
pub(crate) fn blocks(size: u64, xattr_len: u64) -> u64 {
    size.saturating_add(xattr_len).div_ceil(512)
}
