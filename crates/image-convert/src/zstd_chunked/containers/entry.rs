//! From a tar member to its entry in the TOC.

use std::borrow::Cow;

use estargz_toc::containers_toc::ContainersEntry;
use estargz_toc::toc::time;
use image_model::Timestamp;
use image_model::advisory::Oddity;
use tar_stream::Entry;

use crate::kept_tar::{KeptTarFault, member};

/// The entry of `member`, but for what its chunks say, if a partial pull can put it together again.
pub(super) fn entry(member: &Entry) -> Result<ContainersEntry<'static>, KeptTarFault> {
    check(member)?;
    member::check_numbers(member)?;
    let kind = member::kind(member)?;
    let mut entry = ContainersEntry::new(kind, member::text(&member.path, "name")?);
    entry.link_name = member::text(&member.link_target, "link target")?;
    entry.mode = member.raw_mode;
    entry.size = i64::try_from(member.size).unwrap_or(i64::MAX);
    entry.uid = member.uid;
    entry.gid = member.gid;
    entry.modtime = time(Some(member.mtime))?;
    entry.access_time = time(member.atime)?;
    entry.change_time = time(member.ctime)?;
    entry.dev_major = member.devmajor;
    entry.dev_minor = member.devminor;
    entry.xattrs = member::xattrs(member)?;
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
