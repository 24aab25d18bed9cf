//! Extended attributes: inline after their inode, or shared by several.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 4 | h_name_filter | filter of names, not read |
//! | 4 | 1 | h_shared_count | shared attributes |
//! | 5 | 7 | reserved | 0, not read |
//! | 12 | 4 each | h_shared_xattrs | where shared ones are, in units of 4 bytes from the superblock's xattr_blkaddr |
//! | | | entries | to the end of the area |
//!
//! An entry, inline or shared:
//!
//! | offset | size | field | unit |
//! |---|---|---|---|
//! | 0 | 1 | e_name_len | bytes of the name without its prefix |
//! | 1 | 1 | e_name_index | prefix: 1 `user.`, 2 `system.posix_acl_access`, 3 `system.posix_acl_default`, 4 `trusted.`, 6 `security.`; with bit 7: position among the [long prefixes](LongPrefixes) |
//! | 2 | 2 | e_value_size | bytes |
//! | 4 | | name, value | then zeros to a multiple of 4 |
//!
//! The area takes 12 + 4 (`i_xattr_icount` - 1) bytes. Builders of nydus write entries in random
//! order; ours sorts them by full name, and shares none.
//!
//! Source: Linux `fs/erofs/erofs_fs.h` (`erofs_xattr_ibody_header`, `erofs_xattr_entry`,
//! `erofs_xattr_long_prefix`).

use image_model::Xattrs;
use image_model::metadata::Xattr;
use image_model::width::{u64_from, usize_from};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, StructureError};
use crate::view;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawXattrHeader {
    h_name_filter: U32,
    h_shared_count: u8,
    reserved: [u8; 7],
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RawXattrEntry {
    e_name_len: u8,
    e_name_index: u8,
    e_value_size: U16,
}

const HEADER_LEN: u64 = 12;
const _: () = assert!(u64_from(size_of::<RawXattrHeader>()) == HEADER_LEN);
const ENTRY_LEN: u64 = 4;
const _: () = assert!(u64_from(size_of::<RawXattrEntry>()) == ENTRY_LEN);

/// Longest area that `i_xattr_icount` can express, in bytes.
pub const MAX_AREA_LEN: u64 = HEADER_LEN + 4 * (0xffff - 1);

/// Maximum length of a value that an entry can hold, in bytes.
pub const MAX_VALUE_LEN: usize = usize_from(0xffff);

/// Prefixes of names with their index. None is a prefix of another.
const PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// Length of the area that `icount` stands for, in bytes.
#[inline]
#[must_use]
pub fn area_len(icount: u16) -> u64 {
    match icount.checked_sub(1) {
        None => 0,
        Some(words) => HEADER_LEN.saturating_add(u64::from(words) << 2),
    }
}

/// `i_xattr_icount` of an area of `area_len` bytes.
///
/// # Panics
/// Beyond [`MAX_AREA_LEN`].
#[must_use]
pub fn icount(area_len: u64) -> u16 {
    match area_len {
        0 => 0,
        len => {
            let words = len.saturating_sub(HEADER_LEN) / 4;
            u16::try_from(words.saturating_add(1)).expect("planned areas fit the field")
        }
    }
}

/// Index and rest of a name; `None` if the name has no known prefix, or the rest is too long, missing,
/// or one too many: the ACLs are names of their own, the other prefixes only begin one.
#[must_use]
pub fn split_name(name: &[u8]) -> Option<(u8, &[u8])> {
    PREFIXES.iter().find_map(|&(index, prefix)| {
        let suffix = name.strip_prefix(prefix)?;
        let fits = match prefix.ends_with(b".") {
            true => (1..=usize::from(u8::MAX)).contains(&suffix.len()),
            false => suffix.is_empty(),
        };
        fits.then_some((index, suffix))
    })
}

/// Bytes of an area, entry by entry.
#[derive(Debug, Clone, Copy, Default)]
pub struct AreaLen(u64);

impl AreaLen {
    /// With one entry more, whose name without prefix and value take `len` bytes.
    #[must_use]
    pub const fn with(self, len: usize) -> Self {
        let start = match self.0 {
            0 => HEADER_LEN,
            len => len,
        };
        let entry = view::align(ENTRY_LEN.saturating_add(u64_from(len)), 4);
        Self(start.saturating_add(entry))
    }

    /// Bytes so far.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// Bytes of the area that holds `xattrs`, all of whose names [`split_name`] knows.
#[must_use]
pub fn planned_len(xattrs: &Xattrs) -> u64 {
    let len = |xattr: &Xattr| {
        let suffix = split_name(&xattr.name).map_or(0, |(_, suffix)| suffix.len());
        suffix.saturating_add(xattr.value.len())
    };
    let sum = xattrs
        .iter()
        .map(len)
        .fold(AreaLen::default(), AreaLen::with);
    sum.bytes()
}

/// Appends the area that holds `xattrs`.
///
/// # Panics
/// If one of them cannot be stored: see [`losses`](crate::losses).
pub fn write(xattrs: &Xattrs, out: &mut Vec<u8>) {
    if xattrs.is_empty() {
        return;
    }
    out.extend_from_slice(&[0; size_of::<RawXattrHeader>()]);
    for xattr in xattrs {
        let (index, suffix) = split_name(&xattr.name).expect("the plan refuses other names");
        let name_len = u8::try_from(suffix.len()).expect("split_name bounds it");
        let value_len = u16::try_from(xattr.value.len()).expect("the plan refuses longer values");
        out.extend_from_slice(&[name_len, index]);
        out.extend_from_slice(&value_len.to_le_bytes());
        out.extend_from_slice(suffix);
        out.extend_from_slice(&xattr.value);
        let unpadded = suffix.len().saturating_add(xattr.value.len());
        out.extend_from_slice(&[0; 4][..unpadded.wrapping_neg() % 4]);
    }
}

/// Prefixes of names that an image has besides the fixed ones: a fixed one and more text.
///
/// Each is stored as a length of 2 bytes, 1 to 256, then that many: the index of the fixed prefix and the
/// text, with zeros to a multiple of 4.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LongPrefixes(Vec<(u64, Box<[u8]>)>);

impl LongPrefixes {
    /// Adds the prefix that is stored at the beginning of `bytes`, which lie at `offset`; returns how many
    /// bytes it takes.
    ///
    /// # Errors
    /// [`StructureError`] if it leaves `bytes`, is longer than names may be, or has an unknown fixed prefix.
    pub fn push(&mut self, bytes: &[u8], offset: u64) -> Result<u64, StructureError> {
        let at = At::new(LONG_PREFIX, offset);
        let truncated = |len| truncated(at, len, bytes);
        let len = U16::ref_from_prefix(bytes)
            .map_err(|_| truncated(2))?
            .0
            .get();
        let rule = "1 (the fixed prefix alone) to 256";
        at.require((1..=MAX_PREFIX_LEN).contains(&len), "size", len, rule)?;
        let body = view::slice(bytes, LONG_PREFIX, 2, len.into());
        let body = body.map_err(|_| truncated(u64::from(len).saturating_add(2)))?;
        let (index, infix) = body.split_first().expect("not empty");
        let base = fixed_prefix(*index, at)?;
        self.0.push((offset, [base, infix].concat().into()));
        Ok(view::align(u64::from(len).saturating_add(2), 4))
    }

    /// Where each is stored, and the whole prefix.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.0.iter().map(|(offset, prefix)| (*offset, &**prefix))
    }

    fn get(&self, position: u8, at: At) -> Result<&[u8], StructureError> {
        let rule = "the position of a long prefix";
        let found = self.0.get(usize::from(position));
        let wrong = || at.wrong("e_name_index", position | LONG, rule);
        found.map(|(_, prefix)| &**prefix).ok_or_else(wrong)
    }
}

const LONG_PREFIX: &str = "long prefix of extended attributes";

/// Mark of an index that it is that of a long prefix.
const LONG: u8 = 0x80;

/// Maximum number of bytes of a long prefix: the index of the fixed one, and a text as long as a name.
const MAX_PREFIX_LEN: u16 = 1 + 255;

/// Longest stored form of a long prefix, in bytes.
pub const MAX_LONG_PREFIX_LEN: u64 = 2 + 256 + 2;

fn fixed_prefix(index: u8, at: At) -> Result<&'static [u8], StructureError> {
    let mut prefixes = PREFIXES.iter();
    let found = prefixes.find(|(known, _)| *known == index);
    let rule = "of a known prefix: 1, 2, 3, 4 or 6";
    let (_, prefix) = found.ok_or_else(|| at.wrong("e_name_index", index, rule))?;
    Ok(prefix)
}

/// Number of shared attributes that the area says.
#[must_use]
pub fn shared_count(area: &[u8]) -> u8 {
    RawXattrHeader::ref_from_prefix(area).map_or(0, |(header, _)| header.h_shared_count)
}

/// Reads the area that is all of `area`, which lies at `offset`; `shared` reads the shared attribute of a
/// number.
///
/// # Errors
/// [`StructureError`] if an entry leaves the area, a prefix is not known, or a name is repeated; errors of
/// `shared`.
pub fn read<E: From<StructureError>>(
    area: &[u8],
    offset: u64,
    prefixes: &LongPrefixes,
    shared: &mut dyn FnMut(u32) -> Result<Xattr, E>,
) -> Result<Xattrs, E> {
    if area.is_empty() {
        return Ok(Xattrs::default());
    }
    let at = At::new(AREA, offset);
    let header = RawXattrHeader::ref_from_prefix(area);
    let (header, _) = header.map_err(|_| truncated(at, HEADER_LEN, area))?;
    let ids_len = u64::from(header.h_shared_count) << 2;
    let ids = view::slice(area, AREA, HEADER_LEN, ids_len);
    let ids = ids.map_err(|_| truncated(at, HEADER_LEN.saturating_add(ids_len), area))?;
    let mut rest = &area[size_of::<RawXattrHeader>().saturating_add(ids.len())..];
    let mut list = Vec::new();
    for &id in ids.as_chunks::<4>().0 {
        list.push(shared(u32::from_le_bytes(id))?);
    }
    let end = offset.saturating_add(u64_from(area.len()));
    while !rest.is_empty() {
        let entry_offset = end.saturating_sub(u64_from(rest.len()));
        let (xattr, after) = read_entry(rest, entry_offset, prefixes)?;
        list.push(xattr);
        rest = after;
    }
    let xattrs = Xattrs::new(list);
    xattrs.map_err(|source| StructureError::Xattrs { offset, source }.into())
}

const AREA: &str = "extended attributes";
const ENTRY: &str = "extended attribute";

/// What is at `at` takes `len` bytes, and only `bytes` are left of what holds it.
fn truncated(at: At, len: u64, bytes: &[u8]) -> StructureError {
    StructureError::Truncated {
        what: at.structure,
        offset: at.offset,
        len,
        available: at.offset.saturating_add(u64_from(bytes.len())),
    }
}

/// Whether what is not read of the header of `area` is zero.
#[must_use]
pub fn header_is_zero(area: &[u8]) -> bool {
    let header = RawXattrHeader::ref_from_prefix(area);
    header.is_ok_and(|(header, _)| header.h_name_filter == 0 && header.reserved == [0; 7])
}

/// Reads the entry at the beginning of `bytes`, which lie at `offset`; returns what follows it, too.
///
/// # Errors
/// [`StructureError`] if it leaves `bytes`, or its prefix is not known.
pub fn read_entry<'a>(
    bytes: &'a [u8],
    offset: u64,
    prefixes: &LongPrefixes,
) -> Result<(Xattr, &'a [u8]), StructureError> {
    let at = At::new(ENTRY, offset);
    let truncated = |len| truncated(at, len, bytes);
    let (entry, body) = RawXattrEntry::ref_from_prefix(bytes).map_err(|_| truncated(ENTRY_LEN))?;
    let prefix = match entry.e_name_index {
        index if index & LONG != 0 => prefixes.get(index & !LONG, at)?,
        index => fixed_prefix(index, at)?,
    };
    let name_len = usize::from(entry.e_name_len);
    let len = name_len.saturating_add(entry.e_value_size.get().into());
    let padded = len.next_multiple_of(4);
    if body.len() < padded {
        return Err(truncated(ENTRY_LEN.saturating_add(u64_from(padded))));
    }
    let (name, value) = body[..len].split_at(name_len);
    let xattr = Xattr {
        name: [prefix, name].concat().into(),
        value: value.into(),
    };
    Ok((xattr, &body[padded..]))
}

/// Bytes that the entry at the beginning of `bytes` takes, of which only its first 4 are looked at.
///
/// # Errors
/// [`StructureError`] if there are fewer.
pub fn entry_len(bytes: &[u8], offset: u64) -> Result<u64, StructureError> {
    let entry = RawXattrEntry::ref_from_prefix(bytes);
    let (entry, _) = entry.map_err(|_| truncated(At::new(ENTRY, offset), ENTRY_LEN, bytes))?;
    let len = u64::from(entry.e_name_len).saturating_add(entry.e_value_size.get().into());
    Ok(view::align(ENTRY_LEN.saturating_add(len), 4))
}
