//! The data of directories, written.

use std::ops::Bound;

use image_model::InodeId;
use image_model::tree::Directory;
use image_model::width::u64_from;
use zerocopy::IntoBytes;

use crate::dirent::{self, RawDirent};

/// A name and what it means.
pub type Entry<'a> = (&'a [u8], InodeId);

/// The entries of directory `own` below `parent`, with `.` and `..` in their sorted places.
pub fn with_dots(
    entries: &Directory,
    own: InodeId,
    parent: InodeId,
) -> impl Iterator<Item = Entry<'_>> {
    let range = |from: Bound<&'static [u8]>, to: Bound<&'static [u8]>| {
        let range = entries.range::<[u8], _>((from, to));
        range.map(|(name, &id)| (name.as_bytes(), id))
    };
    const DOT: &[u8] = b".";
    const DOTS: &[u8] = b"..";
    range(Bound::Unbounded, Bound::Excluded(DOT))
        .chain([(DOT, own)])
        .chain(range(Bound::Excluded(DOT), Bound::Excluded(DOTS)))
        .chain([(DOTS, parent)])
        .chain(range(Bound::Excluded(DOTS), Bound::Unbounded))
}

/// Bytes of a directory's data in blocks of `block` bytes.
#[must_use]
pub fn data_len(entries: &Directory, block: u64) -> u64 {
    let root = InodeId::ROOT;
    let (mut full, mut used) = (0u64, 0u64);
    for entry in with_dots(entries, root, root) {
        let len = u64_from(entry_len(&entry));
        if used.saturating_add(len) > block {
            full = full.saturating_add(block);
            used = 0;
        }
        used = used.saturating_add(len);
    }
    full.saturating_add(used)
}

const fn entry_len(entry: &Entry<'_>) -> usize {
    dirent::LEN.saturating_add(entry.0.len())
}

/// Shows the entries of one block after the other, and whether it is the last, until `visit` fails.
///
/// # Errors
/// Errors of `visit`.
pub fn each_block<'a, E>(
    entries: impl Iterator<Item = Entry<'a>>,
    block: usize,
    mut visit: impl FnMut(&[Entry<'a>], bool) -> Result<(), E>,
) -> Result<(), E> {
    let mut filled = Vec::new();
    let mut used = 0usize;
    for entry in entries {
        let len = entry_len(&entry);
        if used.saturating_add(len) > block {
            visit(&filled, false)?;
            filled.clear();
            used = 0;
        }
        used = used.saturating_add(len);
        filled.push(entry);
    }
    visit(&filled, true)
}

/// Appends a block with `entries`; `dirent` makes an entry whose name begins at an offset.
///
/// # Panics
/// If they are more than a block can hold.
pub(crate) fn write_block(
    entries: &[Entry<'_>],
    dirent: impl Fn(InodeId, u16) -> RawDirent,
    out: &mut Vec<u8>,
) {
    let mut name_offset = entries.len().saturating_mul(dirent::LEN);
    for (name, id) in entries {
        let offset =
            u16::try_from(name_offset).expect("names begin in the first 65,535 bytes of a block");
        out.extend_from_slice(dirent(*id, offset).as_bytes());
        name_offset = name_offset.saturating_add(name.len());
    }
    for (name, _) in entries {
        out.extend_from_slice(name);
    }
}
