//! The TOC of containers/storage against the tar-split: both must describe the same entries, or a layer that is pulled
//! in parts shows other metadata than one that is unpacked.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_model::metadata::Xattr;
use image_model::name::Brief;
use image_model::{ImagePath, Limits, Timestamp, Xattrs};
use tar_stream::{Entry, EntryKind, TarError, TarReadOptions, TarReader};

use super::TarSplit;
use crate::containers_toc::{ContainersEntry, ContainersToc};
use crate::error::TocError;
use crate::toc::{EntryType, time};

/// A TOC and a tar-split that cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The TOC.
    #[error(transparent)]
    Toc(#[from] TocError),
    /// The headers in the tar-split.
    #[error("cannot read the tar that the tar-split describes")]
    Tar(#[from] TarError),
}

impl image_model::Blame for CheckError {
    fn fault(&self) -> image_model::Fault {
        match self {
            Self::Toc(error) => error.fault(),
            Self::Tar(error) => error.fault(),
        }
    }
}

/// A difference between a TOC and a tar-split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\": {what}", Brief(name))]
pub struct SplitMismatch {
    /// The name, as stored.
    pub name: Box<[u8]>,
    /// What differs.
    pub what: SplitDifference,
}

/// What differs between a TOC and a tar-split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitDifference {
    /// Only the TOC has the name.
    #[error("the TOC has it, the tar-split does not")]
    OnlyInToc,
    /// Only the tar-split has the name.
    #[error("the tar-split has it, the TOC does not")]
    OnlyInSplit,
    /// The same path twice; the reference reader refuses that even of directories.
    #[error("it is there twice")]
    Duplicate,
    /// The field of this key.
    #[error("`{0}` differs between the TOC and the tar-split")]
    Field(&'static str),
    /// The tar-split's own line for the file is not at its header, or has another name or size.
    #[error("the tar-split's file is not the one of its header")]
    File,
    /// The file is sparse, which the format cannot carry.
    #[error("the tar-split has a sparse file")]
    Sparse,
}

/// Compares the entries of the TOC `json` with the headers in the tar-split, as the reference reader does before it uses
/// either of them, and passes every difference to `report`: names as stored, types, link names, modes, sizes, owners,
/// times, device numbers, extended attributes. Times that are missing, Go's zero time and 1970 are the same. Digests and
/// places are not compared. Memory: the entries.
///
/// # Errors
/// [`CheckError`] if the TOC or the headers cannot be read.
pub fn check_entries(
    json: &[u8],
    split: &TarSplit<'_>,
    limits: &Limits,
    report: &mut dyn FnMut(SplitMismatch),
) -> Result<(), CheckError> {
    let mut toc = ContainersToc::from_json(json, limits)?;
    toc.entries.retain(|entry| entry.kind != EntryType::Chunk);
    let entries = &toc.entries;
    let mut told = |name: &[u8], what| {
        report(SplitMismatch {
            name: name.into(),
            what,
        });
    };
    let mut positions = HashMap::with_capacity(entries.len());
    let mut paths = HashSet::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        let name = entry.name.as_bytes();
        let path = ImagePath::clean(name).ok();
        if path.is_some_and(|path| !paths.insert(path)) {
            told(name, SplitDifference::Duplicate);
        }
        positions.insert(name, position);
    }
    let mut seen = vec![false; entries.len()];
    let options = TarReadOptions::default()
        .lenient(true)
        .limits(limits.clone());
    let skeleton = TarReader::seekable(split.skeleton(), options);
    let mut tar = skeleton.map_err(|source| TarError::Io { offset: 0, source })?;
    let mut files = split.files();
    while let Some(member) = tar.next_entry()? {
        let name = &*member.path;
        if files.next() != Some((member.payload_offset, name, member.payload_len)) {
            told(name, SplitDifference::File);
        }
        if member.is_sparse {
            told(name, SplitDifference::Sparse);
        }
        let Some(&position) = positions.get(name) else {
            told(name, SplitDifference::OnlyInSplit);
            continue;
        };
        if std::mem::replace(&mut seen[position], true) {
            told(name, SplitDifference::Duplicate);
        }
        for field in differences(&entries[position], &member) {
            told(name, SplitDifference::Field(field));
        }
    }
    if let Some((_, name, _)) = files.next() {
        told(name, SplitDifference::File);
    }
    for (entry, _) in entries.iter().zip(seen).filter(|(_, seen)| !seen) {
        told(entry.name.as_bytes(), SplitDifference::OnlyInToc);
    }
    Ok(())
}

/// The keys of the fields of `entry` that `member` has otherwise.
fn differences(entry: &ContainersEntry<'_>, member: &Entry) -> impl Iterator<Item = &'static str> {
    let kind = match member.kind {
        EntryKind::File => "reg",
        EntryKind::HardLink => "hardlink",
        EntryKind::Symlink => "symlink",
        EntryKind::CharDevice => "char",
        EntryKind::BlockDevice => "block",
        EntryKind::Directory => "dir",
        EntryKind::Fifo => "fifo",
        EntryKind::Other(_) => "",
    };
    let xattrs = xattrs(entry);
    [
        ("type", entry.kind.as_str() == kind),
        ("linkName", entry.link_name.as_bytes() == member.link_target),
        ("mode", entry.mode == member.raw_mode),
        ("size", u64::try_from(entry.size) == Ok(member.size)),
        ("uid", entry.uid == member.uid),
        ("gid", entry.gid == member.gid),
        ("modtime", same_time(&entry.modtime, Some(member.mtime))),
        ("accesstime", same_time(&entry.access_time, member.atime)),
        ("changetime", same_time(&entry.change_time, member.ctime)),
        ("devMajor", entry.dev_major == member.devmajor),
        ("devMinor", entry.dev_minor == member.devminor),
        ("xattrs", xattrs.as_ref() == Some(&member.xattrs)),
    ]
    .into_iter()
    .filter_map(|(key, same)| (!same).then_some(key))
}

fn same_time(text: &str, time: Option<Timestamp>) -> bool {
    let Some(found) = time::parse(text) else {
        return false;
    };
    let none = [Timestamp::EPOCH, Timestamp::from_seconds(time::YEAR_1)];
    let told = |time: Timestamp| Some(time).filter(|time| !none.contains(time));
    told(found) == time.and_then(told)
}

fn xattrs(entry: &ContainersEntry<'_>) -> Option<Xattrs> {
    let decode = |(name, value): &(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        let value = STANDARD.decode(value.as_bytes()).ok()?;
        Some(Xattr {
            name: name.as_bytes().into(),
            value: value.into(),
        })
    };
    let list: Option<Vec<_>> = entry.xattrs.iter().map(decode).collect();
    Xattrs::new(list?).ok()
}
