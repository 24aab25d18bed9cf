//! PAX records: the payload of `x` and `g` headers.
//!
//! A record is `LEN KEY=VALUE\n`; LEN is decimal and counts the whole record, itself included. So a
//! value may contain anything, including newlines and NUL. `tar-core` silently stops at a record
//! whose length it cannot read, where Go refuses the archive; hence this iterator.
//!
//! | key | value |
//! |---|---|
//! | `path`, `linkpath`, `uname`, `gname` | text without NUL |
//! | `size`, `uid`, `gid` | decimal |
//! | `mtime`, `atime`, `ctime` | decimal seconds with a fraction, may be negative |
//! | `SCHILY.xattr.NAME` | an extended attribute, verbatim |
//! | `LIBARCHIVE.xattr.NAME` | the same, name URL-encoded, value in base64; libarchive alone reads it |
//! | `GNU.sparse.*` | see [`sparse`](crate::sparse) |
//! | others | without influence on the file tree |
//! For Go, an empty value of a known key leaves the header block's field in force; GNU tar and Python read it
//! differently, so strict reading refuses it. An extended attribute may be empty.

mod time;
mod xattr;

use image_model::advisory::Oddity;
use image_model::width::u64_from;
use image_model::{Timestamp, Xattrs};

pub(crate) use time::{NANOS, format as format_time};
pub use xattr::is_portable;

use crate::error::{Refusal, TarError};
use crate::sparse::SparseRecords;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The part before the first `=`; not empty, no NUL.
    pub key: &'a [u8],
    /// The part after it.
    pub value: &'a [u8],
}

/// A malformed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed PAX record at byte {at}")]
pub struct MalformedRecord {
    /// First byte of the record in the payload.
    pub at: usize,
}

impl MalformedRecord {
    /// The same in a payload that begins at `offset` of the tar.
    fn in_tar(self, offset: u64) -> TarError {
        let offset = offset.saturating_add(u64_from(self.at));
        TarError::PaxRecord { offset }
    }
}

/// The records of a payload in order; ends after the first malformed one.
///
/// ```
/// let mut records = lazyoci_tar_stream::pax::records(b"13 path=a\nb\n\n");
/// assert_eq!(records.next().unwrap()?.value, b"a\nb\n");
/// # Ok::<(), lazyoci_tar_stream::pax::MalformedRecord>(())
/// ```
pub fn records(payload: &[u8]) -> impl Iterator<Item = Result<Record<'_>, MalformedRecord>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = payload.get(at..).filter(|rest| !rest.is_empty())?;
        match split_record(rest) {
            Some((record, len)) => {
                at = at.saturating_add(len);
                Some(Ok(record))
            }
            None => {
                let malformed = MalformedRecord { at };
                at = payload.len();
                Some(Err(malformed))
            }
        }
    })
}

/// The first record of `rest` and its length.
fn split_record(rest: &[u8]) -> Option<(Record<'_>, usize)> {
    // 20 digits suffice for every possible length.
    let space = rest.iter().take(20).position(|&b| b == b' ')?;
    let len = usize::try_from(decimal(&rest[..space])?).ok()?;
    let [b' ', body @ .., b'\n'] = rest.get(space..len)? else {
        return None;
    };
    let equals = body.iter().position(|&b| b == b'=')?;
    let (key, [b'=', value @ ..]) = body.split_at(equals) else {
        return None;
    };
    let textual = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
    if key.is_empty() || key.contains(&0) || textual && value.contains(&0) {
        return None;
    }
    Some((Record { key, value }, len))
}

/// A decimal number as Go's `ParseInt` reads it, including a sign.
pub(crate) fn decimal(text: &[u8]) -> Option<i64> {
    match text {
        [] | [b'+' | b'-'] => None,
        _ => str::from_utf8(text).ok()?.parse().ok(),
    }
}

/// The values of the records before a member. `None`: no record, or an empty value.
#[derive(Debug, Default)]
pub(crate) struct PaxFields<'a> {
    pub(crate) path: Option<&'a [u8]>,
    pub(crate) link_path: Option<&'a [u8]>,
    /// Whether the target of a link is given and empty.
    pub(crate) empty_link_path: bool,
    pub(crate) uname: Option<&'a [u8]>,
    pub(crate) gname: Option<&'a [u8]>,
    pub(crate) size: Option<i64>,
    pub(crate) uid: Option<i64>,
    pub(crate) gid: Option<i64>,
    pub(crate) mtime: Option<Timestamp>,
    pub(crate) atime: Option<Timestamp>,
    pub(crate) ctime: Option<Timestamp>,
    pub(crate) xattrs: Xattrs,
    pub(crate) sparse: SparseRecords<'a>,
}

/// The values of the known keys, verbatim.
#[derive(Default)]
struct Values<'a> {
    path: Option<&'a [u8]>,
    link_path: Option<&'a [u8]>,
    uname: Option<&'a [u8]>,
    gname: Option<&'a [u8]>,
    size: Option<&'a [u8]>,
    uid: Option<&'a [u8]>,
    gid: Option<&'a [u8]>,
    mtime: Option<&'a [u8]>,
    atime: Option<&'a [u8]>,
    ctime: Option<&'a [u8]>,
    sparse: SparseRecords<'a>,
}

impl<'a> Values<'a> {
    fn slot(&mut self, key: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match key {
            b"path" => &mut self.path,
            b"linkpath" => &mut self.link_path,
            b"uname" => &mut self.uname,
            b"gname" => &mut self.gname,
            b"size" => &mut self.size,
            b"uid" => &mut self.uid,
            b"gid" => &mut self.gid,
            b"mtime" => &mut self.mtime,
            b"atime" => &mut self.atime,
            b"ctime" => &mut self.ctime,
            _ => return self.sparse.slot(key),
        })
    }
}

impl Values<'_> {
    /// Go reads a number with a plus sign, GNU tar and bsdtar do not.
    fn refuse_plus_signs(&self, offset: u64) -> Result<(), TarError> {
        for (key, value) in [
            ("size", self.size),
            ("uid", self.uid),
            ("gid", self.gid),
            ("mtime", self.mtime),
            ("atime", self.atime),
            ("ctime", self.ctime),
        ] {
            if value.is_some_and(|value| value.starts_with(b"+")) {
                let key = key.as_bytes().into();
                let reason = Refusal::PlusSign { key };
                return Err(TarError::Refused { offset, reason });
            }
        }
        Ok(())
    }
}

impl<'a> PaxFields<'a> {
    /// Reads the records of the `x` header whose payload begins at `offset` of the tar.
    pub(crate) fn parse(
        payload: &'a [u8],
        offset: u64,
        strict: bool,
        oddities: &mut Vec<Oddity>,
    ) -> Result<Self, TarError> {
        let mut values = Values::default();
        let mut xattrs = Vec::new();
        for record in records(payload) {
            let Record { key, value } = record.map_err(|bad| bad.in_tar(offset))?;
            if let Some(slot) = values.slot(key) {
                if slot.replace(value).is_some() {
                    let repeated = Oddity::RepeatedRecord { key: key.into() };
                    if !oddities.contains(&repeated) {
                        oddities.push(repeated);
                    }
                }
                // Of texts the last one counts, and nobody minds an owner without a name.
                let text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
                if value.is_empty() && strict && !text {
                    let reason = Refusal::EmptyRecord { key: key.into() };
                    return Err(TarError::Refused { offset, reason });
                }
            } else if let Some(attribute) = xattr::XattrRecord::of(key, value) {
                xattrs.push(attribute);
            } else if !values.sparse.take_pair(key, value) {
                return Err(bad_value(offset, key, value));
            }
        }
        if strict {
            values.refuse_plus_signs(offset)?;
            if values.path == Some(b"") {
                let key = (*b"path").into();
                let reason = Refusal::EmptyRecord { key };
                return Err(TarError::Refused { offset, reason });
            }
        }
        let text = |value: Option<&'a [u8]>| value.filter(|v| !v.is_empty());
        let number = |key: &str, value| match text(value) {
            Some(v) => decimal(v)
                .map(Some)
                .ok_or_else(|| bad_value(offset, key.as_bytes(), v)),
            None => Ok(None),
        };
        let time = |key: &str, value| match text(value) {
            Some(v) => time::parse(v)
                .map(Some)
                .ok_or_else(|| bad_value(offset, key.as_bytes(), v)),
            None => Ok(None),
        };
        let atime = time("atime", values.atime)?;
        let ctime = time("ctime", values.ctime)?;
        Ok(Self {
            path: text(values.path),
            link_path: text(values.link_path),
            empty_link_path: values.link_path == Some(b""),
            uname: text(values.uname),
            gname: text(values.gname),
            size: number("size", values.size)?,
            uid: number("uid", values.uid)?,
            gid: number("gid", values.gid)?,
            mtime: time("mtime", values.mtime)?,
            atime,
            ctime,
            xattrs: xattr::merge(xattrs, offset, strict, oddities)?,
            sparse: values.sparse,
        })
    }
}

/// Checks the records of a `g` header, which have no effect.
pub(crate) fn check_global(payload: &[u8], offset: u64, strict: bool) -> Result<(), TarError> {
    for record in records(payload) {
        let Record { key, .. } = record.map_err(|bad| bad.in_tar(offset))?;
        if strict && changes_members(key) {
            return Err(TarError::Refused {
                offset,
                reason: Refusal::GlobalRecord { key: key.into() },
            });
        }
    }
    Ok(())
}

fn changes_members(key: &[u8]) -> bool {
    matches!(
        key,
        b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime"
    ) || key.starts_with(b"GNU.sparse.")
}

/// A value that is invalid for its key.
fn bad_value(offset: u64, key: &[u8], value: &[u8]) -> TarError {
    TarError::PaxValue {
        offset,
        key: key.into(),
        value: value[..value.len().min(64)].into(),
    }
}

#[cfg(test)]
mod tests;
