//! Extended attributes, inline behind their inode.
//!
//! | offset | size | field | rule |
//! |---|---|---|---|
//! | 0 | 4 | h_name_filter | 0, not read |
//! | 4 | 1 | h_shared_count | 0: shared attributes are not used |
//! | 5 | 7 | reserved | 0, not read |
//! | 12 | | entries | to the end of the area |
//!
//! An entry:
//!
//! | offset | size | field | unit |
//! |---|---|---|---|
//! | 0 | 1 | e_name_len | bytes of the name without its prefix |
//! | 1 | 1 | e_name_index | prefix: 1 `user.`, 2 `system.posix_acl_access`, 3 `system.posix_acl_default`, 4 `trusted.`, 6 `security.` |
//! | 2 | 2 | e_value_size | bytes |
//! | 4 | | name, value | then zeros to a multiple of 4 |
//!
//! The area takes 12 + 4 (`i_xattr_icount` - 1) bytes. Builders of nydus write entries in random
//! order; ours sorts them by full name.
//!
//! Source: Linux `fs/erofs/erofs_fs.h` (`erofs_xattr_ibody_header`, `erofs_xattr_entry`).

use image_model::Xattrs;
use image_model::metadata::Xattr;
use image_model::width::{u64_from, usize_from};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{At, DecodeError};
use crate::view;

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct RawXattrHeader {
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

/// Longest value that an entry can hold, in bytes.
pub const MAX_VALUE_LEN: usize = usize_from(0xffff);

/// Prefixes of names with their index. None is a prefix of another.
const PREFIXES: [(u8, &[u8]); 5] = [
    (1, b"user."),
    (2, b"system.posix_acl_access"),
    (3, b"system.posix_acl_default"),
    (4, b"trusted."),
    (6, b"security."),
];

/// Bytes of the area that `icount` stands for.
pub(crate) fn area_len(icount: u16) -> u64 {
    match icount.checked_sub(1) {
        None => 0,
        Some(words) => HEADER_LEN.saturating_add(u64::from(words) << 2),
    }
}

/// `i_xattr_icount` of an area of `area_len` bytes.
pub(crate) fn icount(area_len: u64) -> u16 {
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
pub(crate) fn split_name(name: &[u8]) -> Option<(u8, &[u8])> {
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
pub(crate) struct AreaLen(u64);

impl AreaLen {
    /// With one entry more, whose name without prefix and value take `len` bytes.
    pub(crate) const fn with(self, len: usize) -> Self {
        let start = match self.0 {
            0 => HEADER_LEN,
            len => len,
        };
        let entry = view::align(ENTRY_LEN.saturating_add(u64_from(len)), 4);
        Self(start.saturating_add(entry))
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }
}

/// Bytes of the area that holds `xattrs`, all of whose names [`split_name`] knows.
pub(crate) fn planned_len(xattrs: &Xattrs) -> u64 {
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
pub(crate) fn write(xattrs: &Xattrs, out: &mut Vec<u8>) {
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

/// Reads the area of `len` bytes at `offset`.
pub(crate) fn read(bytes: &[u8], offset: u64, len: u64) -> Result<Xattrs, DecodeError> {
    if len == 0 {
        return Ok(Xattrs::default());
    }
    let area = view::slice(bytes, "extended attributes", offset, len)?;
    let at = At::new("extended attributes", offset);
    let (header, mut rest) =
        RawXattrHeader::ref_from_prefix(area).expect("an area that is not empty has a header");
    if header.h_shared_count != 0 {
        return Err(at.unsupported("shared extended attributes"));
    }
    let end = offset.saturating_add(len);
    let mut list = Vec::new();
    while !rest.is_empty() {
        let entry_offset = end.saturating_sub(u64_from(rest.len()));
        let entry_at = At::new("extended attribute", entry_offset);
        let (xattr, after) = read_entry(rest, entry_at)?;
        list.push(xattr);
        rest = after;
    }
    Xattrs::new(list).map_err(|source| DecodeError::Xattrs { offset, source })
}

/// Whether what is not read of the header at `offset` is zero.
pub(crate) fn header_is_zero(bytes: &[u8], offset: u64) -> bool {
    let header: Result<&RawXattrHeader, _> = view::record(bytes, "extended attributes", offset);
    header.is_ok_and(|header| header.h_name_filter == 0 && header.reserved == [0; 7])
}

fn read_entry(rest: &[u8], at: At) -> Result<(Xattr, &[u8]), DecodeError> {
    let truncated = |len| DecodeError::Truncated {
        what: at.structure,
        offset: at.offset,
        len,
        available: at.offset.saturating_add(u64_from(rest.len())),
    };
    let (entry, body) = RawXattrEntry::ref_from_prefix(rest).map_err(|_| truncated(ENTRY_LEN))?;
    let rule = "of a known prefix: 1, 2, 3, 4 or 6";
    let (_, prefix) = PREFIXES
        .iter()
        .find(|(index, _)| *index == entry.e_name_index)
        .ok_or_else(|| at.wrong("e_name_index", entry.e_name_index, rule))?;
    let name_len = usize::from(entry.e_name_len);
    let len = name_len.saturating_add(entry.e_value_size.get().into());
    let padded = len.next_multiple_of(4);
    if body.len() < padded {
        return Err(truncated(ENTRY_LEN.saturating_add(u64_from(padded))));
    }
    let (name, value) = body[..len].split_at(name_len);
    let xattr = Xattr {
        name: [*prefix, name].concat().into(),
        value: value.into(),
    };
    Ok((xattr, &body[padded..]))
}
