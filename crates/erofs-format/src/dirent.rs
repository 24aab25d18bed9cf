//! Directory blocks.
//!
//! A directory's data are blocks of the file system's block size, the last one perhaps shorter. Each
//! begins with its entries, 12 bytes each; their names follow in the same order, without terminators.
//! The first entry's `nameoff` / 12 is the number of entries. A name ends where the next one begins,
//! the last one at the end of the block or at its first NUL.
//!
//! | offset | size | field | meaning |
//! |---|---|---|---|
//! | 0 | 8 | nid | inode |
//! | 8 | 2 | nameoff | first byte of the name in the block |
//! | 10 | 1 | file_type | 1 file, 2 directory, 3 character device, 4 block device, 5 fifo, 6 socket, 7 symlink |
//! | 11 | 1 | reserved | 0, not read |
//!
//! `.` and `..` (the root's is itself) are entries like others; all are sorted by name as bytes, across
//! blocks too, so that a name is found by two binary searches.
//!
//! Source: Linux `fs/erofs/erofs_fs.h` (`erofs_dirent`) and `fs/erofs/namei.c`.

use std::cmp::Ordering;

use image_model::FileKind;
use image_model::width::u64_from;
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, StructureError};
use crate::view;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
/// An entry as stored, without its name.
pub(crate) struct RawDirent {
    nid: U64,
    nameoff: U16,
    file_type: u8,
    reserved: u8,
}

/// Size of an entry without its name, in bytes.
pub const LEN: usize = 12;
const _: () = assert!(size_of::<RawDirent>() == LEN);

/// An entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirent<'a> {
    /// Where the entry begins in the image.
    pub offset: u64,
    /// Its inode.
    pub nid: u64,
    /// Kind of the inode.
    pub kind: FileKind,
    /// Its name.
    pub name: &'a [u8],
}

impl RawDirent {
    /// An entry of inode `nid`, whose name begins at byte `nameoff` of its block.
    pub(crate) fn new(nid: u64, nameoff: u16, kind: FileKind) -> Self {
        Self {
            nid: nid.into(),
            nameoff: nameoff.into(),
            file_type: type_id(kind),
            reserved: 0,
        }
    }
}

const fn type_id(kind: FileKind) -> u8 {
    match kind {
        FileKind::File => 1,
        FileKind::Directory => 2,
        FileKind::CharDevice => 3,
        FileKind::BlockDevice => 4,
        FileKind::Fifo => 5,
        FileKind::Socket => 6,
        FileKind::Symlink => 7,
    }
}

#[inline]
const fn kind(type_id: u8) -> Option<FileKind> {
    Some(match type_id {
        1 => FileKind::File,
        2 => FileKind::Directory,
        3 => FileKind::CharDevice,
        4 => FileKind::BlockDevice,
        5 => FileKind::Fifo,
        6 => FileKind::Socket,
        7 => FileKind::Symlink,
        _ => return None,
    })
}

impl Dirent<'_> {
    /// Refuses the entry if it means an inode of another kind than `kind`.
    ///
    /// # Errors
    /// [`StructureError::Field`] then.
    pub fn require_kind(&self, kind: FileKind) -> Result<(), StructureError> {
        let at = At::new("directory entry", self.offset);
        let rule = "the kind of its inode";
        at.require(self.kind == kind, "file_type", type_id(self.kind), rule)
    }
}

/// One block of a directory.
#[derive(Debug, Clone, Copy)]
pub struct DirentBlock<'a> {
    bytes: &'a [u8],
    entries: &'a [RawDirent],
    /// Where the block begins in the image.
    offset: u64,
}

impl<'a> DirentBlock<'a> {
    /// The block that is `bytes`, which lie at `offset`.
    ///
    /// # Errors
    /// [`StructureError`] if it has no room for its entries.
    #[inline]
    pub fn new(bytes: &'a [u8], offset: u64) -> Result<Self, StructureError> {
        let at = At::new("directory block", offset);
        let first: &RawDirent =
            view::record(bytes, "directory entry", 0).map_err(|_| StructureError::Truncated {
                what: "directory entry",
                offset,
                len: u64_from(LEN),
                available: offset.saturating_add(u64_from(bytes.len())),
            })?;
        let names = usize::from(first.nameoff.get());
        let holds = names >= LEN && names.is_multiple_of(LEN) && names < bytes.len();
        let rule = "a multiple of 12, not 0, inside the block";
        at.require(holds, "nameoff", first.nameoff.get(), rule)?;
        let entries = <[RawDirent]>::ref_from_bytes(&bytes[..names])
            .expect("a whole number of entries, which need no alignment");
        Ok(Self {
            bytes,
            entries,
            offset,
        })
    }

    /// Number of entries, at least 1.
    #[expect(
        clippy::len_without_is_empty,
        reason = "there is no block without entries"
    )]
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where the block begins in the image.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether what no reader looks at is zero: a byte of each entry, and what follows the last name.
    #[must_use]
    pub fn rest_is_zero(&self) -> bool {
        let last = self.entries.last().map_or(0, |raw| raw.nameoff.get());
        let names = self.bytes.get(usize::from(last)..).unwrap_or_default();
        let padding = &names[view::text(names).len()..];
        let reserved = self.entries.iter().map(|raw| &raw.reserved);
        padding.iter().chain(reserved).all(|&byte| byte == 0)
    }

    /// The last entry whose name is at most `name`; `None` if all are more.
    ///
    /// # Errors
    /// [`StructureError`] if an entry that is compared is damaged.
    #[inline]
    pub fn last_at_most(&self, name: &[u8]) -> Result<Option<Dirent<'a>>, StructureError> {
        let found = last_at_most(self.len(), |index| {
            Ok::<_, StructureError>(self.entry(index)?.name.cmp(name))
        })?;
        found.map(|index| self.entry(index)).transpose()
    }

    /// Entry `index`, which is less than [`len`](Self::len).
    ///
    /// # Errors
    /// [`StructureError`] if it is damaged.
    #[inline]
    pub fn entry(&self, index: usize) -> Result<Dirent<'a>, StructureError> {
        let raw = &self.entries[index];
        let offset = view::element_offset(self.offset, index, LEN);
        let at = At::new("directory entry", offset);
        let start = usize::from(raw.nameoff.get());
        let next = self.entries[index..].get(1);
        let limit = match next {
            Some(next) => usize::from(next.nameoff.get()),
            None => self.bytes.len(),
        };
        let holds =
            size_of_val(self.entries) <= start && start < limit && limit <= self.bytes.len();
        let rule = "before the next name, behind the entries, inside the block";
        at.require(holds, "nameoff", raw.nameoff.get(), rule)?;
        let name = &self.bytes[start..limit];
        let name = match next {
            Some(_) => name,
            None => view::text(name),
        };
        let rule = "1 (file) to 7 (symlink)";
        let kind = kind(raw.file_type).ok_or_else(|| at.wrong("file_type", raw.file_type, rule))?;
        Ok(Dirent {
            offset,
            nid: raw.nid.get(),
            kind,
            name,
        })
    }
}

/// The last of `len` sorted elements that `compare`s as less or equal.
///
/// # Errors
/// Errors of `compare`.
pub fn last_at_most<E>(
    len: usize,
    mut compare: impl FnMut(usize) -> Result<Ordering, E>,
) -> Result<Option<usize>, E> {
    let (mut low, mut high) = (0usize, len);
    while low < high {
        let middle = low.midpoint(high);
        match compare(middle)? {
            Ordering::Less => low = middle.saturating_add(1),
            Ordering::Equal => return Ok(Some(middle)),
            Ordering::Greater => high = middle,
        }
    }
    Ok(low.checked_sub(1))
}
