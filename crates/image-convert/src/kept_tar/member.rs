//! What every table of contents says alike about a tar member.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use estargz_toc::toc::EntryType;
use tar_stream::{Entry, EntryKind};

use super::KeptTarFault;

/// The type of its entry.
pub(crate) fn kind(member: &Entry) -> Result<EntryType<'static>, KeptTarFault> {
    Ok(match (member.kind, member.typeflag) {
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
    })
}

/// Names of extended attributes, and their values in Base64.
pub(crate) type Xattrs = Vec<(Cow<'static, str>, Cow<'static, str>)>;

/// Its extended attributes.
pub(crate) fn xattrs(member: &Entry) -> Result<Xattrs, KeptTarFault> {
    let xattrs = member.xattrs.iter().map(|xattr| {
        let name = text(&xattr.name, "extended attribute's name")?;
        Ok((name, STANDARD.encode(&xattr.value).into()))
    });
    xattrs.collect()
}

/// `bytes` as text of JSON; `what` they are, for errors.
pub(crate) fn text(bytes: &[u8], what: &'static str) -> Result<Cow<'static, str>, KeptTarFault> {
    let text = str::from_utf8(bytes).map_err(|_| KeptTarFault::NotUtf8 { what })?;
    Ok(text.to_owned().into())
}

/// Refuses numbers of `member` that readers of a table of contents refuse.
pub(crate) fn check_numbers(member: &Entry) -> Result<(), KeptTarFault> {
    for (field, value) in [
        ("mode", member.raw_mode),
        ("uid", member.uid),
        ("gid", member.gid),
        ("device number", member.devmajor),
        ("device number", member.devminor),
    ] {
        if u32::try_from(value).is_err() {
            return Err(KeptTarFault::Number { field, value });
        }
    }
    Ok(())
}
