//! The entries of both schemas as one.

use std::borrow::Cow;
use std::ops::Deref;

use image_model::{Limits, Timestamp};

use super::TocKind;
use super::inode::unsigned;
use crate::containers_toc::{self, ContainersEntry, ZEROS};
use crate::error::{EntryFault, TocError};
use crate::toc::{self, TocEntry, time};

/// An entry, and what only TOCs of containers/storage say.
pub(super) struct AnyEntry<'a> {
    entry: TocEntry<'a>,
    end_offset: i64,
    chunk_type: Cow<'a, str>,
}

impl<'a> Deref for AnyEntry<'a> {
    type Target = TocEntry<'a>;

    fn deref(&self) -> &TocEntry<'a> {
        &self.entry
    }
}

impl AnyEntry<'_> {
    /// Where the frames of the file end.
    pub(super) fn end_offset(&self) -> Result<u64, EntryFault> {
        unsigned("endOffset", self.end_offset)
    }

    /// Whether it is a run of zeros.
    pub(super) fn is_hole(&self) -> Result<bool, EntryFault> {
        match &*self.chunk_type {
            "" => Ok(false),
            ZEROS => Ok(true),
            found => Err(EntryFault::ChunkType {
                found: found.into(),
            }),
        }
    }
}

impl<'a> From<TocEntry<'a>> for AnyEntry<'a> {
    fn from(entry: TocEntry<'a>) -> Self {
        Self {
            entry,
            end_offset: 0,
            chunk_type: Cow::Borrowed(""),
        }
    }
}

impl<'a> From<ContainersEntry<'a>> for AnyEntry<'a> {
    fn from(entry: ContainersEntry<'a>) -> Self {
        let ContainersEntry {
            kind,
            name,
            link_name,
            mode,
            size,
            uid,
            gid,
            mut modtime,
            access_time: _,
            change_time: _,
            dev_major,
            dev_minor,
            xattrs,
            digest,
            offset,
            end_offset,
            chunk_size,
            chunk_offset,
            chunk_digest,
            chunk_type,
        } = entry;
        // Old writers write out Go's zero time.
        if time::parse(&modtime) == Some(Timestamp::from_seconds(time::YEAR_1)) {
            modtime = Cow::Borrowed("");
        }
        let entry = TocEntry {
            link_name,
            mode,
            size,
            uid,
            gid,
            modtime,
            dev_major,
            dev_minor,
            xattrs,
            digest,
            offset,
            chunk_size,
            chunk_offset,
            chunk_digest,
            ..TocEntry::new(name, kind)
        };
        Self {
            entry,
            end_offset,
            chunk_type,
        }
    }
}

/// Parses a document of the schema that layers of `kind` have, and passes every entry to `visit`.
pub(super) fn for_each<'a>(
    kind: TocKind,
    json: &'a [u8],
    limits: &Limits,
    mut visit: impl FnMut(usize, AnyEntry<'a>) -> Result<(), TocError>,
) -> Result<(), TocError> {
    match kind {
        TocKind::Containers => {
            containers_toc::for_each_entry(json, limits, |index, entry| visit(index, entry.into()))
                .map(drop)
        }
        _ => toc::for_each_entry(json, limits, |index, entry| visit(index, entry.into())).map(drop),
    }
}
