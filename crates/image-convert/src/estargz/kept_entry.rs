//! From the members of a tar that is kept to the entries of its TOC.

use std::num::NonZeroU32;

use estargz_toc::toc::{EntryType, TocEntry, time};
use estargz_toc::write::Placed;
use image_model::image::{ChunkExtent, ChunkRange};
use tar_stream::{Entry, EntryKind};

use crate::ConvertError;
use crate::kept_tar::{KeptTarFault, member};

/// A member of the tar, and which chunks it has.
pub(super) struct Described {
    /// Its entry, but for what its chunks say.
    pub(super) entry: TocEntry<'static>,
    pub(super) chunks: ChunkRange,
}

/// The chunks of all members.
#[derive(Clone, Copy)]
pub(super) struct Chunks<'c> {
    pub(super) extents: &'c [ChunkExtent],
    pub(super) placed: &'c Placed,
    pub(super) chunk_size: NonZeroU32,
}

/// The entry of `member`, but for what its content says.
pub(super) fn entry(member: &Entry) -> Result<TocEntry<'static>, KeptTarFault> {
    if member.is_sparse {
        return Err(KeptTarFault::Sparse);
    }
    member::check_numbers(member)?;
    let kind = match member.kind {
        // Only its name counts.
        EntryKind::HardLink if member.whiteout().is_some() => EntryType::Reg,
        _ => member::kind(member)?,
    };
    let is_link = matches!(kind, EntryType::Hardlink | EntryType::Symlink);
    let is_device = matches!(member.kind, EntryKind::CharDevice | EntryKind::BlockDevice);
    let seconds = member.mtime.seconds;
    let mut entry = TocEntry::new(member::text(&member.path, "name")?, kind);
    entry.modtime = time::format(seconds)
        .ok_or(KeptTarFault::Time { seconds })?
        .into();
    if member.kind == EntryKind::File {
        entry.size = i64::try_from(member.size).unwrap_or(i64::MAX);
    }
    if is_link {
        entry.link_name = member::text(&member.link_target, "link target")?;
    }
    entry.mode = member.raw_mode;
    entry.uid = member.uid;
    entry.gid = member.gid;
    if is_device {
        entry.dev_major = member.devmajor;
        entry.dev_minor = member.devminor;
    }
    entry.xattrs = member::xattrs(member)?;
    Ok(entry)
}

/// The entries of all `members`, with those of their further chunks.
pub(super) fn entries<'a>(
    members: &'a [Described],
    chunks: Chunks<'a>,
) -> impl Iterator<Item = Result<TocEntry<'a>, ConvertError>> {
    members.iter().flat_map(move |member| {
        let ChunkRange { start, end } = member.chunks;
        let extents = &chunks.extents[start as usize..end as usize];
        let mut first = member.entry.clone();
        let further = match extents {
            [] => extents,
            [extent, further @ ..] => {
                chunks.put(&mut first, *extent, member.entry.size);
                further
            }
        };
        let further = further.iter().map(move |extent| {
            let mut entry = TocEntry::new(&*member.entry.name, EntryType::Chunk);
            chunks.put(&mut entry, *extent, member.entry.size);
            Ok(entry)
        });
        std::iter::once(Ok(first)).chain(further)
    })
}

impl Chunks<'_> {
    /// Says where the chunk `extent` of a file of `size` bytes is.
    fn put(&self, entry: &mut TocEntry<'_>, extent: ChunkExtent, size: i64) {
        let ChunkExtent { file_offset, chunk } = extent;
        let chunk = chunk.expect("each chunk is stored");
        let chunk = &self.placed.chunks[chunk.index()];
        // What is stored is far below 2^63.
        entry.offset = self.placed.frames[chunk.frame.0 as usize].offset as i64;
        entry.chunk_offset = file_offset as i64;
        let digest = chunk.digest.expect("each chunk is digested");
        entry.chunk_digest = digest.to_string().into();
        // Left out if less than a whole chunk remains.
        let len = i64::from(chunk.len);
        if len < size - entry.chunk_offset || chunk.len == self.chunk_size.get() {
            entry.chunk_size = len;
        }
    }
}
