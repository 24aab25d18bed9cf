//! Extended attributes, after the name and target of their inode.
//!
//! | offset | size | field | unit and rule |
//! |---|---|---|---|
//! | 0 | 8 | size | bytes of the pairs |
//! | 8 | | pairs | then zeros to a multiple of 8 |
//!
//! A pair:
//!
//! | offset | size | field | unit |
//! |---|---|---|---|
//! | 0 | 4 | len | bytes of name and value, and 1 |
//! | 4 | | name, NUL, value | the name in full |
//!
//! An inode has attributes if its flags say so, and at least one then. Builders of nydus write pairs in
//! random order and take no names but those that begin with `user.`, `trusted.`, `security.` or the
//! names of the two POSIX ACLs; ours sorts them.
//!
//! Source: nydus v2, `rafs/src/metadata/layout/mod.rs` (`RafsXAttrs`).

use image_model::Xattrs;
use image_model::metadata::Xattr;
use image_model::width::u64_from;
use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use crate::error::{At, DecodeError};
use crate::view;

/// Maximum length of a name, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// Maximum length of a value, in bytes.
pub const MAX_VALUE_LEN: usize = 0x1_0000;

pub(crate) const SIZE_LEN: u64 = u64_from(size_of::<U64>());
const PAIR_LEN: u64 = u64_from(size_of::<U32>());

/// Bytes of the whole table that begins at `offset`, what fills it up included.
pub(crate) fn table_len(bytes: &[u8], offset: u64) -> Result<u64, DecodeError> {
    let size = view::record::<U64>(bytes, "extended attributes", offset)?.get();
    let len = SIZE_LEN.saturating_add(view::align(size, 8));
    view::slice(bytes, "extended attributes", offset, len)?;
    Ok(len)
}

/// Bytes of the table that holds `xattrs`, what fills it up included; 0 if there are none.
pub(crate) fn planned_len(xattrs: &Xattrs) -> u64 {
    if xattrs.is_empty() {
        return 0;
    }
    SIZE_LEN.saturating_add(view::align(pairs_len(xattrs), 8))
}

/// Bytes of name and value of a pair, and 1.
fn pair_len(xattr: &Xattr) -> u64 {
    let len = xattr.name.len().saturating_add(xattr.value.len());
    u64_from(len).saturating_add(1)
}

fn pairs_len(xattrs: &Xattrs) -> u64 {
    let lens = xattrs
        .iter()
        .map(|xattr| pair_len(xattr).saturating_add(PAIR_LEN));
    lens.fold(0, u64::saturating_add)
}

/// Appends the table that holds `xattrs`, if there are any.
pub(crate) fn write(xattrs: &Xattrs, out: &mut Vec<u8>) {
    if xattrs.is_empty() {
        return;
    }
    let len = pairs_len(xattrs);
    out.extend_from_slice(&len.to_le_bytes());
    for xattr in xattrs {
        let len = u32::try_from(pair_len(xattr)).expect("the plan refuses longer values");
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&xattr.name);
        out.push(0);
        out.extend_from_slice(&xattr.value);
    }
    let padding = view::align(len, 8).saturating_sub(len);
    out.extend((0..padding).map(|_| 0));
}

/// Reads the table of `len` bytes at `offset`, as [`table_len`] found it.
pub(crate) fn read(bytes: &[u8], offset: u64, len: u64) -> Result<Xattrs, DecodeError> {
    if len == 0 {
        return Ok(Xattrs::default());
    }
    let size = view::record::<U64>(bytes, "extended attributes", offset)?.get();
    let start = offset.saturating_add(SIZE_LEN);
    let mut rest = view::slice(bytes, "extended attributes", start, size)?;
    let end = start.saturating_add(size);
    let mut list = Vec::new();
    while !rest.is_empty() {
        let at = At::new(
            "extended attribute",
            end.saturating_sub(u64_from(rest.len())),
        );
        let (xattr, after) = read_pair(rest, at)?;
        list.push(xattr);
        rest = after;
    }
    Xattrs::new(list).map_err(|source| DecodeError::Xattrs { offset, source })
}

/// Whether the bytes that fill up the table at `offset` are zero.
pub(crate) fn padding_is_zero(bytes: &[u8], offset: u64) -> bool {
    let check = || {
        let size = view::record::<U64>(bytes, "extended attributes", offset)?.get();
        let start = offset.saturating_add(SIZE_LEN).saturating_add(size);
        let len = view::align(size, 8).saturating_sub(size);
        view::slice(bytes, "extended attributes", start, len)
    };
    check().is_ok_and(|padding| padding.iter().all(|&byte| byte == 0))
}

fn read_pair(rest: &[u8], at: At) -> Result<(Xattr, &[u8]), DecodeError> {
    let truncated = |len| DecodeError::Truncated {
        what: at.structure,
        offset: at.offset,
        len,
        available: at.offset.saturating_add(u64_from(rest.len())),
    };
    let (len, body) = U32::ref_from_prefix(rest).map_err(|_| truncated(PAIR_LEN))?;
    let len = len.get();
    let end = usize::try_from(len).ok().filter(|&end| end <= body.len());
    let end = end.ok_or_else(|| truncated(PAIR_LEN.saturating_add(len.into())))?;
    let (pair, after) = body.split_at(end);
    let mut parts = pair.splitn(2, |&byte| byte == 0);
    let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
        return Err(at.wrong("len", len, "that of a name, NUL and a value"));
    };
    let xattr = Xattr {
        name: name.into(),
        value: value.into(),
    };
    Ok((xattr, after))
}
