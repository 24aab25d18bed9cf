//! The inode of an entry, without its content.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::metadata::Xattr;
use image_model::width::usize_from;
use image_model::{Device, Limits, Metadata, Node, Xattrs};

use crate::error::EntryFault;
use crate::toc::{EntryType, TocEntry, time};

/// The inode of an entry that is neither file nor hard link.
pub(super) fn node<C>(
    kind: &EntryType<'_>,
    entry: &TocEntry<'_>,
    limits: &Limits,
) -> Result<Node<C>, EntryFault> {
    Ok(match kind {
        EntryType::Dir => Node::empty_directory(),
        EntryType::Symlink => Node::Symlink(symlink(&entry.link_name, limits)?),
        EntryType::Char => Node::CharDevice(device(entry)?),
        EntryType::Block => Node::BlockDevice(device(entry)?),
        EntryType::Fifo => Node::Fifo,
        other => {
            let found = other.as_str().into();
            return Err(EntryFault::UnknownType { found });
        }
    })
}

pub(super) fn metadata(entry: &TocEntry<'_>) -> Result<Metadata, EntryFault> {
    let mode = unsigned("mode", entry.mode)?;
    let mtime = time::parse(&entry.modtime).ok_or_else(|| EntryFault::Time {
        found: entry.modtime.as_ref().into(),
    })?;
    Ok(Metadata {
        mode: permissions(mode),
        uid: narrow("uid", entry.uid)?,
        gid: narrow("gid", entry.gid)?,
        mtime,
        xattrs: xattrs(entry)?,
    })
}

fn permissions(mode: u64) -> u16 {
    let [.., high, low] = mode.to_be_bytes();
    u16::from_be_bytes([high, low]) & 0o7777
}

/// Refuses negative numbers, even if they have no meaning for the entry's type.
pub(super) fn check_numbers(entry: &TocEntry<'_>) -> Result<(), EntryFault> {
    let numbers = [
        ("size", entry.size),
        ("mode", entry.mode),
        ("uid", entry.uid),
        ("gid", entry.gid),
        ("offset", entry.offset),
        ("innerOffset", entry.inner_offset),
        ("devMajor", entry.dev_major),
        ("devMinor", entry.dev_minor),
        ("chunkOffset", entry.chunk_offset),
        ("chunkSize", entry.chunk_size),
    ];
    let mut numbers = numbers.into_iter();
    numbers.try_for_each(|(field, value)| unsigned(field, value).map(drop))
}

/// A number that must not be negative.
pub(super) fn unsigned(field: &'static str, value: i64) -> Result<u64, EntryFault> {
    u64::try_from(value).map_err(|_| EntryFault::Negative { field, value })
}

fn narrow(field: &'static str, value: i64) -> Result<u32, EntryFault> {
    u32::try_from(unsigned(field, value)?).map_err(|_| EntryFault::TooLarge {
        field,
        value,
        max: u32::MAX.into(),
    })
}

fn device(entry: &TocEntry<'_>) -> Result<Device, EntryFault> {
    Ok(Device {
        major: narrow("devMajor", entry.dev_major)?,
        minor: narrow("devMinor", entry.dev_minor)?,
    })
}

fn symlink(target: &str, limits: &Limits) -> Result<Box<[u8]>, EntryFault> {
    let (len, limit) = (target.len(), limits.max_symlink_len);
    if len > usize_from(limit) {
        return Err(EntryFault::SymlinkTooLong { len, limit });
    }
    if target.is_empty() || target.contains('\0') {
        return Err(EntryFault::SymlinkTarget);
    }
    Ok(target.as_bytes().into())
}

/// The attributes, which were found not to be too long when they were parsed.
fn xattrs(entry: &TocEntry<'_>) -> Result<Xattrs, EntryFault> {
    let mut list = Vec::with_capacity(entry.xattrs.len());
    for (name, value) in &entry.xattrs {
        let value = STANDARD
            .decode(value.as_bytes())
            .map_err(|_| EntryFault::XattrValue {
                name: name.as_ref().into(),
            })?;
        list.push(Xattr {
            name: name.as_bytes().into(),
            value: value.into(),
        });
    }
    Ok(Xattrs::new(list)?)
}
