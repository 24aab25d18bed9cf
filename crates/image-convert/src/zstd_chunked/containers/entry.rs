//! From a tar member to its entry in the TOC.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use estargz_toc::containers_toc::ContainersEntry;
use estargz_toc::toc::{EntryType, time};
use image_model::Timestamp;
use image_model::advisory::Oddity;
use tar_stream::{Entry, EntryKind};

use crate::zstd_chunked::refusal::{KeptTarFault, check_numbers, text};

/// The entry of `member`, but for what its chunks say, if a partial pull can put it together again.
pub(super) fn entry(member: &Entry) -> Result<ContainersEntry<'static>, KeptTarFault> {
    check(member)?;
    check_numbers(member)?;
    let kind = match (member.kind, member.typeflag) {
        (EntryKind::File, 0 | b'0') => EntryType::Reg,
        (EntryKind::HardLink, _) => EntryType::Hardlink,
        (EntryKind::Symlink, _) => EntryType::Symlink,
        (EntryKind::CharDevice, _) => EntryType::Char,
        (EntryKind::BlockDevice, _) => EntryType::Block,
        (EntryKind::Directory, _) => EntryType::Dir,
        (EntryKind::Fifo, _) => EntryType::Fifo,
        (EntryKind::File | EntryKind::Other(_), typeflag) => {
            return Err(KeptTarFault::Kind { typeflag });
        }
    };
    let mut entry = ContainersEntry::new(kind, text(&member.path, "name")?);
    entry.link_name = text(&member.link_target, "link target")?;
    entry.mode = member.raw_mode;
    entry.size = i64::try_from(member.size).unwrap_or(i64::MAX);
    entry.uid = member.uid;
    entry.gid = member.gid;
    entry.modtime = time(Some(member.mtime))?;
    entry.access_time = time(member.atime)?;
    entry.change_time = time(member.ctime)?;
    entry.dev_major = member.devmajor;
    entry.dev_minor = member.devminor;
    let xattrs = member.xattrs.iter().map(|xattr| {
        let name = text(&xattr.name, "extended attribute's name")?;
        Ok((name, STANDARD.encode(&xattr.value).into()))
    });
    entry.xattrs = xattrs.collect::<Result<_, KeptTarFault>>()?;
    Ok(entry)
}

fn check(member: &Entry) -> Result<(), KeptTarFault> {
    if member.after_global {
        return Err(KeptTarFault::GlobalHeader);
    }
    if member.is_sparse {
        return Err(KeptTarFault::Sparse);
    }
    let mut oddities = member.oddities.iter();
    match oddities.find_map(|oddity| match oddity {
        Oddity::Size { size } => Some(*size),
        _ => None,
    }) {
        Some(size) => Err(KeptTarFault::Size { size }),
        None => Ok(()),
    }
}

fn time(time: Option<Timestamp>) -> Result<Cow<'static, str>, KeptTarFault> {
    let Some(time) = time else {
        return Ok(Cow::default());
    };
    let seconds = time.seconds;
    let text = time::format_exact(time).ok_or(KeptTarFault::Time { seconds })?;
    Ok(text.into())
}
